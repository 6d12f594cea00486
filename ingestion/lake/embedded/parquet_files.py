"""Writes the Parquet files of a table with DuckDB. The files are invisible until a commit refers to them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.contracts.types import duckdb_type
from ingestion.errors import IntegrityError
from ingestion.lake.base import StagedFile
from ingestion.lake.duck import Connection, location
from ingestion.lake.floats import canonical_sql
from ingestion.lake.statistics import file_statistics
from ingestion.lake.storage.filesystem import make_folder, open_files
from ingestion.sql.quoting import quote_standard, text_literal

ROW_GROUP_ROWS = 122_880  # the unit that DuckDB scans in one task
ROW_GROUP_VALUES = (
    32 * ROW_GROUP_ROWS
)  # DuckDB keeps a row group in memory while it writes it, so wide tables get shorter ones
ROW_GROUPS_PER_FILE = 2  # a changed row causes a rewrite of its whole file; see docs/decisions/0005
VECTOR_ROWS = 2_048  # DuckDB's vector size
PARQUET = "format parquet, write_bloom_filter false"
"""Options of every Parquet file. DuckDB 1.5.5 misses existing bytes and NaNs when it reads its bloom filters."""


def row_group_rows(columns: int) -> int:
    """Return the rows of a row group with that many columns: whole vectors, at least one."""
    rows = min(ROW_GROUP_ROWS, ROW_GROUP_VALUES // max(1, columns))
    return max(VECTOR_ROWS, rows // VECTOR_ROWS * VECTOR_ROWS)


def file_rows(columns: int) -> int:
    """Return how many rows with that many columns fill a file."""
    return row_group_rows(columns) * ROW_GROUPS_PER_FILE


class FileWriter:
    """Writes files of one table through `connection`, whose time zone must be UTC. `uri` need not exist yet."""

    def __init__(
        self, connection: Connection, uri: str, schema: pa.Schema, partition_by: Sequence[str], indexed: Sequence[str]
    ) -> None:
        self.connection = connection
        self._uri = uri
        self._place = location(uri)
        self._stored = pa.schema([field for field in schema if field.name not in partition_by])
        self._indexed = indexed
        self._filesystem, self._folder = open_files(uri)

    def write(
        self, rows: str, *, partition_values: Mapping[str, str | None], order_by: Sequence[str] = ()
    ) -> list[StagedFile]:
        """
        Write the rows of a query to as many files as their size needs, sorted across the files.

        With several threads on a busy machine, the ranges of neighbouring files may overlap: each file holds whole
        sorted row groups, but not always adjacent ones.
        """
        make_folder(self._filesystem, self._folder)
        written = self.connection.execute(
            f"copy (select {casts(self._stored)} from ({rows}){sorted_by(order_by)}) to {text_literal(self._place)} "
            f"({self._options()}, row_groups_per_file {ROW_GROUPS_PER_FILE}, filename_pattern 'part-{{uuid}}', "
            "overwrite_or_ignore, return_files)"
        ).fetchone()
        names = [path.rsplit("/", 1)[-1] for path in (written or (0, []))[1]]
        staged = [self._describe(name, partition_values) for name in names]
        return [file for file in staged if file is not None]

    def write_one(self, rows: str, *, partition_values: Mapping[str, str | None]) -> StagedFile | None:
        """Write one file in the order of the rows; None if there are no rows."""
        name = f"part-{uuid.uuid4()}.parquet"
        target = text_literal(f"{self._place}/{name}")
        self.connection.execute(f"copy (select {casts(self._stored)} from ({rows})) to {target} ({self._options()})")
        return self._describe(name, partition_values)

    def _describe(self, name: str, partition_values: Mapping[str, str | None]) -> StagedFile | None:
        path = f"{self._folder}/{name}"
        footer = pq.read_metadata(path, filesystem=self._filesystem)
        found = footer.schema.to_arrow_schema()
        if found.names != self._stored.names or found.types != self._stored.types:
            raise IntegrityError(
                f"{self._uri}: expected the columns {self._stored.names}, a written file has {found.names} or other "
                "types. Nothing was committed. This is a fault of the program; report it."
            )
        if footer.num_rows == 0:
            with suppress(OSError):
                self._filesystem.delete_file(path)
            return None
        size = self._filesystem.get_file_info(path).size
        return StagedFile(name, footer.num_rows, size, file_statistics(footer, self._indexed), dict(partition_values))

    def _options(self) -> str:
        # Parquet's newer encodings halve the time for keys and numbers; Spark cannot read the one for floats
        version = "v1" if any(pa.types.is_floating(type_) for type_ in self._stored.types) else "v2"
        return (
            f"{PARQUET}, parquet_version {version}, compression zstd, compression_level 1, "
            f"row_group_size {row_group_rows(len(self._stored))}"
        )


def sorted_by(columns: Sequence[str]) -> str:
    """Return the `order by` clause of columns, with a blank before it; nothing if there are none."""
    return f" order by {', '.join(map(quote_standard, columns))}" if columns else ""


def casts(schema: pa.Schema) -> str:
    """
    Return the SQL of the columns as the lake stores them: cast, and floats with one zero and one NaN.

    Without the casts, DuckDB's widest whole number would be written as a float.
    """
    return ", ".join(f"{_stored(f)} as {quote_standard(f.name)}" for f in schema)


def _stored(field: pa.Field) -> str:
    type_ = sql_type(field.type)
    cast = f"cast({quote_standard(field.name)} as {type_})"
    return canonical_sql(cast, type_) if pa.types.is_floating(field.type) else cast


def sql_type(type_: pa.DataType) -> str:
    """Return DuckDB's name of an Arrow type that Delta supports. Raises IntegrityError for any other."""
    try:
        return duckdb_type(type_)
    except KeyError:
        raise IntegrityError(
            f"{type_}: Delta has no such type. Nothing was written. Cast the column in its model."
        ) from None
