"""What dbt on Spark is told of a lake before it starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestion.lake.spark.session import ALWAYS, STATIC
from tests.dbt.test_dbt_commands import product
from tests.dbt.warehouse import PROJECT, Warehouse
from tests.spark.session import NEEDS_SPARK

pytestmark = NEEDS_SPARK


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """Two batches of products."""
    found = Warehouse(tmp_path)
    for day in ("2026-01-01", "2026-01-02"):
        found.append("erp.products", [product(1, day)])
    return found


def statements(warehouse: Warehouse, **environ: str) -> list[str]:
    from dbt_project.plugins import on_spark

    return list(on_spark.view_statements(warehouse.lake, environ))


def test_a_log_is_shown_at_its_version_with_its_newest_batch(warehouse: Warehouse) -> None:
    uri = warehouse.lake.uri("bronze", "erp", "products")
    told = [text for text in statements(warehouse) if "erp__products" in text]

    assert told[0] == f"create or replace view bronze.`erp__products` as select * from delta.`{uri}` version as of 2"
    assert "2 as version, 2 as batch, " in told[1]
    assert "True as append_only" in told[1]


def test_an_earlier_state_shows_the_batches_known_then(warehouse: Warehouse, tmp_path: Path) -> None:
    then = Warehouse(tmp_path / "then")
    as_of = json.dumps({"lake": warehouse.lake.root, "batches": {"erp__products": 1}})

    told = [text for text in statements(then, LAKEHOUSE_AS_OF=as_of) if "erp__products" in text]

    assert told[0].startswith(
        f"create or replace view bronze.`erp__products` as select * from delta.`{warehouse.lake.root}/"
    )
    assert told[0].endswith(" where _batch <= 1")
    assert "1 as batch" in told[1]


def test_an_older_ledger_has_all_columns_of_today(warehouse: Warehouse) -> None:
    [gaps] = [text for text in statements(warehouse) if text.startswith("create or replace view ops.gaps")]

    assert "cast(null as boolean) as `sla_met`" in gaps
    assert gaps.endswith("where false")


def test_a_cluster_is_given_the_settings_that_make_tables_alike() -> None:
    profile: dict[str, Any] = yaml.safe_load((PROJECT / "profiles.yml").read_text())["lakehouse"]["outputs"]
    promised = {name: value for name, value in ALWAYS.items() if name not in (*STATIC, "spark.sql.ansi.enabled")}

    assert promised.items() <= profile["thrift"]["server_side_parameters"].items()
    assert promised.items() <= profile["databricks"]["session_properties"].items()
