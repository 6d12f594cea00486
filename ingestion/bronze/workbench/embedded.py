"""Runs SQL over one table at fixed Delta versions; loads and gap checks compare source rows with it.

Statements are written in DuckDB's SQL; the workbench on Spark (`ingestion.bronze.workbench.spark`) translates them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from ingestion import scratch
from ingestion.bronze.checkpoint import create_events_view, find_checkpoint
from ingestion.bronze.rows import bronze_schema
from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.lake import duck
from ingestion.lake.base import StagedFile
from ingestion.lake.embedded.parquet_files import VECTOR_ROWS
from ingestion.lake.layout import Lake
from ingestion.lake.staging import ParquetFile, ParquetStage
from ingestion.sql.quoting import text_literal

BATCH_ROWS = 64 * 1024
BATCH_VALUES = 32 * BATCH_ROWS
FEW_ROWS = 10_000
"""A Bronze table of up to so many rows is read into memory once: its queries take longer to begin than to run."""


class Bench(Protocol):
    """The operations that a batch needs. The views `bronze`, `quarantine` and `events` exist from the start."""

    def staged(self, name: str, paths: Sequence[str]) -> None:
        """Create or replace the view of staged files, given their paths on the lake's file system."""
        ...

    def define(self, name: str, query: str) -> None:
        """Create or replace a view. Names in it are resolved when it is queried."""
        ...

    def table(self, name: str, query: str) -> None:
        """Run a query now and keep its rows under a name. Replaces a relation of that name."""
        ...

    def step(self, name: str, query: str) -> None:
        """Name a query for later queries. An engine with bounded memory runs it now, separately."""
        ...

    def scalar(self, query: str) -> int:
        """Return the one whole number that a query yields, 0 for no row."""
        ...

    def select(self, query: str) -> pa.Table: ...

    def reader(self, query: str, schema: pa.Schema) -> pa.RecordBatchReader:
        """Stream a query's rows, cast to exactly `schema`."""
        ...

    def stage(self, query: str, schema: pa.Schema, path: str) -> ParquetFile:
        """Write a query's rows, cast to exactly `schema`, to one new file on the lake's file system."""
        ...

    def partitioned(self, table: BronzeTable, query: str) -> list[StagedFile] | None:
        """Write Bronze rows to files of one partition each; None if the engine's commit does so."""
        ...


@dataclass(frozen=True, slots=True)
class Workbench:
    """
    DuckDB in this process: a connection with the views, and a local folder that goes with it.

    Data that exceeds the memory limit spills to that folder.
    """

    connection: duck.Connection
    folder: Path
    lake: Lake

    def staged(self, name: str, paths: Sequence[str]) -> None:
        self.view(name, [self.lake.location(path) for path in paths])

    def define(self, name: str, query: str) -> None:
        self.connection.execute(f"create or replace view {name} as {query}")

    def view(self, name: str, locations: Sequence[str]) -> None:
        """Create or replace the view of Parquet files."""
        files = ", ".join(text_literal(location) for location in locations)
        self.connection.execute(f"create or replace view {name} as select * from read_parquet([{files}])")

    def table(self, name: str, query: str) -> None:
        self.connection.execute(f"create or replace table {name} as {query}")

    def step(self, name: str, query: str) -> None:
        self.table(name, query)

    def scalar(self, query: str) -> int:
        row = self.connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    def select(self, query: str) -> pa.Table:
        return self.connection.execute(query).to_arrow_table()

    def keep(self, name: str, query: str) -> None:
        """
        Write a query's rows to a file in the local folder and create a view of it.

        DuckDB writes the file itself, because it cannot stream every query (`ingestion.bronze.changes`).
        """
        path = str(self.folder / f"{name}.parquet")
        columns = len(self.connection.execute(f"describe {query}").fetchall())
        form = f"format parquet, row_group_size {_batch_rows(columns)}"
        self.connection.execute(f"copy ({query}) to {text_literal(path)} ({form})")
        self.view(name, [path])

    def reader(self, query: str, schema: pa.Schema) -> pa.RecordBatchReader:
        reader = self._stream(query)
        return reader if reader.schema.equals(schema) else reader.cast(schema)

    def _stream(self, query: str) -> pa.RecordBatchReader:
        """Run a query and stream its rows; wide rows come in small batches."""
        found = self.connection.execute(query)
        return found.to_arrow_reader(_batch_rows(len(found.description or ())))

    def stage(self, query: str, schema: pa.Schema, path: str) -> ParquetFile:
        with ParquetStage(self.lake.filesystem, path, schema) as stage:
            stage.write_all(self.reader(query, schema))
            return stage.close()

    def partitioned(self, table: BronzeTable, query: str) -> list[StagedFile] | None:
        return table.write_partitions(self.connection, query)


def _batch_rows(columns: int) -> int:
    return max(VECTOR_ROWS, min(BATCH_ROWS, BATCH_VALUES // max(1, columns)))


@contextmanager
def open_bench(table: BronzeTable, state: BronzeState, *, memory_limit: str) -> Iterator[Bench]:
    """Open the workbench of the table's engine at the Delta versions of `state`."""
    if table.engine.name == "spark":
        from ingestion.bronze.workbench.spark import open_spark_workbench  # noqa: PLC0415 - the embedded needs none

        with open_spark_workbench(table, state) as on_spark:
            yield on_spark
    else:
        with open_workbench(table, state, memory_limit=memory_limit) as embedded:
            yield embedded


@contextmanager
def open_workbench(table: BronzeTable, state: BronzeState, *, memory_limit: str) -> Iterator[Workbench]:
    """Open a workbench at the Delta versions of `state`; its folder is deleted at the end."""
    columns = len(bronze_schema(table.contract))
    with (
        scratch.folder("bench") as folder,
        duck.session(table.uri, memory_limit=memory_limit, columns=columns) as connection,
    ):
        bronze = duck.attached(connection, table.uri, state.version)
        (rows,) = connection.execute(f"select count(*) from {bronze}").fetchone() or (0,)
        kind = "table" if rows <= FEW_ROWS else "view"
        connection.execute(f"create {kind} bronze as select * from {bronze}")
        connection.execute(f"create view quarantine as {table.quarantine_at(connection, state.quarantine_version)}")
        known = find_checkpoint(table.lake.filesystem, table.checkpoint_folder, up_to=state.batch)
        create_events_view(connection, known, table.lake.location(known.path) if known else "")
        yield Workbench(connection, folder, table.lake)
