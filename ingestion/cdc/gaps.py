"""Compares the calls of the source with what was sent and answered, and sends again what is missing."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

import pyarrow as pa

from ingestion.cdc.run import Cdc, open_cdc
from ingestion.cdc.tables import DONE, EXPIRED, FAILED, NORMAL
from ingestion.errors import CriticalGapError
from ingestion.runs.context import Context

POLLS_BETWEEN = 3
"""A difference counts if it is still there after so many polls: what is under way is no gap."""


@dataclass(slots=True)
class CallGaps:
    """
    Calls of the window `[since, until)` of segments' times, and the differences that were found twice.

    `unsent` have segments that no revision has, `unanswered` failed or got no result in time, `lost` have a result by
    the outbox and none in its table.
    """

    calls: int = 0
    unsent: list[Any] = field(default_factory=list)
    unanswered: list[Any] = field(default_factory=list)
    lost: list[Any] = field(default_factory=list)
    repaired: int = 0

    @property
    def total(self) -> int:
        return len(self.unsent) + len(self.unanswered) + len(self.lost)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"total": self.total}


def compare_calls(context: Context, window: timedelta, *, repair: bool) -> CallGaps:
    """Do the same as `check_calls` on the project's database. Raises CriticalGapError for what is left missing."""
    with open_cdc(context) as cdc:
        cdc.init()
        found = check_calls(cdc, window=window, repair=repair)
    if found.total and not repair:
        raise missing(found)
    return found


def missing(found: CallGaps) -> CriticalGapError:
    return CriticalGapError(
        f"cdc: calls missing, found twice: {found.total:,}. Nothing was changed. Run: lakehouse cdc gaps --repair"
    )


def check_calls(cdc: Cdc, *, window: timedelta = timedelta(days=1), repair: bool = False) -> CallGaps:
    """
    Return the differences of the last `window` up to where the normal mode has come; with `repair`, mend them.

    A repair enters conversations anew; `lakehouse cdc run` sends them.
    """
    first = _look(cdc, window)
    if first.total:
        time.sleep(POLLS_BETWEEN * cdc.rules.poll)
        second = _look(cdc, window)
        for name in ("unsent", "unanswered", "lost"):
            setattr(second, name, [call for call in getattr(second, name) if call in {*getattr(first, name)}])
        first = second
    if repair and first.total:
        if first.lost:
            cdc.reader.forget(first.lost)
        first.repaired = cdc.reader.again([*first.unsent, *first.lost]).merged
        first.repaired += cdc.sender.send_again((FAILED, EXPIRED))
    return first


def _look(cdc: Cdc, window: timedelta) -> CallGaps:
    db, outbox, q = cdc.db, cdc.tables.outbox, cdc.db.quote
    at = cdc.reader.progress(NORMAL).watermark
    with db.transaction():
        since = (at or db.clock()) - window
        unsent = cdc.reader.touched(since, at) if at else []
        call, table = q("call_id"), db.table_name(outbox)
        calls = db.counted(cdc.tables.calls, f"{q('first_segment_at')} >= :1", since)
        unanswered = f"{q('state')} IN ('{FAILED}', '{EXPIRED}') ORDER BY {call}"
        lost = (
            f"SELECT DISTINCT o.{call} FROM {table} o LEFT JOIN {db.table_name(cdc.sink.tables.target)} r "
            f"ON r.{call} = o.{call} WHERE o.{q('state')} = '{DONE}' AND o.{q('enqueued_at')} >= :1 "
            f"AND r.{call} IS NULL ORDER BY o.{call}"
        )
        return CallGaps(
            calls,
            unsent,
            db.rows(outbox, ["call_id"], unanswered)["call_id"].to_pylist(),
            db.select(lost, pa.schema([outbox.columns.field("call_id")]), since)["call_id"].to_pylist(),
        )
