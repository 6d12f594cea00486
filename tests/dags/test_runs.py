"""Runs of the DAGs on the demo world: what ends green, what ends red, and what is built all the same."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from ingestion.lake import duck
from tests.dags.conftest import Outcome, Project

Run = Callable[..., Outcome]


def drop_column(project: Project, system: str, table: str, column: str) -> None:
    with duckdb.connect(str(project.source(system))) as connection:
        connection.execute(f"alter table {table} drop column {column}")


def count(project: Project, relation: str) -> int:
    with duck.connect(project.context.lake) as connection:
        _, rows = duck.select(connection, f"select count(*) from {relation}")
    return int(str(rows[0][0]))


MODELS = {
    "silver": ("stg_customers", "stg_order_items", "stg_orders", "stg_products"),
    "gold": ("dim_customer", "dim_date", "dim_product", "fact_sales"),
    "audit": ("gap_daily", "sla_daily", "time_to_repair"),
}


def events_of(outcome: Outcome) -> list[str]:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(AssetEvent).where(AssetEvent.source_run_id == outcome.run_id)
        return sorted(event.asset.name for event in session.scalars(query))


def test_a_source_that_is_away_delays_only_its_own_tables(project: Project, run: Run) -> None:
    away = project.folder / "away.duckdb"
    shutil.move(project.source("shop"), away)
    customers = []

    def bring_back(context: Any) -> None:
        if context["ti"].task_id == "late.shop":
            customers.append(count(project, "silver.stg_customers"))
            shutil.move(away, project.source("shop"))

    outcome = run("medallion_daily", on_retry=bring_back)

    assert customers > [0], "Silver of the other tables was built before the source came back"
    assert outcome.state == "success", outcome.errors
    failed = {"fixed_points.shop", "source_shop.order_items", "source_shop.orders"}
    skipped = {"silver_models.stg_order_items", "silver_models.stg_orders"}
    skipped |= {f"gold_models.{model}" for model in MODELS["gold"]}  # each has members of orders
    assert {name for name, state in outcome.states.items() if state == "failed"} == failed
    assert {name for name, state in outcome.states.items() if state == "skipped"} == skipped
    assert outcome.tries["source_shop.orders"] == 3
    assert outcome.tries["late.shop"] == 2
    assert all(tries == 1 for task, tries in outcome.tries.items() if "shop" not in task)
    assert count(project, "gold.fact_sales") > 0
    assert {row["severity"] for row in project.ledger("select severity from ops.gaps")} == {"OK"}
    for layer in ("silver", "gold"):
        [first, late] = project.ledger(f"select status from ops.runs where step = '{layer}' order by finished_at")
        assert (first["status"], late["status"]) == ("ok", "ok")
    tables = [f"bronze.{table}" for table in ("erp.customers", "erp.products", "shop.order_items", "shop.orders")]
    built = [f"{layer}.{model}" for layer, models in MODELS.items() for model in models]
    assert sorted({*events_of(outcome)}) == sorted([*tables, *built])


def test_a_day_in_which_nothing_fails_names_every_table_and_model_and_waits_for_nothing_late(
    project: Project, run: Run, result_of: Callable[..., Any], log: list[str]
) -> None:
    outcome = run("medallion_daily")

    late = dict.fromkeys(("late.needed", "late.erp", "late.shop", "late.silver", "late.gold"), "skipped")
    assert outcome.states == late | dict.fromkeys(
        [
            *("fixed_points.erp", "fixed_points.shop", "source_erp.customers", "source_erp.products"),
            *("source_shop.order_items", "source_shop.orders", "silver", "gold", "audit", "docs", "verdict"),
            *(f"{layer}_models.{model}" for layer, models in MODELS.items() for model in models),
            *("sync_gaps.erp.customers", "sync_gaps.erp.products"),
            *("sync_gaps.shop.order_items", "sync_gaps.shop.orders"),
        ],
        "success",
    )
    assert (project.folder / "dbt_project" / "target" / "catalog.json").exists()
    manifest = json.loads((project.folder / "dbt_project" / "target" / "manifest.json").read_text())
    assert manifest["unit_tests"] == {}
    assert not any(node.startswith("unit_test.") for nodes in manifest["child_map"].values() for node in nodes)
    assert {row["run_id"] for row in project.ledger("select run_id from ops.runs")} == {outcome.noted}
    [rows] = project.ledger("select sum(rows_appended) as rows from ops.runs where step = 'load'")
    told = f"4 tables loaded ({int(rows['rows']):,} new rows), 11 models built, no gaps."
    assert result_of(outcome, "verdict") == told
    for line in (
        r"erp.customers: load begins",
        r"erp.customers: batch 1: 400 read, 400 good, .*, up to \d.* \(\d+\.\d s\)",
        r".* OK created sql fact model gold\.fact_sales .*",  # dbt's own
        r"fact_sales: built in \d+\.\d s, \d+ tests",
        r"shop.orders: gap 0; OK \(\d+\.\d s\)",
        r"Every task of the run: http://.*/dags/medallion_daily/runs/[^/]+",
    ):
        assert any(re.fullmatch(line, message) for message in log), [line, *(m for m in log if "sales" in m)]


def test_load_announces_the_table_it_wrote_to(project: Project, run: Run) -> None:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    outcome = run("backfill", {"table": "shop.orders"})
    again = run("backfill", {"table": "shop.orders"})

    with create_session() as session:
        query = select(AssetEvent).where(AssetEvent.source_run_id.in_([outcome.run_id, again.run_id]))
        events = [
            (event.asset.name, event.asset.uri, event.asset.active is not None, event.extra["batch"])
            for event in session.scalars(query)
        ]
    assert events == [("bronze.shop.orders", "lake://bronze/shop/orders", True, 1)]
    [noted] = project.ledger(f"select log_url from ops.runs where step = 'load' and run_id = '{again.noted}'")
    assert re.match(r"http://.*/dags/backfill/runs/[^/]+/tasks/[\w.]+\?try_number=1$", noted["log_url"])


@pytest.mark.usefixtures("built_untested")
def test_table_that_broke_its_contract_is_left_out_and_named(project: Project, run: Run) -> None:
    drop_column(project, "erp", "RETAIL.PRODUCTS", "BRAND")

    outcome = run("medallion_daily")

    assert outcome.state == "failed"
    red = {"source_erp.products", "sync_gaps.erp.products", "verdict"}
    assert {name for name, state in outcome.states.items() if state == "failed"} == red
    left_out = {"silver_models.stg_products", "gold_models.dim_product", "gold_models.fact_sales"}
    late = {"late.silver", "late.gold"}
    assert {name for name, state in outcome.states.items() if state == "skipped"} == left_out | late
    assert outcome.tries["source_erp.products"] == 1
    assert "load erp.products: erp.products: the source no longer keeps the contract" in outcome.errors["verdict"]
    assert "brand: expected VARCHAR2(60), found no such column" in outcome.errors["verdict"]
    assert "gap erp.products: CRITICAL" in outcome.errors["sync_gaps.erp.products"]
    assert "start the DAG repair with this table" in outcome.errors["sync_gaps.erp.products"]
    assert count(project, "silver.stg_customers") > 0
    assert count(project, "gold.dim_customer") > 0
    gaps = project.ledger('select contract_id, severity from ops.gaps where "partition" is null order by 1')
    assert [(gap["contract_id"], gap["severity"]) for gap in gaps] == [
        ("erp.customers", "OK"),
        ("erp.products", "CRITICAL"),
        ("shop.order_items", "OK"),
        ("shop.orders", "OK"),
    ]
    unwritten = {"bronze.erp.products", "silver.stg_products", "gold.dim_product", "gold.fact_sales"}
    assert unwritten.isdisjoint(events_of(outcome))
    assert {"bronze.erp.customers", "silver.stg_customers", "gold.dim_customer"} <= {*events_of(outcome)}


def test_run_in_which_no_load_succeeds_builds_nothing(
    project: Project, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_ERP")
    monkeypatch.delenv("AIRFLOW_CONN_SHOP")
    monkeypatch.setenv("LAKEHOUSE_DOCS", str(project.folder / "lake" / "_lakehouse.json" / "below-a-file"))
    monkeypatch.setenv("LAKEHOUSE_TABLES_PER_TASK", "25")

    outcome = run("medallion_daily")

    assert outcome.state == "failed"
    assert (outcome.states["silver"], outcome.states["gold"]) == ("upstream_failed", "upstream_failed")
    group = "source_erp.customers-to-products"
    assert (outcome.states[group], outcome.tries[group]) == ("failed", 1), "no retry can help one of its tables"
    assert "2 of 2 tables failed" in outcome.errors[group]
    assert (
        "load erp.customers: erp (2 tables: erp.customers, erp.products): no connection is set"
        in outcome.errors["verdict"]
    )
    assert "gold dbt: did not run" in outcome.errors["verdict"]
    assert "docs dbt: not written" in outcome.errors["verdict"]


@pytest.mark.parametrize("dag_id", ["medallion_daily", "sync_monitor"])
def test_project_without_contracts_is_red(project: Project, run: Run, dag_id: str) -> None:
    shutil.rmtree(project.folder / "data_contracts")
    (project.folder / "data_contracts").mkdir()

    outcome = run(dag_id)

    assert outcome.state == "failed"
    assert "there is no contract" in next(iter(outcome.errors.values()))


def test_monitor_is_red_where_a_gap_is_critical(project: Project, run: Run) -> None:
    run("backfill", {"table": "shop.orders"})

    only = run("sync_monitor", {"table": "shop.orders"})
    every = run("sync_monitor")

    assert only.state == "success"
    assert {name for name, state in only.states.items() if state == "success"} == {"chosen", "shop.orders", "incidents"}
    assert every.state == "failed"
    assert every.states["shop.orders"] == "success"
    assert "gap erp.customers: CRITICAL" in every.errors["erp.customers"]


def test_monitor_waits_for_a_second_look_before_it_is_red(project: Project, run: Run) -> None:
    run("backfill", {"table": "shop.orders"})
    with duckdb.connect(str(project.source("shop"))) as connection:
        connection.execute(
            "insert into dbo.orders by name select * replace (order_id + 1000000 as order_id, "
            "(select max(updated_at) - interval 30 minute from dbo.orders) as updated_at) from dbo.orders limit 200"
        )  # committed late: behind the watermark, and within the overlap of the next load

    first = run("sync_monitor", {"table": "shop.orders"})
    run("backfill", {"table": "shop.orders"})
    second = run("sync_monitor", {"table": "shop.orders"})
    with duckdb.connect(str(project.source("shop"))) as connection:
        connection.execute("update dbo.orders set shipping_fee = shipping_fee + 1 where order_id % 40 = 0")
    third = run("sync_monitor", {"table": "shop.orders"})

    assert (first.state, second.state, third.state) == ("success", "success", "failed")
    checks = project.ledger(
        'select run_id, severity, state from ops.gaps where "partition" is null order by checked_at'
    )
    assert [(check["severity"], check["state"]) for check in checks] == [
        ("CRITICAL", "suspected"),
        ("OK", None),
        ("CRITICAL", "confirmed"),
    ]
    assert "gap shop.orders: CRITICAL" in third.errors["shop.orders"]


def test_backfill_reads_the_whole_table_and_appends_what_differs(project: Project, run: Run) -> None:
    run("backfill", {"table": "erp.customers"})
    with duckdb.connect(str(project.source("erp"))) as connection:
        # a change that moved no watermark: only a full read can see it
        connection.execute("update RETAIL.CUSTOMERS set CITY = 'Recife' where CUSTOMER_ID = 100001")

    next_window = run("backfill", {"table": "erp.customers"})
    full = run("backfill", {"table": "erp.customers", "full": True})

    assert (next_window.state, full.state) == ("success", "success")
    assert full.states == {"source_erp": "success", "source_shop": "skipped"}
    loads = project.ledger("select rows_appended from ops.runs where step = 'load' order by finished_at")
    assert [load["rows_appended"] for load in loads][1:] == [0, 1]
