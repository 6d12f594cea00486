"""The sync gap of tables in SQL Server: by window, by the log of changes, and whole."""

from __future__ import annotations

import pytest

from ingestion.gaps.record import record_sync_gap
from ingestion.gaps.repair import repair_table
from ingestion.load.load_table import load_table
from ingestion.runs.context import Context
from tests.sources.sqlserver_fixtures import ID, Desk, FaultyServer, Promise, desk, faulty, faulty_server
from tests.sources.test_sqlserver_load import lake

__all__ = ["desk", "faulty", "faulty_server"]

PROMISES = (
    ID,
    Promise("amount", "decimal(12,2)", "number"),
    Promise("changed_at", "datetime2(6)", "timestamp", required=True),
)
LIMITS = {"maxDeletePercent": "100", "reconcile": "{partition: changed_at, grain: day, maxRepairPercent: 100}"}
BY_WINDOW = LIMITS | {"mode": "incremental", "watermark": "changed_at", "overlap": "PT2H", "deletes": "none"}
BY_LOG = LIMITS | {"mode": "changes"}


def loaded(desk: Desk, key_type: str = "bigint", **lake_options: str) -> tuple[str, str, Context]:
    """Twenty rows of two days, loaded; returns table, contract id and context."""
    table = desk.table(f"ID {key_type} PRIMARY KEY, AMOUNT decimal(12,2), CHANGED_AT datetime2(6) NOT NULL")
    if lake_options["mode"] == "changes":
        desk.track(table)
    for key in range(1, 21):
        put(desk, table, key, f"2026-03-0{1 + key % 2} 10:00:{key:02}")
    contract = desk.contract(table, *PROMISES, **lake_options)
    context = desk.context()
    load_table(context, contract.id)
    return table, contract.id, context


def put(desk: Desk, table: str, key: int, moment: str) -> None:
    desk.sql(f"INSERT INTO dbo.{table} VALUES ({key}, {key}.5, '{moment}')")


def states(context: Context) -> list[tuple[object, ...]]:
    return lake(context, "select kind, state, keys from ops.differences order by state_at")


@pytest.mark.parametrize(("options", "queries"), [(BY_WINDOW, 5), (BY_LOG, 5), (LIMITS | {"mode": "full"}, 4)])
def test_equal_table_costs_few_queries(desk: Desk, options: dict[str, str], queries: int) -> None:
    _, contract_id, context = loaded(desk, **options)

    report = record_sync_gap(context, contract_id)

    assert (report.outcome, report.rung, report.queries, report.severity) == ("equal", "checksums", queries, "OK")
    assert (report.source_count, report.lake_count, report.unverified_columns) == (20, 20, "")


def test_rows_of_every_kind_of_difference_are_found_and_healed(desk: Desk) -> None:
    table, contract_id, context = loaded(desk, **BY_WINDOW)
    desk.sql(f"UPDATE dbo.{table} SET AMOUNT = 99 WHERE ID = 3", f"DELETE FROM dbo.{table} WHERE ID IN (5, 6)")
    put(desk, table, 30, "2026-03-01 09:00:00")

    found = record_sync_gap(context, contract_id)
    repaired = repair_table(context, contract_id)
    again = record_sync_gap(context, contract_id)

    assert (found.missing_keys, found.extra_keys, found.differing_keys) == (1, 2, 1)
    assert (repaired.fetched, repaired.deleted) == (2, 2)
    assert (again.outcome, again.state) == ("equal", None)


def test_key_that_its_type_cannot_hold_is_named_and_hides_no_difference(desk: Desk) -> None:
    table, contract_id, context = loaded(desk, "decimal(30,0)", **BY_WINDOW)
    for key in ("30", "-9223372036854775809", "9223372036854775808", "100000000000000000000"):
        desk.sql(f"INSERT INTO dbo.{table} VALUES ({key}, 1, '2026-03-01 09:00:00')")

    report = record_sync_gap(context, contract_id)

    assert (report.misfit_keys, report.quarantined_count, report.missing_keys, report.sync_gap) == (3, 0, 4, 4)
    assert report.why == "the source has keys that the contract's type cannot hold: id (bigint)"


def test_key_with_a_fraction_is_none_of_the_whole_numbers_around_it(desk: Desk) -> None:
    table, contract_id, context = loaded(desk, "decimal(4,2)", **BY_WINDOW)
    desk.sql(f"INSERT INTO dbo.{table} VALUES (99.99, 1, '2026-03-02 10:00:00')")

    unread = record_sync_gap(context, contract_id)
    load_table(context, contract_id)
    report = record_sync_gap(context, contract_id)

    assert (unread.misfit_keys, unread.quarantined_count, unread.sync_gap) == (1, 0, 1)
    assert (report.misfit_keys, report.quarantined_count, report.sync_gap) == (1, 1, 0)


@pytest.mark.parametrize("options", [BY_WINDOW, BY_LOG])
def test_rows_written_after_the_bound_raise_no_alarm(desk: Desk, options: dict[str, str]) -> None:
    table, contract_id, context = loaded(desk, **options)
    desk.sql(f"UPDATE dbo.{table} SET AMOUNT = 99, CHANGED_AT = '2026-03-03 08:00:00' WHERE ID = 3")
    put(desk, table, 30, "2026-03-03 09:00:00")

    report = record_sync_gap(context, contract_id)

    assert (report.outcome, report.in_flight_count, report.state) == ("equal", 2, None)


def test_keys_that_the_log_names_after_the_bound_are_left_out_whatever_became_of_them(desk: Desk) -> None:
    table, contract_id, context = loaded(desk, **BY_LOG)
    desk.sql(
        f"UPDATE dbo.{table} SET AMOUNT = 99 WHERE ID = 3", f"DELETE FROM dbo.{table} WHERE ID IN (5, 6)",
        f"DELETE FROM dbo.{table} WHERE ID = 7",
    )  # fmt: skip
    put(desk, table, 7, "2026-03-01 09:00:00")
    put(desk, table, 30, "2026-03-01 09:00:00")

    before = record_sync_gap(context, contract_id)
    load_table(context, contract_id)
    after = record_sync_gap(context, contract_id)

    assert (before.outcome, before.in_flight_count, before.severity) == ("equal", 5, "OK")
    assert (after.outcome, after.in_flight_count, after.source_count) == ("equal", 0, 19)
    assert states(context) == []


def test_deleted_rows_that_the_log_named_and_the_contract_ignores_are_confirmed_at_once(desk: Desk) -> None:
    table, contract_id, context = loaded(desk, **BY_LOG, deletes="none")
    desk.sql(f"DELETE FROM dbo.{table} WHERE ID = 5", f"UPDATE dbo.{table} SET AMOUNT = 99 WHERE ID = 3")
    load_table(context, contract_id)

    report = record_sync_gap(context, contract_id)

    assert (report.extra_keys, report.differing_keys, report.state) == (1, 0, "confirmed")


def test_change_that_no_log_will_ever_name_is_confirmed_at_once(desk: Desk) -> None:
    table, contract_id, context = loaded(desk, **BY_LOG)
    for amount in range(90, 95):  # versions are the database's: who writes to it meanwhile makes the log begin later
        change = f"UPDATE dbo.{table} SET AMOUNT = {amount} WHERE ID = 3"
        desk.sql(f"ALTER TABLE dbo.{table} DISABLE CHANGE_TRACKING", change)
        desk.track(table)  # at the version that was loaded: the log seems to be whole
        report = record_sync_gap(context, contract_id)
        if report.state != "suspected":
            break
        load_table(context, contract_id)
        assert record_sync_gap(context, contract_id).outcome == "equal"

    assert (report.differing_keys, report.state) == (1, "confirmed")


def test_log_that_does_not_reach_back_leaves_differences_suspected(desk: Desk) -> None:
    table, contract_id, context = loaded(desk, **BY_LOG)
    desk.sql(f"ALTER TABLE dbo.{table} DISABLE CHANGE_TRACKING", f"UPDATE dbo.{table} SET AMOUNT = 99 WHERE ID = 3")
    other = desk.table("ID bigint PRIMARY KEY")
    desk.track(other)
    desk.sql(f"INSERT INTO dbo.{other} VALUES (1)")  # versions are the database's: the log begins after this one
    desk.track(table)

    report = record_sync_gap(context, contract_id)
    load_table(context, contract_id)

    assert (report.differing_keys, report.state) == (1, "suspected")
    assert record_sync_gap(context, contract_id).outcome == "equal"


def test_whole_table_that_changed_since_its_load_is_suspected_until_the_next(desk: Desk) -> None:
    table, contract_id, context = loaded(desk, **LIMITS, mode="full")
    desk.sql(f"UPDATE dbo.{table} SET AMOUNT = 99 WHERE ID = 3")

    first = record_sync_gap(context, contract_id)
    load_table(context, contract_id)
    second = record_sync_gap(context, contract_id)

    assert (first.differing_keys, first.state, second.outcome) == (1, "suspected", "equal")
    assert states(context) == [("changed", "suspected", 1), ("changed", "resolved_in_flight", 1)]


def test_texts_are_compared_or_said_to_be_unverified(desk: Desk) -> None:
    table = desk.table("ID bigint PRIMARY KEY, LABEL nvarchar(40), CHANGED_AT datetime2(6) NOT NULL")
    desk.sql(f"INSERT INTO dbo.{table} VALUES (1, N'\u00e7\u00e3o', '2026-03-01 10:00:00')")
    contract = desk.contract(table, ID, Promise("label", "nvarchar(40)"), PROMISES[2], **BY_WINDOW)
    context = desk.context()
    load_table(context, contract.id)

    report = record_sync_gap(context, contract.id)

    assert report.outcome == "equal"
    assert report.unverified_columns in ("", "label: this server does not hash its values as defined")


CEDILLA, SUN = "NCHAR(231)", "NCHAR(26085)"  # what the driver sends of a statement is ASCII
WIDE = (
    ID,
    Promise("at", "time(7)"),
    Promise("doc", "xml"),
    Promise("note", "ntext"),
    Promise("memo", "text"),
    Promise("photo", "image", "array"),
    Promise("price", "money"),
    Promise("number", "int"),
    Promise("changed_at", "datetime2(6)", "timestamp", required=True),
)
CHANGES = {
    "at": "'10:00:00.1234560'", "doc": "N'<a>2</a>'", "note": f"{SUN} + N'z'", "memo": "'other'",
    "photo": "0x0102", "price": "7.0001", "number": "8",
}  # fmt: skip


def wide(desk: Desk, **lake_options: str) -> tuple[str, str, Context]:
    """Eight rows with a column of every type that a server hashes by its text, or not at all; loaded."""
    table = desk.table(
        "ID bigint PRIMARY KEY, AT time(7), DOC xml, NOTE ntext, MEMO text, PHOTO image, PRICE money, "
        "NUMBER int, CHANGED_AT datetime2(6) NOT NULL"
    )
    for key in range(1, 9):
        desk.sql(
            f"INSERT INTO dbo.{table} VALUES ({key}, '09:10:1{key}.5', N'<a b=\"1\">' + {CEDILLA} + N'{key}</a>', "
            f"{SUN} + N'{key}', CHAR(231) + 'm{key}', 0x00FF, {key}.5, {key}, '2026-03-01 10:00:0{key}')",
            f"INSERT INTO dbo.{table} (ID, CHANGED_AT) VALUES ({key + 10}, '2026-03-01 10:00:0{key}')",
        )
    contract = desk.contract(table, *WIDE, **BY_WINDOW | lake_options)
    context = desk.context()
    load_table(context, contract.id)
    return table, contract.id, context


def test_columns_of_every_type_are_compared(desk: Desk) -> None:
    table, contract_id, context = wide(desk)
    before = record_sync_gap(context, contract_id)
    for key, (column, value) in enumerate(CHANGES.items(), start=1):
        desk.sql(f"UPDATE dbo.{table} SET {column.upper()} = {value} WHERE ID = {key}")

    found, repaired = record_sync_gap(context, contract_id), repair_table(context, contract_id)
    again = record_sync_gap(context, contract_id)

    assert (before.outcome, before.unverified_columns, before.severity) == ("equal", "", "OK")
    assert (found.differing_keys, repaired.fetched, again.outcome) == (len(CHANGES), len(CHANGES), "equal")


def test_what_only_rows_can_tell_is_named_where_they_are_too_many(desk: Desk) -> None:
    limits = BY_WINDOW["reconcile"].replace("}", ", maxRows: 10}")
    table, contract_id, context = wide(desk, reconcile=limits)
    desk.sql(
        *(f"UPDATE dbo.{table} SET {column.upper()} = {CHANGES[column]} WHERE ID = 1" for column in ("price", "number"))
    )

    report = record_sync_gap(context, contract_id)

    why = "has no spelling that all databases share, and 16 rows are more than maxRows lets be fetched"
    assert (report.outcome, report.severity, report.sla_met) == ("equal", "OK*", None)
    assert report.unverified_columns == f"price: MONEY {why}; number: INT {why}"


def test_texts_and_text_keys_are_compared_on_a_server_without_utf8(faulty: Desk, faulty_server: FaultyServer) -> None:
    """SQL Server before 2019 knows no collation whose varchar is UTF-8."""
    table = faulty.table(
        "CODE nvarchar(20) PRIMARY KEY, LABEL nvarchar(40), NAME varchar(40), CHANGED_AT datetime2(6) NOT NULL"
    )
    for code in "ABCDE":
        faulty.sql(
            f"INSERT INTO dbo.{table} VALUES ({CEDILLA} + N'{code}', {SUN} + N'{code}', CHAR(233), '2026-03-01 10:00:00')"
        )
    promises = (
        Promise("code", "nvarchar(20)", key=1),
        Promise("label", "nvarchar(40)"),
        Promise("name", "varchar(40)"),
    )
    contract = faulty.contract(table, *promises, PROMISES[2], **BY_WINDOW)
    context = faulty.context()
    load_table(context, contract.id)
    faulty_server.arm("raise_error", number=448, pattern="_UTF8", times=None)  # invalid collation
    before = record_sync_gap(context, contract.id)
    faulty.sql(
        f"UPDATE dbo.{table} SET LABEL = {SUN} WHERE CODE = {CEDILLA} + N'A'",
        f"UPDATE dbo.{table} SET NAME = 'e' WHERE CODE = {CEDILLA} + N'B'",
        f"DELETE FROM dbo.{table} WHERE CODE = {CEDILLA} + N'C'",
        f"INSERT INTO dbo.{table} VALUES (N'F', N'f', 'f', '2026-02-01 10:00:00')",
    )

    found, repaired = record_sync_gap(context, contract.id), repair_table(context, contract.id)
    again = record_sync_gap(context, contract.id)

    assert (before.outcome, before.unverified_columns, before.severity, before.sla_met) == ("equal", "", "OK", True)
    assert (found.differing_keys, found.extra_keys, found.missing_keys) == (2, 1, 1)
    assert (repaired.fetched, repaired.deleted, again.outcome) == (3, 1, "equal")


def test_texts_of_a_server_without_utf8_are_said_not_to_be_compared_beyond_the_budget(
    faulty: Desk, faulty_server: FaultyServer
) -> None:
    table = faulty.table("ID bigint PRIMARY KEY, LABEL nvarchar(40), CHANGED_AT datetime2(6) NOT NULL")
    faulty.sql(*(f"INSERT INTO dbo.{table} VALUES ({n}, N'a', '2026-03-01 10:00:00')" for n in range(3)))
    limits = BY_WINDOW | {"reconcile": "{partition: changed_at, grain: day, maxRows: 2}"}
    contract = faulty.contract(table, ID, Promise("label", "nvarchar(40)"), PROMISES[2], **limits)
    context = faulty.context()
    load_table(context, contract.id)
    faulty_server.arm("raise_error", number=448, pattern="_UTF8", times=None)
    faulty.sql(f"UPDATE dbo.{table} SET LABEL = N'b' WHERE ID = 1")

    report = record_sync_gap(context, contract.id)

    assert (report.outcome, report.severity, report.sla_met) == ("equal", "OK*", None)
    assert report.unverified_columns.startswith("label: this server does not hash its values as defined, and 3 rows")


def test_rows_that_are_fetched_leave_out_what_the_log_names(faulty: Desk, faulty_server: FaultyServer) -> None:
    table = faulty.table("ID bigint PRIMARY KEY, LABEL nvarchar(40)")
    faulty.track(table)
    faulty.sql(*(f"INSERT INTO dbo.{table} VALUES ({n}, N'a')" for n in range(5)))
    contract = faulty.contract(
        table, ID, Promise("label", "nvarchar(40)"), **LIMITS | {"mode": "changes", "reconcile": "{}"}
    )
    context = faulty.context()
    load_table(context, contract.id)
    faulty_server.arm("raise_error", number=448, pattern="_UTF8", times=None)
    faulty.sql(f"UPDATE dbo.{table} SET LABEL = N'b' WHERE ID = 1", f"DELETE FROM dbo.{table} WHERE ID = 2")

    report = record_sync_gap(context, contract.id)

    assert (report.outcome, report.in_flight_count, report.severity, report.unverified_columns) == (
        "equal",
        2,
        "OK",
        "",
    )


def test_text_keys_are_compared_whatever_the_server_can_hash(desk: Desk) -> None:
    table = desk.table("CODE nvarchar(20) PRIMARY KEY, AMOUNT decimal(12,2), CHANGED_AT datetime2(6) NOT NULL")
    for code in ("A", "B", "C"):
        desk.sql(f"INSERT INTO dbo.{table} VALUES (N'{code}', 1, '2026-03-01 10:00:00')")
    contract = desk.contract(table, Promise("code", "nvarchar(20)", key=1), *PROMISES[1:], **BY_WINDOW)
    context = desk.context()
    load_table(context, contract.id)
    desk.sql(
        f"INSERT INTO dbo.{table} VALUES (N'D', 1, '2026-02-01 10:00:00')", f"DELETE FROM dbo.{table} WHERE CODE = N'A'"
    )

    found, repaired = record_sync_gap(context, contract.id), repair_table(context, contract.id)

    assert (found.missing_keys, found.extra_keys, found.sync_gap) == (1, 1, 0)
    assert (repaired.fetched, repaired.deleted) == (1, 1)
    assert (record_sync_gap(context, contract.id).missing_keys, record_sync_gap(context, contract.id).extra_keys) == (
        0,
        0,
    )
