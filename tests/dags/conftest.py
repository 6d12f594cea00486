"""An Airflow of its own per test process, and a retail project of its own per test; runs without a scheduler."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion.demo.clock import DAY_1
from ingestion.demo.files import SourceFiles
from ingestion.demo.show import SYSTEMS
from ingestion.demo.world import World, create_day_1
from ingestion.runs.context import Context, initialise, open_context
from ingestion.settings import Settings
from tests.dbt.data_tests import without_data_tests

ROOT = Path(__file__).parents[2]
DAGS = ROOT / "dags"

# Airflow's and its providers' own, which no change of ours could mend; everything else stays an error.
WARNINGS_OF_AIRFLOW = (
    "ignore:Using `httpx` with `starlette.testclient` is deprecated",
    "ignore:ProvidersManager.hooks is deprecated",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            if item.get_closest_marker("xdist_group") is None:
                item.add_marker(pytest.mark.xdist_group("airflow"))  # whose import and start take 12 s a process
            for warning in WARNINGS_OF_AIRFLOW:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session")
def migrated_airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow of this worker; `AIRFLOW_HOME` is its folder. Its database is migrated once per run."""
    home = tmp_path_factory.mktemp("airflow")
    names = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / "airflow-migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the other workers wait for the one that migrates
        migrated = shared / "airflow-migrated.db"
        if not migrated.exists():
            migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
            subprocess.run(migrate, check=True, capture_output=True, env={**os.environ, **names})
            shutil.copyfile(home / "airflow.db", migrated)
        else:
            shutil.copyfile(migrated, home / "airflow.db")
    return names


@pytest.fixture
def airflow_home(migrated_airflow: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    Settings and a migrated database. Airflow reads them when it is imported, so tests import it inside.

    They are set for one test: another test of this process would take its machine for one with an Airflow.
    """
    for name, value in migrated_airflow.items():
        monkeypatch.setenv(name, value)
    return Path(migrated_airflow["AIRFLOW_HOME"])


@pytest.fixture
def parse(airflow_home: Path) -> Callable[[], Any]:
    """Return a function that parses the DAG folder as Airflow does and returns the bag."""

    def parse_now() -> Any:
        from airflow.dag_processing.dagbag import BundleDagBag

        return BundleDagBag(DAGS, bundle_path=DAGS, bundle_name="dags-folder")

    return parse_now


@dataclass(frozen=True)
class Project:
    """A project folder with its lake and the two source files as they stand after day 1."""

    folder: Path

    def source(self, system: str) -> Path:
        return self.folder / "demo-world" / f"{system}.duckdb"

    def connection(self, system: str) -> str:
        extra = {"clock": DAY_1.isoformat()}
        schema = str(self.source(system)).removeprefix("/")
        return json.dumps({"conn_type": "duckdb", "schema": schema, "extra": extra})

    @property
    def context(self) -> Context:
        return open_context(Settings(project=self.folder, lake_root=str(self.folder / "lake")))

    def ledger(self, query: str) -> list[dict[str, Any]]:
        return self.context.journal.select(query)


@pytest.fixture(scope="session")
def day_1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("day-1")
    create_day_1(World(scale=0.05), SourceFiles(folder))
    return folder


@pytest.fixture
def project(tmp_path: Path, day_1: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path / "retail")
    shutil.copytree(ROOT / "data_contracts", made.folder / "data_contracts")
    shutil.copytree(ROOT / "dbt_project", made.folder / "dbt_project", ignore=shutil.ignore_patterns("target", "logs"))
    shutil.copytree(day_1, made.folder / "demo-world")
    initialise(Settings(project=made.folder, lake_root=str(made.folder / "lake")))
    monkeypatch.setenv("LAKEHOUSE_PROJECT", str(made.folder))
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(made.folder / "lake"))
    for system in SYSTEMS:
        monkeypatch.setenv(f"AIRFLOW_CONN_{system.upper()}", made.connection(system))
    return made


@dataclass(frozen=True)
class Outcome:
    """
    How a run ended: its state, each task's state and number of tries, and the errors by task. `run_id` is Airflow's
    name of the run, `noted` the ledger's.
    """

    run_id: str
    noted: str
    state: str
    states: dict[str, str]
    tries: Mapping[str, int]
    errors: Mapping[str, str]


@pytest.fixture
def run(parse: Callable[[], Any]) -> Callable[..., Outcome]:
    """Return a function that runs a DAG in this process, waiting a second where Airflow would wait minutes."""

    def run_now(
        dag_id: str, conf: dict[str, Any] | None = None, on_retry: Callable[..., None] | None = None
    ) -> Outcome:
        dag = parse().dags[dag_id]
        errors: dict[str, str] = {}
        for task in dag.tasks:
            task.retry_delay = timedelta(0)
            task.on_failure_callback = [lambda given: errors.update({_name(given["ti"]): str(given["exception"])})]
            task.on_retry_callback = [on_retry] if on_retry else []
        done = dag.test(run_conf=conf)
        instances = {_name(instance): instance for instance in done.get_task_instances()}
        return Outcome(
            run_id=done.run_id,
            noted=f"{dag_id}/{done.run_id}",
            state=str(done.state),
            states={name: str(instance.state) for name, instance in instances.items()},
            tries={name: instance.try_number for name, instance in instances.items()},
            errors=errors,
        )

    return run_now


def _name(instance: Any) -> str:
    return str(instance.task_id)


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Return the lines that tasks log, by a handler of its own: Airflow, when it is imported, takes pytest's away."""
    lines: list[str] = []
    logger, handler = logging.getLogger("lakehouse"), logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def result_of(airflow_home: Path) -> Callable[[Outcome, str], Any]:
    """Return a function that returns what a task of a run returned."""

    def result(outcome: Outcome, task_id: str) -> Any:
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            query = select(XComModel).where(
                XComModel.run_id == outcome.run_id, XComModel.task_id == task_id, XComModel.key == "return_value"
            )
            return XComModel.deserialize_value(session.scalars(query).one())

    return result


@pytest.fixture
def built_untested() -> Iterator[None]:
    """Builds of this test run no data tests, as another test of a whole day does."""
    with without_data_tests():
        yield


@pytest.fixture
def answer(airflow_home: Path) -> Iterator[Callable[[str], None]]:
    """Return a function that answers the next approval that a run waits for, as a person does in the UI."""
    threads: list[threading.Thread] = []
    done = threading.Event()

    def answer_next(option: str) -> None:
        threads.append(threading.Thread(target=_answer, args=(option, done)))
        threads[-1].start()

    yield answer_next
    done.set()
    for thread in threads:
        thread.join()


def _answer(option: str, done: threading.Event) -> None:
    """Wait until a task asks, and write what the response of the UI writes, until it was taken."""
    from airflow.models.hitl import HITLDetail, HITLUser
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import handle_event_submit
    from airflow.sdk.timezone import utcnow
    from airflow.triggers.base import TriggerEvent
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select
    from sqlalchemy.exc import OperationalError

    parked = select(TaskInstance).where(TaskInstance.state == TaskInstanceState.AWAITING_INPUT)
    is_answered = False
    while not done.wait(0.3):
        with suppress(OperationalError), create_session() as session:  # SQLite is locked while the run writes
            tasks = session.scalars(parked).all()
            if is_answered and not tasks:
                return
            for task in tasks:
                asked = session.scalar(select(HITLDetail).where(HITLDetail.ti_id == task.id))
                if asked is None:  # the question is written after the state
                    continue
                asked.chosen_options, asked.params_input = [option], {}
                asked.responded_at, asked.responded_by = utcnow(), HITLUser(id="1", name="ada")
                event = TriggerEvent(asked.as_resume_event_payload())
                handle_event_submit(event, task_instance=task, session=session)
                is_answered = True
