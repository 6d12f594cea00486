"""Steps as one-time runs of Databricks, against its Jobs API on this machine: what is asked for, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.load.result import LoadResult
from ingestion.runs import job_result
from ingestion.runs.context import Context
from tests.dags.conftest import Outcome, Project
from tests.dags.jobs_api import TOKEN, Workspace, serve

pytestmark = pytest.mark.skipif(
    not any(distributions(name="apache-airflow-providers-databricks")),
    reason="needs the extra databricks",
)
Run = Callable[..., Outcome]
CLUSTER = {
    "existing_cluster_id": "0302-030000-lake",
    "libraries": [{"whl": "/Volumes/lakehouse/contract_lakehouse-0.1.0-py3-none-any.whl"}],
    "new_cluster": {"spark_env_vars": {"AIRFLOW_CONN_ERP": "{{secrets/lakehouse/erp}}"}},
}
POINT = {"kind": "scn", "value": "4711", "moment": "2026-03-02T03:00:00+00:00", "sequence": "4711"}


@pytest.fixture
def workspace(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    options = tmp_path / "run.json"
    options.write_text(
        json.dumps({"json": {"tasks": [CLUSTER], "queue": {"enabled": True}}, "polling_period_seconds": 1})
    )
    with serve() as workspace:
        monkeypatch.setenv("AIRFLOW_CONN_DATABRICKS_DEFAULT", workspace.connection)
        monkeypatch.setenv("LAKEHOUSE_RUNNER", "databricks")
        monkeypatch.setenv("LAKEHOUSE_RUNNER_OPTIONS", str(options))
        yield workspace


def events_of(*outcomes: Outcome) -> list[tuple[str, dict[str, Any]]]:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(AssetEvent).where(AssetEvent.source_run_id.in_([outcome.run_id for outcome in outcomes]))
        return [(event.asset.name, dict(event.extra)) for event in session.scalars(query)]


def run_cleared(outcome: Outcome, task: Any) -> Any:
    """Clear a task as a person does, and run it."""
    from airflow.models.taskinstance import TaskInstance, clear_task_instances
    from airflow.sdk.definitions.dag import _run_task
    from airflow.utils.session import create_session
    from sqlalchemy import select

    chosen = select(TaskInstance).where(TaskInstance.run_id == outcome.run_id, TaskInstance.task_id == task.task_id)
    with create_session() as session:
        clear_task_instances([session.scalars(chosen).one()], session)
        session.commit()
        again = session.scalars(chosen).one()
        again.try_number += 1
        session.commit()
        session.expunge_all()
    return _run_task(ti=again, task=task).ti.state


def test_a_load_is_a_run_of_the_command_and_hands_back_its_result(
    project: Project, run: Run, workspace: Workspace, result_of: Callable[..., Any]
) -> None:
    outcome = run("backfill", {"table": "erp.products", "full": True})

    assert (outcome.state, outcome.states["source_shop"]) == ("success", "skipped")
    command = {
        "package_name": "contract-lakehouse",
        "entry_point": "lakehouse-spark",
        "parameters": ["load", "erp.products", "--run-id", outcome.noted, "--full"],
    }
    tokens = [len(request.pop("idempotency_token")) for request in workspace.submitted]
    assert tokens == [32], "what the provider sends again is one run all the same"
    assert workspace.submitted == [
        {
            "run_name": "lakehouse load erp.products",
            "queue": {"enabled": True},
            "tasks": [{"task_key": "lakehouse", **CLUSTER, "python_wheel_task": command}],
        }
    ]
    [loaded] = project.ledger("select run_id, batch, rows_read, rows_appended from ops.runs")
    assert (loaded["run_id"], loaded["batch"]) == (outcome.noted, 1)
    result = result_of(outcome, "source_erp")["erp.products"]
    assert (result["batch"], result["read"], result["appended"]) == (1, loaded["rows_read"], loaded["rows_appended"])
    announced = {"batch": 1, "rows": loaded["rows_appended"], "run_id": outcome.noted}
    assert events_of(outcome) == [("bronze.erp.products", announced)]


def test_no_secret_is_in_a_request_or_in_the_log(
    run: Run, workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    workspace.faults = ["Cluster was terminated", "SystemExit: 10"]  # errors say the most

    run("backfill", {"table": "erp.products"})

    shown = json.dumps(workspace.submitted) + "".join(capfd.readouterr())
    assert "SystemExit: 10" in shown
    assert TOKEN not in shown
    assert "erp.duckdb" not in json.dumps(workspace.submitted)


@pytest.mark.usefixtures("built_untested")
def test_the_day_goes_to_the_cluster_at_one_fixed_point_without_what_broke_its_contract(
    project: Project, run: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with duckdb.connect(str(project.source("erp"))) as connection:
        connection.execute("alter table RETAIL.PRODUCTS drop column BRAND")

    outcome = run("medallion_daily")

    assert outcome.state == "failed"
    red = {"source_erp.products", "sync_gaps.erp.products", "verdict"}
    assert {name for name, state in outcome.states.items() if state == "failed"} == red
    assert {name for name, state in outcome.states.items() if state == "skipped"} == {
        *("silver_models.stg_products", "gold_models.dim_product", "gold_models.fact_sales"),
        *("late.silver", "late.gold"),
    }
    assert {outcome.tries[name] for name in red} == {1}
    assert "brand: expected VARCHAR2(60), found no such column" in outcome.errors["source_erp.products"]
    in_run = ["--run-id", outcome.noted]
    assert sorted(workspace.commands[:4]) == [
        ["load", table, *in_run] for table in ("erp.customers", "erp.products", "shop.order_items", "shop.orders")
    ]
    assert workspace.commands[4:] == [
        ["build", layer, *in_run, "--without", "erp.products"] for layer in ("silver", "gold", "audit")
    ]
    steps = project.ledger("select distinct step, run_id from ops.runs")
    assert {row["step"] for row in steps} == {"load", "silver", "gold", "gaps", "audit", "docs"}
    assert {row["run_id"] for row in steps} == {outcome.noted}


def test_the_tables_of_a_system_are_handed_one_fixed_point(
    project: Project, run: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lakehouse_dags import work

    monkeypatch.setattr(work, "fixed_point", lambda system: POINT if system == "erp" else {})
    workspace.faults = ["SystemExit: 10"] * 20  # of every job

    run("medallion_daily")

    pointed = {command[1]: command[4:] for command in workspace.commands[:4]}
    assert pointed == {
        "erp.customers": ["--at", json.dumps(POINT)],
        "erp.products": ["--at", json.dumps(POINT)],
        "shop.order_items": [],
        "shop.orders": [],
    }


def test_a_job_that_never_reached_the_lake_is_judged_by_its_exit_code(run: Run, workspace: Workspace) -> None:
    workspace.faults = ["SystemExit: 15"]

    outcome = run("backfill", {"table": "erp.products"})

    assert (outcome.state, outcome.tries["source_erp"], len(workspace.submitted)) == ("failed", 1, 1)
    assert "the command on the cluster ended with code 15 (LakeError) before it wrote" in outcome.errors["source_erp"]


def test_the_error_of_an_earlier_attempt_is_not_taken_for_that_of_this_one(
    project: Project, run: Run, workspace: Workspace
) -> None:
    project.source("erp").rename(project.folder / "away.duckdb")
    workspace.faults = ["", "SystemExit: 15"]  # the first is run, and finds no source: worth a retry

    outcome = run("backfill", {"table": "erp.products"})

    assert (outcome.state, outcome.tries["source_erp"]) == ("failed", 2)
    assert "the command on the cluster ended with code 15" in outcome.errors["source_erp"]


def test_a_cluster_that_did_not_start_is_tried_again(project: Project, run: Run, workspace: Workspace) -> None:
    workspace.faults = ["Cluster was terminated: CLOUD_PROVIDER_LAUNCH_FAILURE"]

    outcome = run("backfill", {"table": "erp.products"})

    assert (outcome.state, outcome.tries["source_erp"], len(workspace.submitted)) == ("success", 2, 2)
    assert [extra["batch"] for _, extra in events_of(outcome)] == [1]


def test_a_job_that_outlived_its_task_is_found_again_and_not_run_twice(
    project: Project, run: Run, workspace: Workspace
) -> None:
    workspace.faults = ["unreachable"]  # the run is submitted, and ends well; nobody hears of it

    outcome = run("backfill", {"table": "erp.products"})

    assert (outcome.state, outcome.tries["source_erp"], len(workspace.submitted)) == ("success", 2, 1)
    assert [extra["batch"] for _, extra in events_of(outcome)] == [1]


def test_a_task_that_is_cleared_runs_again(run: Run, workspace: Workspace, parse: Callable[[], Any]) -> None:
    outcome = run("backfill", {"table": "erp.products"})

    state = run_cleared(outcome, parse().dags["backfill"].get_task("source_erp"))

    assert (state, len(workspace.submitted), len(events_of(outcome))) == ("success", 2, 1)


def test_a_job_is_not_run_again_because_the_ledger_could_not_be_read(
    run: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, asked = job_result.rows_of, []

    def away_after_the_job(*arguments: Any) -> Any:
        asked.append(arguments)
        if len(asked) == 3:  # after it was asked what is known, at the start and before the job was submitted
            raise duckdb.IOException("HTTP Error: away")
        return honest(*arguments)

    monkeypatch.setattr(job_result, "rows_of", away_after_the_job)

    outcome = run("backfill", {"table": "erp.products"})

    assert (outcome.state, outcome.tries["source_erp"]) == ("success", 2)
    assert (len(workspace.submitted), len(events_of(outcome))) == (1, 1)


def test_a_cluster_with_another_lake_is_no_success(
    project: Project, run: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ingestion.load.load_table import load_table

    def in_another_run(context: Context, *given: Any, **named: Any) -> LoadResult:
        return load_table(replace(context, run_id="another"), *given, **named)

    monkeypatch.setattr("ingestion.load.load_table.load_table", in_another_run)  # only the job calls it

    outcome = run("backfill", {"table": "erp.products"})

    assert (outcome.state, outcome.tries["source_erp"]) == ("failed", 1)
    assert "Give the cluster and Airflow the same LAKEHOUSE_ROOT" in outcome.errors["source_erp"]


def test_tasks_on_the_cluster_keep_pool_policy_and_place(
    parse: Callable[[], Any], workspace: Workspace, run: Run
) -> None:
    dags = parse().dags
    daily = dags["medallion_daily"]
    load = daily.get_task("source_erp.customers")

    assert (load.pool, load.trigger_rule, load.operator_name) == ("source_erp", "all_done", "RunOnDatabricks")
    assert dags["backfill"].get_task("source_shop").pool == "source_shop"
    late = [daily.get_task(name) for name in ("late.shop.orders", "late.silver", "late.gold")]
    assert [task.operator_name for task in late] == ["RunOnDatabricks"] * 3
    for task in (daily.get_task("silver"), daily.get_task("gold"), daily.get_task("audit"), *late):
        assert task.retry_policy is not None
        assert task.retries == 4
    assert not daily.get_task("silver").deferrable
    assert [task.task_id for task in daily.leaves] == ["verdict"]
