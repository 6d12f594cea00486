"""Reads a big table chunk by chunk, in processes, and goes on where a load broke off.

The processes share one fixed point where the source has one to share. Where each session has its own, a first load may
still be read so if the source tells afterwards what changed since the load began: the next load makes it one state.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ingestion.bronze.rows import Stamp
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Contract
from ingestion.errors import IntegrityError
from ingestion.extract.chunk_ledger import ChunkLedger, ChunkPlan, StagedRead
from ingestion.lake.layout import Lake
from ingestion.load.stage import stage_rows
from ingestion.no_pandas import hide_pandas
from ingestion.settings import Connection, environment
from ingestion.sources import open_source
from ingestion.sources.base import Chunk

if TYPE_CHECKING:  # a worker imports this module, and needs neither engine nor lake
    from ingestion.bronze.table import BronzeState, BronzeTable

DEFAULT_CHUNK_ROWS = 1_000_000
ROW_NUMBERS = 10**12  # `_row` of chunk n begins at n times this


@dataclass(frozen=True, slots=True)
class ChunkWork:
    """What all chunks of a batch have in common, as plain values that another process can be handed."""

    contract: Contract
    connection: Connection
    lake: Lake
    folder: str
    plan: ChunkPlan
    found: tuple[FoundColumn, ...]
    stamp: Stamp
    future: str | None


def chunk_rows(contract: Contract) -> int:
    return contract.chunk_rows or DEFAULT_CHUNK_ROWS


def chunk_ledger(table: BronzeTable, state: BronzeState, *, full: bool) -> ChunkLedger:
    """Return the ledger of a table's next batch. Another contract, batch or kind of read has another folder."""
    subject = repr((table.contract, state.next_batch, state.version, full))
    digest = hashlib.sha256(subject.encode()).hexdigest()[:16]
    return ChunkLedger(table.lake.filesystem, table.staging_folder(f"plan-{digest}"))


def read_chunks(work: ChunkWork, ledger: ChunkLedger, *, on_spark: bool = False) -> list[StagedRead]:
    """
    Read the chunks that the ledger lacks, in processes or on Spark's executors, and return all of them in order.

    Raises what reading raises, after the chunks under way have ended: they need not be read again.
    """
    count = len(work.plan.chunks)
    missing = [index for index in range(count) if ledger.finished(index) is None]
    sessions = max(1, work.connection.max_sessions - 1)  # one is the driver's own
    workers = min(len(missing), os.cpu_count() or 1, sessions)
    if on_spark and missing:
        _read_on_spark(work, missing, sessions)
    elif workers > 1 and not multiprocessing.current_process().daemon:
        _read_side_by_side(work, missing, others=workers - 1)
    else:
        for index in missing:
            read_chunk(work, index)
    return [_finished(work, ledger, index) for index in range(count)]


def read_chunk(work: ChunkWork, index: int) -> None:
    """Read one chunk into files and note it in the ledger."""
    filesystem, contract, point = work.lake.filesystem, work.contract, work.plan.fixed_point
    source = open_source(contract.system, work.connection)
    with source.snapshot(at=point if source.shares(point) else None) as snapshot:
        chunk = Chunk(*work.plan.chunks[index])
        read = stage_rows(
            contract,
            snapshot.read(contract, work.plan.window, found=work.found, chunk=chunk),
            filesystem=filesystem,
            folder=work.folder,
            stamp=work.stamp,
            first_row=index * ROW_NUMBERS + 1,
            future=work.future,
        )
    ChunkLedger(filesystem, work.folder).finish(index, read)


def _finished(work: ChunkWork, ledger: ChunkLedger, index: int) -> StagedRead:
    read = ledger.finished(index)
    if read is None:
        raise IntegrityError(
            f"{work.contract.id}: chunk {index} was read, but its file is gone or cut. Nothing was committed. "
            "Check the disk, and that no second load of this table runs; then run it again."
        )
    return read


def _read_side_by_side(work: ChunkWork, indices: Sequence[int], *, others: int) -> None:
    """Read chunks here and in other processes: one fewer has to start, which takes as long as 300,000 rows."""
    # spawned: a fork would copy the threads and sockets of drivers that do not survive it
    context = multiprocessing.get_context("spawn")
    with (
        environment(MIMALLOC_PURGE_DELAY="0"),  # Arrow's allocator keeps nothing that is freed: a fifth less
        ProcessPoolExecutor(others, mp_context=context, initializer=_begin_worker) as pool,
    ):
        *handed, own = indices
        futures = {pool.submit(read_chunk, work, index): index for index in handed}
        try:
            read_chunk(work, own)
            for future, index in reversed(futures.items()):  # the others begin with the first
                _raise_failure(futures)
                if future.cancel():
                    read_chunk(work, index)
            for future in as_completed([future for future in futures if not future.cancelled()]):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _raise_failure(futures: Iterable[Future[None]]) -> None:
    for future in futures:
        if future.done() and not future.cancelled():
            future.result()


def _read_on_spark(work: ChunkWork, indices: Sequence[int], sessions: int) -> None:
    from ingestion.lake.spark.chunk_source import read_on_executors  # noqa: PLC0415 - the embedded engine needs no pyspark
    from ingestion.lake.spark.session import open_session  # noqa: PLC0415

    open_session(root=work.lake.root, storage_options=work.lake.storage_options)
    read_on_executors(work.contract.id, indices, partial(read_chunk, work), sessions=sessions)


def _begin_worker() -> None:
    """Let this process end as soon as its parent does, however that ends."""
    hide_pandas()
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
