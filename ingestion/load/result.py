"""What one load did: its result, and its columns of `ops.runs`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ingestion.contracts.drift import Drift
from ingestion.load.batch import Batch
from ingestion.runs.context import Context


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one load did. `batch` is None when nothing was committed to Bronze; `last_batch` is Bronze's newest.

    `must_catch_up`: the rows are of several states, none older than the fixed point. The next load makes them one.
    """

    contract_id: str
    run_id: str
    batch: int | None
    read: int
    good: int
    quarantined: int
    known_bad: int
    known: int
    appended: int
    deleted: int
    fetched: int
    watermark: str | None
    drift: tuple[str, ...] = ()
    last_batch: int = 0
    must_catch_up: bool = False
    warnings: tuple[str, ...] = ()
    breaks: dict[str, int] = field(default_factory=dict)
    settled: int = 0
    in_quarantine: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def result_of(
    context: Context,
    batch: Batch,
    number: int | None,
    watermark: str | None,
    *,
    fetched: int = 0,
    warnings: tuple[str, ...] = (),
    drifts: list[Drift] | None = None,
    must_catch_up: bool = False,
) -> LoadResult:
    counts = batch.counts
    return LoadResult(
        contract_id=batch.contract.id,
        run_id=context.run_id,
        batch=number,
        last_batch=number or batch.state.batch,
        must_catch_up=must_catch_up,
        read=batch.tally.read,
        good=batch.tally.good,
        quarantined=counts.quarantined,
        known_bad=counts.known_bad,
        known=counts.known,
        appended=counts.appended,
        deleted=counts.deleted,
        fetched=fetched,
        watermark=watermark,
        drift=tuple(f"{d.kind} {d.column}: expected {d.promised}, found {d.found}" for d in drifts or []),
        warnings=warnings,
        breaks=dict(batch.tally.broken),
        settled=counts.settled,
        in_quarantine=counts.in_quarantine,
    )


def ledger_columns(result: LoadResult) -> dict[str, Any]:
    """Return a load's columns of `ops.runs`."""
    return {
        "batch": result.batch,
        "last_batch": result.last_batch,
        "rows_read": result.read,
        "rows_good": result.good,
        "rows_quarantined": result.quarantined,
        "rows_known_bad": result.known_bad,
        "rows_known": result.known,
        "rows_appended": result.appended,
        "rows_deleted": result.deleted,
        "watermark": result.watermark,
    }
