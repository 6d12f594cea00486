"""What the DAG files share: where the project is, how tasks retry, and the calls from Airflow into the package.

Airflow parses it often, so nothing heavy is imported at the top. Tasks pass JSON: a contract's id in, a summary out.

LAKEHOUSE_PROJECT          the folder with data_contracts/ and dbt_project/; default: that above Airflow's dags folder
LAKEHOUSE_DOCS             where dbt's documentation is written; default: <project>/dbt_project/target
LAKEHOUSE_DAILY_SCHEDULE, LAKEHOUSE_MAINTENANCE_SCHEDULE, LAKEHOUSE_STREAMS_SCHEDULE, LAKEHOUSE_CALLS_SCHEDULE
                           when the DAGs start: cron in UTC, or off
LAKEHOUSE_TASK_HOURS       how long one attempt of a task may take before it is stopped and tried again; default 6
LAKEHOUSE_WAIT_MINUTES     how long Silver and Gold of the other tables wait for a table whose source does not answer,
                           beside the time that the attempts take; default 3
LAKEHOUSE_TABLES_PER_TASK  how many tables (or models) a task works on; default 1, and 25 if there are more than 50
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Connection as AirflowConnection
from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, Variable
from airflow.sdk.exceptions import AirflowNotFoundException

from ingestion.contracts.odcs import list_contract_ids
from ingestion.errors import ConfigurationError
from ingestion.secrets import Secret, Secrets
from ingestion.settings import CONNECTION_PREFIX, Connection, Settings, value_of
from ingestion.settings.process import prepare_process

if TYPE_CHECKING:
    from ingestion.runs.context import Context


def project() -> Path:
    """Return the project's folder. In a checkout this package lies in dags/; else it is installed."""
    from airflow.sdk.configuration import conf

    beside = Path(__file__).resolve().parents[2]
    if named := os.environ.get("LAKEHOUSE_PROJECT"):
        return Path(named).expanduser().absolute()
    is_in_project = (beside / "data_contracts").is_dir()
    return beside if is_in_project else Path(conf.get("core", "dags_folder")).expanduser().absolute().parent


prepare_process(os.environ, project())  # the project's .env, before the first variable is read

# Nothing is derived from this date: a run always goes from the last committed watermark to the newest point.
START = datetime(2026, 1, 1, tzinfo=UTC)
DEFAULT_ARGS = {
    "owner": "lakehouse",
    # a hanging task would block every later run, because only one run is active at a time
    "execution_timeout": timedelta(hours=float(value_of("LAKEHOUSE_TASK_HOURS", os.environ))),
    "retries": 4,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=30),
    "retry_policy": ExceptionRetryPolicy(
        [RetryRule("ingestion.errors.PermanentError", RetryAction.FAIL, reason="a retry cannot help: see the error")]
    ),
}
# A load gives up soon, because the builds wait for it; the tasks `late` go on with the longer pauses of above.
WAIT = timedelta(minutes=float(value_of("LAKEHOUSE_WAIT_MINUTES", os.environ)))
LOAD_ARGS = {"retries": 2, "retry_delay": WAIT / 2, "retry_exponential_backoff": 0}
TABLES_PER_TASK, MOST_ALONE, GROUP_SIZE = "LAKEHOUSE_TABLES_PER_TASK", 50, 25
_SCHEDULE = re.compile(r"@(hourly|daily|weekly|monthly|yearly)|[\d*/,A-Za-z-]+( +[\d*/,A-Za-z#-]+){4}")
_TASK_NAME = re.compile(r"[\w-]+(\.[\w-]+)+", re.ASCII)


def schedule(name: str) -> str | None:
    """
    Return the schedule that a variable sets; None for `off`: then the DAG is started by hand, or by Airflow's API.

    Raises ConfigurationError for what is no cron expression, because Airflow would not name the variable.
    """
    value = value_of(name, os.environ).strip()
    if value == "off":
        return None
    if not _SCHEDULE.fullmatch(value):
        raise ConfigurationError(
            f"{name} is {value!r}, which is no schedule. No DAG was made. "
            "Set a cron expression in UTC of five fields, e.g. 30 12 * * *, or @daily, or off."
        )
    return value


def contracts_by_system() -> dict[str, list[str]]:
    """
    Return the contracts' ids by system, from file names alone: no contract is opened.

    Raises ConfigurationError for a name that cannot be a task's; Airflow would also evaluate template syntax in it.
    """
    found: dict[str, list[str]] = {}
    for contract_id in list_contract_ids(project() / "data_contracts"):
        if not _TASK_NAME.fullmatch(contract_id):
            raise ConfigurationError(
                "data_contracts: a file or folder name has characters other than lower case letters, digits and _: a "
                "space or a template mark ({). No DAG was made. Rename it."
            )
        found.setdefault(contract_id.split(".")[0], []).append(contract_id)
    return found


def tasks_of(names: Sequence[str], total: int | None = None) -> dict[str, list[str]]:
    """
    Return which task works on which names (contract ids or models), by the task's name.

    A task is named after its only name, without the system, or after its first and last one: `customers`,
    `customers-to-orders`. Each name has a task of its own while there are at most 50 (`total`, by default of these), or
    as LAKEHOUSE_TABLES_PER_TASK says.
    """
    alone = (len(names) if total is None else total) <= MOST_ALONE
    size = int(value_of(TABLES_PER_TASK, os.environ) or (1 if alone else GROUP_SIZE))
    groups = [list(names[first : first + size]) for first in range(0, len(names), size)]
    return {_task_name(group): group for group in groups}


def _task_name(group: Sequence[str]) -> str:
    first, last = group[0].rpartition(".")[2], group[-1].rpartition(".")[2]
    return first if len(group) == 1 else f"{first}-to-{last}"


def models_of(layer: str) -> list[str]:
    """Return the names of a layer's dbt models, sorted, from their file names alone."""
    return sorted(path.stem for path in (project() / "dbt_project" / "models" / layer).rglob("*.sql"))


def pool_of(system: str) -> str:
    """Return the name of the pool that limits how many tasks read a system at once."""
    return f"source_{system}"


def name_of_run(context: Mapping[str, Any]) -> str:
    """Return what the ledger calls a run of Airflow, `<dag>/<run>`: scheduled runs of two DAGs can have one run id."""
    return f"{context['dag'].dag_id}/{context['run_id']}"


def open_run(context: Mapping[str, Any]) -> Context:
    """
    Open the lake for a run of Airflow, given a task's context. Connections are Airflow's, else those of the package's
    own places of secrets.

    Raises:
        ConfigurationError: the project has no contract, because a run that does nothing must not succeed.
        LakeError: there is no lake yet.
    """
    from ingestion.runs.context import open_context

    environ = {name: value for name, value in os.environ.items() if not name.startswith(CONNECTION_PREFIX)}
    settings = Settings.from_environ({**environ, "LAKEHOUSE_PROJECT": str(project())})
    if not list_contract_ids(settings.contracts):
        raise ConfigurationError(
            f"{settings.contracts.name}: there is no contract. Nothing was read or written. "
            "Write one as <system>/<entity>.odcs.yaml, or set LAKEHOUSE_PROJECT to the project that has them."
        )
    secrets = Secrets([AirflowSecrets(), *settings.secrets.providers], seconds=settings.secrets.seconds)
    return open_context(replace(settings, secrets=secrets), name_of_run(context))


class AirflowSecrets:
    """Airflow's connections and variables, from its environment, its secrets backend or its database."""

    place = "Airflow"

    def path(self, name: str) -> str:
        """Return the id of a connection, or the key of a variable."""
        kind = "the connection" if name.startswith(CONNECTION_PREFIX) else "the variable"
        return f"{kind} {self._id(name)}"

    def _id(self, name: str) -> str:
        return name.removeprefix(CONNECTION_PREFIX).lower()

    def get(self, name: str) -> Secret | None:
        """Return a connection as JSON, or a variable's text; None if Airflow has none."""
        if not name.startswith(CONNECTION_PREFIX):
            value = Variable.get(self._id(name), default=None)
            return Secret(value) if value else None
        try:
            given = AirflowConnection.get(self._id(name))
        except AirflowNotFoundException:
            return None
        connection = Connection(
            type=given.conn_type or "",
            host=given.host or "",
            port=given.port,
            schema=given.schema or "",
            login=given.login or "",
            password=given.password or "",
            extra={key: str(value) for key, value in given.extra_dejson.items()},
        )
        return Secret(connection.as_json())


def connection_variables(subject: str) -> dict[str, str]:
    """Return the connection of a system (or of a contract's system) as the variable that the package reads."""
    name = f"{CONNECTION_PREFIX}{subject.partition('.')[0].upper()}"
    found = AirflowSecrets().get(name)
    return {} if found is None else {name: found.reveal()}


def plain(value: dict[str, Any]) -> dict[str, Any]:
    """Return a value in JSON types; moments become text."""
    plain: dict[str, Any] = json.loads(json.dumps(value, default=str))
    return plain
