"""Keys, foreign keys, open numbers and moments of many digits, imported from servers and loaded as they are."""

from __future__ import annotations

import pytest

from ingestion.admin.import_contracts import ImportResult, import_contracts
from ingestion.gaps.record import record_sync_gap
from ingestion.load.load_table import load_table
from ingestion.runs.context import Context, initialise, open_context
from ingestion.settings import Connection, Settings
from tests.sources.oracle_fixtures import OracleDesk, oracle
from tests.sources.sqlserver_fixtures import Desk, desk

__all__ = ["desk", "oracle"]


def imported(place: Settings, system: str, *names: str) -> tuple[Context, list[ImportResult]]:
    place.contracts.mkdir(exist_ok=True)
    results = [import_contracts(place, system, name, timezone="UTC") for name in names]
    initialise(place)
    return open_context(place), results


def settings(at: OracleDesk | Desk, system: str, connection: Connection) -> Settings:
    return Settings(at.folder.parent, str(at.folder.parent / "lake"), connections={system: connection})


@pytest.fixture(autouse=True)
def little_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row is looked at, so that a key's ends are asked for, too."""
    monkeypatch.setattr("ingestion.admin.looking.SAMPLE_ROWS", 1)


def assert_exact(context: Context, contract_id: str, rows: int) -> None:
    """The table loads with nothing to say, and source and lake are the same."""
    outcome = load_table(context, contract_id)
    gap = record_sync_gap(context, contract_id)

    assert (outcome.good, outcome.quarantined, outcome.drift) == (rows, 0, ())
    assert (gap.source_count, gap.missing_keys, gap.extra_keys, gap.differing_keys) == (rows, 0, 0, 0)


def test_oracles_numbers_become_what_their_values_are(oracle: OracleDesk) -> None:
    parent = oracle.table("ID INTEGER PRIMARY KEY, AMOUNT NUMBER, RATE FLOAT, UPDATED_AT TIMESTAMP(9) NOT NULL")
    big = oracle.table("BIG_ID NUMBER(38) PRIMARY KEY, V VARCHAR2(10)")
    child = oracle.table(f"ID NUMBER(19) PRIMARY KEY, PARENT NUMBER(38) REFERENCES {parent} (ID), BIG_ID NUMBER(38)")
    oracle.sql(
        f"INSERT INTO {parent} VALUES (7, 1.25, 4, TIMESTAMP '2026-03-01 10:00:00.123456')",
        f"INSERT INTO {big} VALUES (90000000000000000000000000000, 'v')",
        f"INSERT INTO {child} VALUES (9000000001, 7, 90000000000000000000000000000)",
    )
    context, _ = imported(
        settings(oracle, "erp", oracle.connection), "erp", *(f"{oracle.owner}.{t}" for t in (parent, big, child))
    )

    types = {
        name: [str(column.arrow_type) for column in context.contract(f"erp.{name.lower()}").columns]
        for name in (parent, big, child)
    }
    assert types == {
        parent: ["int64", "decimal128(22, 4)", "int64", "timestamp[us]"],
        big: ["string", "string"],
        child: ["int64", "int64", "string"],
    }
    assert context.contract(f"erp.{parent.lower()}").column("updated_at").truncate
    for name in (parent, big, child):
        assert_exact(context, f"erp.{name.lower()}", 1)


def test_sql_servers_wide_keys_and_its_own_datetime2_load_as_they_are(desk: Desk) -> None:
    parent = desk.table("OrderID numeric(38,0) NOT NULL PRIMARY KEY, TotalDue money, ModifiedDate datetime2 NOT NULL")
    child = desk.table(
        f"OrderID numeric(38,0) NOT NULL REFERENCES dbo.{parent} (OrderID), [Order] int NOT NULL, "
        "At datetimeoffset, PRIMARY KEY (OrderID, [Order])"
    )
    desk.sql(
        f"INSERT INTO dbo.{parent} VALUES (7, 1.5, '2026-03-01T10:00:00.1234560')",
        f"INSERT INTO dbo.{child} VALUES (7, 1, '2026-03-01T10:00:00.1234560+02:00')",
    )
    context, _ = imported(settings(desk, "shop", desk.connection), "shop", f"dbo.{parent}", f"dbo.{child}")
    first, second = (context.contract(f"shop.{name.lower()}") for name in (parent, child))

    assert [str(c.arrow_type) for c in (*first.keys, *second.keys)] == ["int64", "int64", "int32"]
    assert (first.watermark, first.column("modified_date").truncate) == ("modified_date", True)
    for contract in (first, second):
        assert_exact(context, contract.id, 1)
