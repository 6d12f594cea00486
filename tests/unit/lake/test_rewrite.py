"""A difference writes anew the files it touches and no others, in one commit or none."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from ingestion.errors import ConcurrentWriteError, IntegrityError
from ingestion.lake import duck
from ingestion.lake.base import Commit
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.embedded.parquet_files import FileWriter
from ingestion.lake.embedded.rebuild import rebuild
from ingestion.lake.embedded.rewrite import apply_difference

ENGINE = DeltaRs()
COMMIT = Commit("silver/x", 1)
SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string()), ("live", pa.bool_())])


@pytest.fixture
def connection() -> Iterator[duck.Connection]:
    with duck.connect() as connection:
        yield connection


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """Two files: ids 1 and 2 are live, 3 is not."""
    uri = str(tmp_path / "table")
    ENGINE.create(uri, SCHEMA, partition_by=["live"])
    ENGINE.append(uri, pa.table({"id": [1, 2, 3], "name": ["a", "b", "c"], "live": [True, True, False]}, schema=SCHEMA))
    return uri


def names(uri: str) -> set[str]:
    return {Path(file).name for file in DeltaTable(uri).file_uris()}


def rows(connection: duck.Connection, uri: str) -> list[tuple[Any, ...]]:
    return connection.execute(f"from {duck.scan(uri)} order by all").fetchall()


def change(connection: duck.Connection, uri: str, difference: str) -> int | None:
    table = ENGINE.snapshot(uri, expected_version=ENGINE.version(uri))
    return apply_difference(ENGINE, connection, table, difference, commit=COMMIT)


def difference_of(uri: str, op: str, where: str, *, name: str = "name", live: str = "live") -> str:
    """Return the difference that gives `op` to the rows of `where` in version 1, in their places."""
    return (
        f"select '{op}' as _change, filename as _file, file_row_number as _pos, id, {name} as name, {live} as live "
        f"from {duck.scan(uri, 1)} where {where}"
    )


def test_only_files_with_a_changed_row_are_written_anew(connection: duck.Connection, uri: str) -> None:
    before = names(uri)

    version = change(connection, uri, difference_of(uri, "U", "id = 3", name="'z'"))

    assert version == 2
    assert rows(connection, uri) == [(1, "a", True), (2, "b", True), (3, "z", False)]
    assert len(before & names(uri)) == 1


def test_a_row_whose_partition_changes_moves_and_one_may_take_its_place(connection: duck.Connection, uri: str) -> None:
    moved = difference_of(uri, "U", "id = 1", live="false")
    instead = difference_of(uri, "I", "id = 1", name="'new'").replace("id,", "9 as id,", 1)

    change(connection, uri, f"{moved} union all {instead}")

    live = connection.execute(
        f"select id, file_row_number from {duck.scan(uri)} where live order by file_row_number"
    ).fetchall()
    assert live == [(9, 0), (2, 1)]
    assert rows(connection, uri) == [(1, "a", False), (2, "b", True), (3, "c", False), (9, "new", True)]


def test_a_file_that_loses_every_row_is_gone(connection: duck.Connection, uri: str) -> None:
    change(connection, uri, difference_of(uri, "D", "live"))

    assert rows(connection, uri) == [(3, "c", False)]
    assert len(names(uri)) == 1


def test_an_empty_difference_makes_no_commit_and_no_file(connection: duck.Connection, uri: str) -> None:
    before = sorted(Path(uri).rglob("*"))

    assert change(connection, uri, difference_of(uri, "U", "false")) is None
    assert sorted(Path(uri).rglob("*")) == before


def test_a_new_row_joins_a_small_file_that_is_written_anyway(connection: duck.Connection, uri: str) -> None:
    new = "select 'I', null, null, 4, 'd', true"

    change(connection, uri, f"{difference_of(uri, 'U', 'id = 1', name=chr(39) + 'z' + chr(39))} union all {new}")

    assert rows(connection, uri) == [(1, "z", True), (2, "b", True), (3, "c", False), (4, "d", True)]
    assert len(names(uri)) == 2


@pytest.mark.parametrize("op", ["I", "U"])
def test_a_twin_that_committed_first_makes_ours_fail(connection: duck.Connection, uri: str, op: str) -> None:
    """Also where both only add rows: Delta alone would keep both."""
    difference = (
        difference_of(uri, op, "id = 1")
        if op == "U"
        else "select 'I' as _change, null as _file, null as _pos, 7 as id, 'g' as name, true as live"
    )
    table = ENGINE.snapshot(uri, expected_version=1)
    change(connection, uri, difference)

    with pytest.raises(ConcurrentWriteError, match="Run it again"):
        apply_difference(ENGINE, connection, table, difference, commit=COMMIT)

    assert ENGINE.version(uri) == 2
    assert DeltaTable(uri).count() == (4 if op == "I" else 3)


def test_a_twin_that_commits_between_our_last_look_and_our_commit_makes_ours_fail(
    connection: duck.Connection, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = DeltaTable(uri)
    ENGINE.append(uri, pa.table({"id": [8], "name": ["h"], "live": [True]}, schema=SCHEMA))
    slow = DeltaRs()
    monkeypatch.setattr(slow, "_open", lambda uri: stale)

    with pytest.raises(ConcurrentWriteError):
        slow.replace(uri, [], [], commit=COMMIT, expected_version=1)

    assert DeltaTable(uri).count() == 4


def test_a_crash_before_the_commit_leaves_the_table_as_it_was(
    connection: duck.Connection, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = names(uri), rows(connection, uri)

    def crash(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DeltaRs, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            change(connection, uri, difference_of(uri, "U", "id = 3", name="'z'"))

    assert (names(uri), rows(connection, uri)) == before
    change(connection, uri, difference_of(uri, "U", "id = 3", name="'z'"))
    assert (3, "z", False) in rows(connection, uri)


def test_a_difference_that_would_lose_a_row_commits_nothing(connection: duck.Connection, uri: str) -> None:
    """An inserted row must not take the place of a row that stays."""
    wrong = f"{difference_of(uri, 'I', 'id = 1')} union all {difference_of(uri, 'U', 'id = 2')}"

    with pytest.raises(IntegrityError, match="Nothing was committed"):
        change(connection, uri, wrong)

    assert ENGINE.version(uri) == 1


def test_a_key_that_comes_twice_commits_nothing(uri: str) -> None:
    twice = pa.table({"_op": ["U", "U"], "id": [1, 1], "name": ["x", "y"], "live": [True, True]})

    with pytest.raises(IntegrityError, match="comes twice"):
        ENGINE.merge(uri, twice.to_reader(), key="id", commit=COMMIT, expected_version=1)


def test_columns_that_a_merge_does_not_give_keep_their_values(connection: duck.Connection, uri: str) -> None:
    given = pa.table({"_op": ["U"], "id": [1], "name": ["z"]})

    ENGINE.merge(uri, given.to_reader(), key="id", commit=COMMIT, expected_version=1)

    assert rows(connection, uri)[0] == (1, "z", True)


def test_a_column_younger_than_the_file_is_null_in_the_rows_that_stay(connection: duck.Connection, uri: str) -> None:
    ENGINE.add_columns(uri, [pa.field("tier", pa.string())])
    given = pa.table({"_op": ["U"], "id": [1], "tier": ["gold"]})

    ENGINE.merge(uri, given.to_reader(), key="id", commit=COMMIT, expected_version=2)

    assert [row[3] for row in rows(connection, uri)] == ["gold", None, None]


@pytest.mark.parametrize("value", ["x y", "ä/b", "a%20b", None])
def test_files_of_partitions_with_any_name_are_replaced_and_not_doubled(
    connection: duck.Connection, tmp_path: Path, value: str | None
) -> None:
    uri = str(tmp_path / "odd")
    schema = pa.schema([("id", pa.int64()), ("part", pa.string())])
    write_deltalake(uri, pa.table({"id": [1, 2], "part": [value, value]}, schema=schema), partition_by=["part"])
    given = pa.table({"_op": ["D"], "id": [1], "part": [value]})

    ENGINE.merge(uri, given.to_reader(), key="id", commit=COMMIT, expected_version=0)

    assert rows(connection, uri) == [(2, value)]


def test_a_rebuild_is_one_commit_sorted_through_its_files(connection: duck.Connection, tmp_path: Path) -> None:
    uri = str(tmp_path / "sorted")
    query = "select (i * 7919) % 600000 as id, 'n' || i as name from range(600000) as r(i)"
    connection.execute("set threads = 1")  # more may hand row groups to files out of turn

    assert rebuild(ENGINE, connection, uri, query, commit=COMMIT, order_by=["id"]) == 0

    ranges = sorted(
        (row["min"]["id"], row["max"]["id"]) for row in pa.table(DeltaTable(uri).get_add_actions()).to_pylist()
    )
    assert len(ranges) > 1
    assert all(before[1] < after[0] for before, after in pairwise(ranges))


def test_a_sum_keeps_its_digits(connection: duck.Connection, tmp_path: Path) -> None:
    """DuckDB would write its widest whole number as a float."""
    uri = str(tmp_path / "sums")

    rebuild(ENGINE, connection, uri, "select sum(i) as total from range(3, 5) as r(i)", commit=COMMIT)

    assert ENGINE.schema(uri).field("total").type == pa.decimal128(38, 0)
    assert rows(connection, uri) == [(7,)]


def test_no_file_has_an_encoding_that_spark_cannot_read(connection: duck.Connection, tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.int64()), ("share", pa.float64())])
    writer = FileWriter(connection, str(tmp_path / "floats"), schema, (), ())

    [file] = writer.write("select i as id, i / 3 as share from range(100000) as r(i)", partition_values={})

    columns = pq.read_metadata(tmp_path / "floats" / file.path).row_group(0)
    encodings = {name for index in range(2) for name in columns.column(index).encodings}
    assert "BYTE_STREAM_SPLIT" not in encodings
