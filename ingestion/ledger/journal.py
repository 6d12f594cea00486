"""Appends to the ledger and reads it. The ledger is append-only."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from ingestion.contracts.types import duckdb_type
from ingestion.errors import ConcurrentWriteError, LakehouseError
from ingestion.lake import duck
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import Lake
from ingestion.lake.storage.errors import reaching
from ingestion.ledger.tables import TABLES
from ingestion.sql.quoting import quote_standard

logger = logging.getLogger("lakehouse")
COMPACTION_EVERY = 16
"""The number of commits to a table after which its files are checked for compaction."""


class Journal:
    """The ledger of one lake."""

    def __init__(self, lake: Lake, engine: DeltaRs) -> None:
        self._lake = lake
        self._engine = engine
        self._current: set[str] = set()
        self._views: dict[str, str] = {}

    def create(self) -> None:
        """Create the tables, empty, unless they exist; add columns of newer versions. Idempotent."""
        for name in TABLES:
            self._bring_up(name)

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """
        Append rows to a table of `TABLES`; absent fields are null, unknown ones an error.

        A ledger of an earlier version of the program is updated first. Small files are compacted regularly, so that a
        table has tens of them and not one per step. A failed compaction is only a warning.
        """
        if not rows:
            return
        schema = TABLES[table]
        unknown = {key for row in rows for key in row} - set(schema.names)
        if unknown:
            raise KeyError(f"the ledger table {table} has no column {', '.join(sorted(unknown))}")
        if table not in self._current:
            self._bring_up(table)
        columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in schema]
        uri = self._lake.uri("ops", table)
        self._engine.append(uri, pa.Table.from_arrays(columns, schema=schema))
        self._compact(uri)

    def _compact(self, uri: str) -> None:
        """Compact a table's files of one size when a check is due. A failure does not affect the append."""
        try:
            with reaching(uri):
                if self._engine.version(uri) % COMPACTION_EVERY == 0:
                    self._engine.compact_by_size(uri)
        except ConcurrentWriteError:
            pass  # another step wrote its row meanwhile; a later step checks again
        except LakehouseError as exc:
            logger.warning("the ledger was written, and its files could not be compacted: %s", exc)

    def watermark(self, contract_id: str, batch: int, *, since: datetime | None) -> str | None:
        """
        Return the newest watermark of the steps after which this batch was the newest; None if there is none.

        Steps that ended before `since` (when the batch was made) belong to an earlier table of the same name.
        """
        rows = self.select(
            "select watermark from ops.runs where subject = ? and last_batch = ? and watermark is not null "
            "and status <> 'failed' and (?::timestamptz is null or finished_at >= ?::timestamptz) "
            "order by finished_at desc limit 1",
            [contract_id, batch, since, since],
        )
        return str(rows[0]["watermark"]) if rows else None

    def select(self, query: str, binds: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Run a query over `ops.*` and return its rows as dicts."""
        with self._connect(query) as connection:
            table = connection.execute(query, list(binds)).to_arrow_table()
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def _bring_up(self, table: str) -> None:
        uri, schema = self._lake.uri("ops", table), TABLES[table]
        self._engine.create(uri, schema)
        if not {*schema.names} <= {*self._engine.schema(uri).names}:
            self._engine.add_columns(uri, list(schema))
        self._current.add(table)
        self._views.pop(table, None)

    def _connect(self, query: str) -> duck.Connection:
        """
        Return a connection with a view per table of a query: each view reads a whole Delta log.

        Tables and columns that an earlier version's ledger lacks are empty or null.
        """
        connection = duck.connect(at=self._lake.root)
        connection.execute("create schema ops")
        for name in (name for name in TABLES if f"ops.{name}" in query):
            if name not in self._views:
                self._views[name] = self._view(connection, name)
            connection.execute(f"create view ops.{name} as {self._views[name]}")
        return connection

    def _view(self, connection: duck.Connection, name: str) -> str:
        uri, schema = self._lake.uri("ops", name), TABLES[name]
        if not self._engine.exists(uri):
            return f"select {', '.join(_null(field) for field in schema)} limit 0"
        found = {row[0] for row in connection.execute(f"describe select * from {duck.scan(uri)}").fetchall()}
        lacking = [_null(field) for field in schema if field.name not in found]
        return f"select {', '.join(['*', *lacking])} from {duck.scan(uri)}"


def _null(field: pa.Field) -> str:
    return f"cast(null as {duckdb_type(field.type)}) as {quote_standard(field.name)}"
