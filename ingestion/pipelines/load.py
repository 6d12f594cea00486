"""Loads one table: from its contract's window in the source to one batch in Bronze."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from ingestion.bronze import changes
from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.contracts.compare import Drift, FoundColumn
from ingestion.contracts.model import BronzeMode, Contract, Deletes, Mode
from ingestion.contracts.window import FixedPoint, Window
from ingestion.errors import (
    ConfigurationError,
    IntegrityError,
    PermanentError,
    SnapshotLostError,
)
from ingestion.extract.chunk_ledger import ChunkLedger, ChunkPlan
from ingestion.pipelines.batch import Batch, open_batch
from ingestion.pipelines.checks import check_drift, judge_batch, record_quality
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
from ingestion.sources.base import ChangeFeed, Snapshot, Source

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
            drifts = check_drift(context, contract, found)
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


@dataclass(frozen=True, slots=True)
class _ReadPlan:
    """
    What one load reads: a window, or (`since`) what changed after a version of the source's log of changes.

    `watermark` is what the commit will say; `full` compares the whole table with the lake.
    """

    window: Window
    full: bool
    watermark: str | None = None
    future: str | None = None
    since: str | None = None
    warnings: tuple[str, ...] = ()


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
        plan = self._plan(None if full else committed_watermark(self.context, self.table, self.state), full=full)
        if plan.since is None:
            self._take(plan)
        else:
            self._take_changes(plan.since)
        fetched = self._settle_deletes(plan) if self._appends and not self.state.is_empty else 0
        self.batch.settle_quarantine()
        outcomes, warnings = judge_batch(self.context, self.batch)
        metadata = batch_metadata(self.context, self.contract, self.batch, watermark=plan.watermark, window=plan.window)
        number = self.batch.commit(metadata)
        record_quality(self.context, self.contract, self.batch, outcomes)
        return result_of(
            self.context,
            self.contract,
            self.batch,
            number,
            plan.watermark,
            fetched=fetched,
            warnings=(*plan.warnings, *warnings),
            drifts=drifts,
        )

    @property
    def _appends(self) -> bool:
        return self.contract.bronze is not BronzeMode.OVERWRITE

    def _plan(self, committed: str | None, *, full: bool) -> _ReadPlan:
        if self.contract.mode is Mode.FULL:
            return _ReadPlan(Window(), full=full)
        if self.contract.mode is Mode.CHANGES:
            return self._plan_changes(committed)
        plan = plan_for(self.contract, self.snapshot, committed)
        return _ReadPlan(plan.window, full=full, watermark=plan.next_low, future=plan.future)

    def _plan_changes(self, committed: str | None) -> _ReadPlan:
        """Plan to read what changed; everything, where nothing is loaded yet or the log does not reach back so far."""
        feed, watermark = self._feed(), self.snapshot.fixed_point.value
        if committed is not None and feed.reaches_back(self.contract, committed):
            return _ReadPlan(Window(), full=False, watermark=watermark, since=committed)
        warnings = () if committed is None else (
            f"the source no longer keeps changes back to version {committed}: the whole table was compared. "
            "Load more often than changes are kept, or keep them longer",
        )  # fmt: skip
        return _ReadPlan(Window(), full=True, watermark=watermark, warnings=warnings)

    def _feed(self) -> ChangeFeed:
        snapshot = self.snapshot
        if isinstance(snapshot, ChangeFeed) and snapshot.tracks_changes(self.contract):
            return snapshot
        raise ConfigurationError(
            f"{self.contract.id}: promised by mode changes that the database keeps a log of the table's changed keys, "
            "found none. No rows were read. Enable Change Tracking on it, or use mode incremental or full."
        )

    def _take(self, plan: _ReadPlan) -> None:
        contract, window = self.contract, plan.window
        expected = self.snapshot.count(contract, window)
        op = "R" if plan.full or self.state.is_empty else "U"
        news = self._news(plan)
        if expected > chunk_rows(contract) and window.low is None and self.source.shares(self.snapshot.fixed_point):
            self._take_chunks(plan, op=op, news=news)
        else:
            rows = self.snapshot.read(contract, window, found=self.found)
            self.batch.take(rows, op=op, news=news, future=plan.future)
        self._check_count(expected, "in the window")

    def _take_changes(self, since: str) -> None:
        feed = self._feed()
        expected = feed.count_changes(self.contract, since)
        rows = feed.read_changes(self.contract, since, found=self.found)
        self.batch.take(rows, op="U", news=changes.changed_state(self.contract, self._content, op=None))
        self._check_count(expected, f"changed since version {since}")

    def _check_count(self, expected: int, where: str) -> None:
        if self.batch.tally.read != expected:
            raise IntegrityError(
                f"{self.contract.id}: the source counts {expected} rows {where}, {self.batch.tally.read} were read. "
                "Nothing was committed. Run it again; if it comes back, check the driver's version."
            )

    def _take_chunks(self, read: _ReadPlan, *, op: str, news: str | None) -> None:
        """Read chunks that several sessions share, those left out that an earlier attempt at this batch has read."""
        plan = self.ledger.plan()
        if plan is None or plan.window != read.window:
            chunks = self.snapshot.chunks(self.contract, rows=chunk_rows(self.contract))
            plan = ChunkPlan(self.snapshot.fixed_point, read.window, self.batch.ingested_at, chunks)
            self.ledger.begin(plan)
        connection = self.context.settings.connection(self.contract.system)
        stamp = self.batch.stamp(op)
        work = ChunkWork(
            self.contract, connection, self.table.lake, self.ledger.folder, plan, self.found, stamp, read.future
        )
        intakes = read_chunks(work, self.ledger)
        self.batch.admit(intakes, stamp=stamp, news=news, last_row=len(intakes) * ROW_NUMBERS + 1)

    def _news(self, plan: _ReadPlan) -> str | None:
        """Return the statement that finds what the lake lacks among the staged rows; None keeps all."""
        contract = self.contract
        if self.state.is_empty or not self._appends:
            return None
        if contract.mode is Mode.FULL:
            return changes.changed_state(contract, contract.tracked_names, op="R" if plan.full else None)
        if plan.full:
            return changes.changed_state(contract, self._content, op="R")
        return changes.not_yet_loaded(contract, plan.window.low)

    @property
    def _content(self) -> tuple[str, ...]:
        return tuple(n for n in self.contract.arrow_schema.names if n not in self.contract.key_names)

    def _settle_deletes(self, plan: _ReadPlan) -> int:
        """Stage deletes, and fetch what the read did not show. Returns the rows fetched."""
        if self.contract.deletes is Deletes.NONE:
            return 0
        has_read_all = plan.since is None and plan.window == Window()
        if plan.since is not None and self.contract.deletes is Deletes.CHANGES:
            self.batch.set_deleted_keys(self._feed().read_deleted(self.contract, plan.since))
        else:  # where all rows were read, their states were compared already
            keys = None if has_read_all else self.snapshot.read_keys(self.contract, Window())
            self.batch.set_source_keys(keys)
        check_brake(self.contract, self.batch, allow_deletes=self.allow_deletes)
        has_all_keys = not has_read_all and self.contract.deletes is Deletes.KEYS
        lacking = self.batch.lacking_keys() if has_all_keys else None
        self.batch.delete_vanished()
        fetched = fetch(self.contract, self.snapshot, self.found, self.batch, lacking) if lacking else 0
        self.batch.refresh_checkpoint()
        return fetched
