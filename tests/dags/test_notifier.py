"""A DAG of others tells its failures by the lakehouse's incidents: called as Airflow's DAG processor calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitoring.incidents import run as incidents
from monitoring.incidents.messages import Message
from tests.dags.conftest import Project

REPORT = """
from airflow.sdk import DAG, task
from lakehouse_dags.notifier import LakehouseNotifier

with DAG("sales_report", default_args={"owner": "sales"}, on_failure_callback=LakehouseNotifier(),
         on_success_callback=[LakehouseNotifier()]):
    @task
    def send():
        pass

    send()
"""
Tell = Callable[..., None]


class Recorder:
    name = "recorder"

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, message: Message) -> None:
        if "sales_report" in message.title:  # the empty lake has faults of its own
            self.sent.append(message)


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder()
    monkeypatch.setattr(incidents, "channels", lambda _: [made])
    return made


@pytest.fixture
def tell(project: Project, airflow_home: Path, tmp_path: Path) -> Tell:
    """Return a function that lets Airflow call the callbacks of the DAG for a run's end."""
    from airflow.callbacks.callback_requests import DagCallbackRequest
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.dag_processing.processor import _execute_dag_callbacks
    from structlog import get_logger

    (tmp_path / "dags").mkdir()
    file = tmp_path / "dags" / "report.py"
    file.write_text(REPORT)
    bag = BundleDagBag(file.parent, bundle_path=file.parent, bundle_name="dags-folder")
    assert bag.import_errors == {}

    def end(run_id: str, reason: str) -> None:
        place: dict[str, Any] = {"filepath": "report.py", "bundle_name": "dags-folder", "bundle_version": None}
        request = DagCallbackRequest(
            dag_id="sales_report", run_id=run_id, is_failure_callback=reason != "success", msg=reason, **place
        )
        _execute_dag_callbacks(bag, request, get_logger())

    return end


def test_a_dag_of_others_is_told_once_when_it_fails_and_once_when_it_is_well(
    tell: Tell, project: Project, channel: Recorder
) -> None:
    tell("scheduled__1", "success")
    assert channel.sent == []

    tell("scheduled__2", "task_failure")
    tell("scheduled__3", "timed_out")
    [failed] = channel.sent
    assert failed.title == "WARNING: sales_report: dag failed"
    assert failed.body.startswith("The DAG sales_report of sales failed: task_failure.\n")

    tell("scheduled__4", "success")
    tell("scheduled__5", "success")
    assert [message.title for message in channel.sent[1:]] == ["Over: sales_report: dag failed"]
    rows = project.ledger("select run_id, subject, status, error from ops.runs where step = 'dag' order by finished_at")
    assert [row["run_id"] for row in rows] == [f"sales_report/scheduled__{number}" for number in range(1, 6)]
    assert [row["error"] for row in rows] == [None, "task_failure", "timed_out", None, None]


def test_a_task_that_was_killed_without_an_exception_is_no_success(
    project: Project, airflow_home: Path, channel: Recorder
) -> None:
    from types import SimpleNamespace

    from airflow.sdk import TaskInstanceState
    from lakehouse_dags.notifier import LakehouseNotifier

    for state in (TaskInstanceState.SUCCESS, TaskInstanceState.FAILED, None):
        told = {"dag": SimpleNamespace(dag_id="d", owner="ada"), "run_id": "r", "ti": SimpleNamespace(state=state)}
        LakehouseNotifier().notify(told)

    rows = project.ledger("select status from ops.runs where step = 'dag' order by finished_at")
    assert [row["status"] for row in rows] == ["ok", "failed", "failed"]


def test_of_an_exception_only_its_class_is_told(project: Project, airflow_home: Path, channel: Recorder) -> None:
    from types import SimpleNamespace

    from lakehouse_dags.notifier import LakehouseNotifier

    task = SimpleNamespace(log_url="http://air.example/dags/d/runs/r/tasks/t?try_number=2")
    failed = {"dag": SimpleNamespace(dag_id="d", owner="ada"), "run_id": "r", "ti": task}
    LakehouseNotifier().notify({**failed, "exception": ValueError("maria.souza@example.com is no number")})

    [row] = project.ledger("select * from ops.runs where step = 'dag'")
    assert (row["error"], row["message"]) == ("ValueError", "The DAG d of ada failed: ValueError.")
    assert row["log_url"] == task.log_url
    assert "souza" not in f"{row} {project.ledger('from ops.incidents')} {project.ledger('from ops.messages')}"
