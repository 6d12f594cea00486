"""Tasks that several DAGs use: loads and builds, each in its own process or on a cluster (see `runner`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import TaskGroup, TriggerRule, task
from airflow.sdk.exceptions import AirflowSkipException

from lakehouse_dags import assets, runner, wiring, work


def load_each(system: str, contract_ids: Sequence[str], at: Any, total: int) -> list[Any]:
    """Return the tasks that load the tables of a system at its fixed point, named after the tables."""
    # All done: if there is no fixed point, each load finds the cause itself and records it.
    settings = {"pool": wiring.pool_of(system), "trigger_rule": TriggerRule.ALL_DONE, **wiring.LOAD_ARGS}
    cluster = runner.on_cluster()
    if cluster is None:
        groups = wiring.tasks_of(contract_ids, total)
        return [
            _load.override(task_id=name, outlets=[assets.bronze(each) for each in tables], **settings)(tables, at)
            for name, tables in groups.items()
        ]
    return _jobs(cluster, contract_ids, at=at, **settings)


def load_late(system: str, contract_ids: Sequence[str], at: Any) -> Any:
    """
    Return what loads the tables of a system that are late: a task, or on a cluster a group with a task per table.

    It must run after the loads and, so that two builds never meet, after Gold; it is skipped unless a load failed.
    """
    settings: dict[str, Any] = {"pool": wiring.pool_of(system), "trigger_rule": TriggerRule.NONE_SKIPPED}
    cluster = runner.on_cluster()
    if cluster is None:
        outlets = [assets.bronze(each) for each in contract_ids]
        return _load_late.override(task_id=system, outlets=outlets, **settings)(list(contract_ids), at)
    with TaskGroup(system) as group:
        _jobs(cluster, contract_ids, at=at, is_late=True, **settings)
    return group


def _jobs(cluster: Any, contract_ids: Sequence[str], **settings: Any) -> list[Any]:
    operator, options = cluster
    return [
        operator(
            task_id=contract_id.partition(".")[2],
            step="load",
            subject=contract_id,
            outlets=[assets.bronze(contract_id)],
            **options,
            **settings,
        )
        for contract_id in contract_ids
    ]


def load_chosen(system: str, contract_ids: Sequence[str]) -> Any:
    """Return the task that loads the table of the DAG's parameters; it is skipped if another system has the table."""
    settings = {
        "task_id": f"source_{system}",
        "pool": wiring.pool_of(system),
        "outlets": [assets.bronze(each) for each in contract_ids],
    }
    cluster = runner.on_cluster()
    if cluster is None:
        return _load_chosen.override(**settings)(system)
    operator, options = cluster
    flags = ["{{ '--full' if params.full else '' }}", "{{ '--allow-deletes' if params.allow_deletes else '' }}"]
    settings |= {"step": "load", "subject": "{{ params.table }}", "flags": flags, "system": system}
    return operator(**options, **settings)


def build(layer: str, planned: list[str], *, announces: bool = False, **settings: Any) -> Any:
    """
    Return the task that builds a layer without models that depend on a planned contract whose load failed.

    With `announces` it sends the events of the layer's assets; otherwise `show_models` does.
    """
    settings = {"task_id": layer, "outlets": assets.layer(layer) if announces else [], **settings}
    cluster = runner.on_cluster()
    if cluster is None:
        return _build.override(**settings)(layer, planned, announces=announces)
    operator, options = cluster
    return operator(**options, **settings, step=layer, planned=planned)


def build_late(layer: str, planned: list[str], **settings: Any) -> Any:
    """Return the task that builds a layer once more if tables came late after the task of the layer's name."""
    settings = {"task_id": layer, "outlets": assets.layer(layer), **settings}
    cluster = runner.on_cluster()
    if cluster is None:
        return _build_late.override(**settings)(layer, planned, layer)
    operator, options = cluster
    return operator(**options, **settings, step=layer, planned=planned, left_out_by=layer)


def show_models(layer: str, after: Any) -> TaskGroup:
    """Return the group with a task per model of a layer, which shows how the build ended for it and is its producer."""
    with TaskGroup(f"{layer}_models") as group:
        for name, models in wiring.tasks_of(wiring.models_of(layer)).items():
            outlets = [assets.model(layer, each) for each in models]
            settings = {"trigger_rule": TriggerRule.ALL_DONE, "outlets": outlets}
            shown = _show.override(task_id=name, **settings)(layer, models, layer)
            after >> shown
    return group


def check_each(system: str, contract_ids: Sequence[str], total: int, **settings: Any) -> TaskGroup:
    """Return the group with the gap checks of a system's tables, named after the tables."""
    with TaskGroup(system) as group:
        for name, tables in wiring.tasks_of(contract_ids, total).items():
            _check.override(task_id=name, pool=wiring.pool_of(system), **settings)(tables)
    return group


# A return value is one XCom: by default Airflow sends another one for each key of a dict, each by a request.
@task(multiple_outputs=False)
def _load(tables: list[str], at: dict[str, str] | None) -> dict[str, dict[str, Any]]:
    return work.load(tables, at)


@task(multiple_outputs=False)
def _load_late(tables: list[str], at: dict[str, str] | None) -> dict[str, dict[str, Any]]:
    return work.load_late(tables, at)


@task(multiple_outputs=False)
def _load_chosen(system: str, params: dict[str, Any]) -> dict[str, dict[str, Any]]:
    table = params["table"]
    if table.partition(".")[0] != system:
        raise AirflowSkipException("a table of another system was asked for")
    return work.load([table], full=params["full"], allow_deletes=params["allow_deletes"])


@task(multiple_outputs=False)
def _build(layer: str, planned: list[str], announces: bool) -> dict[str, Any]:
    return work.build(layer, planned, announces=announces)


@task(multiple_outputs=False)
def _build_late(layer: str, planned: list[str], left_out_by: str) -> dict[str, Any]:
    return work.build_late(layer, planned, left_out_by)


@task(multiple_outputs=False)
def _show(layer: str, models: list[str], built_by: str) -> dict[str, str]:
    return work.show_models(layer, models, built_by)


@task(multiple_outputs=False)
def _check(tables: list[str], params: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return work.check_gaps([params["table"]] if params.get("table") else tables)
