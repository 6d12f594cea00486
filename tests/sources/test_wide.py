"""
Wide tables in Oracle and SQL Server: their servers' limits, met by long values of many types.

1,000 columns in the long form; else more than the 254 texts that SQL Server concatenates at once, and far more bytes
than a text of Oracle holds.
"""

from __future__ import annotations

from itertools import cycle, islice

from ingestion.gaps.record import record_sync_gap
from ingestion.gaps.repair import repair_table
from ingestion.load.load_table import load_table
from ingestion.runs.context import Context, initialise, open_context
from ingestion.settings import Settings
from tests.examples import LONG
from tests.sources.oracle_fixtures import ID as ORACLE_ID
from tests.sources.oracle_fixtures import OracleDesk, Promise, oracle
from tests.sources.sqlserver_fixtures import ID as SQLSERVER_ID
from tests.sources.sqlserver_fixtures import Desk, desk

__all__ = ["desk", "oracle"]

WIDTH = 998 if LONG else 262  # beside the key and the watermark
LAKE = {"mode": "incremental", "watermark": "changed_at", "overlap": "PT2H", "deletes": "none"} | {
    "maxDeletePercent": "100",
    "reconcile": "{maxRepairPercent: 100}",
}
TEXT = "ç" * 200  # 400 bytes of UTF-8: four of them fill a text of Oracle with what stands around them
ORACLE_TYPES = (
    ("VARCHAR2(240 CHAR)", "string", f"'{TEXT}'"),
    ("NUMBER(12,2)", "number", "1.5"),
    ("VARCHAR2(1000)", "string", f"'{TEXT}'"),
    ("DATE", "timestamp", "DATE '2026-01-01'"),
)
SQLSERVER_TYPES = (
    ("nvarchar(240)", "string", f"N'{TEXT}'"),
    ("int", "integer", "7"),
    ("decimal(12,2)", "number", "1.5"),
    ("datetime2(6)", "timestamp", "'2026-01-01T10:00:00'"),
)


def columns(types: tuple[tuple[str, str, str], ...]) -> list[tuple[str, tuple[str, str, str]]]:
    return [(f"c{at}", type_) for at, type_ in enumerate(islice(cycle(types), WIDTH))]


def check_days_of(context: Context, contract_id: str, desk: Desk | OracleDesk, table: str, text: str) -> None:
    """Load, compare, change the last text column, which only a comparison of contents shows, and repair."""
    loaded = load_table(context, contract_id)
    equal = record_sync_gap(context, contract_id)
    again = load_table(context, contract_id)
    last = next(name for name, type_ in reversed(columns(SQLSERVER_TYPES)) if type_[1] == "string")
    desk.sql(f"UPDATE {table} SET {last} = {text} WHERE ID = 2")

    found = record_sync_gap(context, contract_id)
    repaired = repair_table(context, contract_id)

    assert (loaded.appended, again.appended, again.known) == (2, 0, 2)
    assert (equal.outcome, equal.rung, equal.unverified_columns) == ("equal", "checksums", "")
    assert (found.outcome, found.differing_keys) == ("different", 1)
    assert repaired.fetched == 1
    assert record_sync_gap(context, contract_id).outcome == "equal"


def test_oracle_table_of_very_many_columns_is_loaded_compared_and_repaired(oracle: OracleDesk) -> None:
    wide = columns(ORACLE_TYPES)
    declared = ", ".join(f"{name.upper()} {type_[0]}" for name, type_ in wide)
    table = oracle.table(f"ID NUMBER(12) PRIMARY KEY, {declared}, CHANGED_AT TIMESTAMP(6)")
    values = ", ".join(type_[2] for _, type_ in wide)
    for key in (1, 2):
        oracle.sql(f"INSERT INTO {table} VALUES ({key}, {values}, TIMESTAMP '2026-03-01 10:00:00.000000')")
    promises = [Promise(name, physical, logical) for name, (physical, logical, _) in wide]
    changed_at = Promise("changed_at", "TIMESTAMP(6)", "timestamp", required=True)
    contract = oracle.contract(table, ORACLE_ID, *promises, changed_at, **LAKE)
    folder = oracle.folder.parent
    settings = Settings(folder, str(folder / "lake"), connections={"erp": oracle.connection})
    initialise(settings)

    check_days_of(open_context(settings, "run-1"), contract.id, oracle, table, f"'{TEXT[:-1]}d'")


def test_sqlserver_table_of_very_many_columns_is_loaded_compared_and_repaired(desk: Desk) -> None:
    wide = columns(SQLSERVER_TYPES)
    declared = ", ".join(f"{name.upper()} {type_[0]} NULL" for name, type_ in wide)
    table = desk.table(f"ID bigint PRIMARY KEY, {declared}, CHANGED_AT datetime2(6) NOT NULL")
    values = ", ".join(type_[2] for _, type_ in wide)
    for key in (1, 2):
        desk.sql(f"INSERT INTO dbo.{table} VALUES ({key}, {values}, '2026-03-01T10:00:00')")
    promises = [Promise(name, physical, logical) for name, (physical, logical, _) in wide]
    changed_at = Promise("changed_at", "datetime2(6)", "timestamp", required=True)
    contract = desk.contract(table, SQLSERVER_ID, *promises, changed_at, **LAKE)
    settings = Settings(desk.folder.parent, str(desk.folder.parent / "lake"), connections={"shop": desk.connection})
    initialise(settings)

    check_days_of(open_context(settings, "run-1"), contract.id, desk, f"dbo.{table}", f"N'{TEXT[:-1]}d'")
