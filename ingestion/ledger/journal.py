"""Appends to the ledger and reads it back. Appending is the only way it ever changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from ingestion.lake import duck
from ingestion.lake.base import Engine
from ingestion.lake.layout import Lake
from ingestion.ledger.tables import TABLES


class Journal:
    """The ledger of one lake."""

    def __init__(self, lake: Lake, engine: Engine) -> None:
        self._lake = lake
        self._engine = engine

    def create(self) -> None:
        """Create the tables, empty, unless they exist."""
        for name, schema in TABLES.items():
            self._engine.create(self._lake.uri("ops", name), schema)

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows to `runs`, `gaps`, `drift` or `quality`; absent fields are null, unknown ones an error."""
        if not rows:
            return
        schema = TABLES[table]
        unknown = {key for row in rows for key in row} - set(schema.names)
        if unknown:
            raise KeyError(f"the ledger table {table} has no column {', '.join(sorted(unknown))}")
        columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in schema]
        self._engine.append(self._lake.uri("ops", table), pa.Table.from_arrays(columns, schema=schema))

    def watermark(self, contract_id: str, batch: int, *, since: datetime | None) -> str | None:
        """
        Return the newest watermark of the steps that ended with this batch as the newest; None where none is known.

        Steps that ended before `since`, when the batch was made, spoke of another table that bore the same name.
        """
        with self._connect() as connection:
            rows = connection.execute(
                "select watermark from ops.runs where subject = ? and last_batch = ? and watermark is not null "
                "and status <> 'failed' and (?::timestamptz is null or finished_at >= ?::timestamptz) "
                "order by finished_at desc limit 1",
                [contract_id, batch, since, since],
            ).fetchall()
        return str(rows[0][0]) if rows else None

    def select(self, query: str, binds: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Run a query over `ops.*` and return its rows as dicts."""
        with self._connect() as connection:
            table = connection.execute(query, list(binds)).to_arrow_table()
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def _connect(self) -> duck.Connection:
        connection = duck.connect()
        connection.execute("create schema ops")
        for name in TABLES:
            duck.register(connection, "ops", name, self._lake.uri("ops", name))
        return connection
