"""Closes a sync gap by re-extraction into Bronze, and replays quarantined rows; the next build follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from ingestion.bronze import changes
from ingestion.bronze.quarantine import open_batches, open_rows
from ingestion.bronze.table import BronzeTable
from ingestion.contracts.model import BronzeMode, Contract
from ingestion.contracts.window import FixedPoint
from ingestion.errors import ConfigurationError
from ingestion.extract.split import Tally, split
from ingestion.gaps.compare import compare_in
from ingestion.gaps.record import record_comparison
from ingestion.gaps.repair_plan import RepairWork, check_limit, find_work
from ingestion.lake import duck
from ingestion.load.batch import Batch, open_batch
from ingestion.load.checks import refuse_null_watermarks
from ingestion.load.deletes import check_brake
from ingestion.load.publish import batch_metadata
from ingestion.load.result import LoadResult, ledger_columns, result_of
from ingestion.load.rows import fetch
from ingestion.runs.context import Context
from ingestion.runs.source_state import note_fixed_point
from ingestion.runs.watermark import committed_watermark
from ingestion.sources.base import Snapshot


def repair_table(
    context: Context, contract_id: str, *, allow_deletes: bool = False, yes: bool = False, approved_deletes: int = 0
) -> LoadResult:
    """
    Compare a table with its source at a new fixed point and append what closes the gap: lacking and differing rows as
    R, vanished keys as D. Then compare again at that point, and record both comparisons.

    The committed watermark stays where it was; rows in flight are left to the next load, waived differences alone. A
    second repair finds nothing and commits nothing. What is still there afterwards stays open in the ledger. Deletions
    that somebody was shown and approved, `approved_deletes` of them, pass the contract's brake.

    Raises:
        ApprovalNeededError: it would write more than the contract lets it without `yes`. Nothing was committed.
        DeleteBrakeError: more keys vanished than the contract and the approval allow, without `allow_deletes`.
        SourceUnavailableError, ConcurrentWriteError: try again later.
    """
    with context.recorded("repair", contract_id) as row:
        contract = _with_history(context.contract(contract_id), "repair")
        row["contract_version"] = contract.version
        table = context.table(contract)
        table.create()
        with context.source(contract).snapshot() as snapshot:
            note_fixed_point(row, snapshot.fixed_point)
            work = find_work(context, table, snapshot)
            if not yes:
                check_limit(contract, work)
            result = _repair(context, table, snapshot, work, allow_deletes=allow_deletes, approved=approved_deletes)
            row.update(ledger_columns(result))
            if result.batch is not None:
                again = compare_in(context, table, table.state(), snapshot)
                record_comparison(context, again, is_repaired=True)
        return result


def _repair(
    context: Context, table: BronzeTable, snapshot: Snapshot, work: RepairWork, *, allow_deletes: bool, approved: int
) -> LoadResult:
    contract, state = table.contract, work.state
    watermark = committed_watermark(context, table, state)
    with open_batch(table, state, snapshot.fixed_point, memory_limit=context.settings.load_memory) as batch:
        batch.set_deleted_keys(work.vanished.to_batches())
        check_brake(contract, batch, allow_deletes=allow_deletes, approved=approved, command="repair")
        batch.delete_vanished()
        found = snapshot.catalog(contract)
        fetched = fetch(contract, snapshot, found, batch, work.lacking) if work.lacking.num_rows else 0
        batch.settle_entries()
        return _commit(context, contract, batch, watermark, fetched=fetched)


def replay_quarantine(context: Context, contract_id: str) -> LoadResult:
    """
    Judge the open quarantine rows by today's contract and append those that keep it, at their own change time.

    Rows that still break it stay open. A crash between the two commits is healed by the next
    replay: rows that Bronze has already are only marked.
    """
    with context.recorded("replay", contract_id) as row:
        contract = _with_history(context.contract(contract_id), "replay")
        row["contract_version"] = contract.version
        table = context.table(contract)
        table.create()
        state = table.state()
        watermark = committed_watermark(context, table, state)
        now = datetime.now(UTC)
        marks: list[pa.RecordBatch] = []
        with (
            duck.connect(at=table.uri, memory_limit=context.settings.load_memory) as reader,
            open_batch(
                table, state, FixedPoint("quarantine", "", now), memory_limit=context.settings.load_memory
            ) as batch,
        ):
            reader.execute(f"create view quarantine as {table.quarantine_at(state.quarantine_version)}")
            for point in open_batches(reader):
                new_rows = changes.changed_state(contract, contract.content_names, op="R", moment=point.moment)
                batch.take(
                    _good_only(open_rows(reader, contract, point), contract, marks),
                    op="R",
                    new_rows=new_rows,
                    fixed_point=point,
                )
            result = _commit(context, contract, batch, watermark)
        row.update(ledger_columns(result))
        if marks:
            positions = pa.Table.from_batches(marks)
            _mark_replayed(table, positions, result.batch or state.batch)
            result = replace(result, in_quarantine=result.in_quarantine - positions.num_rows)
        row.update(ledger_columns(result))
        return result


def _good_only(
    rows: Iterator[tuple[pa.RecordBatch, pa.RecordBatch]], contract: Contract, marks: list[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows that keep the contract now, and remember where in the quarantine they stood."""
    for batch, position in rows:
        is_good = split(contract, batch, Tally()).is_good
        marks.append(position.filter(is_good))
        yield batch.filter(is_good)


def _mark_replayed(table: BronzeTable, positions: pa.Table, number: int) -> None:
    version = table.engine.version(table.quarantine_uri)
    table.end_entries(positions, "_replayed_in", number, expected_version=version)


def _commit(
    context: Context, contract: Contract, batch: Batch, watermark: str | None, *, fetched: int = 0
) -> LoadResult:
    refuse_null_watermarks(batch)
    batch.drop_known_bad()
    metadata: dict[str, Any] = batch_metadata(context, contract, batch, watermark=watermark)
    number = batch.commit(metadata)
    return result_of(context, contract, batch, number, watermark, fetched=fetched)


def _with_history(contract: Contract, verb: str) -> Contract:
    if contract.bronze is BronzeMode.APPEND:
        return contract
    raise ConfigurationError(
        f"{contract.id}: a {verb} appends to a log, but this table's Bronze is {contract.bronze}. Nothing was done. "
        f"Load it again instead: lakehouse load --full {contract.id}"
    )
