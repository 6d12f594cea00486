"""What every DAG of the house must be, and what parsing one must not do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
REPAIR = ("source", "approved", "check")
EACH = ("fixed_points", "late")
TABLES = {"erp": ("customers", "products"), "shop": ("order_items", "orders")}
PAIRS = [(system, table) for system, tables in TABLES.items() for table in tables]
DAG_IDS = {"medallion_daily", "sync_monitor", "repair", "backfill", "lake_maintenance"}
DAG_IDS |= {"streams_catch_up", "cdc_gap_check"}

# Parses every DAG file in a fresh interpreter; prints what that opened, imported and found.
PARSE = """
import json, pathlib, runpy, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
folder = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(folder))
dags = {}
shared = [line for line in (folder / ".airflowignore").read_text().splitlines() if not line.startswith("#")]
for file in (path.name for path in folder.glob("*.py") if not any(path.match(name) for name in shared)):
    names = runpy.run_path(str(folder / file))
    dags[file] = sum(len(ids) for ids in names["wiring"].contracts_by_system().values())
heavy = ("pyarrow", "deltalake", "duckdb", "dbt", "pandas", "airflow.providers.apache.spark.operators",
    "airflow.providers.databricks.operators")
heavy = [name for name in heavy if name in sys.modules]
print(json.dumps({"contracts": dags, "heavy": heavy, "opened": [o for o in opened if o.endswith(".odcs.yaml")]}))
"""


@pytest.fixture
def dags(parse: Callable[[], Any]) -> dict[str, Any]:
    bag = parse()
    assert bag.dags, "no DAG was found: every other check would pass without looking at one"
    assert bag.import_errors == {}
    return dict(bag.dags)


def test_exactly_the_known_dags_are_found(dags: dict[str, Any]) -> None:
    assert set(dags) == DAG_IDS


def test_every_dag_says_who_owns_it_and_what_it_is_for(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        assert dag.owner == "lakehouse", f"{dag.dag_id}: pass default_args=wiring.DEFAULT_ARGS"
        assert len(dag.doc_md or "") > 100, f"{dag.dag_id}: pass doc_md=__doc__"
        assert 30 < len(dag.description or "") < 100, f"{dag.dag_id}: describe it in one line for the list of DAGs"
        assert dag.tags, f"{dag.dag_id}: give it tags, e.g. the layers it writes"


def test_no_dag_runs_beside_itself_or_into_the_past(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        assert dag.max_active_runs == 1, f"{dag.dag_id}: two runs would move one watermark"
        assert dag.catchup is False, f"{dag.dag_id}: a run goes to the newest point; old dates have nothing to do"


def test_every_task_retries_with_growing_pauses_but_never_a_permanent_error(dags: dict[str, Any]) -> None:
    from airflow.sdk import RetryAction

    from ingestion.errors import BrokenContractError, SourceUnavailableError

    for task in [task for dag in dags.values() for task in dag.tasks if task.task_id != "approve"]:
        broken = task.retry_policy.evaluate(BrokenContractError("erp.customers", []), 1, 4)
        away = task.retry_policy.evaluate(SourceUnavailableError("erp: away"), 1, 4)
        assert (broken.action, away.action) == (RetryAction.FAIL, RetryAction.DEFAULT), task
        if task.dag_id != "medallion_daily" or not task.task_id.startswith(("fixed_points.", "source_", "sync_gaps.")):
            assert task.retries >= 3, task
            assert task.retry_exponential_backoff > 1, task


def test_the_builds_wait_three_minutes_at_most_for_a_source_that_does_not_answer(dags: dict[str, Any]) -> None:
    daily = dags["medallion_daily"]
    for system, load in (
        ("erp", "source_erp.customers"),
        ("shop", "source_shop.orders"),
        ("erp", "sync_gaps.erp.products"),
    ):
        point, table = daily.get_task(f"fixed_points.{system}"), daily.get_task(load)
        pauses = [task.retries * task.retry_delay.total_seconds() for task in (point, table)]
        assert pauses == [10, 180]
        assert (point.retry_exponential_backoff, table.retry_exponential_backoff) == (0, 0)


def test_every_task_is_stopped_some_time_but_the_one_that_waits_for_a_person(dags: dict[str, Any]) -> None:
    limits = {task.task_id: task.execution_timeout for dag in dags.values() for task in dag.tasks}

    assert limits.pop("approve") is None
    assert {limit.total_seconds() for limit in limits.values()} == {6 * 3600}


def test_maintenance_does_not_start_with_the_daily_run(dags: dict[str, Any]) -> None:
    starts = {name: str(dags[name].schedule) for name in ("medallion_daily", "lake_maintenance")}

    assert starts == {"medallion_daily": "@daily", "lake_maintenance": "30 12 * * *"}


def test_schedules_are_settings_and_off_leaves_the_start_to_somebody_else(
    parse: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_DAILY_SCHEDULE", "15 2 * * 1-5")
    monkeypatch.setenv("LAKEHOUSE_MAINTENANCE_SCHEDULE", "off")

    dags = parse().dags

    starts = {name: dags[name].schedule for name in ("medallion_daily", "lake_maintenance")}
    assert starts == {"medallion_daily": "15 2 * * 1-5", "lake_maintenance": None}


def test_a_schedule_that_is_none_makes_no_dag_and_is_named(
    parse: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_DAILY_SCHEDULE", "at dawn")

    bag = parse()

    assert "medallion_daily" not in bag.dags
    assert any("LAKEHOUSE_DAILY_SCHEDULE is 'at dawn', which is no schedule" in e for e in bag.import_errors.values())


def test_nobody_is_asked_twice_for_one_approval(dags: dict[str, Any]) -> None:
    approve = dags["repair"].get_task("approve")

    assert (approve.retries, approve.response_timeout.days, approve.ignore_downstream_trigger_rules) == (0, 2, True)


def test_a_task_that_reads_a_source_takes_a_slot_of_its_pool(dags: dict[str, Any]) -> None:
    pools = {f"{task.dag_id}.{task.task_id}": task.pool for dag in dags.values() for task in dag.tasks}

    assert {name: pool for name, pool in pools.items() if pool != "default_pool"} == {
        **{f"medallion_daily.{step}.{system}": f"source_{system}" for step in EACH for system in TABLES},
        **{f"medallion_daily.source_{system}.{table}": f"source_{system}" for system, table in PAIRS},
        **{f"medallion_daily.sync_gaps.{system}.{table}": f"source_{system}" for system, table in PAIRS},
        **{f"sync_monitor.{system}.{table}": f"source_{system}" for system, table in PAIRS},
        **{f"repair.{step}_{system}": f"source_{system}" for step in REPAIR for system in ("erp", "shop")},
        "backfill.source_erp": "source_erp",
        "backfill.source_shop": "source_shop",
    }


def test_the_daily_run_ends_in_one_leaf_that_always_judges(dags: dict[str, Any]) -> None:
    daily = dags["medallion_daily"]

    assert [task.task_id for task in daily.leaves] == ["verdict"]
    assert daily.get_task("verdict").trigger_rule == "all_done"


def test_a_contract_file_named_like_a_template_makes_no_dag(
    parse: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data_contracts" / "erp" / "{{ var.value.planted }}.odcs.yaml"
    file.parent.mkdir(parents=True)
    file.touch()
    monkeypatch.setenv("LAKEHOUSE_PROJECT", str(tmp_path))

    bag = parse()

    assert bag.dags.keys() == {"lake_maintenance", "streams_catch_up", "cdc_gap_check"}  # they speak of no table
    assert all("a space or a template mark ({)" in error for error in bag.import_errors.values())


def producers(dags: dict[str, Any]) -> dict[str, set[str]]:
    """Return which tasks declare to write an asset, by its name."""
    found: dict[str, set[str]] = {}
    for task in [task for dag in dags.values() for task in dag.tasks]:
        for asset in task.outlets:
            found.setdefault(asset.name, set()).add(f"{task.dag_id}.{task.task_id}")
    return found


def test_every_table_of_bronze_silver_and_gold_is_an_asset_with_producers(dags: dict[str, Any]) -> None:
    found = producers(dags)

    for system, table in PAIRS:
        by = {f"medallion_daily.source_{system}.{table}", f"medallion_daily.late.{system}", f"backfill.source_{system}"}
        repairs = {f"repair.source_{system}", f"repair.approved_{system}"}
        assert found[f"bronze.{system}.{table}"] == by | repairs
    for layer, model in (("silver", "stg_orders"), ("gold", "fact_sales"), ("gold", "dim_customer")):
        by = {f"medallion_daily.{layer}_models.{model}", f"medallion_daily.late.{layer}", f"repair.{layer}"}
        assert found[f"{layer}.{model}"] == by
    assert {name.partition(".")[0] for name in found} == {"bronze", "silver", "gold", "audit"}


@pytest.mark.parametrize(("per_task", "tables"), [(None, 25), ("100", 100)])
def test_many_tables_share_tasks_that_are_named_by_their_first_and_last_table(
    parse: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_task: str | None, tables: int
) -> None:
    for number in range(500):
        file = tmp_path / "data_contracts" / f"system{number % 2}" / f"t_{number:03}.odcs.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    monkeypatch.setenv("LAKEHOUSE_PROJECT", str(tmp_path))
    if per_task:
        monkeypatch.setenv("LAKEHOUSE_TABLES_PER_TASK", per_task)

    dags = parse().dags

    daily = [task.task_id for task in dags["medallion_daily"].tasks]
    loads = [name for name in daily if name.startswith("source_system0.")]
    assert len(loads) == -(-250 // tables)
    assert loads[0] == f"source_system0.t_000-to-t_{2 * (tables - 1):03}"
    assert [name.replace("source_system0", "sync_gaps.system0") for name in loads] == [
        name for name in daily if name.startswith("sync_gaps.system0.")
    ]
    assert len(daily) < 70
    assert len(dags["sync_monitor"].tasks) < 25


@pytest.mark.usefixtures("airflow_home")
def test_an_installed_package_finds_the_project_above_airflows_dags_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lakehouse_dags import wiring

    monkeypatch.delenv("LAKEHOUSE_PROJECT", raising=False)
    assert wiring.project() == ROOT
    monkeypatch.setattr(wiring, "__file__", str(tmp_path / "site-packages" / "lakehouse_dags" / "wiring.py"))
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path / "own" / "dags"))

    assert wiring.project() == tmp_path / "own"


def test_parsing_opens_no_contract_and_imports_no_engine(tmp_path: Path, airflow_home: Path) -> None:
    for number in range(200):
        file = tmp_path / "data_contracts" / f"system{number % 4}" / f"table_{number}.odcs.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    environ = {**os.environ, "LAKEHOUSE_PROJECT": str(tmp_path), "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(ROOT / "dags")], env=environ, capture_output=True, text=True, check=True
    )

    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found["contracts"].values()) == {200}
    assert found["heavy"] == []
    assert found["opened"] == []
