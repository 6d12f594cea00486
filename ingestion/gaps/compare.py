"""Compares a table with its source, up to the bound: counts first, then smaller and smaller parts that differ."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.contracts.model import Mode
from ingestion.contracts.window import FixedPoint
from ingestion.errors import SnapshotLostError
from ingestion.gaps.result import Compared
from ingestion.gaps.table_comparison import open_comparison
from ingestion.reconcile.leaves import Finding
from ingestion.runs.context import Context
from ingestion.runs.source_state import hours_since_load, newest_load
from ingestion.sources.base import Snapshot


def compare_table(context: Context, table: BronzeTable, state: BronzeState) -> Compared:
    """
    Compare a table with its source; writes nothing.

    A table in mode full is compared at the fixed point of its last load, if the source can still be read there.
    """
    point = _loaded_point(context, table, state)
    if point is not None:
        try:
            return _compare_at(context, table, state, point)
        except SnapshotLostError:
            pass  # the newest state is compared instead; rows that differ may then be in flight
    return _compare_at(context, table, state, None)


def _compare_at(context: Context, table: BronzeTable, state: BronzeState, point: FixedPoint | None) -> Compared:
    source = context.source(table.contract)
    if point is None:
        with source.snapshot() as snapshot:
            return compare_in(context, table, state, snapshot)
    with source.snapshot() as newest:
        now = newest.fixed_point.moment
    with source.snapshot(at=point) as snapshot:
        compared = compare_in(context, table, state, snapshot, is_loaded_state=True)
    return replace(compared, lag_hours=hours_since_load(context, table.contract, now))


def compare_in(
    context: Context, table: BronzeTable, state: BronzeState, snapshot: Snapshot, *, is_loaded_state: bool = False
) -> Compared:
    """Compare a table with a source snapshot that is already open."""
    started = time.monotonic()
    with open_comparison(context, table, state, snapshot) as opened:
        compared = opened.run(is_loaded_state=is_loaded_state)
    return replace(compared, seconds=round(time.monotonic() - started, 3))


def whole_key_differences(
    context: Context, table: BronzeTable, state: BronzeState, snapshot: Snapshot
) -> Mapping[Finding, pa.Table]:
    """Return the keys that one side lacks. Reads all keys of both sides, without regard to the budget."""
    with open_comparison(context, table, state, snapshot) as opened:
        return opened.whole_keys()


def _loaded_point(context: Context, table: BronzeTable, state: BronzeState) -> FixedPoint | None:
    """
    Return the fixed point of a table's newest load, in mode full; None if the source cannot be read there again.

    Loads that committed nothing count too, and so do failed ones, because the lake should have the rows they read.
    """
    contract = table.contract
    if contract.mode is not Mode.FULL or state.is_empty:
        return None
    point = newest_load(context, contract.id).read_at
    return point if point is not None and context.source(contract).shares(point) else None
