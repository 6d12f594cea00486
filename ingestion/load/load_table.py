"""Loads one table: from its contract's window in the source to one batch in Bronze."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ingestion.bronze.table import BronzeTable
from ingestion.contracts.model import Contract, Mode
from ingestion.contracts.window import FixedPoint
from ingestion.errors import (
    PermanentError,
    SnapshotLostError,
)
from ingestion.load.accept_contract import add_new_columns
from ingestion.load.attempt import TableLoad, catches_up
from ingestion.load.batch import open_batch
from ingestion.load.checks import check_drift
from ingestion.load.chunks import chunk_ledger
from ingestion.load.result import LoadResult, ledger_columns
from ingestion.privacy.logs import log_fields
from ingestion.runs.context import Context
from ingestion.runs.source_state import note_fixed_point

READS = 3  # attempts to read a table in one load, if the source loses its fixed points


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
    reads the whole table and appends what differs from the lake; `allow_deletes` turns the brake off.
    `at` is the run's fixed point, if the source can share one. If the source loses the fixed point
    during the read, the table is read again at a new one.

    Raises:
        BrokenContractError: the source lacks a promised column, or has other types.
        QuarantineLimitError, DeleteBrakeError: more bad rows or vanished keys than the contract allows.
        SourceUnavailableError, ConcurrentWriteError: try again later.
    """
    with context.recorded("load", contract_id) as row, context.engine.kept_open():
        contract = context.contract(contract_id)
        row["contract_version"], row["is_full"] = contract.version, full
        table = context.table(contract)
        words = table.create()
        points = [at, *[None] * (READS - 1)]
        for attempt, point in enumerate(points, start=1):
            try:
                result = _load_at(context, table, point, row, full=full, allow_deletes=allow_deletes)
                break
            except SnapshotLostError:
                if attempt == READS:
                    raise
                told = "the fixed point is lost: reading anew"
                log_fields(told, logging.WARNING, run=context.run_id, subject=contract_id)
        result = replace(result, warnings=(*words, *result.warnings))
        row.update(ledger_columns(result))
        row["status"] = "warning" if result.warnings else "ok"
        row["message"] = "; ".join(result.warnings) or None
    if result.must_catch_up:
        return _sum(result, load_table(context, contract_id, allow_deletes=allow_deletes))
    return result


def _sum(first: LoadResult, second: LoadResult) -> LoadResult:
    """Return the combined result of a first load in chunks and of the load that caught up."""
    names = ("read", "good", "quarantined", "known_bad", "known", "appended", "deleted", "fetched", "settled")
    sums = {name: getattr(first, name) + getattr(second, name) for name in names}
    warnings = (*first.warnings, *second.warnings)
    return replace(second, **sums, batch=second.batch or first.batch, warnings=warnings, drift=first.drift)


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
    elif begun is not None and not catches_up(contract, state):
        ledger.clear()
        begun = None
    try:
        with source.snapshot(at=point) as snapshot:
            note_fixed_point(row, snapshot.fixed_point)
            found = snapshot.catalog(contract)
            drifts = check_drift(context, contract, found)
            grown = add_new_columns(context, contract, drifts)
            if grown is None:
                with open_batch(
                    table,
                    state,
                    snapshot.fixed_point if begun is None else begun.fixed_point,
                    memory_limit=context.settings.load_memory,
                    ingested_at=None if begun is None else begun.ingested_at,
                ) as batch:
                    load = TableLoad(
                        context=context,
                        source=source,
                        snapshot=snapshot,
                        found=found,
                        batch=batch,
                        ledger=ledger,
                        row=row,
                    )
                    result = load.run(full=full, allow_deletes=allow_deletes, drifts=drifts)
    except (SnapshotLostError, PermanentError):
        with suppress(OSError):
            ledger.clear()  # the staged rows are of a lost state, or may never be needed
        raise
    with suppress(OSError):  # a failed clean-up does not undo the commit
        ledger.clear()
    if grown is not None:
        return _load_grown(context, *grown, point, row, full=full, allow_deletes=allow_deletes)
    return result


def _load_grown(
    context: Context,
    contract: Contract,
    told: str,
    point: FixedPoint | None,
    row: dict[str, Any],
    *,
    full: bool,
    allow_deletes: bool,
) -> LoadResult:
    """Load by the next version of a contract, which has the new columns that were just found in the source."""
    row["contract_version"] = contract.version
    table = context.table(contract)
    words = (told, *table.create())
    result = _load_at(context, table, point, row, full=full, allow_deletes=allow_deletes)
    return replace(result, warnings=(*words, *result.warnings))
