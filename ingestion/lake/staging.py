"""Writes batches to Parquet files that no commit refers to yet, and verifies them by their footers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from ingestion.errors import IntegrityError
from ingestion.lake.floats import canonical_floats
from ingestion.lake.storage.filesystem import make_folder

ROW_GROUP_BYTES = 16 * 1024 * 1024
ROW_GROUP_ROWS = 256 * 1024
SAMPLED_ROWS = 64 * 1024


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
    `shared` gives the columns of the schema that have one value in all rows. Batches do not have them; they are added
    per row group, texts as a dictionary of one value, so that they cost almost nothing.
    Use as a context manager: leaving it on an error deletes the file.
    """

    def __init__(
        self,
        filesystem: pafs.FileSystem,
        path: str,
        schema: pa.Schema,
        *,
        shared: Mapping[str, pa.Scalar] | None = None,
    ) -> None:
        self._filesystem = filesystem
        self._path = path
        self._schema = schema
        self._shared = dict(shared or {})
        self._expected = pa.schema([field for field in schema if field.name not in self._shared])
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_bytes = 0
        self._waiting_rows = 0
        self._written = 0
        make_folder(filesystem, path.rsplit("/", 1)[0])
        self._sink = filesystem.open_output_stream(path)
        self._writer: pq.ParquetWriter | None = None
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    @property
    def rows(self) -> int:
        """Rows added so far, flushed or not."""
        return self._written + self._waiting_rows

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch of exactly the stage's schema without the shared columns. Raises IntegrityError."""
        if batch.schema != self._expected:
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
        (self._writer or self._opened(self._whole([]))).close()
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
            rows = self._whole(self._waiting)
            writer = self._writer = self._writer or self._opened(rows)
            self._writing = self._thread.submit(writer.write_table, rows, row_group_size=self._waiting_rows)
            self._written += self._waiting_rows
        self._waiting, self._waiting_bytes, self._waiting_rows = [], 0, 0

    def _whole(self, batches: Sequence[pa.RecordBatch]) -> pa.Table:
        """Return the rows of batches with the shared columns."""
        rows = pa.Table.from_batches(batches, self._expected)
        if not self._shared:
            return rows
        columns = [
            _repeated(self._shared[name], rows.num_rows) if name in self._shared else rows.column(name)
            for name in self._schema.names
        ]
        return pa.table(columns, self._schema.names)

    def _opened(self, rows: pa.Table) -> pq.ParquetWriter:
        """Open the writer for row groups like `rows`, the first one."""
        texts = [field.name for field in self._schema if pa.types.is_string(field.type)]
        return pq.ParquetWriter(
            self._sink,
            rows.schema,
            compression="zstd",
            compression_level=1,
            # a dictionary of numbers takes half of the writing time and saves no space
            use_dictionary=[name for name in texts if name in self._shared or _recurs(rows.column(name))],
            # bounds ignore NaN, so delta-rs would skip files that have one
            write_statistics=[field.name for field in self._schema if not pa.types.is_floating(field.type)],
            column_encoding={field.name: "DELTA_BINARY_PACKED" for field in self._schema if _is_whole(field.type)},
            store_schema=not self._shared,  # else readers would return the shared texts as dictionaries
        )

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
            if self._writer is not None:
                self._writer.close()
            self._sink.close()
            self._filesystem.delete_file(self._path)


def _repeated(value: pa.Scalar, rows: int) -> pa.Array:
    if not pa.types.is_string(value.type):
        return pa.repeat(value, rows)
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int8()), rows), pa.repeat(value, 1))


def _recurs(values: pa.ChunkedArray) -> bool:
    """
    Return whether texts repeat, judged by a sample of the first ones.

    If they do not, the writer gives the dictionary up when it is full. That takes as long as all other columns, and the
    texts compress worse.
    """
    sample = values.slice(0, SAMPLED_ROWS)
    return 2 * len(pc.unique(sample)) <= len(sample)


def _is_whole(type_: pa.DataType) -> bool:
    return type_.id in (pa.int32().id, pa.int64().id, pa.date32().id, pa.timestamp("us").id)
