"""What the DAG files share: where the project is, how tasks retry, and the calls from Airflow into the package.

Airflow parses it often, so nothing heavy is imported at the top. Tasks pass JSON: a contract's id in, a summary out.

LAKEHOUSE_PROJECT  the folder with data_contracts/ and dbt_project/; default: the one above Airflow's dags folder
LAKEHOUSE_DOCS     where dbt's documentation is written; default: <project>/dbt_project/target
LAKEHOUSE_TASK_HOURS  how long one attempt of a task may take before it is stopped and tried again; default 6
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias, ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk import Connection as AirflowConnection
from airflow.sdk.exceptions import AirflowNotFoundException

from ingestion.contracts.odcs import list_contract_ids
from ingestion.errors import ConfigurationError
from ingestion.settings import CONNECTION_PREFIX, Connection, Settings

if TYPE_CHECKING:
    from ingestion.runs.context import Context

# Nothing is derived from this date: a run always goes from the last committed watermark to the newest point.
START = datetime(2026, 1, 1, tzinfo=UTC)
DEFAULT_ARGS = {
    "owner": "lakehouse",
    # a hanging task would block every later run, because only one run is active at a time
    "execution_timeout": timedelta(hours=float(os.environ.get("LAKEHOUSE_TASK_HOURS") or 6)),
    "retries": 4,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=30),
    "retry_policy": ExceptionRetryPolicy(
        [RetryRule("ingestion.errors.PermanentError", RetryAction.FAIL, reason="a retry cannot help: see the error")]
    ),
}
# Mapped tasks cannot declare different assets; with the alias each adds the asset that it wrote.
BRONZE = AssetAlias("bronze")
MAPPED_NAME = "{{ task.op_kwargs['contract_id'] }}"


def project() -> Path:
    """Return the project's folder. In a checkout this package lies in dags/; else it is installed."""
    from airflow.sdk.configuration import conf

    beside = Path(__file__).resolve().parents[2]
    if named := os.environ.get("LAKEHOUSE_PROJECT"):
        return Path(named).expanduser().absolute()
    is_in_project = (beside / "data_contracts").is_dir()
    return beside if is_in_project else Path(conf.get("core", "dags_folder")).expanduser().absolute().parent


def contracts_by_system() -> dict[str, list[str]]:
    """
    Return the contracts' ids by system, from file names alone: no contract is opened.

    Raises ConfigurationError for a name with template syntax, which Airflow would evaluate in a task's arguments.
    """
    found: dict[str, list[str]] = {}
    for contract_id in list_contract_ids(project() / "data_contracts"):
        if "{" in contract_id:
            raise ConfigurationError(
                "data_contracts: a file name has a character other than lower case letters, digits and _: a template "
                "mark ({). No DAG was made. Rename the file."
            )
        found.setdefault(contract_id.split(".")[0], []).append(contract_id)
    return found


def bronze_asset(contract_id: str) -> Asset:
    """Return the asset of a Bronze table: its name is the table's, its URI the path in the lake."""
    return Asset(name=f"bronze.{contract_id}", uri=f"lake://bronze/{contract_id.replace('.', '/')}")


def pool_of(system: str) -> str:
    """Return the name of the pool that limits how many tasks read a system at once."""
    return f"source_{system}"


def open_run(run_id: str, subject: str | None = None) -> Context:
    """
    Open the lake for Airflow's run, with the connection of a system (given by its name or a contract's id).

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
    connections = {} if subject is None else _connections(subject.partition(".")[0])
    return open_context(replace(settings, connections=connections), run_id)


def _connections(system: str) -> dict[str, Connection]:
    """Return Airflow's connection of a system as plain values; if there is none, the package reports the error."""
    try:
        given = AirflowConnection.get(system)
    except AirflowNotFoundException:
        return {}
    connection = Connection(
        type=given.conn_type or "",
        host=given.host or "",
        port=given.port,
        schema=given.schema or "",
        login=given.login or "",
        password=given.password or "",
        extra={key: str(value) for key, value in given.extra_dejson.items()},
    )
    return {system: connection}


def connection_variables(subject: str) -> dict[str, str]:
    """Return the connection of a system (or of a contract's system) as the variable that the package reads."""
    return {
        f"{CONNECTION_PREFIX}{system.upper()}": given.as_json()
        for system, given in _connections(subject.partition(".")[0]).items()
    }


def fixed_point(system: str, run_id: str) -> dict[str, str]:
    """Return the fixed point that all loads of a system share in this run; empty if each load has its own."""
    from ingestion.runs.fixed_points import shared_point

    point = shared_point(open_run(run_id, system), system)
    return {} if point is None else point.as_dict()


def load(
    contract_id: str, run_id: str, outlet_events: Any, at: dict[str, str] | None = None, **options: bool
) -> dict[str, Any]:
    """Load one table; if a batch was committed, announce it as an event of the table's asset."""
    from ingestion.contracts.window import FixedPoint
    from ingestion.load.load_table import load_table

    point = FixedPoint.from_dict(at) if at else None
    result = load_table(open_run(run_id, contract_id), contract_id, at=point, **options)
    return announce(contract_id, plain(result.as_dict()), outlet_events)


def repair(contract_id: str, run_id: str, outlet_events: Any, **options: Any) -> dict[str, Any]:
    """
    Repair one table. Above the contract's limits (including that on deletions) nothing is written. The result then has
    under `asks` what needs approval, and in `deletes` the deletions of it. As `approved_deletes` these are allowed.
    """
    from ingestion.errors import ApprovalNeededError, DeleteBrakeError
    from ingestion.gaps.repair import repair_table

    try:
        result = repair_table(open_run(run_id, contract_id), contract_id, **options)
    except (ApprovalNeededError, DeleteBrakeError) as exc:
        if options.get("yes"):  # more keys were deleted since than were approved
            raise
        return {"asks": str(exc), "deletes": exc.deletes}
    return announce(contract_id, plain(result.as_dict()), outlet_events)


def announce(contract_id: str, result: dict[str, Any], outlet_events: Any) -> dict[str, Any]:
    """Announce the batch that was committed, if one was, as an event of the table's asset; return the result."""
    if result["batch"] is not None:
        extra = {"batch": result["batch"], "rows": result["appended"] + result["deleted"], "run_id": result["run_id"]}
        outlet_events[BRONZE].add(bronze_asset(contract_id), extra=extra)
    return result


def check_gap(contract_id: str, run_id: str, *, is_red: bool = False) -> dict[str, Any]:
    """Record a table's sync gap and return the result for the whole table. `is_red`: fail if it is an alarm."""
    from ingestion.gaps.record import record_sync_gap
    from ingestion.runs.verdict import alarms, raise_if_red

    run = open_run(run_id, contract_id)
    found = record_sync_gap(run, contract_id).as_dict()
    if is_red:
        raise_if_red(run_id, alarms(run, run_id, contract_id))
    return plain({name: value for name, value in found.items() if not isinstance(value, list | tuple)})


def build(layer: str, run_id: str, planned: Sequence[str]) -> dict[str, Any]:
    """Build a layer without models that depend on a failed load of this run."""
    from ingestion.build.dbt import build_layer

    run = open_run(run_id)
    return plain(build_layer(run, layer, without=without_good_end(run, planned)).as_dict())


def without_good_end(run: Context, planned: Sequence[str]) -> list[str]:
    """Return the planned contracts without a successful load in this run, according to the ledger."""
    from ingestion.runs.verdict import good_ends

    loaded = good_ends(run, "load")
    return [contract_id for contract_id in planned if contract_id not in loaded]


def write_docs(run_id: str) -> str:
    """Write dbt's documentation and return its folder."""
    from ingestion.build.dbt import generate_docs

    run = open_run(run_id)
    folder = Path(os.environ.get("LAKEHOUSE_DOCS") or run.settings.dbt_project / "target")
    with run.recorded("docs", "dbt"):
        generate_docs(run, folder)
    return str(folder)


def plain(value: dict[str, Any]) -> dict[str, Any]:
    """Return a value in JSON types; moments become text."""
    plain: dict[str, Any] = json.loads(json.dumps(value, default=str))
    return plain
