"""Writes a source's batches to staged files: checks each row, adds metadata columns, separates good and bad rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.fs as pafs

from ingestion.bronze.rows import (
    Stamp,
    bronze_rows,
    bronze_schema,
    quarantine_rows,
    quarantine_schema,
    shared_values,
)
from ingestion.contracts.model import Contract
from ingestion.extract.chunk_ledger import StagedRead
from ingestion.extract.key_order import KeyOrder
from ingestion.extract.split import Tally, split
from ingestion.lake.staging import ParquetStage


def stage_rows(
    contract: Contract,
    batches: Iterable[pa.RecordBatch],
    *,
    filesystem: pafs.FileSystem,
    folder: str,
    stamp: Stamp,
    first_row: int,
    future: str | None,
) -> StagedRead:
    """Read all batches into new files of a folder; `_row` counts up from `first_row`, bad rows included."""
    tally = Tally()
    order = KeyOrder(contract)
    bad_stage: ParquetStage | None = None
    shared = shared_values(contract, stamp)
    with ParquetStage(filesystem, new_path(folder, "arrived"), bronze_schema(contract), shared=shared) as stage:
        for batch in batches:
            row = first_row + tally.read
            parts = split(contract, batch, tally, future=future)
            order.add(parts.good)
            stage.write(bronze_rows(contract, parts.good, stamp, first_row=row, without=shared))
            if parts.bad.num_rows:
                bad_stage = bad_stage or ParquetStage(filesystem, new_path(folder, "bad"), quarantine_schema(contract))
                row += parts.good.num_rows
                bad_stage.write(quarantine_rows(contract, parts.bad, parts.breaks, stamp, first_row=row))
        bad = None if bad_stage is None else bad_stage.close()
        return StagedRead(stage.close(), bad, tally, order.ascends)


def new_path(folder: str, name: str) -> str:
    return f"{folder}/{name}-{uuid.uuid4().hex[:8]}.parquet"
