"""Which state of its source a run read, as `ops.runs` has it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingestion.contracts.model import Contract
from ingestion.contracts.window import FixedPoint
from ingestion.runs.context import Context


def note_fixed_point(row: dict[str, Any], point: FixedPoint) -> None:
    """Fill a run's columns of `ops.runs` that say which state of the source it read."""
    row["fixed_point"] = point.moment.isoformat()
    row["source_state"] = json.dumps(point.as_dict())


@dataclass(frozen=True, slots=True)
class NewestLoad:
    """
    The newest load of a table that ended.

    `error` and `failed_at` tell how it failed (None: it did not) and which state of the source it read. `read_at` is
    the newest state that a load, failed or not, or a successful repair read.
    """

    error: str | None = None
    failed_at: FixedPoint | None = None
    read_at: FixedPoint | None = None


def newest_load(context: Context, contract_id: str) -> NewestLoad:
    """Return what the ledger tells of the newest load of a table."""
    rows = context.journal.select(
        "select step, status, error, source_state from ops.runs where subject = ? and "
        "(step = 'load' or (step = 'repair' and status <> 'failed')) order by started_at desc limit 100",
        [contract_id],
    )
    states = [(row, _point(row["source_state"])) for row in rows]
    read_at = next((point for _, point in states if point is not None), None)
    load, point = next(((row, point) for row, point in states if row["step"] == "load"), (None, None))
    if load is None or load["status"] != "failed":
        return NewestLoad(read_at=read_at)
    return NewestLoad(load["error"], point, read_at)


def _point(state: str | None) -> FixedPoint | None:
    return None if state is None else FixedPoint.from_dict(json.loads(state))


def hours_since_load(context: Context, contract: Contract, now: datetime) -> float | None:
    """Return the hours from the state that the newest good load read to `now`; None where there was no such load."""
    rows = context.journal.select(
        "select max(fixed_point) as at from ops.runs where step = 'load' and subject = ? and status <> 'failed'",
        [contract.id],
    )
    at = rows[0]["at"] if rows else None
    return None if at is None else max(0.0, (now - datetime.fromisoformat(at)).total_seconds() / 3600)
