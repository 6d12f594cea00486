"""Commits that wait: their rows can be read by whoever holds them, and by nobody else until they are published."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from ingestion.errors import ConcurrentWriteError
from ingestion.lake import duck
from ingestion.lake.base import Commit
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.embedded.rebuild import rebuild
from ingestion.lake.embedded.rewrite import apply_difference
from ingestion.lake.embedded.withheld import Withheld

ENGINE = DeltaRs()
COMMIT = Commit("gold/x", None)
CHANGE = "select 1::bigint as id, 'new' as name, 'U' as _change, filename as _file, file_row_number as _pos from {} where id = 1"


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """A table with the ids 1 and 2, at version 1."""
    uri, schema = str(tmp_path / "table"), pa.schema([("id", pa.int64()), ("name", pa.string())])
    ENGINE.create(uri, schema)
    ENGINE.append(uri, pa.table({"id": [1, 2], "name": ["a", "b"]}, schema=schema))
    return uri


def withhold(held: Withheld, uri: str, *, whole: bool) -> int | None:
    """Withhold the change of one row, as the rewrite of its file or of the whole table; return the version."""
    with duck.connect() as connection:
        if whole:
            rows = f"select id, if(id = 1, 'new', name) as name from {duck.scan(uri)}"
            return rebuild(held, connection, uri, rows, commit=COMMIT)
        table = ENGINE.snapshot(uri, expected_version=ENGINE.version(uri))
        return apply_difference(held, connection, table, CHANGE.format(duck.scan(uri)), commit=COMMIT)


def rows(query: str) -> list[tuple[object, ...]]:
    with duck.connect() as connection:
        return connection.execute(f"from ({query}) order by all").fetchall()


@pytest.mark.parametrize("whole", [True, False])
def test_withheld_rows_are_seen_by_their_holder_alone_until_they_are_published(uri: str, whole: bool) -> None:
    held, changed = Withheld(ENGINE), [(1, "new"), (2, "b")]
    version = withhold(held, uri, whole=whole)
    before = rows(f"select id, name from {duck.scan(uri)}")

    assert (version, ENGINE.version(uri), before) == (2, 1, [(1, "a"), (2, "b")])
    assert rows(held.rows(uri)) == changed
    held.publish(uri)
    assert (ENGINE.version(uri), rows(f"select id, name from {duck.scan(uri)}")) == (2, changed)


@pytest.mark.parametrize("whole", [True, False])
def test_a_table_that_another_writer_changed_meanwhile_is_not_published(uri: str, whole: bool) -> None:
    held = Withheld(ENGINE)
    withhold(held, uri, whole=whole)
    ENGINE.append(uri, pa.table({"id": [3], "name": ["c"]}))

    with pytest.raises(ConcurrentWriteError):
        held.publish(uri)
    assert rows(f"select id, name from {duck.scan(uri)}") == [(1, "a"), (2, "b"), (3, "c")]


def test_a_table_that_becomes_empty_has_no_row_for_its_holder(uri: str) -> None:
    held = Withheld(ENGINE)
    with duck.connect() as connection:
        rebuild(held, connection, uri, f"select id, name from {duck.scan(uri)} where false", commit=COMMIT)

    assert rows(held.rows(uri)) == []
