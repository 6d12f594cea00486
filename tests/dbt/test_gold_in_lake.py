"""fact_sales as dbt keeps it in a lake: what it computes anew, and that the result is the whole computation's."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest

from ingestion.lake import duck
from ingestion.lake.embedded import compaction
from ingestion.lake.log import read_log
from ingestion.lake.mending import mend_table
from tests.dbt.test_dbt_commands import customer, fill, line, order, product
from tests.dbt.warehouse import Warehouse, at
from tests.examples import LONG_FORM

pytestmark = pytest.mark.xdist_group("gold_in_lake")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    warehouse = Warehouse(tmp_path_factory.mktemp("built"))
    fill(warehouse)
    warehouse.succeed("run")
    return warehouse


@pytest.fixture
def copied(built: Warehouse, tmp_path: Path) -> Warehouse:
    """A copy of a filled and built lake, and one of the project, that a test may change."""
    return built.copied_to(tmp_path)


def computed(warehouse: Warehouse, *arguments: str) -> str:
    """Run dbt; return what it says of the facts: how many orders it computed, or that it was all."""
    (warehouse.folder / "logs" / "dbt.log").unlink(missing_ok=True)
    warehouse.succeed("run", *arguments, env={"DBT_LOG_LEVEL_FILE": "debug"})
    found = re.findall(r"\]: fact_sales: (.*)", (warehouse.folder / "logs" / "dbt.log").read_text())
    assert len(found) == 1
    return str(found[0])


def assert_whole(warehouse: Warehouse) -> None:
    """The compiled model is the whole computation: run it on the lake and compare."""
    compiled = next(warehouse.folder.glob("target/compiled/**/gold/**/fact_sales.sql")).read_text()
    with duck.connect(warehouse.lake) as connection:
        kept = connection.execute("select * from gold.fact_sales order by sales_sk").fetchall()
        assert kept == connection.execute(f"select * from ({compiled}) order by sales_sk").fetchall()


def random_day(chance: random.Random, day: str) -> dict[str, list[Any]]:
    """Return events of keys that may or may not be known, at moments that may lie far back."""
    past = [day, "2026-01-15", "2026-02-01 11:00", "2026-02-02"]
    ids = range(1, 6)
    return {
        "erp.customers": [customer(chance.choice(ids), chance.choice(past), segment=chance.choice("AB"))],
        "erp.products": [
            product(chance.choice(ids), chance.choice(past), unit_cost=chance.randint(1, 9)),
            {"product_id": chance.choice(ids), "_op": "D", "_eff": at(day), "_seq": 1},
        ],
        "shop.orders": [
            order(
                number, chance.choice(past), customer_id=chance.choice(ids), status=chance.choice(["PAID", "CANCELLED"])
            )
            for number in {chance.choice(ids), chance.choice(ids)}
        ],
        "shop.order_items": [
            line(number, day, line_number=chance.randint(1, 2), product_id=chance.choice(ids))
            for number in {chance.choice(ids), chance.choice(ids)}
        ],
    }


def test_facts_of_a_version_that_was_torn_and_mended_are_all_computed_again(copied: Warehouse) -> None:
    copied.append("shop.orders", [order(1, "2026-02-05", status="PAID", channel="SHOP")])
    computed(copied)
    log = read_log(copied.lake.uri("silver", "stg_orders"))
    Path(log.path(max(log.commits))).write_bytes(b"")
    mend_table(copied.engine, copied.lake.uri("silver", "stg_orders"), "silver")

    assert computed(copied) == "all is computed"
    assert_whole(copied)


def test_random_days_leave_the_facts_of_the_whole_computation(copied: Warehouse) -> None:
    chance = random.Random(3)
    for number in (1, 2):
        for contract_id, rows in random_day(chance, f"2026-03-0{number}").items():
            copied.append(contract_id, rows)

        assert re.fullmatch(r"\d+ touched values of order_id", computed(copied))
        assert_whole(copied)


def test_only_what_a_day_touches_is_computed(copied: Warehouse) -> None:
    assert computed(copied) == "0 touched values of order_id"

    copied.append("erp.products", [product(1, "2026-02-02", unit_cost=6)])  # late: orders 2 and 3 are younger
    copied.append("shop.orders", [order(2, "2026-02-03", customer_id=9, status="CANCELLED")])
    copied.append("erp.customers", [customer(1, "2026-03-01", segment="Corporate")])  # younger than every order

    assert computed(copied) == "2 touched values of order_id"
    assert_whole(copied)


def test_facts_whose_dimensions_were_built_later_are_found(copied: Warehouse) -> None:
    """The order comes with a customer that the dimension learns of only in the next run."""
    copied.append("shop.orders", [order(3, "2026-02-03", customer_id=77)])
    computed(copied, "-s", "stg_orders", "fact_sales")
    before = copied.query("select customer_sk from gold.fact_sales where order_id = 3")

    computed(copied, "-s", "dim_customer", "fact_sales")

    assert before == [{"customer_sk": "-1"}]
    assert_whole(copied)


@LONG_FORM
def test_silver_that_was_compacted_is_the_same_and_touches_no_facts(
    copied: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "ENOUGH", 2)
    for day in (3, 4):
        copied.append("erp.products", [product(1, f"2026-02-0{day}", unit_cost=day)])
        computed(copied)
    before = copied.query("select * from silver.stg_products order by sk")

    replaced = copied.engine.compact(copied.lake.uri("silver", "stg_products"), order_by=["valid_to", "product_id"])

    assert replaced == 2
    assert copied.query("select * from silver.stg_products order by sk") == before
    assert computed(copied) == "0 touched values of order_id"
    assert_whole(copied)


def test_all_is_computed_where_the_state_before_is_gone(copied: Warehouse) -> None:
    """Vacuum takes files that only older versions name."""
    orders = Path(copied.lake.uri("silver", "stg_orders"))
    before = set(orders.rglob("*.parquet"))
    copied.append("shop.orders", [order(2, "2026-02-03", status="CANCELLED")])
    copied.succeed("run", "-s", "stg_orders")
    live = {file.name for file in copied.engine.snapshot(str(orders), expected_version=1).files}
    gone = [path for path in before if path.name not in live]
    for path in gone:
        path.unlink()

    assert gone
    assert computed(copied) == "all is computed"
    assert_whole(copied)


def test_another_definition_is_applied_to_all_facts(copied: Warehouse) -> None:
    measures = copied.project / "measures" / "sales.sql"
    measures.write_text(measures.read_text().replace("* {{ unit_cost }}", "* 2 * {{ unit_cost }}"))

    assert computed(copied) == "all is computed"
    assert copied.query("select sum(cost_of_sales)::varchar as cost from gold.fact_sales") == [{"cost": "48.00"}]
    assert computed(copied) == "0 touched values of order_id"


@LONG_FORM
def test_another_column_of_an_input_or_of_the_facts_computes_all(copied: Warehouse) -> None:
    dimension = copied.project / "models" / "gold" / "sales" / "dim_product.sql"
    dimension.write_text(
        dimension.read_text()
        .replace("        sku,\n", "        sku, sku as label,\n")
        .replace(" as sku,\n", " as sku, cast(null as string) as label,\n")
        .replace("        'sku': 'string',\n", "        'sku': 'string',\n        'label': 'string',\n")
    )
    described = dimension.with_suffix(".yml")
    described.write_text(
        described.read_text().replace(
            "      - name: sku\n", "      - {name: label, data_type: varchar}\n      - name: sku\n"
        )
    )

    assert computed(copied) == "all is computed"
    assert_whole(copied)
