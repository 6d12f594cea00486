"""The models of docs/gold.md, built as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.dbt.test_dbt_commands import fill
from tests.dbt.warehouse import ROOT, Warehouse, own_project

pytestmark = pytest.mark.xdist_group("dbt")
MODELS = ["customers_by_region", "fact_orders"]


def test_the_gold_models_of_the_page_are_built_tested_and_computed_in_part_as_in_whole(tmp_path: Path) -> None:
    project = own_project(tmp_path)
    blocks = re.findall(
        r"```(?:sql|yaml)\n(?:--|#) (models/\S+)\n(.*?)```", (ROOT / "docs/gold.md").read_text(), re.DOTALL
    )
    for name, text in blocks:
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    warehouse = Warehouse(tmp_path, project)
    fill(warehouse)
    warehouse.succeed("build", "-s", "+customers_by_region", "+fact_orders")
    orders = warehouse.query("select order_id, customer_sk, order_date_key from gold.fact_orders order by 1")
    again = warehouse.succeed("run", "--full-refresh", "-s", *MODELS)

    assert len(blocks) == 4
    assert warehouse.query("from gold.customers_by_region") == [
        {"region": "South", "segment": "Consumer", "customers": 1}
    ]
    assert [row["order_date_key"] for row in orders] == [20260201, 20260202]
    assert warehouse.query("select order_id, customer_sk, order_date_key from gold.fact_orders order by 1") == orders
    assert set(again.outcomes().values()) == {"OVERWRITE"}
