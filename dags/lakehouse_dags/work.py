"""What the tasks do in their own process: calls from Airflow into the package. JSON in, JSON out.

Each table and model leaves a line in the task's log; errors are retried, or not, by their class (`ingestion/errors`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from ingestion.no_pandas import pandas_hidden
from ingestion.privacy.logs import logger
from ingestion.settings import value_of
from lakehouse_dags import assets, wiring

if TYPE_CHECKING:
    from ingestion.runs.context import Context

# what a build hands to later tasks: the contracts that it left out, and its rows of `ops.models`
WITHOUT, MODELS = "left_out", "model_results"
MINE = "late_tables"


@pandas_hidden()
def fixed_point(system: str) -> dict[str, str]:
    """Return the fixed point that all loads of a system share in this run; empty if each load has its own."""
    from ingestion.runs.fixed_points import shared_point

    point = shared_point(_open(), system)
    if point is None:
        logger.info("%s: no shared fixed point; each table is read at its own", system)
        return {}
    logger.info("%s: all tables are read as of %s (%s %s)", system, point.moment, point.kind, point.value)
    return point.as_dict()


@pandas_hidden()
def load(tables: Sequence[str], at: Mapping[str, str] | None = None, **options: bool) -> dict[str, dict[str, Any]]:
    """
    Load tables of one system; return their summaries by contract id, and announce the committed batches.

    A failed table does not stop the others. A retry of the task loads only the tables without a good end.
    """
    return _load(_open(), tables, at, is_retry=_is_retry(), **options)


@pandas_hidden()
def load_late(tables: Sequence[str], at: Mapping[str, str] | None) -> dict[str, dict[str, Any]]:
    """
    Load the tables of a system whose load failed in this run with an error that may pass; do as `load` otherwise.

    Tables that a person must look at are left alone: they are red at their own task.
    """
    from ingestion.runs.attempts import rest_of

    run, store = _open(), get_current_context()["task_state_store"]
    mine = store.get(MINE) if _is_retry() else None
    if mine is None:
        mine = list(rest_of(run, "load", tables).todo)
        store.set(MINE, mine)
    if not mine:
        logger.info("No table of this system is late.")
        assets.announce({})
        return {}
    logger.info("Late: %s", ", ".join(mine))
    return _load(run, mine, at, is_retry=True)


def _load(
    run: Context, tables: Sequence[str], at: Mapping[str, str] | None, *, is_retry: bool, **options: bool
) -> dict[str, dict[str, Any]]:
    from ingestion.contracts.window import FixedPoint
    from ingestion.load.load_table import load_table
    from ingestion.runs.attempts import Rest, raise_all, rest_of

    point = FixedPoint.from_dict(at) if at else None
    rest = rest_of(run, "load", tables) if is_retry else Rest(tuple(tables))
    work = _logged("load", lambda table: load_table(run, table, at=point, **options), _told_load)
    results, failed = run.each_table(rest.todo, work)
    run.note_unread("load", failed, is_scheduled=True)
    raise_all([*rest.lost, *(each.error for each in failed)], of=len(tables))
    summaries = {**(rest.done or {}), **{each.contract_id: each.as_dict() for each in results}}
    assets.announce_batches(summaries)
    return wiring.plain(summaries)


@pandas_hidden()
def check_gaps(tables: Sequence[str]) -> dict[str, dict[str, Any]]:
    """
    Record the sync gaps of tables of one system; return the results for the whole tables by contract id.

    Raises CriticalGapError if a critical gap is confirmed. A retry checks only the tables without a good end.
    """
    from ingestion.errors import CriticalGapError
    from ingestion.gaps.record import describe, record_sync_gap, record_unread
    from ingestion.runs.attempts import Rest, raise_all, rest_of
    from ingestion.runs.verdict import alarms

    run = _open()
    rest = rest_of(run, "gaps", tables) if _is_retry() else Rest(tuple(tables))
    work = _logged("check", lambda table: record_sync_gap(run, table), describe)
    results, failed = run.each_table(rest.todo, work)
    record_unread(run, failed, is_scheduled=True)
    raise_all([*rest.lost, *(each.error for each in failed)], of=len(tables))
    red = alarms(run, run.run_id, tables)
    if red:
        raise CriticalGapError("\n".join(red))
    found = {each.contract_id: each.as_dict() for each in results}
    return wiring.plain({table: _without_lists(result) for table, result in found.items()})


@pandas_hidden()
def repair(table: str, **options: Any) -> dict[str, Any]:
    """
    Repair one table. Above the contract's limits (including that on deletions) nothing is written; the result then has
    under `asks` all that the repair would do, with the number of rows to read again and to delete.
    """
    from ingestion.errors import ApprovalNeededError, DeleteBrakeError
    from ingestion.gaps.repair import repair_table

    run = _open()
    try:
        result = _logged("repair", lambda table: repair_table(run, table, **options), _told_load)(table).as_dict()
    except (ApprovalNeededError, DeleteBrakeError) as exc:
        if options.get("yes"):  # more keys were deleted since than were approved
            raise
        assets.announce({})
        logger.info("%s: above the contract's limits; the repair waits for approval", table)
        return {"asks": {"rereads": exc.rereads, "deletes": exc.deletes, "rows": exc.rows}}
    assets.announce_batches({table: result})
    return wiring.plain(result)


@pandas_hidden()
def build(layer: str, planned: Sequence[str], *, announces: bool = False) -> dict[str, Any]:
    """
    Build a layer without models that depend on a failed load of this run, with dbt's lines in the task's log.

    Hands to later tasks which contracts it left out and how each model ended, also if the build fails. With `announces`
    the task sends the events of the tables that were built; otherwise their own tasks do (`show_models`).
    """
    from ingestion.build.dbt import build_layer

    run = _open()
    without = leave_out(run, planned)
    try:
        result = build_layer(run, layer, without=without, on_line=logger.info)
    finally:
        rows = hand_over_models(run, layer)
    if announces:
        assets.announce_models(layer, rows, run.run_id)
    return wiring.plain(result.as_dict())


def leave_out(run: Context, planned: Sequence[str]) -> list[str]:
    """Return the planned contracts without a successful load in this run, and hand them to later tasks."""
    from ingestion.runs.verdict import good_ends

    loaded = good_ends(run, "load")
    without = [contract_id for contract_id in planned if contract_id not in loaded]
    get_current_context()["ti"].xcom_push(WITHOUT, without)
    if without:
        logger.warning("Left out with all that is built of them: %s", ", ".join(without))
    return without


def hand_over_models(run: Context, layer: str) -> list[dict[str, Any]]:
    """Hand the outcome of each model of a layer in this run to later tasks, and return them."""
    from ingestion.ledger.queries import newest_models

    rows = run.journal.select(
        f"select model, status, seconds, tests, message from {newest_models('run_id = ? and step = ?')} order by model",
        [run.run_id, layer],
    )
    get_current_context()["ti"].xcom_push(MODELS, rows)
    return rows


def show_models(layer: str, models: Sequence[str], built_by: str) -> dict[str, str]:
    """
    Show how the build ended for these models: one line each. Announces the tables that were built.

    Raises BuildError if one of them failed; the task is skipped if none was built. Opens no lake.
    """
    from ingestion.errors import BuildError

    context = get_current_context()
    rows = context["ti"].xcom_pull(task_ids=built_by, key=MODELS) or []
    found = {row["model"]: row for row in rows if row["model"] in models}
    told = {model: _told_model(found.get(model)) for model in models}
    for model, line in told.items():
        logger.info("%s: %s", model, line)
    logger.info("dbt's own lines are in the log of the build: %s", link(built_by))
    failed = [model for model, row in found.items() if row["status"] == "failed"]
    if failed:
        raise BuildError("\n".join(f"{layer}.{model}: {told[model]}" for model in failed))
    assets.announce_models(layer, list(found.values()), wiring.name_of_run(context))
    if not any(row["status"] in ("ok", "warning") for row in found.values()):
        raise AirflowSkipException("; ".join(sorted({*told.values()})))
    return told


@pandas_hidden()
def build_late(layer: str, planned: Sequence[str], left_out_by: str) -> dict[str, Any]:
    """
    Build a layer once more, now with the tables that came late; skipped if none did.

    `left_out_by` is the task of the first build. Models of other tables find nothing new and commit nothing.
    """
    require_late(_open(), planned, left_out_by)
    return build(layer, planned, announces=True)


def require_late(run: Context, planned: Sequence[str], left_out_by: str) -> None:
    """Skip the task unless a table that the first build left out has been loaded since. No first build: all were."""
    from ingestion.runs.verdict import good_ends

    left_out = get_current_context()["ti"].xcom_pull(task_ids=left_out_by, key=WITHOUT)
    loaded = good_ends(run, "load")
    late = [table for table in (planned if left_out is None else left_out) if table in loaded]
    if not late:
        raise AirflowSkipException("no table came late")
    logger.info("Came late: %s", ", ".join(late))


def is_late(run: Context, contract_id: str) -> bool:
    """Return whether a table's load failed in this run with an error that may pass."""
    from ingestion.runs.attempts import rest_of

    return bool(rest_of(run, "load", [contract_id]).todo)


@pandas_hidden()
def write_docs() -> str:
    """Write dbt's documentation and return its folder."""
    from ingestion.build.dbt import generate_docs

    run = _open()
    folder = Path(value_of("LAKEHOUSE_DOCS", os.environ) or run.settings.dbt_project / "target")
    with run.recorded("docs", "dbt"):
        generate_docs(run, folder)
    return str(folder)


@pandas_hidden()
def judge(planned: Sequence[str]) -> str:
    """Return in one sentence what the run did. Raises RunFailedError that lists everything that is red."""
    from ingestion.runs.verdict import good_ends, raise_if_red, summary, verdict
    from monitoring.incidents.run import evaluate_at_end

    run = _open()
    told = summary(run, run.run_id)
    logger.info(told)
    logger.info("Every task of the run: %s", link())
    red = verdict(run, run.run_id, planned)
    red += [f"{step} dbt: not written" for step in ("audit", "docs") if "dbt" not in good_ends(run, step)]
    evaluate_at_end(run.settings)
    raise_if_red(run.run_id, red)
    return told


@pandas_hidden()
def tell() -> None:
    """Record what is wrong on the lake now, and send the messages that are due."""
    from monitoring.incidents.run import evaluate_at_end

    evaluate_at_end(_open().settings)


def link(task_id: str | None = None) -> str:
    """Return the address in Airflow's UI of this run, or of a task in it."""
    ti = get_current_context()["ti"]
    own = f"/tasks/{quote(ti.task_id)}"
    return ti.log_url.partition(own)[0] + (f"/tasks/{task_id}" if task_id else "")


def _open() -> Context:
    context = get_current_context()
    return replace(wiring.open_run(context), log_url=context["ti"].log_url)


def _is_retry() -> bool:
    """Return whether Airflow repeats the task after an error. A task that a person cleared begins anew."""
    ti = get_current_context()["ti"]
    return ti.try_number - 1 > ti.max_tries - (ti.task.retries or 0)  # type: ignore[attr-defined]


def _logged(doing: str, work: Callable[[str], Any], told: Callable[[Any], str]) -> Callable[[str], Any]:
    """Return the work on a table with a line in the log when it begins, and one when it ends."""

    def do(table: str) -> Any:
        logger.info("%s: %s begins", table, doing)
        since = time.monotonic()
        try:
            result = work(table)
        except Exception as exc:
            logger.warning("%s: failed after %.1f s (%s)", table, time.monotonic() - since, type(exc).__name__)
            raise
        logger.info("%s: %s (%.1f s)", table, told(result), time.monotonic() - since)
        return result

    return do


def _told_load(result: Any) -> str:
    """Return what a load or a repair did, as one line."""
    counts = {
        "read": result.read,
        "good": result.good,
        "quarantined": result.quarantined,
        "known bad": result.known_bad,
        "appended": result.appended,
        "deleted": result.deleted,
    }
    batch = "nothing new" if result.batch is None else f"batch {result.batch}"
    upto = f", up to {result.watermark}" if result.watermark else ""
    notes = "".join(f"; {note}" for note in (*result.drift, *result.warnings))
    return f"{batch}: {', '.join(f'{count:,} {name}' for name, count in counts.items())}{upto}{notes}"


def _told_model(row: Mapping[str, Any] | None) -> str:
    """Return how a build ended for a model, as one line."""
    if row is None:
        return "not built: a table that it is built from was not loaded"
    if row["status"] == "skipped":
        return "not built: a model that it is built from failed"
    seconds = f" in {row['seconds']:.1f} s" if row["seconds"] is not None else ""
    note = f"; {row['message']}" if row["message"] else ""
    return f"{'failed' if row['status'] == 'failed' else 'built'}{seconds}, {row['tests']} tests{note}"


def _without_lists(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if not isinstance(value, list | tuple)}
