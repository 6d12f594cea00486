"""A table from SQL Server to Bronze: whole, by its watermark, and by the log of its changes."""

from __future__ import annotations

import os

import pytest

from ingestion.admin.import_contracts import import_contracts
from ingestion.errors import ConfigurationError, SourceUnavailableError
from ingestion.gaps.record import record_sync_gap
from ingestion.lake import duck
from ingestion.load import chunks
from ingestion.load.load_table import load_table
from ingestion.load.plan import plan_load
from ingestion.runs.context import Context, initialise, open_context
from ingestion.settings import Settings
from ingestion.sources.sqlserver.source import SqlServerSnapshot
from tests.sources import null_watermarks
from tests.sources.sqlserver_fixtures import ID, Desk, FaultyServer, Promise, desk, faulty, faulty_server

__all__ = ["desk", "faulty", "faulty_server"]

PROMISES = (
    ID,
    Promise("amount", "decimal(12,2)", "number"),
    Promise("note", "nvarchar(max)"),
    Promise("changed_at", "datetime2(6)", "timestamp", required=True),
)
LAKE = {"mode": "incremental", "watermark": "changed_at", "overlap": "PT2H", "deletes": "keys", "maxDeletePercent": "50",
        "quarantine": "{warnPercent: 0, failPercent: 60}"}  # fmt: skip


def lake(context: Context, query: str) -> list[tuple[object, ...]]:
    with duck.connect(context.lake) as connection:
        return connection.execute(query).fetchall()


def put(desk: Desk, table: str, key: int, amount: str, moment: str) -> None:
    desk.sql(
        f"INSERT INTO dbo.{table} VALUES ({key}, {amount}, REPLICATE(CAST(N'x' AS nvarchar(max)), 70000), "
        f"'2026-03-01 {moment}')"
    )


def test_a_table_is_loaded_exactly_and_then_only_what_changed(desk: Desk) -> None:
    table = desk.table(
        "ID bigint PRIMARY KEY, AMOUNT decimal(18,4), NOTE nvarchar(max), CHANGED_AT datetime2(6) NOT NULL"
    )
    put(desk, table, 1, "1.25", "10:00:00.000001")
    put(desk, table, 2, "2", "10:00:00.000001")
    put(desk, table, 3, "1.005", "11:00:00.000000")
    contract = desk.contract(table, *PROMISES, **LAKE)
    context, view = desk.context(), f"shop__{contract.entity}"

    first = load_table(context, contract.id)
    again = load_table(context, contract.id)
    desk.sql(f"DELETE FROM dbo.{table} WHERE ID = 2")
    put(desk, table, 4, "4", "12:00:00.000000")
    second = load_table(context, contract.id)

    assert (first.read, first.good, first.quarantined, first.watermark) == (3, 2, 1, "2026-03-01 11:00:00.000001")
    assert (again.batch, again.known, again.known_bad) == (None, 2, 1)
    assert (second.batch, second.appended, second.deleted) == (2, 1, 1)
    assert lake(
        context, f"select id, amount::double, length(note), _op, _seq >= 0 from bronze.{view} order by _batch, id, _op"
    ) == [
        (1, 1.25, 70_000, "R", True),
        (2, 2.0, 70_000, "R", True),
        (2, None, None, "D", True),
        (4, 4.0, 70_000, "U", True),
    ]
    assert lake(context, f"select id, amount, _breaks from quarantine.{view}") == [("3", "1.0050", "amount:type")]
    assert record_sync_gap(context, contract.id).sync_gap == 0


def tracked(desk: Desk, count: int = 20, **lake: str) -> tuple[str, str, Context]:
    """A table of `count` rows whose changes are kept; returns table, contract id and context."""
    table = desk.table("ID bigint PRIMARY KEY, N int NULL")
    desk.track(table)
    desk.sql(f"INSERT INTO dbo.{table} SELECT value, 1 FROM GENERATE_SERIES(1, {count})")
    contract = desk.contract(table, ID, Promise("n", "int", "integer", required=True), **({"mode": "changes", "maxDeletePercent": "90",
                             "quarantine": "{warnPercent: 0, failPercent: 60}"} | lake))  # fmt: skip
    return table, contract.id, desk.context()


def live(context: Context, contract_id: str) -> list[tuple[object, ...]]:
    """Return key and value of the newest event of each key that is not deleted."""
    view = f"bronze.shop__{contract_id.split('.')[1]}"
    return lake(
        context,
        f"select id, n from {view} qualify row_number() over (partition by id order by _eff desc, _seq desc, _batch desc) = 1 "
        "and _op <> 'D' order by id",
    )


def test_the_log_of_changes_is_read_from_where_the_last_load_ended(desk: Desk) -> None:
    table, contract_id, context = tracked(desk)
    first = load_table(context, contract_id)
    desk.sql(
        f"UPDATE dbo.{table} SET N = 2 WHERE ID = 1", f"DELETE FROM dbo.{table} WHERE ID IN (2, 3)",
        f"INSERT INTO dbo.{table} VALUES (3, 7)", f"INSERT INTO dbo.{table} VALUES (30, 1)",
        f"INSERT INTO dbo.{table} VALUES (31, NULL)",
    )  # fmt: skip

    second = load_table(context, contract_id)
    third = load_table(context, contract_id)

    assert (first.read, first.batch) == (20, 1)
    assert (second.read, second.good, second.quarantined, second.deleted) == (4, 3, 1, 1)
    assert (third.read, third.known_bad, third.batch) == (1, 1, None)  # the quarantined row is looked at again
    assert live(context, contract_id) == [(1, 2), (3, 7), *((n, 1) for n in range(4, 21)), (30, 1)]


def test_a_key_that_was_deleted_and_came_back_lives_again(desk: Desk) -> None:
    table, contract_id, context = tracked(desk)
    load_table(context, contract_id)
    desk.sql(f"DELETE FROM dbo.{table} WHERE ID = 5")
    load_table(context, contract_id)
    gone = live(context, contract_id)
    desk.sql(f"INSERT INTO dbo.{table} VALUES (5, 1)")
    load_table(context, contract_id)

    assert (5, 1) not in gone
    assert (5, 1) in live(context, contract_id)


def test_a_load_that_found_nothing_moves_on_all_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    table, contract_id, context = tracked(desk)
    load_table(context, contract_id)
    desk.sql(f"UPDATE dbo.{table} SET N = N")  # the log names every key, but no row differs
    idle = load_table(context, contract_id)
    asked: list[str] = []
    honest = SqlServerSnapshot.reaches_back

    def watched(self: SqlServerSnapshot, contract: object, since: str) -> bool:
        asked.append(since)
        return honest(self, contract, since)  # type: ignore[arg-type]

    monkeypatch.setattr(SqlServerSnapshot, "reaches_back", watched)
    result = load_table(context, contract_id)

    assert (result.read, result.batch) == (0, None)
    assert (idle.batch, asked) == (None, [idle.watermark])


def test_a_log_that_no_longer_reaches_back_makes_the_load_compare_everything(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, contract_id, context = tracked(desk)
    load_table(context, contract_id)
    desk.sql(f"UPDATE dbo.{table} SET N = 2 WHERE ID = 1", f"DELETE FROM dbo.{table} WHERE ID = 2")
    monkeypatch.setattr(SqlServerSnapshot, "reaches_back", lambda *_: False)

    result = load_table(context, contract_id)

    assert (result.read, result.appended, result.deleted) == (19, 1, 1)
    assert "no longer keeps changes back to version" in result.warnings[0]
    assert live(context, contract_id) == [(1, 2), *((n, 1) for n in range(3, 21))]


def test_mode_changes_of_a_table_without_a_log_says_what_to_do(desk: Desk) -> None:
    table = desk.table("ID bigint PRIMARY KEY, N int")
    contract = desk.contract(table, ID, Promise("n", "int", "integer"), mode="changes")

    with pytest.raises(ConfigurationError, match="Enable Change Tracking on it"):
        load_table(desk.context(), contract.id)


def test_a_plan_names_the_rights_that_are_missing(desk: Desk) -> None:
    table = desk.table("ID bigint PRIMARY KEY, N int")
    contract = desk.contract(table, ID, Promise("n", "int", "integer"), mode="changes")

    plan = plan_load(desk.context(), contract.id)

    assert plan.missing_rights == (
        f"Change Tracking of dbo.{table}: {contract.id} cannot be read by mode changes: enable it, and grant "
        "VIEW CHANGE TRACKING",
    )


def test_a_load_whose_connection_is_cut_commits_nothing_and_can_be_run_again(
    faulty: Desk, faulty_server: FaultyServer
) -> None:
    table = faulty.table("ID bigint PRIMARY KEY, N int")
    faulty.sql(f"INSERT INTO dbo.{table} SELECT value, 1 FROM GENERATE_SERIES(1, 1000)")
    contract = faulty.contract(table, ID, Promise("n", "int", "integer"), mode="full")
    context = faulty.context()
    faulty_server.arm("drop_after_rows", rows=100, pattern="AS c0")

    with pytest.raises(SourceUnavailableError):
        load_table(context, contract.id)

    assert load_table(context, contract.id).good == 1000


def test_a_lost_snapshot_is_replaced_by_a_new_one(faulty: Desk, faulty_server: FaultyServer) -> None:
    table = faulty.table("ID bigint PRIMARY KEY, N int")
    faulty.sql(f"INSERT INTO dbo.{table} VALUES (1, 1)")
    contract = faulty.contract(table, ID, Promise("n", "int", "integer"), mode="full")
    context = faulty.context()
    faulty_server.arm("raise_error", number=3958, pattern="AS c0", times=1)

    assert load_table(context, contract.id).good == 1


def test_an_imported_table_is_loaded_as_it_is(desk: Desk) -> None:
    table = desk.table("LINE int NOT NULL, ID bigint NOT NULL, AMOUNT money, RV rowversion, PRIMARY KEY (ID, LINE)")
    desk.sql(f"INSERT INTO dbo.{table} (LINE, ID, AMOUNT) VALUES (1, 7, 1.25)")
    settings = Settings(desk.folder.parent, str(desk.folder.parent / "lake"), connections={"shop": desk.connection})
    settings.contracts.mkdir(exist_ok=True)

    result = import_contracts(settings, "shop", f"dbo.{table}", timezone="UTC")
    initialise(settings)
    context = open_context(settings)
    contract = context.contract(result.written[0].contract_id)

    assert contract.key_names == ("id", "line")
    assert contract.watermark == "rv"
    assert load_table(context, contract.id).good == 1
    assert load_table(context, contract.id).batch is None


@pytest.mark.parametrize("by", ["changes", "rowversion"])
def test_a_big_first_load_is_read_in_chunks_and_catches_up_with_what_changed_meanwhile(
    desk: Desk, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = desk.table("ID bigint PRIMARY KEY, N int, RV rowversion")
    promises = [ID, Promise("n", "int", "integer")]
    lake_block = {"mode": "changes"}
    if by == "changes":
        desk.track(table)
    else:
        promises.append(Promise("rv", "rowversion", "integer", required=True))
        lake_block = {"mode": "incremental", "watermark": "rv", "deletes": "keys"}
    desk.sql(f"INSERT INTO dbo.{table} (ID, N) SELECT value, 1 FROM GENERATE_SERIES(1, 1000)")
    contract = desk.contract(table, *promises, chunkRows="300", **lake_block)
    context = desk.context()
    honest, read = chunks.read_chunk, []

    def meanwhile(work: chunks.ChunkWork, index: int) -> None:
        read.append(index)
        if index == 1:  # the first chunk is read already, the second is not
            desk.sql(
                f"UPDATE dbo.{table} SET N = 2 WHERE ID IN (1, 900)", f"DELETE FROM dbo.{table} WHERE ID IN (2, 901)",
                f"INSERT INTO dbo.{table} (ID, N) VALUES (0, 3), (5000, 3)",
            )  # fmt: skip
        honest(work, index)

    monkeypatch.setattr(chunks, "read_chunk", meanwhile)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    result = load_table(context, contract.id)

    assert read == [0, 1, 2, 3]
    assert result.last_batch == 2
    assert live(context, contract.id) == [
        (0, 3), (1, 2), *((n, 1) for n in range(3, 900)), (900, 2), *((n, 1) for n in range(902, 1001)), (5000, 3)
    ]  # fmt: skip
    assert load_table(context, contract.id).batch is None


def test_a_first_load_in_chunks_that_broke_off_goes_on_and_still_catches_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, contract_id, context = tracked(desk, 1000, chunkRows="300")
    honest, read = chunks.read_chunk, []

    def broken(work: chunks.ChunkWork, index: int) -> None:
        if index == 2:
            raise SourceUnavailableError("gone")
        honest(work, index)

    def watched(work: chunks.ChunkWork, index: int) -> None:
        read.append(index)
        honest(work, index)

    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(chunks, "read_chunk", broken)
    with pytest.raises(SourceUnavailableError):
        load_table(context, contract_id)
    desk.sql(f"UPDATE dbo.{table} SET N = 2 WHERE ID = 1", f"DELETE FROM dbo.{table} WHERE ID = 2")
    monkeypatch.setattr(chunks, "read_chunk", watched)
    load_table(context, contract_id)

    assert read == [2, 3]
    assert live(context, contract_id) == [(1, 2), *((n, 1) for n in range(3, 1001))]


def test_a_first_load_with_a_clock_for_a_watermark_is_one_stream(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    table = desk.table("ID bigint PRIMARY KEY, CHANGED_AT datetime2(6) NOT NULL")
    desk.sql(f"INSERT INTO dbo.{table} SELECT value, '2026-03-01' FROM GENERATE_SERIES(1, 1000)")
    contract = desk.contract(table, ID, PROMISES[3], mode="incremental", watermark="changed_at", chunkRows="300")
    monkeypatch.setattr(chunks, "read_chunk", None)

    assert load_table(desk.context(), contract.id).good == 1000


def test_rows_without_a_watermark_are_exact(desk: Desk) -> None:
    table = desk.table("ID bigint PRIMARY KEY, NAME varchar(20), CHANGED_AT datetime2(6)")
    desk.sql(*null_watermarks.insert(f"dbo.{table}", "'{}'".format))
    promises = (ID, Promise("name", "varchar(20)"), Promise("changed_at", "datetime2(6)", "timestamp"))
    contract = desk.contract(table, *promises, **null_watermarks.LAKE)

    def alter() -> None:
        desk.sql(*null_watermarks.change(f"dbo.{table}", "'{}'".format))

    null_watermarks.assert_exact(desk.connection, desk.folder.parent, contract.id, alter)
