"""Writes batches to Parquet files that no commit refers to yet, and verifies them by their footers."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from ingestion.errors import IntegrityError
from ingestion.lake.floats import canonical_floats
from ingestion.lake.storage.filesystem import make_folder

ROW_GROUP_BYTES = 16 * 1024 * 1024
ROW_GROUP_ROWS = 256 * 1024


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """A closed file: its path on the file system, size, and footer."""

    path: str
    bytes: int
    footer: pq.FileMetaData

    @property
    def rows(self) -> int:
        return int(self.footer.num_rows)


def open_parquet(filesystem: pafs.FileSystem, path: str) -> ParquetFile:
    """Return a closed file by its path."""
    with filesystem.open_input_file(path) as stream:
        footer = pq.read_metadata(stream)
    return ParquetFile(path, filesystem.get_file_info(path).size, footer)


class ParquetStage:
    """
    A Parquet file being written. Batches are buffered up to a row group's budget and then written in the background.

    At most two row groups are in memory: the buffered one and the one being written.
    Floats are written with one zero and one NaN.
    Use as a context manager: leaving it on an error deletes the file.
    """

    def __init__(self, filesystem: pafs.FileSystem, path: str, schema: pa.Schema) -> None:
        self._filesystem = filesystem
        self._path = path
        self._schema = schema
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_bytes = 0
        self._waiting_rows = 0
        self._written = 0
        make_folder(filesystem, path.rsplit("/", 1)[0])
        self._sink = filesystem.open_output_stream(path)
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            compression="zstd",
            compression_level=1,
            # a dictionary of numbers takes half of the writing time and saves no space
            use_dictionary=[field.name for field in schema if pa.types.is_string(field.type)],
            # bounds ignore NaN, so delta-rs would skip files that have one
            write_statistics=[field.name for field in schema if not pa.types.is_floating(field.type)],
            column_encoding={field.name: "DELTA_BINARY_PACKED" for field in schema if _is_whole(field.type)},
        )
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    @property
    def rows(self) -> int:
        """Rows added so far, flushed or not."""
        return self._written + self._waiting_rows

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch of exactly the stage's schema. Raises IntegrityError."""
        if batch.schema != self._schema:
            raise IntegrityError(
                f"{self._path.rsplit('/', 1)[-1]}: a batch has other columns or types than its file. "
                "Nothing was committed. This is a fault of the program; report it."
            )
        if not batch.num_rows:
            return
        self._waiting.append(canonical_floats(batch))
        self._waiting_bytes += batch.nbytes
        self._waiting_rows += batch.num_rows
        if self._waiting_bytes >= ROW_GROUP_BYTES or self._waiting_rows >= ROW_GROUP_ROWS:
            self._flush()

    def write_all(self, batches: Iterable[pa.RecordBatch]) -> None:
        for batch in batches:
            self.write(batch)

    def close(self) -> ParquetFile:
        """Finish the file and return it after comparing its footer with what was written."""
        self._flush()
        self._settle()
        self._thread.shutdown()
        self._writer.close()
        self._sink.close()
        pa.default_memory_pool().release_unused()  # frees memory that DuckDB needs next
        file = open_parquet(self._filesystem, self._path)
        footer = file.footer
        if footer.num_rows != self._written or not footer.schema.to_arrow_schema().equals(self._schema):
            raise IntegrityError(
                f"{self._path.rsplit('/', 1)[-1]}: {self._written} rows were written, the footer shows "
                f"{footer.num_rows} or another schema. Nothing was committed. Check the disk and run it again."
            )
        return file

    def _flush(self) -> None:
        self._settle()
        if self._waiting:
            rows = pa.Table.from_batches(self._waiting)
            self._writing = self._thread.submit(self._writer.write_table, rows, row_group_size=self._waiting_rows)
            self._written += self._waiting_rows
        self._waiting, self._waiting_bytes, self._waiting_rows = [], 0, 0

    def _settle(self) -> None:
        """Wait for the row group that is being written. Raises the error of its write."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def __enter__(self) -> ParquetStage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._thread.shutdown()
            self._writer.close()
            self._sink.close()
            self._filesystem.delete_file(self._path)


def _is_whole(type_: pa.DataType) -> bool:
    return type_.id in (pa.int32().id, pa.int64().id, pa.date32().id, pa.timestamp("us").id)
