"""Writes a whole table from a query: DuckDB writes sorted Parquet files, and one commit adds them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from ingestion import scratch
from ingestion.lake.base import Commit, FileEngine
from ingestion.lake.duck import Connection
from ingestion.lake.embedded.parquet_files import PARQUET, FileWriter, casts
from ingestion.lake.embedded.rewrite import write_partitioned
from ingestion.lake.statistics import indexed_columns
from ingestion.sql.quoting import text_literal


def rebuild(
    engine: FileEngine,
    connection: Connection,
    uri: str,
    query: str,
    *,
    commit: Commit,
    unindexed: Sequence[str] = (),
    partition_by: Sequence[str] = (),
    order_by: Sequence[str] = (),
) -> int:
    """
    Create the table or replace it completely with the rows and columns of `query`; return the new version.

    Files are sorted by `order_by` within each partition. For a partitioned table the rows are written to
    a temporary file first, so that the query runs once.
    """
    schema = connection.execute(f"select * from ({query}) limit 0").to_arrow_table().schema
    schema = pa.schema([(field.name, field.type) for field in schema])
    writer = FileWriter(connection, uri, schema, partition_by, indexed_columns(schema, unindexed))
    if partition_by:
        with scratch.folder("rebuild") as folder:
            staged = text_literal(f"{folder}/rows.parquet")
            connection.execute(
                f"copy (select {casts(schema)} from ({query})) to {staged} ({PARQUET}, compression lz4)"
            )
            files = write_partitioned(writer, f"select * from read_parquet({staged})", partition_by, order_by)
    else:
        files = write_partitioned(writer, query, (), order_by)
    return engine.overwrite(uri, files, schema=schema, commit=commit, unindexed=unindexed, partition_by=partition_by)
