"""Rows on their way into Spark: staged files and Arrow tables as data frames."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import functions as f
from pyspark.sql.pandas.types import from_arrow_schema, from_arrow_type
from pyspark.sql.types import StructType

from ingestion.errors import IntegrityError
from ingestion.lake.base import StagedFile, check_partition
from ingestion.lake.descriptions import comments_of
from ingestion.lake.storage.filesystem import make_folder, open_files
from ingestion.sql.quoting import quote_spark


def commented(schema: pa.Schema) -> StructType:
    """Return a schema as Spark's, with the comments of its columns."""
    comments, typed = comments_of(schema), from_arrow_schema(schema)
    for field in typed:
        if comment := comments.get(field.name):
            field.metadata["comment"] = comment
    return typed


def staged_rows(
    session: Any, uri: str, files: Sequence[StagedFile], schema: pa.Schema, partition_by: Sequence[str]
) -> Any:
    """
    Return the rows of staged files. Files with a partition value lack its columns, which are added again.

    Raises IntegrityError for a lost row.
    """
    if not files:
        return frame(session, schema.empty_table())
    partition_by = partition_by if any(x.partition_values for x in files) else ()
    check_partition(uri, partition_by, files)
    stored = pa.schema([field for field in schema if field.name not in partition_by])
    rows = session.read.schema(from_arrow_schema(stored)).parquet(*(f"{uri}/{x.path}" for x in files))
    if partition_by:
        places = [(x.path.rsplit("/", 1)[-1], *(x.partition_values[n] for n in partition_by)) for x in files]
        names = ["_file", *(f"_partition_{n}" for n in range(len(partition_by)))]
        known = session.createDataFrame(places, ", ".join(f"{name} string" for name in names))
        rows = rows.withColumn("_file", f.col("_metadata.file_name")).join(f.broadcast(known), "_file")
        for name, text in zip(partition_by, names[1:], strict=True):
            rows = rows.withColumn(name, f.col(text).cast(from_arrow_type(schema.field(name).type, True)))
    rows = rows.select(*(f.col(quote_spark(name)) for name in schema.names))
    promised, found = sum(x.rows for x in files), rows.count()
    if promised != found:
        raise IntegrityError(
            f"{uri}: {promised} rows were staged, Spark reads {found}. Nothing was committed. "
            "Do all executors see the same storage as the driver? A lake on local disks is for one machine."
        )
    return rows


def frame(session: Any, rows: pa.Table) -> Any:
    """Return a small table as a data frame with exactly its types."""
    schema = from_arrow_schema(rows.schema)
    return session.createDataFrame(rows, schema) if rows.num_rows else session.createDataFrame([], schema)


@contextmanager
def arriving_rows(session: Any, uri: str, rows: pa.RecordBatchReader) -> Iterator[Any]:
    """Stage rows beside the table, so that they take no memory in the Spark driver, and yield them as a frame."""
    name = f"_staging/merge-{uuid.uuid4().hex}"
    filesystem, folder = open_files(uri)
    make_folder(filesystem, f"{folder}/{name}")
    try:
        with pq.ParquetWriter(f"{folder}/{name}/rows.parquet", rows.schema, filesystem=filesystem) as writer:
            for batch in rows:
                writer.write_batch(batch)
        yield session.read.schema(from_arrow_schema(rows.schema)).parquet(f"{uri}/{name}/rows.parquet")
    finally:
        filesystem.delete_dir(f"{folder}/{name}")


def check_keys(uri: str, arriving: Any, keys: Sequence[str]) -> None:
    """Raise IntegrityError where two rows share a key."""
    twice = arriving.groupBy(*(f.col(quote_spark(name)) for name in keys)).count().where("count > 1")
    if not twice.isEmpty():
        raise IntegrityError(
            f"{uri}: a key comes twice among the changes. "
            "Nothing was committed. This is a fault of the program; report it."
        )


def discard(uri: str, paths: Sequence[str]) -> None:
    """Delete staged files whose rows are committed. A vacuum deletes files that remain."""
    filesystem, folder = open_files(uri)
    for path in paths:
        with suppress(OSError):
            filesystem.delete_file(f"{folder}/{path}")


def needed_features(schema: pa.Schema) -> dict[str, str]:
    """Return the properties that an existing table needs before these columns can be added."""
    has_wall_clock = any(pa.types.is_timestamp(field.type) and field.type.tz is None for field in schema)
    return {"delta.feature.timestampNtz": "supported"} if has_wall_clock else {}


def table_at(uri: str) -> str:
    """Return the SQL name of the table at a path."""
    return f"delta.{quote_spark(uri)}"
