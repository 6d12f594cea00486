"""Replays quarantined rows by the current contract; the next build includes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa

from ingestion.bronze import changes
from ingestion.bronze.quarantine import open_batches, open_rows
from ingestion.bronze.table import BronzeTable
from ingestion.contracts.model import Contract
from ingestion.contracts.window import FixedPoint
from ingestion.extract.split import Tally, split
from ingestion.lake import duck
from ingestion.load.batch import Batch, open_batch
from ingestion.load.checks import refuse_null_watermarks, require_history
from ingestion.load.publish import ReviewedRows, publish, review_rows
from ingestion.load.result import LoadResult, ledger_columns, result_of
from ingestion.load.rows import take
from ingestion.runs.context import Context
from ingestion.runs.watermark import committed_watermark


def replay_quarantine(context: Context, contract_id: str) -> LoadResult:
    """
    Check the open quarantined rows by the current contract and append the valid ones, at their own change time.

    Rows that still break it stay open. After a crash between the two commits, the next replay
    only marks the rows that Bronze has already.
    """
    with context.recorded("replay", contract_id) as row:
        contract = require_history(context.contract(contract_id), "replay")
        row["contract_version"] = contract.version
        table = context.table(contract)
        table.create()
        state = table.state()
        watermark = committed_watermark(context, table, state)
        now = datetime.now(UTC)
        marks: list[pa.RecordBatch] = []
        with (
            duck.session(table.uri, memory_limit=context.settings.load_memory) as reader,
            open_batch(
                table, state, FixedPoint("quarantine", "", now), memory_limit=context.settings.load_memory
            ) as batch,
        ):
            reader.execute(f"create view quarantine as {table.quarantine_at(reader, state.quarantine_version)}")
            for point in open_batches(reader):
                new_rows = changes.changed_state(contract, contract.content_names, op="R", moment=point.moment)
                take(
                    batch,
                    _good_only(open_rows(reader, contract, point), contract, marks),
                    op="R",
                    new_rows=new_rows,
                    fixed_point=point,
                )
            result = commit_outside_windows(context, batch, review_rows(batch, settles=False), watermark)
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
    """Yield the rows that are valid now, and add their positions in the quarantine to `marks`."""
    for batch, position in rows:
        is_good = split(contract, batch, Tally()).is_good
        marks.append(position.filter(is_good))
        yield batch.filter(is_good)


def _mark_replayed(table: BronzeTable, positions: pa.Table, number: int) -> None:
    version = table.engine.version(table.quarantine_uri)
    table.end_entries(positions, "_replayed_in", number, expected_version=version)


def commit_outside_windows(
    context: Context, batch: Batch, reviewed: ReviewedRows, watermark: str | None, *, fetched: int = 0
) -> LoadResult:
    """Commit rows that were not read by a load's window. `watermark` is the committed one; it stays the same."""
    refuse_null_watermarks(batch)
    number = publish(context, batch, reviewed, watermark=watermark)
    return result_of(context, batch, number, watermark, fetched=fetched)
