"""Tasks that several DAGs use: loads and builds, each in its own process or on a cluster (see `runner`)."""

from __future__ import annotations

from typing import Any

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException

from lakehouse_dags import runner, wiring


def load_each(contract_ids: list[str], at: Any, **settings: Any) -> Any:
    """Return the mapped task `load`: one per contract of a system, at the system's fixed point."""
    settings = {"task_id": "load", "outlets": [wiring.BRONZE], **settings}
    cluster = runner.on_cluster()
    if cluster is None:
        named = _load.override(map_index_template=wiring.MAPPED_NAME, **settings)
        return named.partial(at=at).expand(contract_id=contract_ids)
    operator, options = cluster
    settings |= {"step": "load", "at": at, "map_index_template": "{{ task.subject }}"}
    return operator.partial(**options, **settings).expand(subject=contract_ids)


def load_chosen(system: str, **settings: Any) -> Any:
    """Return the task that loads the table of the DAG's parameters; it is skipped if another system has the table."""
    settings = {"outlets": [wiring.BRONZE], **settings}
    cluster = runner.on_cluster()
    if cluster is None:
        return _load_chosen.override(**settings)(system)
    operator, options = cluster
    flags = ["{{ '--full' if params.full else '' }}", "{{ '--allow-deletes' if params.allow_deletes else '' }}"]
    settings |= {"step": "load", "subject": "{{ params.table }}", "flags": flags, "system": system}
    return operator(**options, **settings)


def build(layer: str, planned: list[str], **settings: Any) -> Any:
    """Return the task that builds a layer without models that depend on a planned contract whose load failed."""
    settings = {"task_id": layer, **settings}
    cluster = runner.on_cluster()
    if cluster is None:
        return _build.override(**settings)(layer, planned)
    operator, options = cluster
    return operator(**options, **settings, step=layer, planned=planned)


@task
def _load(contract_id: str, at: dict[str, str] | None, run_id: str, outlet_events: Any) -> dict[str, Any]:
    return wiring.load(contract_id, run_id, outlet_events, at)


@task
def _load_chosen(system: str, params: dict[str, Any], run_id: str, outlet_events: Any) -> dict[str, Any]:
    table = params["table"]
    if table.partition(".")[0] != system:
        raise AirflowSkipException("a table of another system was asked for")
    return wiring.load(table, run_id, outlet_events, full=params["full"], allow_deletes=params["allow_deletes"])


@task
def _build(layer: str, planned: list[str], run_id: str) -> dict[str, Any]:
    return wiring.build(layer, run_id, planned)
