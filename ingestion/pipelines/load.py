"""Loads one table: from its contract's window in the source to one batch in Bronze."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from ingestion.bronze import changes
from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.contracts.compare import Drift, FoundColumn, find_drift
from ingestion.contracts.model import BronzeMode, Contract, Deletes, DriftAction, Mode
from ingestion.contracts.window import Window
from ingestion.errors import (
    Break,
    BrokenContractError,
    ConfigurationError,
    DeleteBrakeError,
    IntegrityError,
    QuarantineLimitError,
)
from ingestion.extract import windows
from ingestion.extract.quality import MIN_ROWS_TO_JUDGE, Outcome, evaluate
from ingestion.pipelines.batch import Batch, open_batch
from ingestion.pipelines.context import Context
from ingestion.sources.base import Snapshot


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one load did. `batch` is None when nothing was committed to Bronze."""

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
    warnings: tuple[str, ...] = ()
    breaks: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def load_table(context: Context, contract_id: str, *, full: bool = False, allow_deletes: bool = False) -> LoadResult:
    """
    Load the next window of a table into Bronze, at most once.

    A rerun with nothing new reads the overlap, finds every row known and commits nothing. `full`
    reads the whole table and appends what differs from the lake; `allow_deletes` lifts the brake.

    Raises:
        BrokenContractError: the source lacks a promised column, or holds other types.
        QuarantineLimitError, DeleteBrakeError: more bad rows or vanished keys than the contract allows.
        SourceUnavailableError, ConcurrentWriteError: try again later.
    """
    with context.recorded("load", contract_id) as row:
        contract = context.contract(contract_id)
        row["contract_version"] = contract.version
        table = context.table(contract)
        table.create()
        state = table.state()
        with context.source(contract).snapshot() as snapshot:
            row["fixed_point"] = snapshot.fixed_point.moment.isoformat()
            found = snapshot.catalog(contract)
            drifts = _check_drift(context, contract, found)
            with open_batch(table, state, snapshot.fixed_point, memory_limit=context.settings.memory_limit) as batch:
                load = _Load(context, contract, table, state, snapshot, found, batch, allow_deletes)
                result = load.run(full=full or (state.is_empty and contract.mode is not Mode.FULL), drifts=drifts)
        row.update(ledger_columns(result))
        row["status"] = "warning" if result.warnings else "ok"
        row["message"] = "; ".join(result.warnings) or None
        return result


@dataclass(slots=True)
class _Load:
    context: Context
    contract: Contract
    table: BronzeTable
    state: BronzeState
    snapshot: Snapshot
    found: tuple[FoundColumn, ...]
    batch: Batch
    allow_deletes: bool

    def run(self, *, full: bool, drifts: list[Drift]) -> LoadResult:
        if self.contract.mode is Mode.CHANGES:
            raise ConfigurationError(
                f"{self.contract.id}: mode changes reads SQL Server's Change Tracking; this source has none. "
                "No rows were read. Use mode incremental or full."
            )
        committed = None if full else committed_watermark(self.context, self.table, self.state)
        watermark, window = None, Window()
        if self.contract.mode is Mode.INCREMENTAL:
            plan = plan_for(self.contract, self.snapshot, committed)
            watermark, window = plan.next_low, plan.window
            self._take(window, plan.future, full=full)
        else:
            self._take(window, None, full=full)
        fetched = 0
        if self.contract.deletes is Deletes.KEYS and not self.state.is_empty and self._appends:
            fetched = self._compare_keys(window)
            self.batch.refresh_checkpoint()
        self.batch.settle_quarantine()
        outcomes, warnings = self._judge()
        metadata = batch_metadata(self.context, self.contract, self.batch, watermark=watermark, window=window)
        number = self.batch.commit(metadata)
        record_quality(self.context, self.contract, self.batch, outcomes)
        return result_of(
            self.context,
            self.contract,
            self.batch,
            number,
            watermark,
            fetched=fetched,
            warnings=warnings,
            drifts=drifts,
        )

    @property
    def _appends(self) -> bool:
        return self.contract.bronze is not BronzeMode.OVERWRITE

    def _take(self, window: Window, future: str | None, *, full: bool) -> None:
        contract = self.contract
        expected = self.snapshot.count(contract, window)
        rows = self.snapshot.read(contract, window, found=self.found)
        self.batch.take(
            rows, op="R" if full or self.state.is_empty else "U", news=self._news(window, full), future=future
        )
        if self.batch.tally.read != expected:
            raise IntegrityError(
                f"{contract.id}: the source counts {expected} rows in the window, {self.batch.tally.read} were read. "
                "Nothing was committed. Run it again; if it comes back, check the driver's version."
            )

    def _news(self, window: Window, full: bool) -> str | None:
        """Return the statement that finds what the lake lacks among the staged rows; None keeps all."""
        contract = self.contract
        if self.state.is_empty or not self._appends:
            return None
        if contract.mode is Mode.FULL:
            return changes.changed_state(contract, contract.tracked_names, op="R" if full else None)
        if full:
            others = tuple(n for n in contract.arrow_schema.names if n not in contract.key_names)
            return changes.changed_state(contract, others, op="R")
        return changes.not_yet_loaded(contract, window.low)

    def _compare_keys(self, window: Window) -> int:
        """Stage deletes, and fetch what the window did not show. Returns the rows fetched."""
        if window == Window():  # all rows were read: their states were compared already
            self.batch.set_source_keys(None)
            check_brake(self.contract, self.batch, allow_deletes=self.allow_deletes)
            self.batch.delete_vanished()
            return 0
        self.batch.set_source_keys(self.snapshot.read_keys(self.contract, Window()))
        check_brake(self.contract, self.batch, allow_deletes=self.allow_deletes)
        lacking = self.batch.lacking_keys()
        self.batch.delete_vanished()
        return fetch(self.contract, self.snapshot, self.found, self.batch, lacking) if lacking.num_rows else 0

    def _judge(self) -> tuple[list[Outcome], tuple[str, ...]]:
        """Compare bad rows and quality checks with the contract's limits. Raises QuarantineLimitError."""
        contract, batch = self.contract, self.batch
        outcomes = evaluate(contract, batch.tally)
        failed = [o for o in outcomes if o.outcome == "fail"]
        judged = batch.tally.read - batch.counts.known_bad
        percent = 100.0 * batch.counts.quarantined / judged if judged else 0.0
        breaks = ", ".join(f"{mark} {count}" for mark, count in batch.broken_new().items())
        if failed or (judged >= MIN_ROWS_TO_JUDGE and percent > contract.quarantine_fail_percent):
            record_quality(self.context, contract, batch, outcomes)
            finding = "; ".join(f"{o.check_id}: promised {o.promised}, found {o.found:g}" for o in failed) or (
                f"promised at most {contract.quarantine_fail_percent:g} % bad rows, found {percent:.1f} % "
                f"({batch.counts.quarantined} of {judged}): {breaks}"
            )
            raise QuarantineLimitError(
                f"{contract.id}: {finding}. Nothing was committed, and the source still has every row. "
                "Repair the source, or release a contract version that promises less."
            )
        warnings = [f"{o.check_id}: promised {o.promised}, found {o.found:g}" for o in outcomes if o.outcome == "warn"]
        if batch.counts.quarantined and percent > contract.quarantine_warn_percent:
            warnings.append(f"{batch.counts.quarantined} rows quarantined ({breaks})")
        return outcomes, tuple(warnings)


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

    The last is the newest loaded watermark, which is at or before the committed one: older is safe.
    Raises ConfigurationError if the contract has another watermark column by now.
    """
    contract = table.contract
    if state.is_empty or contract.mode is not Mode.INCREMENTAL:
        return None
    if state.watermark_column not in (None, contract.watermark):
        raise ConfigurationError(
            f"{contract.id}: the lake was loaded by the watermark {state.watermark_column}, the contract now names "
            f"{contract.watermark}. No rows were read. Reload it once: lakehouse load --full {contract.id}"
        )
    if state.watermark is not None:
        return state.watermark
    return context.journal.watermark(contract.id, state.batch) or table.newest_watermark(state)


def fetch(contract: Contract, snapshot: Snapshot, found: tuple[FoundColumn, ...], batch: Batch, keys: Any) -> int:
    """Read rows by key and stage them as R, later than anything the lake knows of their key."""
    future = windows.future_limit(contract, snapshot.fixed_point) if contract.mode is Mode.INCREMENTAL else None
    others = tuple(n for n in contract.arrow_schema.names if n not in contract.key_names)
    rows = snapshot.read(contract, Window(), found=found, keys=keys)
    kept = batch.take(rows, op="R", news=changes.changed_state(contract, others, op="R"), future=future)
    batch.counts.fetched += kept
    return kept


def check_brake(contract: Contract, batch: Batch, *, allow_deletes: bool) -> None:
    """Raise DeleteBrakeError if more of the lake's keys vanished than the contract lets one load delete."""
    gone, alive = batch.vanished()
    if allow_deletes or not gone or 100.0 * gone <= contract.max_delete_percent * alive:
        return
    raise DeleteBrakeError(
        f"{contract.id}: promised at most {contract.max_delete_percent:g} % of the keys deleted at once, found "
        f"{gone} of {alive} keys gone from the source ({100.0 * gone / alive:.1f} %). Nothing was committed. "
        f"If the rows are meant to be gone: lakehouse load --allow-deletes {contract.id}"
    )


def batch_metadata(
    context: Context, contract: Contract, batch: Batch, *, watermark: str | None, window: Window | None = None
) -> dict[str, Any]:
    """Return what the batch's commit says about it: no row value, no secret."""
    return {
        "run_id": context.run_id,
        "contract_version": contract.version,
        "watermark_column": contract.watermark,
        "watermark": watermark,
        "window": None if window is None else {"low": window.low, "high": window.high},
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
) -> LoadResult:
    counts = batch.counts
    return LoadResult(
        contract_id=contract.id,
        run_id=context.run_id,
        batch=number,
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
    )


def ledger_columns(result: LoadResult) -> dict[str, Any]:
    """Return a load's columns of `ops.runs`."""
    return {
        "batch": result.batch,
        "rows_read": result.read,
        "rows_good": result.good,
        "rows_quarantined": result.quarantined,
        "rows_known_bad": result.known_bad,
        "rows_known": result.known,
        "rows_appended": result.appended,
        "rows_deleted": result.deleted,
        "watermark": result.watermark,
    }


def record_quality(context: Context, contract: Contract, batch: Batch, outcomes: list[Outcome]) -> None:
    """Append the outcome of every check of this batch to `ops.quality`."""
    now = datetime.now(UTC)
    common = {"run_id": context.run_id, "contract_id": contract.id, "checked_at": now, "batch": batch.state.next_batch}
    context.journal.append("quality", [{**common, **asdict(outcome)} for outcome in outcomes])


def _check_drift(context: Context, contract: Contract, found: tuple[FoundColumn, ...]) -> list[Drift]:
    drifts = find_drift(contract, found)
    now = datetime.now(UTC)
    context.journal.append(
        "drift",
        [
            {
                "run_id": context.run_id,
                "contract_id": contract.id,
                "contract_version": contract.version,
                "found_at": now,
                "kind": drift.kind,
                "column": drift.column,
                "promised": drift.promised,
                "found": drift.found,
                "action": str(drift.action),
            }
            for drift in drifts
        ],
    )
    failing = [Break(d.column, d.promised, d.found) for d in drifts if d.action is DriftAction.FAIL]
    if failing:
        raise BrokenContractError(contract.id, failing)
    return drifts
