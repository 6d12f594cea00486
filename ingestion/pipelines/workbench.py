"""DuckDB over one table at fixed Delta versions: what loads and gap checks compare source rows with."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ingestion.bronze.checkpoint import create_events_view, find_checkpoint
from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.lake import duck

BATCH_ROWS = 64 * 1024


@dataclass(frozen=True, slots=True)
class Workbench:
    """
    A connection with the views `bronze`, `quarantine` and `events`, and a local folder that goes with it.

    What exceeds the memory limit spills to that folder.
    """

    connection: duck.Connection
    folder: Path

    def view(self, name: str, locations: Sequence[str]) -> None:
        """Make or replace the view of Parquet files."""
        files = ", ".join(duck.literal(location) for location in locations)
        self.connection.execute(f"create or replace view {name} as select * from read_parquet([{files}])")

    def table(self, name: str, query: str) -> None:
        self.connection.execute(f"create table {name} as {query}")

    def scalar(self, query: str) -> int:
        """Return the one whole number that a query yields, 0 for no row."""
        row = self.connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    def select(self, query: str) -> pa.Table:
        return self.connection.execute(query).to_arrow_table()

    def reader(self, query: str, schema: pa.Schema) -> pa.RecordBatchReader:
        """Stream a query's rows, cast to exactly `schema`."""
        reader = self.connection.execute(query).to_arrow_reader(BATCH_ROWS)
        return reader if reader.schema.equals(schema) else reader.cast(schema)


@contextmanager
def open_workbench(table: BronzeTable, state: BronzeState, *, memory_limit: str) -> Iterator[Workbench]:
    """Open a workbench at the versions of `state`; its folder is swept away at the end."""
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-"))
    connection = duck.connect(memory_limit=memory_limit, spill=str(folder / "spill"))
    try:
        for name, uri, version in (
            ("bronze", table.uri, state.version),
            ("quarantine", table.quarantine_uri, state.quarantine_version),
        ):
            connection.execute(f"create view {name} as select * from {duck.scan(uri, version)}")
        known = find_checkpoint(table.lake.filesystem, table.checkpoint_folder, up_to=state.batch)
        create_events_view(connection, known, table.lake.location(known.path) if known else "")
        yield Workbench(connection, folder)
    finally:
        connection.close()
        shutil.rmtree(folder, ignore_errors=True)
