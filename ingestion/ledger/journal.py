"""Appends to the ledger and reads it. The ledger is append-only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

import pyarrow as pa

from ingestion.contracts.types import duckdb_type
from ingestion.errors import ConcurrentWriteError, LakeError, LakehouseError
from ingestion.lake import duck
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import Lake
from ingestion.lake.storage.errors import reaching
from ingestion.ledger.tables import TABLES
from ingestion.privacy.gate import leaks
from ingestion.privacy.logs import logger
from ingestion.sql.quoting import quote_standard, text_literal

COMPACTION_EVERY = 16
"""The number of commits to a table after which its files are checked for compaction."""
WRITE_EVERY = 2.0
"""Seconds for which rows are gathered before they are written together."""
_MESSAGES = {
    "runs": ("message",),
    "models": ("message",),
    "gaps": ("why", "failed_load"),
    "quality": ("reason",),
    "incidents": ("text", "why"),
    "messages": ("body",),
    "streams": ("message",),
    "advisor_calls": ("why",),
    "advisor_texts": ("answer",),
}
WITHHELD = "withheld: it looks as if it held a personal value (%s). Run the step again and read the message there."


class Journal:
    """The ledger of one lake."""

    def __init__(self, lake: Lake, engine: DeltaRs) -> None:
        self._lake = lake
        self._engine = engine
        self._current: set[str] = set()
        self._gathered: Gathered | None = None

    def create(self) -> None:
        """Create the tables, empty, unless they exist; add columns of newer versions. Idempotent."""
        for name in TABLES:
            self._bring_up(name)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """
        Write the rows that the block appends together, every few seconds and at its end, however it ends.

        `select` sees gathered rows at once, and those of other processes as of the last write. Rows that cannot be
        written are kept for the next write; an append or the end of the block raises the error. A killed process loses
        the rows of the last seconds.
        """
        if self._gathered is not None:  # an outer block writes
            yield
            return
        with duck.session(self._lake.root) as connection:
            self._gathered = Gathered(connection)
            try:
                yield
            finally:
                try:
                    self._write_last()
                finally:
                    self._gathered = None

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
        rows = [_checked(table, row) for row in rows]
        columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in schema]
        appended = pa.Table.from_arrays(columns, schema=schema)
        if self._gathered is None:
            self._write(table, appended)
            self._compact(table)
            return
        self._gathered.add(table, appended)
        if self._gathered.is_due:
            self._write_gathered()

    def _write_last(self) -> None:
        try:
            with reaching(self._lake.root):
                self._write_gathered()
        except Exception as exc:
            cause = str(exc) if isinstance(exc, LakehouseError) else f"({type(exc).__name__})"
            raise LakeError(
                "ops: the ledger's rows of the last steps could not be written. What "
                "the steps did stays. Mend the ledger and run the command again, which writes nothing twice. " + cause
            ) from exc

    def _write_gathered(self) -> None:
        if self._gathered is not None:
            written = [*self._gathered.rows]
            for table in written:
                self._write(table, pa.concat_tables(self._gathered.rows[table]))
                self._gathered.forget(table)
            self._gathered.begin_again()
            for table in written:
                self._compact(table)

    def _write(self, table: str, rows: pa.Table) -> None:
        if table not in self._current:
            self._bring_up(table)
        self._engine.append(self._lake.uri("ops", table), rows)

    def _compact(self, table: str) -> None:
        """Compact a table's files of one size when a check is due. A failure does not affect the append."""
        uri = self._lake.uri("ops", table)
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
        written = {name: partial(self._relation, name) for name in TABLES if f"ops.{name}" in query}
        if self._gathered is not None:
            return self._gathered.select(query, binds, written)
        with duck.session(self._lake.root) as connection:
            return Gathered(connection).select(query, binds, written)

    def sizes(self) -> list[tuple[str, int, int]]:
        """Return name, rows and bytes of each table that is written, by name. Rows not counted in its log count 0."""
        found = []
        for name in sorted(TABLES):
            uri = self._lake.uri("ops", name)
            files = self._engine.newest(uri)[1] if self._engine.exists(uri) else []
            found.append((name, sum(file.rows or 0 for file in files), sum(file.bytes for file in files)))
        return found

    def _bring_up(self, table: str) -> None:
        uri, schema = self._lake.uri("ops", table), TABLES[table]
        self._engine.create(uri, schema)
        if not {*schema.names} <= {*self._engine.schema(uri).names}:
            self._engine.add_columns(uri, list(schema))
        self._current.add(table)

    def _relation(self, name: str) -> str:
        """Return a query of a ledger's table. A table or column that an earlier version lacks is empty or null."""
        uri, schema = self._lake.uri("ops", name), TABLES[name]
        found, files = self._engine.newest(uri) if self._engine.exists(uri) else (schema, [])
        if not files:
            return f"select {', '.join(_null(field) for field in schema)} limit 0"
        lacking = [_null(field) for field in schema if field.name not in found.names]
        paths = ", ".join(text_literal(f"{duck.location(uri)}/{file.path}") for file in files)
        return f"select {', '.join(['*', *lacking])} from read_parquet([{paths}], union_by_name => true)"


def open_journal(lake: Lake, memory_limit: str) -> Journal:
    """
    Return the ledger of a lake. Every engine's lake is written by delta-rs there: parallel loads append, and on S3
    Spark's commits do not exclude other writers.
    """
    return Journal(lake, DeltaRs(lake.storage_options, memory_limit, keeps_open=True))


class Gathered:
    """Rows that are not written yet, and a connection that answers queries with them."""

    def __init__(self, connection: duck.Connection) -> None:
        self._connection = connection
        self.rows: dict[str, list[pa.Table]] = {}
        self._views: dict[str, int] = {}  # of tables of the ledger, with how many gathered batches each shows
        connection.execute("create schema ops; set session parquet_metadata_cache = true")  # of files that never change
        self.begin_again()

    def begin_again(self) -> None:
        """Begin after a write: the next one is due later, and what is written is looked up anew."""
        self._since = time.monotonic()
        self._views.clear()

    def forget(self, table: str) -> None:
        """Drop the rows of a table, which are written now."""
        del self.rows[table]
        self._views.pop(table, None)

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._since >= WRITE_EVERY

    def add(self, table: str, rows: pa.Table) -> None:
        self.rows.setdefault(table, []).append(rows)

    def select(
        self, query: str, binds: Sequence[object], written: Mapping[str, Callable[[], str]]
    ) -> list[dict[str, Any]]:
        """Run a query over tables of the ledger; `written` has a function for each that returns its written rows."""
        for name, relation in written.items():
            gathered = self.rows.get(name, [])
            if self._views.get(name) != len(gathered):
                self._define(name, relation, gathered)
        rows: list[dict[str, Any]] = self._connection.execute(query, list(binds)).to_arrow_table().to_pylist()
        return rows

    def _define(self, name: str, relation: Callable[[], str], gathered: Sequence[pa.Table]) -> None:
        """Make the view of a table show its written and its gathered rows. Its text changes with the first of these."""
        if gathered:
            self._connection.register(f"gathered_{name}", pa.concat_tables(gathered))
        if not (gathered and self._views.get(name)):
            more = f" union all by name select * from gathered_{name}" if gathered else ""
            self._connection.execute(f"create or replace view ops.{name} as select * from ({relation()}){more}")
        self._views[name] = len(gathered)


def _checked(table: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row without messages that hold a personal value after all; nobody could take it out of the ledger."""
    for name in _MESSAGES.get(table, ()):
        if found := leaks(row.get(name) or ""):
            logger.warning("ops.%s: a message is not written, because it may hold a personal value (%s)", table, found)
            row = {**row, name: WITHHELD % ", ".join(found)}
    return row


def _null(field: pa.Field) -> str:
    return f"cast(null as {duckdb_type(field.type)}) as {quote_standard(field.name)}"
