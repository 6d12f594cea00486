"""What a new contract version does to the tables that are there already."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.dbt.warehouse import PROJECT, Warehouse, at


def test_a_column_that_left_the_contract_leaves_silver_and_builds_go_on(tmp_path: Path) -> None:
    shutil.copytree(PROJECT, tmp_path / "dbt_project", ignore=shutil.ignore_patterns("target", "logs"))
    warehouse = Warehouse(tmp_path, tmp_path / "dbt_project")
    warehouse.append("erp.customers", [{"customer_id": 1, "city": "Recife", "_eff": at("2026-01-01")}])
    warehouse.succeed("run", "-s", "stg_customers")
    facts = warehouse.project / "macros" / "scd2" / "lake_facts.sql"
    facts.write_text(re.sub(r"'city'(: 'string')?, ", "", facts.read_text(), count=3))

    runs: list[str] = []
    for _ in range(2):
        runs += warehouse.succeed("run", "-s", "stg_customers").outcomes().values()
    warehouse.append("erp.customers", [{"customer_id": 1, "segment": "Consumer", "_eff": at("2026-01-02")}])
    runs += warehouse.succeed("run", "-s", "stg_customers").outcomes().values()

    assert runs == ["OVERWRITE", "UNCHANGED", "MERGE"]
    assert "city" not in warehouse.query("from silver.stg_customers limit 1")[0]
