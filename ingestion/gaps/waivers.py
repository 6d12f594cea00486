"""Records that a person accepts a difference, or quarantined rows, until a moment."""

from __future__ import annotations

from datetime import UTC, datetime

from ingestion.bronze.quarantine import OPEN
from ingestion.errors import ConfigurationError
from ingestion.gaps.differences import newest_states
from ingestion.lake import duck
from ingestion.ledger.vocabulary import UNENDED, State
from ingestion.runs.context import Context


def waive(context: Context, difference_id: str, by: str, why: str, until: datetime) -> None:
    """
    Count a difference as explained until a moment, and record who decided so and why.

    Checks continue: a difference that is found after that moment is open again. Until then repairs leave it out. Raises
    ConfigurationError if there is no such difference, it has ended, `by` or `why` is empty, or `until` is past.
    """
    subject, now = f"waive {difference_id}", datetime.now(UTC)
    _check(subject, by, why, until, now)
    rows = newest_states(context, "difference_id", difference_id)
    if not rows or rows[0]["state"] not in UNENDED:
        found = f"it is {rows[0]['state']}" if rows else "the ledger knows none of that name"
        raise ConfigurationError(
            f"{subject}: this is no open difference: {found}. Nothing was recorded. "
            "List them with `lakehouse gaps --last`."
        )
    row = rows[0] | {"state": str(State.WAIVED), "state_at": now, "run_id": context.run_id}
    context.journal.append("differences", [row | {"by": by, "why": why, "until": until}])


def waive_entries(
    context: Context, contract_id: str, *, by: str, why: str, until: datetime, batch: int | None = None
) -> int:
    """
    Accept a table's open quarantine entries (of one `batch`, or all) until a moment; return how many.

    Until then they are counted separately. Who decided so and why is recorded in `ops.runs`. Raises ConfigurationError
    as `waive` does, and ConcurrentWriteError if a load changed the quarantine meanwhile.
    """
    subject = f"quarantine waive {contract_id}"
    _check(subject, by, why, until, datetime.now(UTC))
    with context.recorded("waive", contract_id) as row:
        table = context.table(context.contract(contract_id))
        table.create()
        state = table.state()
        with duck.session(table.uri) as connection:
            positions = connection.execute(
                f"select q._batch, q._row from ({table.quarantine_at(connection, state.quarantine_version)}) q "
                f"where {OPEN} and (?::bigint is null or q._batch = ?)",
                [batch, batch],
            ).to_arrow_table()
        table.end_entries(positions, "_waived_until", until, expected_version=state.quarantine_version)
        row["message"] = f"{positions.num_rows} quarantined rows until {until.isoformat()} by {by}: {why}"
    return int(positions.num_rows)


def _check(subject: str, by: str, why: str, until: datetime, now: datetime) -> None:
    if not (by.strip() and why.strip()):
        raise ConfigurationError(
            f"{subject}: who waives it or why is empty. Nothing was recorded. Give both: --by and --why."
        )
    if until.tzinfo is None or until <= now:
        raise ConfigurationError(
            f"{subject}: {until.isoformat()} is in the past. Nothing was recorded. Name a later one."
        )
