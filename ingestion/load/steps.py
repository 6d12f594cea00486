"""What loads, repairs and plans have in common: windows, the brake, fetching by key, and what a batch reports."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from ingestion.bronze import changes
from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.contracts.drift import Drift, FoundColumn
from ingestion.contracts.model import Contract, Mode
from ingestion.contracts.window import FixedPoint, Window
from ingestion.errors import ConfigurationError, DeleteBrakeError, IntegrityError
from ingestion.extract import windows
from ingestion.load.batch import Batch
from ingestion.runs.context import Context
from ingestion.sources.base import Snapshot

CHANGE_LOG = "(change log)"
FEW_KEYS = 10


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one load did. `batch` is None when nothing was committed to Bronze; `last_batch` is the newest there.

    `must_catch_up`: the rows are of several states, each no older than the fixed point; the next load makes them one.
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


def plan_for(contract: Contract, snapshot: Snapshot, committed: str | None) -> windows.WindowPlan:
    """Plan the window of an incremental table at a fixed point."""
    future = windows.future_limit(contract, snapshot.fixed_point)
    highest = snapshot.highest_watermark(contract, below=future) if future is not None else None
    if future is None:
        highest = snapshot.highest_watermark(contract, below=str(2**63 - 1))
    return windows.plan_window(contract, committed=committed, highest=highest, fixed_point=snapshot.fixed_point)


def committed_watermark(context: Context, table: BronzeTable, state: BronzeState) -> str | None:
    """
    Return where the next window begins: from the commit, else the ledger, else the Bronze rows themselves.

    The last is the newest loaded watermark, which is at or before the committed one: older is safe. Mode changes goes
    by versions of the source's log; there the ledger also knows loads that found nothing to commit.
    Raises ConfigurationError if the contract has another watermark column by now.
    """
    contract = table.contract
    if state.is_empty or contract.mode is Mode.FULL:
        return None
    named = watermark_name(contract)
    if state.watermark_column not in (None, named):
        raise ConfigurationError(
            f"{contract.id}: the lake was loaded by the watermark {state.watermark_column}, the contract now names "
            f"{named}. No rows were read. Reload it once: lakehouse load --full {contract.id}"
        )
    noted = None
    if state.watermark is None or contract.mode is Mode.CHANGES:
        noted = context.journal.watermark(contract.id, state.batch, since=state.ingested_at)
    if contract.mode is Mode.CHANGES:
        versions = [int(text) for text in (noted, state.watermark) if text is not None]
        return str(max(versions)) if versions else None
    return state.watermark or noted or table.newest_watermark(state)


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


def watermark_name(contract: Contract) -> str | None:
    """Return what a table's loads go by: its watermark's column, or the log of changes."""
    return CHANGE_LOG if contract.mode is Mode.CHANGES else contract.watermark


def fetch(
    contract: Contract,
    snapshot: Snapshot,
    found: tuple[FoundColumn, ...],
    batch: Batch,
    keys: pa.Table,
    *,
    may_be_gone: bool = False,
) -> int:
    """
    Read rows by key and stage them as R, later than anything the lake knows of their key; return how many are kept.

    Raises IntegrityError if fewer rows come than the same state of the source showed keys, unless they `may_be_gone`.
    """
    future = windows.future_limit(contract, snapshot.fixed_point) if contract.mode is Mode.INCREMENTAL else None
    before = batch.tally.read
    rows = snapshot.read(contract, Window(), found=found, keys=keys)
    new_rows = changes.changed_state(contract, contract.content_names, op="R", moment=batch.fixed_point.moment)
    kept = batch.take(rows, op="R", new_rows=new_rows, future=future)
    batch.counts.fetched += kept
    wanted = keys.drop_null().group_by(list(contract.key_names)).aggregate([]).num_rows
    came = batch.tally.read - before
    if (
        came < wanted and not may_be_gone and snapshot.fixed_point.kind != "statement"
    ):  # where rows may go between two statements
        raise IntegrityError(
            f"{contract.id}: the source showed {wanted} keys that are to be read, and {came} rows when asked for them. "
            "Nothing was committed. A key that its own type cannot spell is the likely cause: compare the contract's "
            "key types with the source's."
        )
    return kept


def allowed_rows(percent: float, of: int) -> float:
    """
    Return how many rows a limit in percent of a table of so many rows lets pass.

    In a small table a few rows are a big share: FEW_KEYS, or half of the table, pass in any case. 0 percent lets none.
    """
    return max(percent / 100.0 * of, min(FEW_KEYS, of / 2)) if percent else 0.0


def check_brake(
    contract: Contract, batch: Batch, *, allow_deletes: bool, approved: int = 0, command: str = "load"
) -> None:
    """
    Raise DeleteBrakeError if more of the lake's keys vanished than the contract lets one load delete.

    So many as somebody has `approved` may go. `command` is the one that goes on when deletions are allowed.
    """
    gone, alive = batch.vanished()
    if allow_deletes or gone <= approved or gone <= allowed_rows(contract.max_delete_percent, alive):
        return
    error = DeleteBrakeError(
        f"{contract.id}: promised at most {contract.max_delete_percent:g} % of the keys deleted at once, found "
        f"{gone} of {alive} keys gone from the source ({100.0 * gone / alive:.1f} %). Nothing was committed. "
        f"If the rows are meant to be gone: lakehouse {command} --allow-deletes {contract.id}"
    )
    error.deletes = gone
    raise error


def batch_metadata(
    context: Context, contract: Contract, batch: Batch, *, watermark: str | None, window: Window | None = None
) -> dict[str, Any]:
    """Return what the batch's commit says about it: no row value, no secret."""
    return {
        "run_id": context.run_id,
        "contract_version": contract.version,
        "watermark_column": watermark_name(contract),
        "watermark": watermark,
        "window": None if window is None else {"low": window.low, "high": window.high},
        "ingested_at": batch.ingested_at.isoformat(),
        "fixed_point": batch.fixed_point.as_dict(),
        "counts": {"read": batch.tally.read, "good": batch.tally.good, "bad": batch.tally.bad, **asdict(batch.counts)},
    }


def result_of(
    context: Context,
    contract: Contract,
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
        contract_id=contract.id,
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
        drift=tuple(f"{d.kind} {d.column}: promised {d.promised}, found {d.found}" for d in drifts or []),
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
