"""Reads a big table in chunks, in several processes, and continues an interrupted load.

The processes share one fixed point if the source's sessions can. If each session has its own, only a first load is read
in chunks, and only if the source can report what changed since it began. The next load reads these changes, and then
all rows are of one state.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Sequence
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
ROW_NUMBERS = 10**12  # `_row` of chunk n (from 0) begins at n times this plus 1


@dataclass(frozen=True, slots=True)
class ChunkWork:
    """What all chunks of a batch have in common, as plain values that can be sent to another process."""

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
    """Return the chunk ledger of a table's next batch. Its folder depends on contract, batch, version and `full`."""
    subject = repr((table.contract, state.next_batch, state.version, full))
    digest = hashlib.sha256(subject.encode()).hexdigest()[:16]
    return ChunkLedger(table.lake.filesystem, table.staging_folder(f"plan-{digest}"))


def read_chunks(
    work: ChunkWork, ledger: ChunkLedger, *, observe: Callable[[str, int], None] | None = None, on_spark: bool = False
) -> list[StagedRead]:
    """
    Read the chunks that the ledger lacks, in processes or on Spark's executors, and return all of them in order.

    `observe` is called for each chunk that was read, with its rows; chunks read on Spark or before are not observed.

    Errors of a read are raised after the chunks in progress have ended, so that these need not be read again.
    """
    count = len(work.plan.chunks)
    missing = [index for index in range(count) if ledger.finished(index) is None]

    def done(index: int) -> None:
        if observe is not None and (read := ledger.finished(index)) is not None:
            observe("staging", read.tally.read)

    sessions = max(1, work.connection.max_sessions - 1)  # one session is this process's own
    workers = min(len(missing), os.cpu_count() or 1, sessions)
    if on_spark and missing:
        _read_on_spark(work, missing, sessions)
    elif workers > 1 and not multiprocessing.current_process().daemon:
        _read_side_by_side(work, missing, done, others=workers - 1)
    else:
        for index in missing:
            read_chunk(work, index)
            done(index)
    return [_finished(work, ledger, index) for index in range(count)]


def read_chunk(work: ChunkWork, index: int) -> None:
    """Read one chunk into files and record it in the chunk ledger."""
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


def _read_side_by_side(work: ChunkWork, indices: Sequence[int], done: Callable[[int], None], *, others: int) -> None:
    """Read chunks in this process and in others: so one fewer has to start. A start costs as much as 300,000 rows."""
    # spawn, because a fork would copy the threads and sockets of drivers, which do not survive it
    context = multiprocessing.get_context("spawn")
    with (
        environment(MIMALLOC_PURGE_DELAY="0"),  # Arrow's allocator returns freed memory at once: a fifth less in use
        ProcessPoolExecutor(others, mp_context=context, initializer=_begin_worker) as pool,
    ):
        *handed, own = indices
        futures = {pool.submit(read_chunk, work, index): index for index in handed}
        for future, index in futures.items():
            future.add_done_callback(partial(_tell, done, index))
        try:
            read_chunk(work, own)
            done(own)
            for future, index in reversed(futures.items()):  # from the end, because the others begin with the first
                _raise_failure(futures)
                if future.cancel():
                    read_chunk(work, index)
                    done(index)
            for future in as_completed([future for future in futures if not future.cancelled()]):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _tell(done: Callable[[int], None], index: int, future: Future[None]) -> None:
    if not future.cancelled() and future.exception() is None:
        done(index)


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
    """Hide pandas, and end this process as soon as its parent ends for whatever reason."""
    hide_pandas()
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
