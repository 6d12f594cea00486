"""A table from Oracle to Bronze: the whole load, and a second one with only what changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.lake import duck
from ingestion.load.load_table import load_table
from ingestion.runs.context import Context, initialise, open_context
from ingestion.settings import Settings
from tests.sources import null_watermarks
from tests.sources.oracle_fixtures import ID, FaultyServer, OracleDesk, Promise, faulty, faulty_server, oracle

__all__ = ["faulty", "faulty_server", "oracle"]

PROMISES = (
    ID,
    Promise("amount", "NUMBER(12,2)", "number"),
    Promise("is_active", "NUMBER(1)", "boolean"),
    Promise("note", "CLOB"),
    Promise("changed_at", "TIMESTAMP(6)", "timestamp", required=True),
)
LAKE = {"mode": "incremental", "watermark": "changed_at", "overlap": "PT2H", "deletes": "keys", "maxDeletePercent": "50",
        "quarantine": "{warnPercent: 0, failPercent: 60}"}  # fmt: skip


def company(desk: OracleDesk) -> tuple[str, str, Settings]:
    """Three rows, one of which breaks two promises; returns table, contract id and settings."""
    table = desk.table(
        "ID NUMBER(12) PRIMARY KEY, AMOUNT NUMBER, IS_ACTIVE NUMBER(1), NOTE CLOB, CHANGED_AT TIMESTAMP(6) NOT NULL"
    )
    put(desk, table, 1, "1.25", 1, "10:00:00.000001")
    put(desk, table, 2, "2", 0, "10:00:00.000001")
    put(desk, table, 3, "1.005", 7, "11:00:00.000000")
    contract = desk.contract(table, *PROMISES, **LAKE)
    settings = Settings(desk.folder.parent, str(desk.folder.parent / "lake"), "200MB", {"erp": desk.connection})
    initialise(settings)
    return table, contract.id, settings


def put(desk: OracleDesk, table: str, key: int, amount: str, active: int, moment: str) -> None:
    at = f"TIMESTAMP '2026-03-01 {moment}'"
    desk.sql(f"INSERT INTO {table} VALUES ({key}, {amount}, {active}, :note, {at})", note="x" * 70_000)


def lake(context: Context, query: str) -> list[tuple[object, ...]]:
    with duck.connect(context.lake) as connection:
        return connection.execute(query).fetchall()


def test_a_table_is_loaded_exactly_and_then_only_what_changed(oracle: OracleDesk, tmp_path: Path) -> None:
    table, contract_id, settings = company(oracle)
    context = open_context(settings, "run-1")
    view = f"erp__{contract_id.split('.')[1]}"

    first = load_table(context, contract_id)
    again = load_table(context, contract_id)
    oracle.sql(f"DELETE FROM {table} WHERE ID = 2")
    put(oracle, table, 4, "4", 1, "12:00:00.000000")
    second = load_table(context, contract_id)

    assert (first.read, first.good, first.quarantined, first.watermark) == (3, 2, 1, "2026-03-01 11:00:00.000001")
    assert (again.batch, again.known, again.known_bad) == (None, 2, 1)
    assert (second.batch, second.appended, second.deleted) == (2, 1, 1)
    assert lake(
        context,
        f"select id, amount, is_active, length(note), _op, _seq > 0 from bronze.{view} order by _batch, id, _op",
    ) == [
        (1, pytest.approx(1.25), True, 70_000, "R", True),
        (2, pytest.approx(2), False, 70_000, "R", True),
        (2, None, None, None, "D", True),
        (4, pytest.approx(4), True, 70_000, "U", True),
    ]
    assert lake(context, f"select id, amount, is_active, _breaks from quarantine.{view}") == [
        ("3", "1.005", "7", "amount:type; is_active:type"),
    ]


def test_a_load_whose_fixed_point_is_lost_is_read_again_at_a_new_one(
    faulty: OracleDesk, faulty_server: FaultyServer
) -> None:
    _, contract_id, settings = company(faulty)
    context = open_context(settings, "run-1")
    faulty_server.arm("fail_next_execute", code=1555, pattern='"AMOUNT"')

    result = load_table(context, contract_id)

    assert (result.read, result.batch) == (3, 1)


def test_rows_without_a_watermark_are_exact(oracle: OracleDesk) -> None:
    table = oracle.table("ID NUMBER(12) PRIMARY KEY, NAME VARCHAR2(20), CHANGED_AT TIMESTAMP(6)")
    oracle.sql(*null_watermarks.insert(table, "TIMESTAMP '{}'".format))
    promises = (ID, Promise("name", "VARCHAR2(20)"), Promise("changed_at", "TIMESTAMP(6)", "timestamp"))
    contract = oracle.contract(table, *promises, **null_watermarks.LAKE, chunkRows="2")

    def alter() -> None:
        oracle.sql(*null_watermarks.change(table, "TIMESTAMP '{}'".format))

    null_watermarks.assert_exact(oracle.connection, oracle.folder.parent, contract.id, alter)
