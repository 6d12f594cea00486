"""`dbt build` publishes a Gold table after its tests: what readers see while and after a test fails."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingestion.lake import duck
from tests.dbt.test_dbt_commands import GOLD, customer, fill, line, order
from tests.dbt.warehouse import Build, Warehouse, own_project
from tests.examples import LONG_FORM

pytestmark = pytest.mark.xdist_group("dbt")
WHOLE = "select * from gold.fact_sales order by sales_sk"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    warehouse = Warehouse(tmp_path_factory.mktemp("built"))
    fill(warehouse)
    warehouse.succeed("build", "--exclude-resource-type", "unit_test")
    return warehouse


@pytest.fixture
def copied(built: Warehouse, tmp_path: Path) -> Warehouse:
    """A copy of a built lake with news of a customer and of an order, and one of the project that a test may change."""
    warehouse = built.copied_to(tmp_path)
    warehouse.append("erp.customers", [customer(1, "2026-01-15", segment="Corporate")])
    warehouse.append("shop.orders", [order(4, "2026-02-04")])
    warehouse.append("shop.order_items", [line(4, "2026-02-04")])
    return warehouse


def forbid(warehouse: Warehouse, rows: str) -> Path:
    """Add a test to the project that fails while the query finds a row."""
    file = warehouse.project / "tests" / "assert_nothing_forbidden.sql"
    file.write_text(rows)
    return file


def build(warehouse: Warehouse, *arguments: str) -> Build:
    return warehouse.dbt("build", "--exclude-resource-type", "unit_test", "--exclude", "test_type:generic", *arguments)


def statuses(done: Build) -> dict[str, str]:
    return {r["unique_id"].split(".")[2]: r["status"] for r in done.artifact("run_results.json")["results"]}


def published(warehouse: Warehouse, before: dict[str, int]) -> set[str]:
    """Return the Gold tables with another version than before."""
    return {
        name.removeprefix("gold.")
        for name, version in warehouse.versions().items()
        if name.startswith("gold.") and before.get(name) != version
    }


def test_a_failed_test_leaves_its_table_as_readers_knew_it_and_the_mended_build_publishes(copied: Warehouse) -> None:
    before, rows = copied.versions(), copied.query(WHOLE)
    test = forbid(copied, "select 1 as found from {{ ref('fact_sales') }} where order_id = 4")
    failed = build(copied)
    kept, seen = published(copied, before), copied.query(WHOLE)
    test.unlink()
    mended = build(copied)

    assert (failed.code, kept, seen) == (1, {"dim_customer"}, rows)
    assert "Not published, readers see them as they were: gold.fact_sales." in " ".join(failed.output.split())
    assert (mended.code, published(copied, before)) == (0, {"dim_customer", "fact_sales"})
    assert len(copied.query(WHOLE)) == len(rows) + 1


def test_tables_that_a_failed_test_reads_and_those_built_on_them_are_not_published(copied: Warehouse) -> None:
    before = copied.versions()
    forbid(copied, "select 1 as found from {{ ref('dim_customer') }} where segment = 'Corporate'")
    failed = build(copied)

    assert (failed.code, published(copied, before)) == (1, set())
    assert statuses(failed)["fact_sales"] == "skipped"


def test_a_table_is_not_published_while_one_that_it_was_built_on_is_not(copied: Warehouse) -> None:
    """The test runs after the facts, because it reads them too."""
    before = copied.versions()
    forbid(
        copied,
        "select 1 as found from {{ ref('dim_customer') }} join {{ ref('fact_sales') }} using (customer_sk) "
        "where segment = 'Corporate'",
    )
    (copied.project / "models/gold/sales/late.sql").write_text(
        "{{ config(unique_key='customer_sk') }}\nselect customer_sk from {{ ref('dim_customer') }}"
    )
    failed = build(copied)

    assert (failed.code, published(copied, before)) == (1, set())
    assert failed.outcomes()["late"] == "OVERWRITE"
    assert not (copied.folder / "lake/gold/late/_delta_log").exists()


def test_a_first_build_with_a_failed_test_makes_no_table_for_readers(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, own_project(tmp_path))
    fill(warehouse)
    forbid(warehouse, "select 1 as found from {{ ref('fact_sales') }}")
    failed = build(warehouse)

    assert (failed.code, published(warehouse, {})) == (1, {*GOLD} - {"fact_sales"})


def test_facts_and_members_published_together_are_the_whole_computation(copied: Warehouse) -> None:
    build(copied)
    again = copied.succeed("run", "-s", "fact_sales", env={"DBT_LOG_LEVEL_FILE": "debug"})
    compiled = next(copied.folder.glob("target/compiled/**/gold/**/fact_sales.sql")).read_text()

    assert again.outcomes() == {"fact_sales": "UNCHANGED"}
    assert "fact_sales: 0 touched values" in (copied.folder / "logs/dbt.log").read_text()
    with duck.connect(copied.lake) as connection:
        computed = connection.execute(f"select * from ({compiled}) order by sales_sk").fetchall()
        assert connection.execute(WHOLE).fetchall() == computed


def test_of_two_builds_at_once_the_later_commits_are_refused_by_name_and_leave_nothing(
    copied: Warehouse, tmp_path: Path
) -> None:
    """The first waits in one of its tests, with its tables not yet published, until another process has built them."""
    gate, before = tmp_path / "gate.csv", copied.versions()
    os.mkfifo(gate)
    forbid(copied, f"select 1 as found from {{{{ ref('fact_sales') }}}}, read_csv('{gate}') where false")
    rival = Warehouse(tmp_path / "rival")
    rival.lake = copied.lake
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(build, copied, "-s", "+fact_sales")
        with gate.open("w") as opened:  # as soon as the first reads it
            between = published(copied, before)
            second = build(rival, "-s", "+fact_sales")
            won = copied.versions()
            opened.write("number\n1\n")
        lost = first.result()

    assert (between, second.code, published(copied, before)) == (set(), 0, {"dim_customer", "fact_sales"})
    assert lost.code == 1
    for name in ("gold.dim_customer", "gold.fact_sales"):
        assert re.search(rf"Not published: {name} \(.*another writer committed first", " ".join(lost.output.split()))
    assert copied.versions() == won
    assert copied.query("select sales_sk from gold.fact_sales group by all having count(*) > 1") == []


@LONG_FORM
def test_a_run_without_tests_publishes_at_once(copied: Warehouse) -> None:
    before = copied.versions()
    forbid(copied, "select 1 as found from {{ ref('fact_sales') }}")
    copied.succeed("run")

    assert published(copied, before) == {"dim_customer", "fact_sales"}


@LONG_FORM
def test_a_project_without_the_hook_publishes_at_once(copied: Warehouse) -> None:
    before = copied.versions()
    file = copied.project / "dbt_project.yml"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if "on-run-end" not in line))
    done = build(copied)

    assert (done.code, published(copied, before)) == (0, {"dim_customer", "fact_sales"})


@LONG_FORM
def test_a_lake_of_the_past_shows_the_rows_that_break_a_test(copied: Warehouse) -> None:
    """So that a person can look at them; no other reader knows that lake."""
    before = copied.versions()
    forbid(copied, "select 1 as found from {{ ref('fact_sales') }}")
    env = {"LAKEHOUSE_AS_OF": json.dumps({"lake": copied.lake.root, "batches": {}})}
    failed = copied.dbt("build", "--exclude-resource-type", "unit_test", env=env)

    assert (failed.code, published(copied, before)) == (1, {"dim_customer", "fact_sales"})


def test_a_failed_test_of_silver_says_that_readers_see_the_new_rows(copied: Warehouse) -> None:
    before = copied.versions()
    forbid(copied, "select 1 as found from {{ ref('stg_customers') }} where segment = 'Corporate'")
    failed = build(copied)

    assert published(copied, before) == set()
    said = " ".join(failed.output.split())
    assert "These hold the new rows, and readers see them: silver.stg_customers." in said
