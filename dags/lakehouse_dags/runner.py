"""Where loads and builds run: in the task's own process, or on a cluster that the task waits for.

LAKEHOUSE_RUNNER          local (the default), spark-submit or databricks
LAKEHOUSE_RUNNER_OPTIONS  a JSON file: arguments for the provider's operator, see docs/spark.md

On a cluster the command `lakehouse` runs with the run's id and fixed point. Its result or error is read from the lake's
ledger afterwards. So a platform only needs to start the job and report its end.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from ingestion.errors import ConfigurationError, LakehouseError
from ingestion.settings import value_of
from ingestion.shipped import pip_install
from lakehouse_dags import assets, wiring, work

if TYPE_CHECKING:
    from ingestion.runs.context import Context

RUNNER, OPTIONS = "LAKEHOUSE_RUNNER", "LAKEHOUSE_RUNNER_OPTIONS"
MODULES = {
    "spark-submit": ("lakehouse_dags.runner_spark_submit", "apache-spark"),
    "databricks": ("lakehouse_dags.runner_databricks", "databricks"),
}
KNOWN_ROWS = "ledger_rows"  # ends of the step's ledger rows at the time when the job was submitted
_SECRET = re.compile(
    r"AIRFLOW_CONN_|MASK_SALT|password|passwd|secret|token|(account|access|private|api)[._-]?key", re.IGNORECASE
)
_REFERENCE = re.compile(r"\{\{\s*secrets/|EMR\.secret@|/|None$|(?i:true|false)$")
_EXIT_CODE = re.compile(r"(?:SystemExit: |code is: )([1-9]\d*)")


def on_cluster() -> tuple[type[OnCluster], dict[str, Any]] | None:
    """
    Return the operator that runs a step on the cluster, and its arguments; None if the task does the work itself.

    Raises ConfigurationError: an unknown runner, a provider that is not installed, invalid options.
    """
    name = value_of(RUNNER, os.environ)
    if name == "local":
        return None
    if name not in MODULES:
        raise ConfigurationError(
            f"{RUNNER} is {name!r}; it must be local, {' or '.join(MODULES)}. No DAG was made. Correct it."
        )
    module, package = MODULES[name]
    try:
        operator = import_module(module).OPERATOR
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            f"{RUNNER}={name}: needs the package apache-airflow-providers-{package}; there is no module {exc.name}. "
            f"No DAG was made. Run: {pip_install(name)} -c constraints.txt"
        ) from None
    options = read_options(value_of(OPTIONS, os.environ))
    operator.check_options(options)
    return operator, options


def read_options(file: str | None) -> dict[str, Any]:
    """Return the options of a JSON file; empty without a file. Raises ConfigurationError, also if one is a secret."""
    if not file:
        return {}
    try:
        options = json.loads(Path(file).read_text())
    except (OSError, ValueError):
        options = None
    if not isinstance(options, dict):
        raise ConfigurationError(
            f"{OPTIONS}: there is no file with a JSON object at {file}. No DAG was made. Correct it."
        )
    told = sorted(_told_secrets(options))
    if told:
        raise ConfigurationError(
            f"{OPTIONS}: {', '.join(told)} may hold secrets, which would be shown in logs and pages. "
            "No DAG was made. Refer to the platform's secret store instead, see docs/spark.md"
        )
    return options


def _told_secrets(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names whose values look like plain secrets, and not like a reference to a secret store or a file."""
    for name, value in options.items():
        for below in value if isinstance(value, list) else [value]:
            if isinstance(below, Mapping):
                yield from _told_secrets(below)
            elif _SECRET.search(name) and not (_REFERENCE.match(str(below)) or "secretKeyRef" in name):
                yield name


class OnCluster(BaseOperator):
    """
    A step as a separate job. The provider's operator (the next base class) starts it, waits for it and stops it.

    `step` is load, silver, gold or audit; `subject` a contract's id, or dbt. A build leaves out those `planned`
    contracts whose load did not succeed in this run; with `left_out_by`, the task of the layer's first build, it is
    skipped if no table came late. With `system`, a subject of another system is skipped; with `is_late`, a load does
    nothing unless the table's load failed in this run with an error that may pass.
    """

    template_fields = ("subject", "at", "flags")

    def __init__(
        self,
        *,
        step: str,
        subject: str = "dbt",
        at: Any = None,
        planned: list[str] | None = None,
        flags: list[str] | None = None,
        system: str | None = None,
        is_late: bool = False,
        left_out_by: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.step, self.subject, self.at = step, subject, at
        self.planned, self.flags, self.system = planned or [], flags or [], system
        self.is_late, self.left_out_by = is_late, left_out_by
        self.known: list[float] = []

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Raise ConfigurationError if the options are not valid for a job."""

    def execute(self, context: Any) -> dict[str, Any]:
        if self.system not in (None, self.subject.partition(".")[0]):
            raise AirflowSkipException("a table of another system was asked for")
        from ingestion.runs import job_result

        run, store = wiring.open_run(context), context["task_state_store"]
        if self.is_late and not work.is_late(run, self.subject):
            assets.announce({})
            return {}
        if self.left_out_by:
            work.require_late(run, self.planned, self.left_out_by)
        noted = store.get(KNOWN_ROWS)
        self.known = self._moments(run) if noted is None else noted
        self.set_job_arguments(self._arguments(run))
        try:
            with self.surroundings():
                super().execute(context)
        except Exception as exc:
            why = self._why(run, exc)
            if why is None:
                raise
            raise why from exc
        finally:
            models = work.hand_over_models(run, self.step) if self.step != "load" else []
        rows = self._ledger(run)
        store.clear()  # the job's result comes from new rows only; a cleared or retried task starts a new job
        result = wiring.plain(job_result.result(self.step, self.subject, rows))
        if self.step == "load":
            assets.announce_batches({self.subject: result})
            return {self.subject: result}
        assets.announce_models(self.step, models if self.outlets else [], run.run_id)
        return result

    def submit_job(self, context: Any) -> Any:
        """Record which ledger rows exist already, for a retry that finds the job again; then submit it."""
        self.known = self._moments(wiring.open_run(context))
        context["task_state_store"].set(KNOWN_ROWS, self.known)
        return super().submit_job(context)  # type: ignore[misc]

    def set_job_arguments(self, arguments: list[str]) -> None:
        """Set the command on the provider's operator. The arguments hold no secret."""
        raise NotImplementedError

    def surroundings(self) -> AbstractContextManager[None]:
        """Return what the job is started in."""
        return nullcontext()

    def _arguments(self, run: Context) -> list[str]:
        """Return the arguments of the command `lakehouse`."""
        in_run = ["--run-id", run.run_id]
        if self.step == "load":
            at = ["--at", json.dumps(self.at)] if self.at else []
            return ["load", self.subject, *in_run, *at, *filter(None, self.flags)]
        without = work.leave_out(run, self.planned)
        return ["build", self.step, *in_run, *(word for table in without for word in ("--without", table))]

    def _ledger(self, run: Context) -> list[dict[str, Any]]:
        """Return the job's ledger rows."""
        from ingestion.runs import job_result

        rows = job_result.rows_of(run, self.step, self.subject)
        return [row for row in rows if row["finished_at"].timestamp() not in self.known]

    def _moments(self, run: Context) -> list[float]:
        """Return the ends of the step's existing ledger rows, from any writer."""
        from ingestion.runs import job_result

        return [row["finished_at"].timestamp() for row in job_result.rows_of(run, self.step, self.subject)]

    def _why(self, run: Context, exc: Exception) -> LakehouseError | None:
        from ingestion.runs import job_result

        code = _EXIT_CODE.search(str(exc))
        rows = self._ledger(run)
        return job_result.failure(self.step, self.subject, rows, int(code[1]) if code else None)
