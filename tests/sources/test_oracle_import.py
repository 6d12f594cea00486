"""A contract written from Oracle's dictionary loads its table."""

from __future__ import annotations

from ingestion.admin.import_contracts import import_contracts
from ingestion.load.load_table import load_table
from ingestion.runs.context import initialise, open_context
from ingestion.settings import Settings
from tests.sources.oracle_fixtures import OracleDesk, oracle

__all__ = ["oracle"]


def test_an_imported_table_is_loaded_as_it_is(oracle: OracleDesk) -> None:
    table = oracle.table(
        "LINE NUMBER(3) NOT NULL, ID NUMBER(12) NOT NULL, AMOUNT NUMBER(12,2), FREE NUMBER, "
        "UPDATED_AT TIMESTAMP(6) NOT NULL, PRIMARY KEY (ID, LINE)"
    )
    oracle.sql(
        f"COMMENT ON TABLE {table} IS 'Lines of orders.'",
        f"COMMENT ON COLUMN {table}.AMOUNT IS 'In BRL.'",
        f"INSERT INTO {table} VALUES (1, 7, 1.25, 0.5, TIMESTAMP '2026-03-01 10:00:00')",
    )
    settings = Settings(
        oracle.folder.parent, str(oracle.folder.parent / "lake"), connections={"erp": oracle.connection}
    )
    settings.contracts.mkdir(exist_ok=True)

    result = import_contracts(settings, "erp", f"{oracle.owner}.{table}".lower(), timezone="UTC")
    initialise(settings)
    context = open_context(settings)
    contract = context.contract(result.written[0].contract_id)

    assert contract.key_names == ("id", "line")
    assert (contract.watermark, contract.column("amount").description) == ("updated_at", "In BRL.")
    assert contract.description == "Lines of orders."
    assert load_table(context, contract.id).good == 1


def test_a_whole_schema_shows_every_table_once(oracle: OracleDesk) -> None:
    mine = [oracle.table("ID NUMBER(12) PRIMARY KEY"), oracle.table("ID NUMBER(12) PRIMARY KEY")]
    settings = Settings(
        oracle.folder.parent, str(oracle.folder.parent / "lake"), connections={"erp": oracle.connection}
    )
    settings.contracts.mkdir(exist_ok=True)

    result = import_contracts(settings, "erp", oracle.owner, timezone="UTC")

    ids = [written.contract_id for written in result.written]
    assert len(ids) == len(set(ids))
    assert {f"erp.{name.lower()}" for name in mine} <= set(ids)
