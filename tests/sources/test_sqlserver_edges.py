"""Corners of SQL Server's types and statements where a careless reader loses or changes something."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pyarrow as pa
import pytest

from ingestion.contracts.model import NullWatermark
from ingestion.contracts.projection import RAW_PREFIX
from ingestion.contracts.window import Window
from ingestion.errors import ConfigurationError
from ingestion.sources.conditions import watermark_column
from ingestion.sources.sqlserver.keys import with_keys
from ingestion.sources.sqlserver.predicates import in_window, newest
from ingestion.sources.sqlserver.session import spelled_statement
from ingestion.sources.sqlserver.source import SqlServerSource
from tests.sources.sqlserver_fixtures import EVERYTHING, ID, Desk, Promise, desk, rows
from tests.sources.test_sqlserver_types import BYTES, Golden, round_trip

__all__ = ["desk"]


def test_a_float_beyond_the_range_of_real_is_a_misfit_and_not_a_null(desk: Desk) -> None:
    (row,) = round_trip(desk, Golden("float", "real", "number", [("1e300", None, None)]))

    assert row["v"] is None
    assert row[RAW_PREFIX + "v"]


@pytest.mark.parametrize("size", [16_384, 16_385, 20_000, 32_768, 40_000])
def test_a_binary_kept_as_text_is_read_whole_whichever_lane_it_takes(desk: Desk, size: int) -> None:
    golden = Golden("varbinary(max)", "varbinary(max)", "string", [("AB" * size, None, None)], BYTES)
    (row,) = round_trip(desk, golden)

    assert row["v"] == "AB" * size


def test_a_name_that_cannot_be_bound_is_refused_in_words() -> None:
    with pytest.raises(ConfigurationError, match="question mark beside characters beyond ASCII"):
        spelled_statement("SELECT [Situação?] FROM t WHERE a = ?", ["1"])


def test_a_question_mark_in_a_plain_name_is_no_placeholder(desk: Desk) -> None:
    table = desk.table("ID bigint PRIMARY KEY, [Active?] varchar(10)")
    desk.sql(f"INSERT INTO dbo.{table} (ID) VALUES (1)")
    contract = desk.contract(table, ID, Promise("a", "varchar(10)", source="Active?"))

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        assert len(rows(snapshot, contract, keys=pa.table({"id": [1]}))) == 1


@pytest.mark.parametrize("declared", ["datetime", "smalldatetime"])
def test_keys_of_the_old_moments_are_bound_through_a_type_that_reads_their_digits(desk: Desk, declared: str) -> None:
    table = desk.table(f"K {declared} PRIMARY KEY")
    contract = desk.contract(table, Promise("k", declared, "timestamp", key=1))
    keys = pa.table({"k": pa.array([datetime(2026, 3, 1, 10)], pa.timestamp("us"))})

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        (condition,) = with_keys(contract, snapshot.catalog(contract), keys, table="t")

    assert condition.sql == f"[K] IN (CAST(CONVERT(datetime2(7), ?, 121) AS {declared}))"


def test_text_keys_beyond_ascii_are_not_bound_through_the_databases_code_page(desk: Desk) -> None:
    table = desk.table("K varchar(10) PRIMARY KEY")
    desk.sql(f"INSERT INTO dbo.{table} VALUES ('plain'), (N'ação')")
    contract = desk.contract(table, Promise("k", "varchar(10)", key=1))
    keys = pa.table({"k": ["plain", "ação"]})

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        (condition,) = with_keys(contract, snapshot.catalog(contract), keys, table="t")
        found = {row["k"] for row in rows(snapshot, contract, keys=keys)}

    assert condition.sql == "[K] IN (CAST(? AS varchar(8000)), CAST(? AS nvarchar(4000)))"
    assert found == {"plain", "ação"}


@pytest.mark.parametrize(
    ("declared", "window", "expected"),
    [
        ("datetime", Window(low="0001-01-01 00:00:00.000000"), [("1753-01-01 00:00:00.000",)]),
        ("datetime", Window(high="1700-01-01 00:00:00", nulls=False), [("1753-01-01 00:00:00.000",)]),
        ("smalldatetime", Window(low="2100-01-01 00:00:00"), [()]),
        ("smalldatetime", Window(high="2100-01-01 00:00:00.000000", nulls=False), [()]),
    ],
)
def test_a_bound_outside_a_types_calendar_is_never_sent(
    desk: Desk, declared: str, window: Window, expected: list[tuple[str, ...]]
) -> None:
    table = desk.table(f"ID bigint PRIMARY KEY, W {declared} NOT NULL")
    promise = Promise("w", declared, "timestamp", required=True)
    contract = desk.contract(table, ID, promise, mode="incremental", watermark="w")

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        assert [in_window(contract, window, snapshot.catalog(contract)).binds] == expected


def test_rows_without_a_watermark_are_asked_for_where_the_contract_has_them_whatever_the_catalog_says(
    desk: Desk,
) -> None:
    table = desk.table("ID bigint PRIMARY KEY, W datetime2(6) NOT NULL")
    promise = Promise("w", "datetime2(6)", "timestamp")
    contract = desk.contract(table, ID, promise, mode="incremental", watermark="w", nullWatermark="include")
    never = replace(contract, null_watermark=NullWatermark.QUARANTINE)

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        catalog = snapshot.catalog(contract)
    window = Window(low="2026-03-01 10:00:00")

    assert in_window(contract, window, catalog).sql == f"({in_window(never, window, catalog).sql} OR [W] IS NULL)"
    assert in_window(contract, Window(), catalog).sql == "1 = 1"


@pytest.mark.parametrize(
    ("declared", "logical", "values"),
    [
        ("binary(2)", "array", ["0x0001", "0x0002", "0x0003"]),
        ("time(3)", "string", ["'10:00'", "'11:00'", "'12:00'"]),
        ("bit", "boolean", ["0", "1"]),
        ("datetime", "timestamp", ["'2026-03-01'", "'2026-03-02'", "'2026-03-03'"]),
    ],
)
def test_chunks_of_any_first_key_hold_every_row_once(
    desk: Desk, declared: str, logical: str, values: list[str]
) -> None:
    table = desk.table(f"K {declared} NOT NULL, ID bigint NOT NULL, PRIMARY KEY (K, ID)")
    for value in values:
        desk.sql(f"INSERT INTO dbo.{table} VALUES ({value}, 1)")
    contract = desk.contract(table, Promise("k", declared, logical, key=1), Promise("id", "bigint", "integer", key=2))

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        found, chunks = snapshot.catalog(contract), snapshot.chunks(contract, rows=1)
        read = [b.num_rows for c in chunks for b in snapshot.read(contract, EVERYTHING, found=found, chunk=c)]

    assert sum(read) == len(values)


def test_the_change_log_is_asked_with_a_constant_for_it_takes_no_expression(desk: Desk) -> None:
    table = desk.table("ID bigint PRIMARY KEY")
    desk.track(table)
    contract = desk.contract(table, ID, mode="changes")

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        assert f"CHANGETABLE(CHANGES [dbo].[{table}], 7) AS c" in snapshot._changed(contract, "7", "1 = 1").sql


def test_a_rowversion_has_no_maximum_until_it_is_a_number(desk: Desk) -> None:
    table = desk.table("ID bigint PRIMARY KEY, RV rowversion")
    rv = Promise("rv", "rowversion", "integer", required=True)
    contract = desk.contract(table, ID, rv, mode="incremental", watermark="rv")

    with SqlServerSource("shop", desk.connection).snapshot() as snapshot:
        source = watermark_column(contract, snapshot.catalog(contract))

    assert newest(contract, source) == "CONVERT(varchar(20), MAX(CAST([RV] AS bigint)))"


def test_mode_changes_outside_a_snapshot_says_what_is_wrong(desk: Desk) -> None:
    table = desk.table("ID bigint PRIMARY KEY")
    desk.track(table)
    contract = desk.contract(table, ID, mode="changes")
    connection = replace(desk.connection, extra={**desk.connection.extra, "fixed_point": "statement"})

    with (
        SqlServerSource("shop", connection).snapshot() as snapshot,
        pytest.raises(ConfigurationError, match="in one snapshot, found the fixed point statement"),
    ):
        snapshot.tracks_changes(contract)


def test_mode_changes_by_another_key_than_the_primary_one_says_what_is_wrong(desk: Desk) -> None:
    table = desk.table("ID bigint PRIMARY KEY, CODE varchar(10) NOT NULL UNIQUE")
    desk.track(table)
    contract = desk.contract(table, Promise("code", "varchar(10)", key=1), mode="changes")

    with (
        SqlServerSource("shop", desk.connection).snapshot() as snapshot,
        pytest.raises(ConfigurationError, match=r"needs the primary key \(ID\) as the contract's key, which is CODE"),
    ):
        snapshot.tracks_changes(contract)
