"""Runs the source adapters on Spark's executors: a data source with one partition per allowed source session.

    session.read.format("lakehouse").option("work", ...)

It yields one row per chunk, not the chunk's rows. One process reads the chunk, applies the contract's rules and writes
Parquet to the lake's storage, as in the embedded engine; Spark then reads that file. A connection is resolved on the
Spark driver and is part of the pickled reader. The option names a private file on the Spark driver, so a plan, a log or
Spark's UI shows only the file's name.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from ingestion import scratch
from ingestion.errors import IntegrityError, LakehouseError

FORMAT = "lakehouse"
SCHEMA = pa.schema([("chunk", pa.int32()), ("error", pa.binary())])
ReadChunk = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that is not ours. Its text may hold row values, so it is not passed on."""

    kind: str
    place: str


class ChunkPartition(InputPartition):  # type: ignore[misc] # pyspark may be absent
    """Chunks that one session reads one after another. `value` lists their numbers."""


class ChunkSource(DataSource):  # type: ignore[misc]
    """Implements the format `lakehouse`. The option `work` names a pickle of (chunk numbers per partition, reader)."""

    @classmethod
    def name(cls) -> str:
        return FORMAT

    def schema(self) -> str:
        return "chunk int, error binary"

    def reader(self, schema: Any) -> ChunkReader:  # noqa: ARG002 - there is one
        lanes, read = pickle.loads(Path(self.options["work"]).read_bytes())  # noqa: S301 - our own file, mode 0600
        return ChunkReader(lanes, read)


class ChunkReader(DataSourceReader):  # type: ignore[misc]
    def __init__(self, lanes: Sequence[Sequence[int]], read: ReadChunk) -> None:
        self._lanes = lanes
        self._read = read

    def partitions(self) -> list[ChunkPartition]:
        return [ChunkPartition(list(lane)) for lane in self._lanes]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Read the partition's chunks. Stops at the first failed chunk, whose error is in the last row."""
        for chunk in partition.value:
            error = _error_of(self._read, chunk)
            yield pa.RecordBatch.from_pylist([{"chunk": chunk, "error": error}], schema=SCHEMA)
            if error is not None:
                return


def read_on_executors(subject: str, chunks: Sequence[int], read: ReadChunk, *, sessions: int) -> None:
    """
    Call `read` on executors for each chunk, with at most `sessions` at a time. `read` must be picklable.

    Uses Spark's active session, because the format must be registered there.

    A chunk may be read more than once (Spark repeats tasks), so `read` must be idempotent. Raises our own errors as
    they were raised there, any other as IntegrityError with its class and position, never its text.
    """
    lanes = [list(chunks[start::sessions]) for start in range(min(sessions, len(chunks)))]
    session = SparkSession.active()
    session.dataSource.register(ChunkSource)
    with scratch.folder("chunks") as folder:
        work = folder / "work"
        work.touch(mode=0o600)
        work.write_bytes(pickle.dumps((lanes, read)))
        rows = session.read.format(FORMAT).option("work", str(work)).load().collect()
    for row in rows:
        if row["error"] is not None:
            raise _raised(subject, row["chunk"], pickle.loads(row["error"]))  # noqa: S301 - from our own executors
    if len(rows) != len(chunks):
        raise IntegrityError(
            f"{subject}: {len(chunks)} chunks were to be read, executors report {len(rows)}. Nothing was committed. "
            "Run it again; if it comes back, look at the executors' logs."
        )


def _error_of(read: ReadChunk, chunk: int) -> bytes | None:
    try:
        read(chunk)
    except LakehouseError as exc:
        return pickle.dumps(exc)
    except Exception as exc:
        place = traceback.extract_tb(exc.__traceback__)[-1]
        return pickle.dumps(Failure(type(exc).__name__, f"{Path(place.filename).name}:{place.lineno}"))
    return None


def _raised(subject: str, chunk: int, error: LakehouseError | Failure) -> LakehouseError:
    if isinstance(error, LakehouseError):
        return error
    return IntegrityError(
        f"{subject}: chunk {chunk} was not read: {error.kind} at {error.place} on an executor. Nothing was committed. "
        "Check that the executors have the wheel and the driver of the source in the pinned versions; see docs/spark.md"
    )
