"""Lets a person accept a difference until a moment."""

from __future__ import annotations

from datetime import UTC, datetime

from ingestion.errors import ConfigurationError
from ingestion.pipelines.context import Context
from ingestion.pipelines.differences import newest_states
from ingestion.reconcile.states import UNENDED, State


def waive(context: Context, difference_id: str, by: str, why: str, until: datetime) -> None:
    """
    Count a difference as explained until a moment, and keep who said so and why.

    Checks go on: found again after that moment, it is open again. A repair leaves it alone until then. Raises
    ConfigurationError where there is no such difference, it has ended, or the waiver would say nothing.
    """
    subject, now = f"waive {difference_id}", datetime.now(UTC)
    if not (by.strip() and why.strip()):
        raise ConfigurationError(f"{subject}: promised who and why, found none. Nothing was recorded. Name both.")
    if until.tzinfo is None or until <= now:
        raise ConfigurationError(
            f"{subject}: promised a moment to come, found {until.isoformat()}. Nothing was recorded. Name a later one."
        )
    rows = newest_states(context, "difference_id", difference_id)
    if not rows or rows[0]["state"] not in UNENDED:
        found = f"it is {rows[0]['state']}" if rows else "the ledger knows none of that name"
        raise ConfigurationError(
            f"{subject}: promised an open difference, found that {found}. Nothing was recorded. "
            "List them with `lakehouse gaps --last`."
        )
    row = rows[0] | {"state": str(State.WAIVED), "state_at": now, "run_id": context.run_id}
    context.journal.append("differences", [row | {"by": by, "why": why, "until": until}])
