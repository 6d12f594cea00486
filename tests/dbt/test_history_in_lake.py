"""History as Delta keeps it: differences applied by rewriting files give the table that a rebuild gives."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from ingestion.lake import duck
from ingestion.lake.base import Commit
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.embedded.rebuild import rebuild
from ingestion.lake.embedded.rewrite import apply_difference
from tests.dbt.test_history import DDL, Event, Sql, fold, history, insert, logs, numbered, sql
from tests.examples import examples

__all__ = ["sql"]
ENGINE = DeltaRs()


def build(connection: duckdb.DuckDBPyConnection, sql: Sql, uri: str, since: int, until: int) -> int | None:
    """Bring the table from one batch to another as the plugin does; return its new version, None if nothing differs."""
    version = ENGINE.version(uri)
    target = f"(select *, filename as _file, file_row_number as _pos from {duck.scan(uri, version)})"
    difference = sql.difference(connection, since, target)
    if difference is None:
        return None
    table = ENGINE.snapshot(uri, expected_version=version)
    return apply_difference(
        ENGINE, connection, table, difference, commit=Commit("silver/x", until), order_by=["valid_to", "id", "part"]
    )


def files(uri: str) -> dict[str, Any]:
    snapshot = ENGINE.snapshot(uri, expected_version=ENGINE.version(uri))
    return {file.name: file.partition_values["is_current"] for file in snapshot.files}


@examples(20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=logs, again=st.lists(st.integers(0, 9), max_size=1), first=st.integers(0, 3))
def test_files_rewritten_batch_by_batch_hold_what_a_rebuild_would(
    sql: Sql, log: list[list[Event]], again: list[int], first: int
) -> None:
    batches = numbered(log, again)
    since = min(first, len(batches))
    with tempfile.TemporaryDirectory() as folder, duck.connect() as connection:
        uri = str(Path(folder) / "silver")
        connection.execute(DDL)
        for batch in batches[:since]:
            insert(connection, batch)
        rebuild(ENGINE, connection, uri, sql.full, commit=Commit("silver/x", since), partition_by=["is_current"])
        for number, batch in enumerate(batches[since:], since + 1):
            insert(connection, batch)
            build(connection, sql, uri, number - 1, number)
            assert build(connection, sql, uri, number - 1, number) is None, "a second run found a difference"

        assert history(connection, duck.scan(uri)) == fold([event for batch in batches for event in batch])


@pytest.fixture
def lake(tmp_path: Path, sql: Sql) -> tuple[duckdb.DuckDBPyConnection, str]:
    """Two keys, one of them with a closed version."""
    connection, uri = duck.connect(), str(tmp_path / "silver")
    connection.execute(DDL)
    insert(connection, [at(1, "red", hour=0, batch=1), at(1, "blue", hour=1, batch=1), at(2, "red", hour=0, batch=1)])
    rebuild(ENGINE, connection, uri, sql.full, commit=Commit("silver/x", 1), partition_by=["is_current"])
    return connection, uri


def at(id_: int, colour: str, *, hour: int, batch: int, op: str = "U") -> Event:
    return Event(id_, "x", colour, None, None, op, hour, 0, batch, 1 + hour)


def test_a_change_leaves_the_files_of_closed_history_alone(
    lake: tuple[duckdb.DuckDBPyConnection, str], sql: Sql
) -> None:
    connection, uri = lake
    before = {name for name, current in files(uri).items() if current == "false"}
    insert(connection, [at(1, "red", hour=5, batch=2)])

    build(connection, sql, uri, 1, 2)

    after = files(uri)
    assert before <= set(after)
    assert sorted(after.values()) == ["false", "false", "true"]


def test_a_new_version_takes_the_place_of_the_one_it_ends_and_a_new_key_the_end_of_a_small_file(
    lake: tuple[duckdb.DuckDBPyConnection, str], sql: Sql
) -> None:
    connection, uri = lake
    insert(connection, [at(1, "red", hour=5, batch=2), at(3, "red", hour=5, batch=2)])

    build(connection, sql, uri, 1, 2)

    rows = connection.execute(f"select id, file_row_number from {duck.scan(uri)} where is_current order by id")
    assert rows.fetchall() == [(1, 0), (2, 1), (3, 2)]
    assert sorted(files(uri).values()) == ["false", "false", "true"]


def test_only_new_events_are_read_where_none_is_late(lake: tuple[duckdb.DuckDBPyConnection, str], sql: Sql) -> None:
    """Old events and closed versions lie outside of what constants in the difference let through."""
    connection, uri = lake
    insert(connection, [at(1, "red", hour=5, batch=2)])
    difference = sql.difference(connection, 1)
    assert difference is not None
    connection.execute("delete from bronze where _batch = 1")
    connection.execute(f"create table silver as from {duck.scan(uri)} where is_current")

    rows = connection.execute(f"select _change, id, is_current from ({difference}) order by all").fetchall()

    assert rows == [("I", 1, True), ("U", 1, False)]
