"""What of a run is red, as the ledger has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ingestion.errors import RunFailedError
from ingestion.ledger import queries
from ingestion.reconcile.gap import is_alarm
from ingestion.runs.context import Context


def verdict(context: Context, run_id: str, planned: Sequence[str]) -> list[str]:
    """
    Read the ledger of a run and return one line per thing that is red; empty means green.

    Red is a planned load or gap check without a good end, a failed build, or a critical gap that is confirmed: what is
    only suspected may be in flight.
    """
    rows = context.journal.select(
        "select step, subject, status, message, error from ops.runs where run_id = ? order by finished_at", [run_id]
    )
    last = {(row["step"], row["subject"]): row for row in rows}
    red = []
    builds = ["all"] if ("all", "dbt") in last else ["silver", "gold"]
    wanted = [*((step, i) for step in ("load", "gaps") for i in planned), *((step, "dbt") for step in builds)]
    for step, subject in wanted:
        row = last.get((step, subject))
        if row is None:
            red.append(f"{step} {subject}: did not run")
        elif row["status"] == "failed":
            red.append(f"{step} {subject}: {row['message'] or row['error']}")
    return red + alarms(context, run_id)


def good_ends(context: Context, step: str) -> set[str]:
    """Return the subjects of a step whose last attempt in this run did not fail, as the ledger has it."""
    rows = context.journal.select(
        f"select subject from {queries.newest_runs('run_id = ? and step = ?')} where status <> 'failed'",
        [context.run_id, step],
    )
    return {row["subject"] for row in rows}


def alarms(context: Context, run_id: str, contract_ids: Sequence[str] | None = None) -> list[str]:
    """
    Return one line per table whose newest check of a run found a critical gap that is confirmed.

    `contract_ids`: of these tables only.
    """
    gaps = context.journal.select(
        "select contract_id, severity, state, sync_gap, coalesce(differing_keys, 0) as differing "
        f"from {queries.newest_gaps('run_id = ?')} order by 1",
        [run_id],
    )
    chosen = [gap for gap in gaps if contract_ids is None or gap["contract_id"] in contract_ids]
    return [_describe(gap) for gap in chosen if is_alarm(gap["severity"], gap["state"])]


def summary(context: Context, run_id: str) -> str:
    """
    Return in one sentence what a run did, e.g. `4 tables loaded (71,727 rows), 11 models built, no gaps.`

    Counts are of the newest ends in the run; rows are those appended to Bronze and those marked as deleted there.
    """
    [loads] = context.journal.select(
        "select count(*) filter (status <> 'failed') as tables, count(*) filter (status = 'failed') as failed, "
        "count(*) filter (status = 'warning') as warned "
        f"from {queries.newest_runs('run_id = ?')} where step = 'load'",
        [run_id],
    )
    [rows] = context.journal.select(
        "select coalesce(sum(rows_appended + rows_deleted), 0) as rows from ops.runs "
        "where run_id = ? and step = 'load'",
        [run_id],
    )
    [models] = context.journal.select(
        "select count(distinct model) filter (status in ('ok', 'warning')) as built, "
        "count(distinct model) filter (status in ('failed', 'skipped')) as unbuilt "
        f"from {queries.newest_models('run_id = ?')}",
        [run_id],
    )
    gaps = context.journal.select(
        f"select severity, state from {queries.newest_gaps('run_id = ?')} where severity not like 'OK%'", [run_id]
    )
    found = [is_alarm(gap["severity"], gap["state"]) for gap in gaps]
    warned = f", {loads['warned']} with a warning" if loads["warned"] else ""
    told = [f"{_count(loads['tables'], 'table')} loaded ({_count(int(rows['rows']), 'new row')}{warned})"]
    told += [f"{_count(loads['failed'], 'table')} not loaded"] if loads["failed"] else []
    told += [f"{_count(models['built'], 'model')} built"]
    told += [f"{_count(models['unbuilt'], 'model')} not built"] if models["unbuilt"] else []
    told += [_count(sum(found), "critical gap")] if any(found) else []
    told += [_count(found.count(False), "gap to watch", "gaps to watch")] if False in found else []
    return ", ".join([*told, *([] if found else ["no gaps"])]) + "."


def _count(number: int, name: str, names: str = "") -> str:
    return f"{number:,} {name if number == 1 else names or name + 's'}"


def raise_if_red(run_id: str, red: Sequence[str]) -> None:
    """Raise RunFailedError that lists everything red."""
    if red:
        lines = "\n".join(f"  {line}" for line in red)
        raise RunFailedError(
            f"{run_id}: {_count(len(red), 'step is', 'steps are')} red.\n{lines}\n"
            "What the others wrote is in the lake. Correct the causes and run again: only what is missing is done."
        )


def _describe(gap: dict[str, Any]) -> str:
    differing = f", {gap['differing']} with other contents" if gap["differing"] else ""
    table = gap["contract_id"]
    return (
        f"gap {table}: {gap['severity']}, {gap['sync_gap']} rows{differing}. Likely causes: lakehouse gaps advise "
        f"{table}; to close it, start the DAG repair with this table, or: lakehouse repair {table}"
    )
