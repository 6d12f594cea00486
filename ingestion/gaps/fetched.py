"""Fetches the source's rows once and hashes them here, for tables that its database cannot hash completely."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from ingestion.bronze.workbench.embedded import Workbench
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Contract
from ingestion.contracts.projection import RAW_PREFIX
from ingestion.contracts.window import Window
from ingestion.gaps.lake_side import IN_FLIGHT
from ingestion.lake.staging import ParquetStage
from ingestion.reconcile.hashes import HashColumn, HashType, Kind, RowPlan
from ingestion.reconcile.ports import duckdb_lake
from ingestion.reconcile.sql_side import SqlSide
from ingestion.sources.base import Snapshot

FETCHED = "fetched_rows"
MISFITS = "_misfits"
"""A column with all values of a fetched row that do not fit their promised types, as one text. Null in the lake."""


@dataclass(frozen=True, slots=True)
class Asked:
    """
    The source's side of a comparison and what it hashes.

    `guarded_keys` may hold values that do not fit their type. `misfits` counts the rows with such a key if rows were
    fetched, because the side then cannot distinguish them from rows without a key. `queries` and `rows` are the cost of
    fetching.
    """

    plan: RowPlan
    side: SqlSide
    guarded_keys: tuple[str, ...]
    misfits: int | None = None
    queries: int = 0
    rows: int = 0


class _OutOfTimeError(Exception):
    """Fetching took longer than the comparison's time limit."""


def fetched(
    asked: Asked, whole: RowPlan, *, contract: Contract, found: tuple[FoundColumn, ...], snapshot: Snapshot,
    window: Window, bench: Workbench, in_flight: bool,
) -> Asked:  # fmt: skip
    """
    Fetch the rows of a window and return them as the source's side, with all columns of `whole`.

    If the budget is too small, return `asked`, with this added to the reasons of the columns left out. Raises what
    `Snapshot.read` raises.
    """
    promise, told = contract.reconcile, asked.side.summary()
    if (rows := told.rows + told.unkeyed) > promise.max_rows:
        return _left_out(asked, whole, f"{rows:,} rows are more than maxRows lets be fetched")
    file, until = bench.folder / f"{FETCHED}.parquet", monotonic() + promise.max_seconds
    try:
        rows = _stage(_narrowed(contract, whole), found, snapshot, window, file=file, until=until)
    except _OutOfTimeError:
        return _left_out(asked, whole, "its rows take longer to fetch than maxSeconds", queries=2)
    bench.view(FETCHED, [str(file)])
    plan = replace(whole, columns=(*whole.columns, HashColumn(MISFITS, HashType(Kind.TEXT), 0)))
    side = duckdb_lake(contract, plan, bench.connection, rows=FETCHED, in_flight=IN_FLIGHT if in_flight else None)
    return Asked(plan, side, asked.guarded_keys, told.misfits, queries=2, rows=rows)


def _left_out(asked: Asked, whole: RowPlan, why: str, queries: int = 1) -> Asked:
    lacking = {column.name for column in whole.columns} - {column.name for column in asked.plan.columns}
    reasons = {name: f"{said}, and {why}" if name in lacking else said for name, said in asked.plan.excluded.items()}
    return replace(asked, plan=replace(asked.plan, excluded=reasons), queries=queries)


def _narrowed(contract: Contract, plan: RowPlan) -> Contract:
    """Return the contract with only the columns that are hashed, the key, the watermark and the partition."""
    wanted = {column.name for column in plan.columns} | {contract.watermark, contract.reconcile.partition}
    names = wanted.union(contract.key_names)
    return replace(contract, columns=tuple(column for column in contract.columns if column.name in names))


def _stage(
    contract: Contract, found: tuple[FoundColumn, ...], snapshot: Snapshot, window: Window, *, file: Path, until: float
) -> int:
    """Write the rows to a local file, typed as promised; return how many there are."""
    schema = pa.schema([*contract.arrow_schema, pa.field(MISFITS, pa.string())])
    with ParquetStage(pafs.LocalFileSystem(), str(file), schema) as stage:
        for batch in _with_misfits(snapshot.read(contract, window, found=found), schema):
            if monotonic() > until:
                raise _OutOfTimeError
            stage.write(batch)
        return stage.close().rows


def _with_misfits(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield batches with one text of all values that do not fit. Their columns are null and must not equal a null."""
    for batch in batches:
        raw = [batch.column(name) for name in batch.schema.names if name.startswith(RAW_PREFIX)]
        texts = pa.nulls(batch.num_rows, pa.string())
        if raw:
            joined = pc.binary_join_element_wise(*raw, "|", null_handling="replace", null_replacement="")
            texts = pc.if_else(pc.equal(joined, "|" * (len(raw) - 1)), pa.scalar(None, pa.string()), joined)
        yield pa.record_batch([*(batch.column(name) for name in schema.names[:-1]), texts], schema=schema)
