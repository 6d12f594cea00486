"""Windows, counts, keys, snapshots and the change log, against a server."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from ingestion.contracts.model import Contract
from ingestion.contracts.window import FixedPoint, Window
from ingestion.errors import BrokenContractError, ConfigurationError, IntegrityError
from ingestion.settings import Connection
from ingestion.sources import open_source
from ingestion.sources.base import WHOLE, ChangeFeed
from ingestion.sources.sqlserver import keys as sqlserver_keys
from ingestion.sources.sqlserver.source import SqlServerSnapshot, SqlServerSource
from tests.sources.sqlserver_fixtures import EVERYTHING, ID, Desk, Promise, desk, rows

__all__ = ["desk"]

CHANGED = Promise("changed_at", "datetime2(6)", "timestamp", required=True)
LAKE = {"mode": "incremental", "watermark": "changed_at", "reconcile": "{partition: changed_at, grain: day}"}


@pytest.fixture
def people(desk: Desk) -> Contract:
    """1 and 2 at 10:00, 3 at 11:00, 4 without a watermark."""
    table = desk.table("ID bigint PRIMARY KEY, NAME nvarchar(20), CHANGED_AT datetime2(6)")
    for key, moment in ((1, "10:00:00.000001"), (2, "10:00:00.000001"), (3, "11:00:00.000000"), (4, None)):
        put(desk, table, key, f"2026-03-01 {moment}" if moment else None)
    return desk.contract(table, ID, Promise("name", "nvarchar(20)"), CHANGED, **LAKE)


@pytest.fixture
def snapshot(desk: Desk) -> Iterator[SqlServerSnapshot]:
    with SqlServerSource("shop", desk.connection).snapshot() as opened:
        yield opened


def put(desk: Desk, table: str, key: int, moment: str | None) -> None:
    desk.sql(f"INSERT INTO dbo.{table} VALUES ({key}, N'n', CONVERT(datetime2(6), ?, 121))", binds=[moment])


def ids(
    snapshot: SqlServerSnapshot, contract: Contract, window: Window = EVERYTHING, keys: pa.Table | None = None
) -> list[int]:
    return sorted(row["id"] for row in rows(snapshot, contract, window, keys))


WINDOWS = [
    (Window(), [1, 2, 3, 4]),
    (Window(low="2026-03-01 10:00:00.000001"), [1, 2, 3, 4]),
    (Window(low="2026-03-01 10:00:00.000002"), [3, 4]),
    (Window(low="2026-03-01 10:00:00.0000011"), [3, 4]),
    (Window(high="2026-03-01 10:00:00.000001", nulls=False), []),
    (Window(high="2026-03-01 10:00:00.0000011", nulls=False), [1, 2]),
    (Window(high="2026-03-01 10:00:00.000002", nulls=False), [1, 2]),
    (Window(low="2026-03-01 10:00:00.000001", high="2026-03-01 11:00:00", nulls=False), [1, 2]),
    (Window(low="2026-03-01"), [1, 2, 3, 4]),
    (Window(low="2026-03-01 10:00:00.000002", nulls=False, inverted=True), [1, 2, 4]),
    (Window(low="2026-03-01 10:00:00.000002", high="2026-03-01 11:00:00", nulls=False, inverted=True), [1, 2, 3, 4]),
    (Window(low="9999-12-31 23:59:59.9999999"), [4]),
    (Window(low="0001-01-01 00:00:00.000000"), [1, 2, 3, 4]),
]


@pytest.mark.parametrize(("window", "expected"), WINDOWS)
def test_a_window_is_half_open_keeps_ties_and_counts_what_it_reads(
    people: Contract, snapshot: SqlServerSnapshot, window: Window, expected: list[int]
) -> None:
    assert ids(snapshot, people, window) == expected
    assert snapshot.count(people, window) == len(expected)
    assert sum(batch.num_rows for batch in snapshot.read_keys(people, window)) == len(expected)


def test_the_highest_watermark_keeps_the_digits_of_the_source(people: Contract, snapshot: SqlServerSnapshot) -> None:
    assert snapshot.highest_watermark(people, below="2030-01-01 00:00:00.000000") == "2026-03-01 11:00:00.000000"
    assert snapshot.highest_watermark(people, below="2026-03-01 11:00:00.000000") == "2026-03-01 10:00:00.000001"
    assert snapshot.highest_watermark(people, below="2020-01-01 00:00:00.000000") is None


@pytest.mark.parametrize(
    ("declared", "values", "highest", "bounds"),
    [
        ("datetime", ["2026-03-01 10:00:00.003", "2026-03-01 10:00:00.007"], "2026-03-01 10:00:00.007",
         [("2026-03-01 10:00:00.003", 2), ("2026-03-01 10:00:00.003001", 1), ("2026-03-01 10:00:00.007001", 0)]),
        ("smalldatetime", ["2026-03-01 10:00:00", "2026-03-01 10:01:00"], "2026-03-01 10:01:00",
         [("2026-03-01 10:00:00", 2), ("2026-03-01 10:00:00.000001", 1), ("2026-03-01 10:01:01", 0)]),
        ("datetime2(0)", ["2026-03-01 10:00:00", "2026-03-01 10:00:01"], "2026-03-01 10:00:01",
         [("2026-03-01 10:00:00", 2), ("2026-03-01 10:00:00.000001", 1), ("2026-03-01 10:00:01.5", 0)]),
        ("datetime2(3)", ["2026-03-01 10:00:00.999", "2026-03-01 10:00:01.000"], "2026-03-01 10:00:01.000",
         [("2026-03-01 10:00:00.999", 2), ("2026-03-01 10:00:00.999001", 1)]),
        ("datetime2(7)", ["2026-03-01 10:00:00.123456", "2026-03-01 10:00:01"], "2026-03-01 10:00:01.0000000",
         [("2026-03-01 10:00:00.123456", 2), ("2026-03-01 10:00:00.123457", 1)]),
        ("datetimeoffset(6)", ["2026-03-01 12:00:00 +02:00", "2026-03-01 11:00:00 +00:00"], "2026-03-01 11:00:00.000000",
         [("2026-03-01 10:00:00", 2), ("2026-03-01 10:00:00.000001", 1), ("2026-03-01 12:00:00", 0)]),
    ],
)  # fmt: skip
def test_a_watermark_of_any_moment_is_bounded_exactly(
    desk: Desk, declared: str, values: list[str], highest: str, bounds: list[tuple[str, int]]
) -> None:
    table = desk.table(f"ID bigint PRIMARY KEY, CHANGED_AT {declared} NOT NULL")
    for key, value in enumerate(values):
        desk.sql(f"INSERT INTO dbo.{table} VALUES ({key}, CAST(? AS {declared}))", binds=[value])
    contract = desk.contract(table, ID, Promise("changed_at", declared, "timestamp", required=True), **LAKE)

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        assert snapshot.highest_watermark(contract, below="2030-01-01") == highest
        for bound, count in bounds:
            assert snapshot.count(contract, Window(low=bound)) == count, bound
            assert snapshot.count(contract, Window(high=bound, nulls=False)) == len(values) - count, bound


def test_a_snapshot_does_not_see_what_others_write_after_its_first_read(
    desk: Desk, people: Contract, snapshot: SqlServerSnapshot
) -> None:
    before = snapshot.count(people, EVERYTHING)

    desk.sql(f"DELETE FROM {'.'.join(people.source_table)} WHERE ID = 1")

    assert snapshot.count(people, EVERYTHING) == before
    assert ids(snapshot, people) == [1, 2, 3, 4]
    with SqlServerSource("shop", desk.connection).snapshot() as later:
        assert ids(later, people) == [2, 3, 4]


def test_a_new_read_ends_the_one_before(people: Contract, snapshot: SqlServerSnapshot) -> None:
    first = snapshot.read(people, EVERYTHING, found=snapshot.catalog(people))
    next(first)

    assert ids(snapshot, people) == [1, 2, 3, 4]


def test_a_snapshot_belongs_to_its_session(desk: Desk) -> None:
    source = SqlServerSource("shop", desk.connection)
    with source.snapshot() as opened:
        point = opened.fixed_point

    assert not source.shares(point)
    with pytest.raises(ConfigurationError, match="belongs to its own session"), source.snapshot(at=point):
        pass


def test_statements_without_a_snapshot_say_what_they_cannot(desk: Desk, people: Contract) -> None:
    extra = {**desk.connection.extra, "fixed_point": "statement"}
    connection = Connection("mssql", desk.connection.host, desk.connection.port, desk.connection.schema,
                            desk.connection.login, desk.connection.password, extra)  # fmt: skip
    with SqlServerSource("shop", connection).snapshot() as opened:
        assert "does not allow snapshot isolation" in (opened.degraded or "")
        assert opened.fixed_point.kind == "statement"
        assert ids(opened, people) == [1, 2, 3, 4]


def test_rows_are_read_by_key_in_lists_of_any_length(
    desk: Desk, people: Contract, snapshot: SqlServerSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlserver_keys, "KEYS_PER_STATEMENT", 2)

    assert ids(snapshot, people, keys=pa.table({"id": [4, 99, 1, None, 2]})) == [1, 2, 4]
    assert ids(snapshot, people, Window(low="2026-03-01 11:00:00"), pa.table({"id": [1, 3]})) == [3]
    assert ids(snapshot, people, keys=pa.table({"id": pa.array([], pa.int64())})) == []


@pytest.mark.parametrize(
    ("declared", "promise", "values", "wanted"),
    [
        ("nvarchar(20)", ("nvarchar(20)", "string"), ["é😀", "b"], ["é😀"]),
        ("varchar(20)", ("varchar(20)", "string"), ["a", "b"], ["b"]),
        ("uniqueidentifier", ("uniqueidentifier", "string"),
         ["6F9619FF-8B86-D011-B42D-00C04FC964FF", "7F9619FF-8B86-D011-B42D-00C04FC964FF"],
         ["6F9619FF-8B86-D011-B42D-00C04FC964FF"]),
        ("date", ("date", "date"), ["2026-03-01", "2026-03-02"], ["2026-03-01"]),
        ("datetime2(3)", ("datetime2(3)", "timestamp"), ["2026-03-01 10:00:00.123", "2026-03-02"], ["2026-03-01T10:00:00.123"]),
        ("varbinary(4)", ("varbinary(4)", "array"), ["00FF", "01"], [b"\x00\xff"]),
    ],
)  # fmt: skip
def test_keys_of_any_type_find_their_rows(
    desk: Desk, declared: str, promise: tuple[str, str], values: list[str], wanted: list[object]
) -> None:
    table = desk.table(f"A {declared} NOT NULL, B int NOT NULL, PRIMARY KEY (A, B)")
    for value in values:
        put = "CONVERT(varbinary(4), ?, 2)" if promise[1] == "array" else "?"
        desk.sql(f"INSERT INTO dbo.{table} VALUES ({put}, 1), ({put}, 2)", binds=[value, value])
    contract = desk.contract(table, Promise("a", *promise, key=1), Promise("b", "int", "integer", key=2))
    keys = pa.table({"a": pa.array(wanted), "b": pa.array([2] * len(wanted), pa.int32())})
    keys = keys.set_column(0, "a", keys["a"].cast(contract.column("a").arrow_type))

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        found = rows(snapshot, contract, keys=keys)

    assert [(row["a"], row["b"]) for row in found] == [(keys["a"][0].as_py(), 2)]


def test_large_objects_are_read_in_bounded_memory_and_whole(desk: Desk) -> None:
    table = desk.table("ID bigint PRIMARY KEY, V nvarchar(max), B varbinary(max)")
    for key, length in enumerate((0, 10, 16_384, 16_385, 400_000)):
        desk.sql(f"INSERT INTO dbo.{table} VALUES ({key}, REPLICATE(CAST(N'é' AS nvarchar(max)), {length}), "
                 f"CAST(REPLICATE(CAST('y' AS varchar(max)), {length}) AS varbinary(max)))")  # fmt: skip
    desk.sql(f"INSERT INTO dbo.{table} VALUES (5, NULL, NULL)")
    contract = desk.contract(table, ID, Promise("v", "nvarchar(max)"), Promise("b", "varbinary(max)", "array"))

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        found = rows(snapshot, contract)

    lengths = [(len(row["v"]), len(row["b"])) for row in found if row["v"] is not None]
    assert lengths == [(n, n) for n in (0, 10, 16_384, 16_385, 400_000)]
    assert found[5]["v"] is None


@pytest.mark.parametrize("count", [100, 299, 1_000, 5_000])
def test_chunks_together_hold_every_row_once(desk: Desk, count: int) -> None:
    table = desk.table("ID bigint, N int")
    desk.sql(f"INSERT INTO dbo.{table} SELECT NULLIF(value, 7), 1 FROM GENERATE_SERIES(1, 1000)")
    contract = desk.contract(table, ID, Promise("n", "int", "integer"))

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        found = snapshot.catalog(contract)
        chunks = snapshot.chunks(contract, rows=count)
        read = [n for c in chunks for b in snapshot.read(contract, EVERYTHING, found=found, chunk=c)
                for n in b.column("id").to_pylist()]  # fmt: skip

    assert len(chunks) == max(1, -(-1000 // count))
    assert sorted(read, key=lambda n: n or 0) == [None, *(n for n in range(1, 1001) if n != 7)]


def test_text_keys_are_not_cut(desk: Desk) -> None:
    table = desk.table("ID varchar(10) PRIMARY KEY")
    desk.sql(f"INSERT INTO dbo.{table} VALUES ('a'), ('B'), ('c')")
    contract = desk.contract(table, Promise("id", "varchar(10)", key=1))

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        assert snapshot.chunks(contract, rows=1) == (WHOLE,)


def test_a_rowversion_watermark_stays_below_what_open_transactions_may_still_write(desk: Desk) -> None:
    table = desk.table("ID bigint PRIMARY KEY, N int, RV rowversion")
    contract = desk.contract(
        table, ID, Promise("rv", "rowversion", "integer", required=True), mode="incremental", watermark="rv"
    )
    desk.sql(f"INSERT INTO dbo.{table} (ID, N) VALUES (1, 1)")
    late = desk.connect()
    late.execute("BEGIN TRANSACTION")
    late.execute(f"INSERT INTO dbo.{table} (ID, N) VALUES (2, 1)")
    highest = str(2**63 - 1)

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        bound = snapshot.highest_watermark(contract, below=highest)
        first = ids(snapshot, contract)
    late.execute("COMMIT")
    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        window = Window(low=str(int(bound or 0) + 1))
        second = ids(snapshot, contract, window)

    assert (first, second) == ([1], [2])


@pytest.fixture
def tracked(desk: Desk) -> Contract:
    table = desk.table("ID bigint PRIMARY KEY, N int")
    desk.track(table)
    desk.sql(f"INSERT INTO dbo.{table} VALUES (1, 1), (2, 1), (3, 1)")
    return desk.contract(table, ID, Promise("n", "int", "integer"), mode="changes")


def version(desk: Desk) -> FixedPoint:
    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        return snapshot.fixed_point


def test_the_log_names_what_changed_since_a_version_once(desk: Desk, tracked: Contract) -> None:
    table = ".".join(tracked.source_table)
    since = version(desk)
    desk.sql(
        f"UPDATE {table} SET N = 2 WHERE ID = 1", f"UPDATE {table} SET N = 3 WHERE ID = 1",
        f"DELETE FROM {table} WHERE ID = 2",
        f"DELETE FROM {table} WHERE ID = 3", f"INSERT INTO {table} VALUES (3, 9)",
        f"INSERT INTO {table} VALUES (4, 1)", f"INSERT INTO {table} VALUES (5, 1)", f"DELETE FROM {table} WHERE ID = 5",
    )  # fmt: skip

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        assert isinstance(snapshot, ChangeFeed)
        found = snapshot.catalog(tracked)
        changed = [row for b in snapshot.read_changes(tracked, since.value, found=found) for row in b.to_pylist()]
        deleted = [n for b in snapshot.read_deleted(tracked, since.value) for n in b.column("id").to_pylist()]

        assert snapshot.count_changes(tracked, since.value) == 3
        assert sorted((row["id"], row["n"]) for row in changed) == [(1, 3), (3, 9), (4, 1)]
        assert 2 in deleted
        assert set(deleted) <= {2, 5}
        assert snapshot.fixed_point.kind == "change_tracking"
        assert snapshot.fixed_point.sequence > since.sequence


def test_the_log_says_whether_it_reaches_back(desk: Desk, tracked: Contract) -> None:
    since = version(desk)
    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        assert snapshot.tracks_changes(tracked)
        assert snapshot.reaches_back(tracked, since.value)
        assert not snapshot.reaches_back(tracked, str(int(since.value) + 1_000_000))
        assert not snapshot.reaches_back(tracked, "-1")


def test_a_table_without_a_log_has_none(desk: Desk, tracked: Contract, people: Contract) -> None:
    assert tracked.source_table != people.source_table
    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        assert not snapshot.tracks_changes(people)


def test_a_table_that_is_not_there_is_a_broken_contract(desk: Desk) -> None:
    contract = desk.contract("t_nothing", ID)
    with (
        SqlServerSource("shop", desk.connection).snapshot() as snapshot,
        pytest.raises(BrokenContractError, match="no such table in the source, or no right to see it"),
    ):
        snapshot.catalog(contract)


def test_grants_are_what_can_be_done(desk: Desk, people: Contract, tracked: Contract) -> None:
    missing = desk.contract("t_nothing", ID)

    grants = SqlServerSource("shop", desk.connection).grants([people, tracked, missing])

    assert {grant.what: grant.present for grant in grants} == {
        "ALLOW_SNAPSHOT_ISOLATION": True,
        f"SELECT on {'.'.join(people.source_table)}": True,
        f"SELECT on {'.'.join(tracked.source_table)}": True,
        f"Change Tracking of {'.'.join(tracked.source_table)}": True,
        "SELECT on dbo.t_nothing": False,
    }


def test_a_probe_names_the_server_and_no_secret(desk: Desk) -> None:
    told = open_source("shop", desk.connection).probe()

    assert told.startswith("SQL Server 1")
    assert desk.connection.password not in told


def test_a_read_that_another_has_ended_does_not_end_as_if_it_were_whole(
    people: Contract, snapshot: SqlServerSnapshot
) -> None:
    first = snapshot.read(people, EVERYTHING, found=snapshot.catalog(people))
    next(first)
    ids(snapshot, people)

    with pytest.raises(IntegrityError, match="another has ended"):
        next(first)
