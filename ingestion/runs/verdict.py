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
    wanted = [*((step, i) for step in ("load", "gaps") for i in planned), ("silver", "dbt"), ("gold", "dbt")]
    for step, subject in wanted:
        row = last.get((step, subject)) or (last.get(("all", "dbt")) if subject == "dbt" else None)
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


def alarms(context: Context, run_id: str, contract_id: str | None = None) -> list[str]:
    """Return one line per table whose newest check of a run found a critical gap that is confirmed."""
    gaps = context.journal.select(
        "select contract_id, severity, state, sync_gap, coalesce(differing_keys, 0) as differing "
        f"from {queries.newest_gaps('run_id = ? and contract_id = coalesce(?, contract_id)')} order by 1",
        [run_id, contract_id],
    )
    return [_describe(gap) for gap in gaps if is_alarm(gap["severity"], gap["state"])]


def raise_if_red(run_id: str, red: Sequence[str]) -> None:
    """Raise RunFailedError that lists everything red."""
    if red:
        lines = "\n".join(f"  {line}" for line in red)
        raise RunFailedError(
            f"{run_id}: {len(red)} steps are red.\n{lines}\n"
            "What the others wrote is in the lake. Correct the causes and run again: only what is missing is done."
        )


def _describe(gap: dict[str, Any]) -> str:
    differing = f", {gap['differing']} with other contents" if gap["differing"] else ""
    return f"gap {gap['contract_id']}: {gap['severity']}, {gap['sync_gap']} rows{differing}"
