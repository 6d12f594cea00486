"""Replays quarantined rows by today's contract; the next build follows."""

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
    Judge the open quarantine rows by today's contract and append those that keep it, at their own change time.

    Rows that still break it stay open. A crash between the two commits is healed by the next
    replay: rows that Bronze has already are only marked.
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
            duck.connect(at=table.uri, memory_limit=context.settings.load_memory) as reader,
            open_batch(
                table, state, FixedPoint("quarantine", "", now), memory_limit=context.settings.load_memory
            ) as batch,
        ):
            reader.execute(f"create view quarantine as {table.quarantine_at(state.quarantine_version)}")
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
    """Yield the rows that keep the contract now, and remember where in the quarantine they stood."""
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
    """Commit rows that no window of a load brought, so that the committed watermark stays where it was."""
    refuse_null_watermarks(batch)
    number = publish(context, batch, reviewed, watermark=watermark)
    return result_of(context, batch, number, watermark, fetched=fetched)
