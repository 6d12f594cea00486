"""What a new contract version does to the tables that are there already."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from ingestion.bronze.table import BronzeTable
from ingestion.contracts.writing.dbt_sources import write_facts
from tests.dbt.warehouse import Warehouse, at, own_project


def test_a_column_that_left_the_contract_leaves_silver_and_builds_go_on(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, own_project(tmp_path))
    warehouse.append("erp.customers", [{"customer_id": 1, "city": "Recife", "_eff": at("2026-01-01")}])
    warehouse.succeed("run", "-s", "stg_customers")
    facts = warehouse.project / "generated" / "lake_facts.sql"
    facts.write_text(re.sub(r"'city'(: 'string')?, ", "", facts.read_text(), count=3))

    runs: list[str] = []
    for _ in range(2):
        runs += warehouse.succeed("run", "-s", "stg_customers").outcomes().values()
    warehouse.append("erp.customers", [{"customer_id": 1, "segment": "Consumer", "_eff": at("2026-01-02")}])
    runs += warehouse.succeed("run", "-s", "stg_customers").outcomes().values()

    assert runs == ["OVERWRITE", "UNCHANGED", "MERGE"]
    assert "city" not in warehouse.query("from silver.stg_customers limit 1")[0]


def test_a_type_or_column_that_bronze_gained_is_in_silver_after_the_next_build(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, own_project(tmp_path))
    warehouse.append("erp.customers", [{"customer_id": 1, "credit_limit": Decimal("5.50"), "_eff": at("2026-01-01")}])
    warehouse.succeed("run", "-s", "stg_customers")
    contract = warehouse.contracts["erp.customers"]
    wide = tuple(
        replace(c, arrow_type=pa.decimal128(20, 4)) if c.name == "credit_limit" else c for c in contract.columns
    )
    tier = replace(contract.column("city"), name="tier", source_name="TIER")
    warehouse.contracts["erp.customers"] = replace(contract, columns=(*wide, tier))
    write_facts(warehouse.contracts.values(), warehouse.project / "generated" / "lake_facts.sql")

    early = warehouse.dbt("run", "-s", "stg_customers")
    BronzeTable(warehouse.lake, warehouse.engine, warehouse.contracts["erp.customers"]).create()
    runs = [warehouse.succeed("run", "-s", "stg_customers").outcomes()["stg_customers"] for _ in range(2)]
    warehouse.append(
        "erp.customers",
        [{"customer_id": 2, "credit_limit": Decimal("1.2345"), "tier": "gold", "_eff": at("2026-01-02")}],
    )
    runs += warehouse.succeed("run", "-s", "stg_customers").outcomes().values()

    assert early.code == 1
    assert "Bronze lacks columns of the contract so far: tier" in early.output
    assert "lakehouse load erp.customers" in early.output
    assert runs == ["OVERWRITE", "UNCHANGED", "MERGE"]
    assert warehouse.query("select customer_id, credit_limit, tier from silver.stg_customers order by all") == [
        {"customer_id": 1, "credit_limit": Decimal("5.5000"), "tier": None},
        {"customer_id": 2, "credit_limit": Decimal("1.2345"), "tier": "gold"},
    ]


def test_a_type_that_bronze_alone_has_changed_is_in_silver_after_the_next_build(tmp_path: Path) -> None:
    """dbt's sources may be a step ahead of Bronze: then no fingerprint changes when Bronze follows."""
    warehouse = Warehouse(tmp_path)
    warehouse.append("erp.customers", [{"customer_id": 1, "credit_limit": Decimal("5.50"), "_eff": at("2026-01-01")}])
    warehouse.succeed("run", "-s", "stg_customers")
    uri = warehouse.lake.uri("bronze", "erp", "customers")
    warehouse.engine.retype(uri, {"credit_limit": pa.decimal128(20, 4)})

    runs = [warehouse.succeed("run", "-s", "stg_customers").outcomes()["stg_customers"] for _ in range(2)]

    assert runs == ["OVERWRITE", "UNCHANGED"]
    assert str(warehouse.query("select credit_limit from silver.stg_customers")[0]["credit_limit"]) == "5.5000"
