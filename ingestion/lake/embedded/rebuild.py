"""Writes a whole table from a query: DuckDB writes sorted Parquet files, and one commit adds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from ingestion.lake.base import Commit, FileCommits
from ingestion.lake.descriptions import described
from ingestion.lake.duck import Connection
from ingestion.lake.embedded.parquet_files import FileWriter, casts, sorted_by
from ingestion.lake.embedded.rewrite import materialized, write_partitioned
from ingestion.lake.statistics import indexed_columns


def rebuild(
    engine: FileCommits,
    connection: Connection,
    uri: str,
    query: str,
    *,
    commit: Commit,
    unindexed: Sequence[str] = (),
    partition_by: Sequence[str] = (),
    order_by: Sequence[str] = (),
    description: str = "",
    comments: Mapping[str, str] | None = None,
) -> int:
    """
    Create the table or replace it completely with the rows and columns of `query`; return the new version.

    It gets the `description`, and its columns the `comments`.

    Files are sorted by `order_by` within each partition. The rows of a partitioned table are sorted into a table
    of the connection first, so that query and sort run once; what exceeds DuckDB's memory limit spills.
    """
    schema = connection.execute(f"select * from ({query}) limit 0").to_arrow_table().schema
    schema = pa.schema([(field.name, field.type) for field in schema])
    writer = FileWriter(connection, uri, schema, partition_by, indexed_columns(schema, unindexed))
    if partition_by:
        with materialized(connection, f"select {casts(schema)} from ({query}){sorted_by(order_by)}") as rows:
            files = write_partitioned(writer, f"select * from {rows}", partition_by, ())
    else:
        files = write_partitioned(writer, query, (), order_by)
    schema = described(schema, description, comments or {})
    return engine.overwrite(uri, files, schema=schema, commit=commit, unindexed=unindexed, partition_by=partition_by)
