"""One load of one table at one fixed point: reads rows, finds the new and the deleted ones, and commits them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from ingestion.bronze import changes
from ingestion.bronze.rows import effective_time
from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.contracts.drift import Drift, FoundColumn
from ingestion.contracts.model import BronzeMode, Contract, Deletes, Mode
from ingestion.contracts.window import Window
from ingestion.errors import (
    ConfigurationError,
    IntegrityError,
)
from ingestion.extract.chunk_ledger import ChunkLedger, ChunkPlan
from ingestion.load.batch import Batch
from ingestion.load.checks import judge_batch, record_quality
from ingestion.load.chunks import ROW_NUMBERS, ChunkWork, chunk_rows, read_chunks
from ingestion.load.deletes import (
    check_brake,
    lacking_keys,
    reported_keys,
    source_keys,
    stage_deletes,
    vanished_keys,
)
from ingestion.load.plan import plan_for
from ingestion.load.publish import publish, refresh_checkpoint, review_rows
from ingestion.load.result import LoadResult, result_of
from ingestion.load.rows import StagedRows, admit, entries_to_ask, fetch, take
from ingestion.runs.context import Context
from ingestion.runs.watermark import committed_watermark
from ingestion.sources.base import ChangeFeed, Snapshot, Source


def catches_up(contract: Contract, state: BronzeState) -> bool:
    """Return whether this is a first load and the next one finds all changes since it began, independent of clocks."""
    if not state.is_empty or contract.bronze is BronzeMode.OVERWRITE:
        return False
    if contract.mode is Mode.CHANGES:
        return True
    if contract.mode is not Mode.INCREMENTAL or contract.watermark is None:
        return False
    return contract.column(contract.watermark).physical_type.lower() in ("rowversion", "timestamp")


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """
    What one load reads: a window, or with `since` the keys that changed after that version of the change log.

    `watermark` is the one to commit. `full` means that the whole table is compared with the lake.
    """

    window: Window
    full: bool
    watermark: str | None = None
    future: str | None = None
    since: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLoad:
    context: Context
    source: Source
    snapshot: Snapshot
    found: tuple[FoundColumn, ...]
    batch: Batch
    ledger: ChunkLedger
    row: dict[str, Any]
    """The step's row in the ledger. The batch number is written to it right after the commit."""

    @property
    def contract(self) -> Contract:
        return self.batch.contract

    @property
    def table(self) -> BronzeTable:
        return self.batch.table

    @property
    def state(self) -> BronzeState:
        return self.batch.state

    def run(self, *, full: bool, allow_deletes: bool, drifts: list[Drift]) -> LoadResult:
        plan = self._plan(None if full else committed_watermark(self.context, self.table, self.state), full=full)
        must_catch_up = False
        if plan.since is not None:
            staged = self._take_changes(plan.since)
        elif (chunks := self._chunks(plan)) is not None:
            staged = self._take_chunks(plan, chunks)
            must_catch_up = not self.source.shares(chunks.fixed_point)
            plan = replace(plan, watermark=chunks.watermark)
        else:
            staged = self._take(plan)
        fetched = 0
        if self._appends and not self.state.is_empty:
            fetched = self._settle_deletes(plan, staged, allow_deletes=allow_deletes)
        fetched += self._look_again(plan)
        self.context.observe("committing", 0)
        reviewed = review_rows(self.batch, whole=self._reads_all(plan))
        outcomes, warnings = judge_batch(self.context, self.batch, reviewed)
        number = publish(self.context, self.batch, reviewed, watermark=plan.watermark, window=plan.window)
        self.row["batch"] = number
        record_quality(self.context, self.contract, self.batch, outcomes)
        return result_of(
            self.context,
            self.batch,
            number,
            plan.watermark,
            fetched=fetched,
            warnings=(*plan.warnings, *warnings),
            drifts=drifts,
            must_catch_up=must_catch_up,
        )

    @staticmethod
    def _reads_all(plan: ReadPlan) -> bool:
        return plan.since is None and plan.window.is_whole

    def _look_again(self, plan: ReadPlan) -> int:
        """Read keys of open quarantine entries that were not read yet: a repaired row may be outside of the window."""
        keys = None if self._reads_all(plan) else entries_to_ask(self.batch)
        if keys is None or not keys.num_rows:
            return 0
        return fetch(self.batch, self.snapshot, self.found, keys, may_be_gone=True)

    @property
    def _appends(self) -> bool:
        return self.contract.bronze is not BronzeMode.OVERWRITE

    def _plan(self, committed: str | None, *, full: bool) -> ReadPlan:
        if self.contract.mode is Mode.FULL:
            return ReadPlan(Window(), full=full)
        if self.contract.mode is Mode.CHANGES:
            return self._plan_changes(committed)
        plan = plan_for(self.contract, self.snapshot, committed)
        return ReadPlan(plan.window, full=full, watermark=plan.next_low, future=plan.future)

    def _plan_changes(self, committed: str | None) -> ReadPlan:
        """Plan to read the changes; everything, if nothing is loaded yet or the log does not reach back far enough."""
        feed, watermark = self._feed(), self.snapshot.fixed_point.value
        if committed is not None and feed.reaches_back(self.contract, committed):
            return ReadPlan(Window(), full=False, watermark=watermark, since=committed)
        warnings = () if committed is None else (
            f"the source no longer keeps changes back to version {committed}: the whole table was compared. "
            "Load more often than changes are kept, or keep them longer",
        )  # fmt: skip
        return ReadPlan(Window(), full=True, watermark=watermark, warnings=warnings)

    def _feed(self) -> ChangeFeed:
        snapshot = self.snapshot
        if isinstance(snapshot, ChangeFeed) and snapshot.tracks_changes(self.contract):
            return snapshot
        raise ConfigurationError(
            f"{self.contract.id}: mode changes needs the database's log of the table's changed keys, "
            "and there is none. No rows were read. Enable Change Tracking on it, or use mode incremental or full."
        )

    def _take(self, plan: ReadPlan) -> StagedRows:
        expected = self.snapshot.count(self.contract, plan.window)
        rows = self.snapshot.read(self.contract, plan.window, found=self.found)
        staged = take(
            self.batch, self._observed(rows), op=self._op(plan), new_rows=self._new_rows(plan), future=plan.future
        )
        self._check_count(expected, "in the window")
        return staged

    def _observed(self, rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            self.context.observe("staging", batch.num_rows)
            yield batch
        self.context.observe("comparing", 0)

    def _op(self, plan: ReadPlan) -> str:
        return "R" if plan.full or self.state.is_empty else "U"

    def _take_changes(self, since: str) -> StagedRows:
        feed = self._feed()
        expected = feed.count_changes(self.contract, since)
        rows = feed.read_changes(self.contract, since, found=self.found)
        staged = take(
            self.batch, self._observed(rows), op="U", new_rows=self._changed(self.contract.content_names, op=None)
        )
        self._check_count(expected, f"changed since version {since}")
        return staged

    def _check_count(self, expected: int, where: str) -> None:
        if self.batch.tally.read != expected:
            raise IntegrityError(
                f"{self.contract.id}: the source counts {expected} rows {where}, {self.batch.tally.read} were read. "
                "Nothing was committed. Run it again; if it comes back, check the driver's version."
            )

    def _chunks(self, plan: ReadPlan) -> ChunkPlan | None:
        """Return the chunks to read in parallel, those of an interrupted attempt if any; None for a single read."""
        begun = self.ledger.plan()
        if begun is not None and begun.window == plan.window:
            return begun
        shared = self.source.shares(self.snapshot.fixed_point)
        if plan.window.low is not None or not (shared or catches_up(self.contract, self.state)):
            return None
        chunks = self.snapshot.chunks(self.contract, rows=chunk_rows(self.contract))
        if len(chunks) == 1:
            return None
        new = ChunkPlan(self.snapshot.fixed_point, plan.window, self.batch.ingested_at, chunks, plan.watermark)
        self.ledger.begin(new)
        return new

    def _take_chunks(self, plan: ReadPlan, chunks: ChunkPlan) -> StagedRows:
        connection = replace(self.context.settings.connection(self.contract.system), origin=None)
        stamp = self.batch.stamp(self._op(plan))
        work = ChunkWork(
            self.contract, connection, self.table.lake, self.ledger.folder, chunks, self.found, stamp, plan.future
        )
        on_spark = self.context.engine.name == "spark"
        reads = read_chunks(work, self.ledger, observe=self.context.observe, on_spark=on_spark)
        self.context.observe("comparing", 0)
        last = len(reads) * ROW_NUMBERS + 1
        staged = admit(self.batch, reads, stamp=stamp, new_rows=self._new_rows(plan), last_row=last)
        if self.source.shares(chunks.fixed_point):
            self._check_count(self.snapshot.count(self.contract, plan.window), "in the window")
        return staged

    def _new_rows(self, plan: ReadPlan) -> changes.NewRows | None:
        """Return the SQL that finds the staged rows that the lake lacks; None means that all are kept."""
        contract = self.contract
        if self.state.is_empty or not self._appends:
            return None
        if contract.mode is Mode.FULL:
            return self._changed(contract.tracked_names, op="R" if plan.full else None)
        if plan.full:
            return self._changed(contract.content_names, op="R")
        since = None if plan.window.low is None else effective_time(contract, plan.window.low)
        return self._changed(contract.content_names, op="U", since=since)

    def _changed(self, compared: tuple[str, ...], *, op: str | None, since: datetime | None = None) -> changes.NewRows:
        moment = self.batch.fixed_point.moment
        return changes.changed_state(self.contract, compared, op=op, moment=moment, since=since)

    def _settle_deletes(self, plan: ReadPlan, staged: StagedRows, *, allow_deletes: bool) -> int:
        """Stage deletes, and fetch rows that neither the lake nor the read has. Returns how many were fetched."""
        if self.contract.deletes is Deletes.NONE:
            return 0
        batch, keys, lacking = self.batch, None, None
        if plan.since is not None and self.contract.deletes is Deletes.CHANGES:
            gone = reported_keys(batch, self._feed().read_deleted(self.contract, plan.since))
        else:  # if all rows were read, their keys are staged and their states compared
            shown = None if self._reads_all(plan) else self.snapshot.read_keys(self.contract, Window())
            keys = source_keys(batch, staged, shown)
            gone = vanished_keys(batch, keys)
        allowed = check_brake(batch, gone, allow_deletes=allow_deletes)
        if keys is not None and not self._reads_all(plan) and self.contract.deletes is Deletes.KEYS:
            lacking = lacking_keys(batch, keys)
        stage_deletes(batch, allowed)
        fetched = fetch(batch, self.snapshot, self.found, lacking) if lacking else 0
        refresh_checkpoint(batch)
        return fetched
