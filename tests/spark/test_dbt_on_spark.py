"""Silver and Gold on Spark: one lake, built by both engines in turn."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from ingestion.lake.base import READER_FEATURES, WRITER_FEATURES
from ingestion.lake.embedded.reader import arrow_schema
from tests.dbt.test_dbt_commands import AUDIT, GOLD, SILVER, customer, fill, line, order, product
from tests.dbt.warehouse import Build, Warehouse, at, own_project
from tests.spark.session import NEEDS_MINUTES, SETTINGS

pytestmark = [
    *NEEDS_MINUTES,
    # dbt runs in this process and leaves its log open
    pytest.mark.filterwarnings("ignore:(?s)Exception ignored in.*dbt.log:pytest.PytestUnraisableExceptionWarning"),
]
SALT = {"LAKEHOUSE_MASK_SALT": "it's a \\ salt of the sea", "DBT_LOG_LEVEL_FILE": "debug"}
LAYERS = ["-s", "path:models/silver", "path:models/gold"]
ANEW = ["stg_products", "dim_product", "fact_sales"]
BROKEN = ["stg_order_items", "dim_date", "fact_sales"]
Rows = list[dict[str, Any]]


@dataclass
class OnSpark(Warehouse):
    """The warehouse, built by the Spark of this process."""

    def dbt(self, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Build:
        from dbt_project.plugins import on_spark

        here = {f"DBT_{name}_DIR": str(self.project) for name in ("PROJECT", "PROFILES")}
        before = dict(os.environ)
        os.environ |= {**self.environment({"DBT_LOG_LEVEL_FILE": "debug", **(env or {})}), **SETTINGS, **here}
        try:
            code = on_spark.main(["--no-use-colors", "--quiet", *arguments])
        finally:
            os.environ.clear()
            os.environ |= before
        return Build(code, (self.folder / "logs" / "dbt.log").read_text(), "", self.folder / "target")


@dataclass
class Story:
    """What became of each model in each step, and what the tables held then."""

    lake: Warehouse
    outcomes: dict[str, dict[str, str]] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    rows: dict[str, dict[str, Rows]] = field(default_factory=dict)

    def step(self, name: str, warehouse: Warehouse, *arguments: str) -> None:
        log = warehouse.folder / "logs" / "dbt.log"
        log.unlink(missing_ok=True)
        build = warehouse.dbt(*arguments, env=SALT)
        assert name == "broken" or build.code == 0, build.output
        self.outcomes[name] = build.outcomes()
        self.logs[name] = log.read_text()
        self.rows[name] = {
            table: warehouse.query(f"select * from {table} order by all") for table in warehouse.versions()
        }


@pytest.fixture(scope="module")
def story(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Spark builds, Spark goes on, DuckDB goes on, Spark again, Spark anew; at last what must not be written."""
    folder = tmp_path_factory.mktemp("story")
    project = own_project(folder)
    on_spark = OnSpark(folder, project)
    embedded = Warehouse(folder, project, on_spark.batches)
    told = Story(on_spark)
    fill(on_spark)
    told.step("first", on_spark, "build", "--exclude-resource-type", "test")
    second_day(on_spark)
    told.step("second", on_spark, "run", *LAYERS)
    twin = Warehouse(folder / "twin", project)
    shutil.rmtree(twin.folder / "lake")
    shutil.copytree(folder / "lake", twin.folder / "lake")
    told.step("whole", twin, "run", "--full-refresh")
    told.step("moved", embedded, "run", *LAYERS)
    on_spark.append("erp.products", [product(1, "2026-02-01 08:00", unit_cost=7)])
    told.step("embedded", embedded, "run", *LAYERS)
    told.step("back", on_spark, "run", *LAYERS)
    told.step("anew", on_spark, "run", "--full-refresh", "-s", *ANEW)
    break_it(on_spark)
    told.step("broken", on_spark, "run", "-s", *BROKEN, "--vars", "fiscal_year_start_month: 4")
    return told


def second_day(warehouse: Warehouse) -> None:
    """A late event, a deletion, a customer that only an order named, a cancellation, a new line."""
    warehouse.append("erp.customers", [customer(1, "2026-02-01 09:00", email="Ana@b.co", segment="Corporate")])
    warehouse.append("erp.customers", [customer(9, "2026-02-02"), customer(1, "2026-01-15", region="North")])
    warehouse.append(
        "erp.products", [{"product_id": 1, "_op": "D", "_seq": 1, "_eff": at("2026-03-01")}, product(2, "2026-03-01")]
    )
    warehouse.append("shop.orders", [order(1, "2026-02-04", status="CANCELLED"), order(3, "2026-02-03")])
    warehouse.append("shop.order_items", [line(3, "2026-02-04", line_number=2, product_id=2, quantity=5)])


def break_it(warehouse: Warehouse) -> None:
    """A sum that has no room in its type, and somebody who writes a table while dbt is at it."""
    warehouse.append(
        "shop.order_items",
        [line(3, "2026-02-05", line_number=3, quantity=2**31 - 1, unit_price=Decimal("9999999999.99"))],
    )
    dates = warehouse.project / "models" / "gold" / "sales" / "dim_date.sql"
    somebody = f"delete from delta.`{warehouse.lake.uri('gold', 'dim_date')}` where date_key = -3"
    dates.write_text(
        dates.read_text().replace("unique_key='date_key'", f"unique_key='date_key', pre_hook='{somebody}'")
    )


def test_spark_writes_every_table_and_passes_the_unit_tests(story: Story) -> None:
    assert story.outcomes["first"] == dict.fromkeys(SILVER + GOLD + AUDIT, "OVERWRITE")
    assert len(re.findall(r"\d+ of \d+ PASS \w+::", story.logs["first"])) == 13


def test_what_spark_keeps_up_is_what_duckdb_computes_whole(story: Story) -> None:
    assert story.rows["second"] == story.rows["whole"]
    assert len(story.rows["second"]["silver.stg_customers"]) == 4
    assert {story.outcomes["second"][name] for name in [*SILVER, "dim_customer", "fact_sales"]} == {"MERGE"}


def test_only_what_a_day_touches_is_computed(story: Story) -> None:
    assert "fact_sales: 3 touched values of order_id" in story.logs["second"]
    assert "fact_sales: 0 touched values of order_id" in story.logs["back"] or "all is computed" in story.logs["back"]


def test_duckdb_goes_on_where_spark_ended_and_spark_where_duckdb_did(story: Story) -> None:
    unchanged = dict.fromkeys(SILVER + GOLD, "UNCHANGED")
    touched = {"stg_products": "MERGE", "dim_product": "MERGE", "fact_sales": "MERGE"}

    assert story.outcomes["moved"] == unchanged
    assert story.outcomes["embedded"] == {**unchanged, **touched}
    assert story.outcomes["back"] == unchanged
    assert "_batch > 2" in story.logs["embedded"], "DuckDB reads the batches that Spark had not seen"
    assert "_batch > 0" not in story.logs["embedded"]


def test_a_rebuild_on_spark_holds_the_same_rows(story: Story) -> None:
    assert story.outcomes["anew"] == dict.fromkeys(ANEW, "OVERWRITE")
    assert story.rows["anew"] == story.rows["back"] == story.rows["embedded"]


def test_tables_that_spark_wrote_have_the_types_properties_and_features_of_ours(story: Story) -> None:
    for name in story.lake.versions():
        uri, twin = (str(story.lake.folder / place / "lake" / name.replace(".", "/")) for place in ("", "twin"))
        ours, theirs = DeltaTable(uri), DeltaTable(twin)
        promised = theirs.metadata().configuration

        assert arrow_schema(ours) == arrow_schema(theirs)  # comments of columns apart, which Spark does not write
        assert ours.metadata().partition_columns == theirs.metadata().partition_columns
        assert promised.items() <= ours.metadata().configuration.items()
        assert set(ours.protocol().reader_features or []) <= READER_FEATURES
        assert set(ours.protocol().writer_features or []) <= WRITER_FEATURES


def test_what_must_not_be_written_stops_its_model_alone(story: Story) -> None:
    assert "another writer committed first" in story.outcomes["broken"]["dim_date"]
    assert "NUMERIC_VALUE_OUT_OF_RANGE" in story.outcomes["broken"]["fact_sales"]
    assert story.rows["broken"]["gold.fact_sales"] == story.rows["anew"]["gold.fact_sales"]
    assert story.outcomes["broken"]["stg_order_items"] == "MERGE"


def test_nothing_is_left_in_the_project(story: Story) -> None:
    assert sorted(path.name for path in story.lake.project.iterdir() if path.name != "plugins") == [
        "dbt_project.yml",
        "generated",
        "macros",
        "measures",
        "models",
        "profiles.yml",
        "tests",
    ]
