"""Compares one table at one state of each side: finds the rows in flight, stages the lake's rows, runs the ladder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs

from ingestion.bronze import entries
from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.bronze.workbench.embedded import Workbench, open_workbench
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Contract, Mode
from ingestion.contracts.window import Window
from ingestion.extract import windows
from ingestion.gaps import lake_sql
from ingestion.gaps.bound import Bound, find_bound
from ingestion.gaps.comparable_columns import fetched_plan, not_compared, trusted_plan
from ingestion.gaps.fetched import MISFITS, Asked, fetched
from ingestion.gaps.found_keys import compare_keys, explain_keys
from ingestion.gaps.lake_side import IN_FLIGHT, LakeRows, open_rows
from ingestion.gaps.result import Compared
from ingestion.lake.staging import ParquetStage
from ingestion.load.entries import stage_refused
from ingestion.reconcile.comparison import Budget, Comparison, Outcome, Rung
from ingestion.reconcile.ladder import compare_sides
from ingestion.reconcile.leaves import Finding
from ingestion.reconcile.ports import source_side
from ingestion.runs.context import Context
from ingestion.runs.source_state import NewestLoad, hours_since_load, newest_load
from ingestion.sources.base import ChangeFeed, Slice, Snapshot

_BY_COUNT = "this server cannot hash the key: rows were counted, contents were not compared"
_NOT_LOADED = "nothing of it is loaded"


@contextmanager
def open_comparison(
    context: Context, table: BronzeTable, state: BronzeState, snapshot: Snapshot
) -> Iterator[TableComparison]:
    """Open both sides of a table, and its change log if the table is loaded from one and the source tracks changes."""
    contract, feed = table.contract, None
    if contract.mode is Mode.CHANGES and isinstance(snapshot, ChangeFeed) and snapshot.tracks_changes(contract):
        feed = snapshot
    with (
        open_workbench(table, state, memory_limit=context.settings.load_memory) as bench,
        open_rows(table, state, bench) as lake_rows,
    ):
        last = newest_load(context, contract.id)
        yield TableComparison(context, table, state, snapshot, bench, lake_rows, snapshot.catalog(contract), feed, last)


@dataclass(slots=True)
class TableComparison:
    """Both sides of one table, at one state each. Use `open_comparison`."""

    context: Context
    table: BronzeTable
    state: BronzeState
    snapshot: Snapshot
    bench: Workbench
    lake_rows: LakeRows
    columns: tuple[FoundColumn, ...]
    feed: ChangeFeed | None
    last: NewestLoad
    queries: int = 0
    rows: int = 0

    @property
    def contract(self) -> Contract:
        return self.table.contract

    def run(self, *, is_loaded_state: bool) -> Compared:
        bound = self._bound(is_loaded_state=is_loaded_state)
        in_flight = self._stage_in_flight(bound)
        lag_hours = self._lag_hours(bound, in_flight)
        asked = self._asked(bound, in_flight)
        self._stage_live_rows([column.name for column in asked.plan.columns])
        comparison = self._climb(asked, in_flight)
        known = self._known(comparison.found, bound)
        return Compared(
            contract=self.contract,
            bound=bound,
            batch=self.state.batch,
            moment=self.snapshot.fixed_point.moment,
            comparison=comparison,
            found=known,
            refused=self._refused_beyond(known) if comparison.outcome is Outcome.PARTIAL else {},
            refused_unkeyed=self.bench.scalar(entries.count_unkeyed(self.contract)) if comparison.source.unkeyed else 0,
            failed_load=self.last.error,
            in_flight=in_flight,
            lag_hours=lag_hours,
            not_compared=not_compared(asked.plan),
            queries=self.queries + comparison.cost.queries,
            rows=self.rows + comparison.cost.rows,
        )

    def whole_keys(self) -> Mapping[Finding, pa.Table]:
        bound = self._bound(is_loaded_state=False)
        self._stage_in_flight(bound)
        self._stage_live_rows(())
        return self._known(self._read_whole_keys(bound), bound)

    def _bound(self, *, is_loaded_state: bool) -> Bound:
        point = self.snapshot.fixed_point
        return find_bound(
            self.context, self.table, self.state, point, feed=self.feed, last=self.last, is_loaded_state=is_loaded_state
        )

    def _slice(self, bound: Bound) -> Slice:
        if self.feed is not None and bound.text is not None and bound.is_exact:
            return self.feed.unchanged(self.contract, bound.text)
        return self.snapshot.slice(self.contract, self._compared_window(bound))

    def _compared_window(self, bound: Bound) -> Window:
        return Window() if self.contract.mode is Mode.CHANGES else bound.compared

    def _stage_in_flight(self, bound: Bound) -> int:
        """Fetch the keys that changed after the bound; return how many there are."""
        return self._stage_keys(IN_FLIGHT, self._keys_in_flight(bound))

    def _keys_in_flight(self, bound: Bound) -> Iterator[pa.RecordBatch]:
        if bound.text is None or not bound.is_exact:  # rows in flight cannot be identified
            return
        self.queries += 1
        if self.feed is not None:
            yield from self.feed.read_changed_keys(self.contract, bound.text)
        else:
            yield from self.snapshot.read_keys(self.contract, bound.in_flight)

    def _stage_keys(self, name: str, batches: Iterable[pa.RecordBatch]) -> int:
        """Create a view of key columns, through a file to bound memory; return the number of rows."""
        with ParquetStage(pafs.LocalFileSystem(), str(self._keys_file(name)), self.contract.key_schema) as stage:
            stage.write_all(batches)
            file = stage.close()
        self.bench.view(name, [file.path])
        self.rows += file.rows
        return int(file.rows)

    def _keys_file(self, name: str) -> Path:
        return self.bench.folder / f"{name}.parquet"

    def _stored(self) -> list[str]:
        return list(self.bench.select("select * from bronze limit 0").schema.names)

    def _stage_live_rows(self, columns: Iterable[str]) -> None:
        partition = self.contract.reconcile.partition
        wanted = dict.fromkeys([*columns, *([partition] if partition else [])])
        stored = [name for name in wanted if name != MISFITS]
        fits = f", null::varchar as {MISFITS}" if MISFITS in wanted else ""
        self.lake_rows.hold(f"select *{fits} from ({lake_sql.live_rows(self.contract, stored)})")

    def _asked(self, bound: Bound, in_flight: int) -> Asked:
        """Return the source's side: hashed by its database, or by fetching the rows if it cannot hash all columns."""
        stored, there = self._stored(), self._slice(bound)
        plan = trusted_plan(self.context, self.contract, self.columns, stored)
        side = source_side(self.contract, self.columns, plan, there.select, relation=there.relation, where=there.where)
        whole = fetched_plan(self.contract, self.columns, stored)
        asked = Asked(plan, side, side.guarded_keys)
        if not self.state.is_empty and len(plan.columns) < len(whole.columns):
            window = self._compared_window(bound)
            asked = fetched(
                asked, whole, contract=self.contract, found=self.columns, snapshot=self.snapshot, window=window,
                bench=self.bench, in_flight=bool(in_flight),
            )  # fmt: skip
        self.queries += asked.queries
        self.rows += asked.rows
        return asked

    def _climb(self, asked: Asked, in_flight: int) -> Comparison:
        promise, plan, source = self.contract.reconcile, asked.plan, asked.side
        keys = self._keys_file(IN_FLIGHT) if in_flight else None
        lake = self.lake_rows.side(self.contract, plan, in_flight=keys)
        budget = Budget(promise.max_queries, promise.max_rows, promise.max_seconds)
        deepest = Rung.LEAVES
        if self.state.is_empty or not plan.can_prove:
            deepest = Rung.PARTITIONS if source.partitioned else Rung.COUNTS
        compared = compare_sides(source, lake, budget=budget, deepest=deepest)
        if asked.misfits is not None:
            compared = replace(compared, source=replace(compared.source, misfits=asked.misfits))
        why = compared.why
        if compared.outcome is Outcome.PARTIAL and compared.rung is deepest:  # no budget ended it
            why = _NOT_LOADED if self.state.is_empty else _BY_COUNT
        if compared.source.misfits:
            why = "; ".join(part for part in (why, _misfit(self.contract, asked.guarded_keys)) if part)
        return replace(compared, why=why)

    def _read_whole_keys(self, bound: Bound) -> Mapping[Finding, pa.Table]:
        self.queries += 1
        self._stage_keys("source_keys", self.snapshot.read_keys(self.contract, self._compared_window(bound)))
        return compare_keys(self.contract, self.bench)

    def _known(self, found: Mapping[Finding, pa.Table], bound: Bound) -> Mapping[Finding, pa.Table]:
        """Return the found keys with whether each is quarantined, and whether the next load reads it in any case."""
        if not found:
            return {}
        self._stage_keys("next_window", self._next_window(bound))
        self._stage_refused()
        known = {}
        for kind, keys in found.items():
            self.bench.connection.register("found", keys)
            known[kind] = self.bench.select(lake_sql.known_of_found(self.contract))
            self.bench.connection.unregister("found")
        return explain_keys(self.contract, known, bound)

    def _refused_beyond(self, known: Mapping[Finding, pa.Table]) -> Mapping[str | None, int]:
        """Count by partition the quarantined rows that the source has and the lake lacks, except found keys."""
        keys = [found.select(list(self.contract.key_names)) for found in known.values()]
        if not known:
            self._stage_refused()
        schema = self.contract.key_schema
        seen = pa.concat_tables([schema.empty_table(), *(found.cast(schema) for found in keys)])
        self.bench.connection.register("seen", seen)
        rows = self.bench.select(entries.refused_beyond(self.contract, "seen"))
        return dict(zip(*(column.to_pylist() for column in rows.columns), strict=True))

    def _stage_refused(self) -> None:
        rows = stage_refused(self.contract, self.bench, self.snapshot, self.columns, in_flight=IN_FLIGHT)
        self.queries += bool(rows)
        self.rows += rows

    def _next_window(self, bound: Bound) -> Iterator[pa.RecordBatch]:
        if bound.low is None:
            return
        self.queries += 1
        yield from self.snapshot.read_keys(self.contract, Window(low=bound.low))

    def _lag_hours(self, bound: Bound, in_flight: int) -> float | None:
        """Return how many hours the source's newest change is ahead of the lake; None if that is not known."""
        contract, snapshot = self.contract, self.snapshot
        if contract.mode is not Mode.INCREMENTAL or not windows.is_moment(contract):
            return hours_since_load(self.context, contract, snapshot.fixed_point.moment)
        if bound.text is not None and self.last.error is None and not in_flight:
            return 0.0
        self.queries += 1
        newest = snapshot.highest_watermark(contract, below=windows.future_limit(contract, snapshot.fixed_point) or "")
        if newest is None:
            return 0.0
        return None if bound.committed is None else max(0.0, windows.hours_between(contract, bound.committed, newest))


def _misfit(contract: Contract, names: Iterable[str]) -> str:
    promised = ", ".join(f"{name} ({contract.column(name).physical_type})" for name in names)
    return f"the source has keys that the contract's type cannot hold: {promised}"
