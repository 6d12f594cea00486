"""Builds on a lake whose files were restored, torn or mended: what stops, what is built all the same, and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.lake.log import read_log
from ingestion.lake.mending import mend_table
from tests.dbt.test_dbt_commands import customer, fill, order, product
from tests.dbt.warehouse import Warehouse, at

pytestmark = pytest.mark.xdist_group("dbt")
MODELS = ("-s", "stg_customers", "stg_products", "stg_orders")


def newest_commit(warehouse: Warehouse, *table: str) -> Path:
    log = read_log(warehouse.lake.uri(*table))
    return Path(log.path(max(log.commits)))


def cut_back(warehouse: Warehouse, contract_id: str) -> None:
    """Restore the log of a Bronze table as it was before its newest batch."""
    newest_commit(warehouse, "bronze", *contract_id.split(".")).unlink()
    warehouse.batches[contract_id] -= 1


def test_bronze_that_was_cut_back_or_lost_stops_its_own_model_and_a_full_refresh_is_the_way(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    fill(warehouse)
    day_1, day_2 = at("2026-01-03"), at("2026-01-04")
    for day, city in ((day_1, "Recife"), (day_2, "Natal")):
        warehouse.append("erp.customers", [customer(1, "2026-01-05", city=city, _ingested_at=day)])
        warehouse.append("erp.products", [product(1, "2026-01-05", unit_cost=day.day, _ingested_at=day)])
        warehouse.append("shop.orders", [order(1, "2026-02-05", status=f"S{day.day}", _ingested_at=day)])
    warehouse.succeed("run", *MODELS)
    history = "select city, valid_to from silver.stg_customers order by valid_from"
    before = warehouse.query(history)

    cut_back(warehouse, "erp.customers")  # ends before what Silver knows
    cut_back(warehouse, "erp.products")  # goes on to the number that Silver knows, with another row
    warehouse.append("erp.products", [product(1, "2026-01-06", unit_cost=9, _ingested_at=at("2026-01-08"))])
    warehouse.append("shop.orders", [order(1, "2026-02-06", status="PAID", _ingested_at=at("2026-01-08"))])
    stopped = warehouse.dbt("run", *MODELS).outcomes()
    unchanged = warehouse.query(history) == before
    refreshed = warehouse.succeed("run", "--full-refresh", *MODELS).outcomes()

    for model in ("stg_customers", "stg_products"):
        assert "its log was restored, mended or made anew. Nothing was written" in stopped[model].replace("\n", " ")
        assert "lakehouse build --full-refresh" in stopped[model]
    assert stopped["stg_orders"] == "MERGE"
    assert unchanged
    assert refreshed == dict.fromkeys(MODELS[1:], "OVERWRITE")
    assert [row["unit_cost"] for row in warehouse.query("from silver.stg_products where is_current")] == [9]
    assert warehouse.succeed("run", *MODELS).outcomes() == dict.fromkeys(MODELS[1:], "UNCHANGED")


def test_damaged_tables_stop_what_is_made_of_them_and_nothing_else_and_mended_silver_is_made_whole(
    tmp_path: Path,
) -> None:
    warehouse = Warehouse(tmp_path)
    fill(warehouse)
    warehouse.succeed("run", *MODELS)
    warehouse.append("erp.customers", [customer(1, "2026-01-05", city="Natal")])
    warehouse.append("erp.products", [product(1, "2026-01-05", unit_cost=7)])
    warehouse.append("shop.orders", [order(1, "2026-02-05", status="PAID")])
    warehouse.succeed("run", "-s", "stg_customers")
    whole = warehouse.query("from silver.stg_customers order by all")
    commit = newest_commit(warehouse, "silver", "stg_customers")
    commit.write_bytes(b"\n".join(commit.read_bytes().splitlines()[:-1]))  # a reader sees nothing of it
    bronze = newest_commit(warehouse, "bronze", "erp", "products")
    bronze.write_bytes(bronze.read_bytes()[:-9])

    damaged = warehouse.dbt("run", *MODELS).outcomes()
    for layer, *names in (("silver", "stg_customers"), ("bronze", "erp", "products")):
        assert mend_table(warehouse.engine, warehouse.lake.uri(layer, *names), layer) is not None
    again = warehouse.succeed("run", *MODELS).outcomes()

    assert "silver.stg_customers: the Delta log is damaged" in damaged["stg_customers"]
    assert "`lakehouse doctor --mend`, then `lakehouse build`" in damaged["stg_customers"]
    assert "stg_products: the Bronze table erp__products is missing" in damaged["stg_products"]
    assert damaged["stg_orders"] == "MERGE"
    assert again == {"stg_customers": "MERGE", "stg_products": "UNCHANGED", "stg_orders": "UNCHANGED"}
    assert warehouse.query("from silver.stg_customers order by all") == whole


def test_a_silver_table_whose_log_is_beyond_mending_is_made_again_of_bronze(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    fill(warehouse)
    warehouse.succeed("run", "-s", "stg_customers")
    whole = warehouse.query("from silver.stg_customers order by all")
    uri = warehouse.lake.uri("silver", "stg_customers")
    newest_commit(warehouse, "silver", "stg_customers").write_bytes(b"")

    mended = mend_table(warehouse.engine, uri, "silver")
    again = warehouse.succeed("run", "-s", "stg_customers").outcomes()

    assert mended is not None
    assert mended.rows is None
    assert again == {"stg_customers": "OVERWRITE"}
    assert warehouse.query("from silver.stg_customers order by all") == whole
