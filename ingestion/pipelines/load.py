"""Loads one table: from its contract's window in the source to one batch in Bronze."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ingestion.bronze import changes
from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.contracts.compare import Drift, FoundColumn, find_drift
from ingestion.contracts.model import BronzeMode, Contract, Deletes, DriftAction, Mode
from ingestion.contracts.window import FixedPoint, Window
from ingestion.errors import (
    Break,
    BrokenContractError,
    ConfigurationError,
    IntegrityError,
    PermanentError,
    QuarantineLimitError,
    SnapshotLostError,
)
from ingestion.extract.chunk_ledger import ChunkLedger, ChunkPlan
from ingestion.extract.quality import MIN_ROWS_TO_JUDGE, Outcome, evaluate
from ingestion.pipelines.batch import Batch, open_batch
from ingestion.pipelines.chunked import ROW_NUMBERS, ChunkWork, chunk_ledger, chunk_rows, read_chunks
from ingestion.pipelines.context import Context
from ingestion.pipelines.steps import (
    LoadResult,
    batch_metadata,
    check_brake,
    committed_watermark,
    fetch,
    ledger_columns,
    plan_for,
    result_of,
)
from ingestion.sources.base import Snapshot, Source

READS = 3  # of one table in one load, where the source gives fixed points up

logger = logging.getLogger("lakehouse")


def load_table(
    context: Context,
    contract_id: str,
    *,
    full: bool = False,
    allow_deletes: bool = False,
    at: FixedPoint | None = None,
) -> LoadResult:
    """
    Load the next window of a table into Bronze, at most once.

    A rerun with nothing new reads the overlap, finds every row known and commits nothing. `full`
    reads the whole table and appends what differs from the lake; `allow_deletes` lifts the brake.
    `at` is the run's fixed point, if the source can share one. A fixed point that the source gives up
    while it is read is replaced by a new one, and the table read again.

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
        points = [at, *[None] * (READS - 1)]
        for attempt, point in enumerate(points, start=1):
            try:
                result = _load_at(context, table, point, row, full=full, allow_deletes=allow_deletes)
                break
            except SnapshotLostError:
                if attempt == READS:
                    raise
                logger.warning("run=%s subject=%s the fixed point is lost: reading anew", context.run_id, contract_id)
        row.update(ledger_columns(result))
        row["status"] = "warning" if result.warnings else "ok"
        row["message"] = "; ".join(result.warnings) or None
        return result


def _load_at(
    context: Context,
    table: BronzeTable,
    point: FixedPoint | None,
    row: dict[str, Any],
    *,
    full: bool,
    allow_deletes: bool,
) -> LoadResult:
    contract, state = table.contract, table.state()
    full = full or (state.is_empty and contract.mode is not Mode.FULL)
    ledger = chunk_ledger(table, state, full=full)
    source = context.source(contract)
    begun = ledger.plan()
    if begun is not None and source.shares(begun.fixed_point):
        point = begun.fixed_point
    else:
        ledger.clear()
        begun = None
    try:
        with source.snapshot(at=point) as snapshot:
            row["fixed_point"] = snapshot.fixed_point.moment.isoformat()
            found = snapshot.catalog(contract)
            drifts = _check_drift(context, contract, found)
            with open_batch(table, state, snapshot.fixed_point, memory_limit=context.settings.load_memory) as batch:
                if begun is not None:
                    batch.ingested_at = begun.ingested_at
                load = _Load(context, contract, table, state, source, snapshot, found, batch, ledger, allow_deletes)
                result = load.run(full=full, drifts=drifts)
    except (SnapshotLostError, PermanentError):
        ledger.clear()  # the rows are of a state that is gone, or nobody may want them
        raise
    ledger.clear()
    return result


@dataclass(slots=True)
class _Load:
    context: Context
    contract: Contract
    table: BronzeTable
    state: BronzeState
    source: Source
    snapshot: Snapshot
    found: tuple[FoundColumn, ...]
    batch: Batch
    ledger: ChunkLedger
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
        op = "R" if full or self.state.is_empty else "U"
        news = self._news(window, full)
        if expected > chunk_rows(contract) and window.low is None and self.source.shares(self.snapshot.fixed_point):
            self._take_chunks(window, future, op=op, news=news)
        else:
            rows = self.snapshot.read(contract, window, found=self.found)
            self.batch.take(rows, op=op, news=news, future=future)
        if self.batch.tally.read != expected:
            raise IntegrityError(
                f"{contract.id}: the source counts {expected} rows in the window, {self.batch.tally.read} were read. "
                "Nothing was committed. Run it again; if it comes back, check the driver's version."
            )

    def _take_chunks(self, window: Window, future: str | None, *, op: str, news: str | None) -> None:
        """Read chunks that several sessions share, those left out that an earlier attempt at this batch has read."""
        plan = self.ledger.plan()
        if plan is None or plan.window != window:
            chunks = self.snapshot.chunks(self.contract, rows=chunk_rows(self.contract))
            plan = ChunkPlan(self.snapshot.fixed_point, window, self.batch.ingested_at, chunks)
            self.ledger.begin(plan)
        connection = self.context.settings.connection(self.contract.system)
        stamp = self.batch.stamp(op)
        work = ChunkWork(
            self.contract, connection, self.table.lake, self.ledger.folder, plan, self.found, stamp, future
        )
        intakes = read_chunks(work, self.ledger)
        self.batch.admit(intakes, stamp=stamp, news=news, last_row=len(intakes) * ROW_NUMBERS + 1)

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
