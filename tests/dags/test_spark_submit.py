"""Steps by `spark-submit` on this machine, started by Airflow's operator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from tests.dags.conftest import Outcome, Project
from tests.spark.session import NEEDS_SPARK, SETTINGS, TAKES_MINUTES

pytestmark = [
    *NEEDS_SPARK,
    pytest.mark.skipif(
        not any(distributions(name="apache-airflow-providers-apache-spark")),
        reason="needs the extra spark-submit",
    ),
]
Run = Callable[..., Outcome]
SECRET = "never-shown-4711"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Note every process; close its output at the end, which the provider leaves to chance."""
    processes: list[Any] = []

    class Noted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            processes.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    yield processes
    for process in processes:
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def options(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[Any]) -> Path:
    """Return the file of options: Spark in one process, set up as for the other tests."""
    from ingestion.lake.spark.session import write_defaults

    defaults = write_defaults(tmp_path / "conf", environ={**os.environ, **SETTINGS}) / "spark-defaults.conf"
    file = tmp_path / "options.json"
    file.write_text(json.dumps({"properties_file": str(defaults)}))
    from pyspark.find_spark_home import _find_spark_home

    path = [f"{_find_spark_home()}/bin", str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(path))
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps({"conn_type": "spark", "host": "local[2]"}))
    monkeypatch.setenv("LAKEHOUSE_RUNNER", "spark-submit")
    monkeypatch.setenv("LAKEHOUSE_RUNNER_OPTIONS", str(file))
    return file


@TAKES_MINUTES
def test_a_load_by_spark_submit_hands_back_batch_rows_and_event(
    project: Project, run: Run, options: Path, monkeypatch: pytest.MonkeyPatch, started: list[Any]
) -> None:
    from airflow.models.asset import AssetEvent
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select

    given = json.loads(project.connection("erp"))
    monkeypatch.delenv("AIRFLOW_CONN_ERP")  # Airflow alone knows it, and hands it to the driver
    with create_session() as session:
        extra = json.dumps(given.pop("extra"))
        session.merge(Connection(conn_id="erp", login="lake", password=SECRET, extra=extra, **given))

    outcome = run("backfill", {"table": "erp.products"})

    assert outcome.state == "success", outcome.errors
    [loaded] = project.ledger("select run_id, batch, rows_appended from ops.runs")
    assert (loaded["run_id"], loaded["batch"]) == (outcome.noted, 1)
    log = project.folder / "lake" / "bronze" / "erp" / "products" / "_delta_log" / "00000000000000000001.json"
    assert "Spark" in log.read_text()
    with create_session() as session:
        query = select(AssetEvent).where(AssetEvent.source_run_id == outcome.run_id)
        [event] = session.scalars(query)
        assert (event.asset.name, event.extra["rows"]) == ("bronze.erp.products", loaded["rows_appended"])
    [command] = [process.args for process in started if process.args[0] == "spark-submit"]
    assert command[-4:] == ["load", "erp.products", "--run-id", outcome.noted]
    assert SECRET not in " ".join(command)
    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id == "erp"))


@TAKES_MINUTES
def test_a_day_by_spark_submit_is_loaded_and_built_there(
    project: Project, run: Run, options: Path, started: list[Any]
) -> None:
    outcome = run("medallion_daily")

    assert outcome.state == "success", outcome.errors
    words = [process.args for process in started if process.args[0] == "spark-submit"]
    assert sorted(line[line.index("--run-id") - 2 :][:2] for line in words) == [
        ["build", "audit"], ["build", "gold"], ["build", "silver"],
        ["load", "erp.customers"], ["load", "erp.products"], ["load", "shop.order_items"], ["load", "shop.orders"],
    ]  # fmt: skip
    tables = ("gold/fact_sales", "gold/dim_customer", "silver/stg_orders")
    logs = [project.folder / "lake" / table / "_delta_log" / "00000000000000000000.json" for table in tables]
    assert all("Spark" in log.read_text() for log in logs)
    [gap] = project.ledger('select count(*) as checks, sum(sync_gap) as rows from ops.gaps where "partition" is null')
    assert gap == {"checks": 4, "rows": 0}


def test_a_step_that_cannot_be_helped_is_not_tried_again(project: Project, run: Run, options: Path) -> None:
    given: dict[str, Any] = json.loads(options.read_text())
    options.write_text(json.dumps({**given, "env_vars": {"LAKEHOUSE_ROOT": str(project.folder)}}))

    outcome = run("backfill", {"table": "erp.products"})

    assert (outcome.state, outcome.tries["source_erp"]) == ("failed", 1)
    assert "the command on the cluster ended with code 15 (LakeError) before it wrote" in outcome.errors["source_erp"]


def test_a_worker_without_spark_submit_is_told_so_once(
    run: Run, options: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(options.parent))

    outcome = run("backfill", {"table": "erp.products"})

    assert (outcome.state, outcome.tries["source_erp"]) == ("failed", 1)
    assert "spark-submit is not on this worker's PATH" in outcome.errors["source_erp"]


def test_the_driver_is_told_which_project_the_dags_belong_to(
    options: Path, parse: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    silver = parse().dags["medallion_daily"].get_task("silver")
    from lakehouse_dags import wiring

    monkeypatch.delenv("LAKEHOUSE_PROJECT")

    with silver.surroundings():
        assert os.environ["LAKEHOUSE_PROJECT"] == str(wiring.project())
    assert "LAKEHOUSE_PROJECT" not in os.environ
