"""Reads contracted tables from a SQL Server in one snapshot transaction, and the changes that Change Tracking keeps.

A snapshot belongs to its connection. So it cannot be shared, and an interrupted load starts again.
Texts are delivered as stored: a char with its trailing blanks, a varchar converted from its code page to Unicode.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa

from ingestion.contracts.declared import base_of
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.facts import TableFacts
from ingestion.contracts.model import Column, Contract
from ingestion.contracts.window import FixedPoint, Window
from ingestion.errors import ConfigurationError
from ingestion.settings import Connection
from ingestion.sources.base import WHOLE, Chunk, Grant, Slice, cut
from ingestion.sources.conditions import found_column, watermark_column
from ingestion.sources.snapshot import SqlSnapshot
from ingestion.sources.sqlserver.catalog import FoundTable
from ingestion.sources.sqlserver.describe import describe
from ingestion.sources.sqlserver.expressions import DECIMALS, INTEGERS, MOMENTS, MONEY, ROWVERSION, SQLSERVER
from ingestion.sources.sqlserver.fixed_points import State, begin, find_table, is_tracked, list_grants, primary_key
from ingestion.sources.sqlserver.keys import with_keys
from ingestion.sources.sqlserver.predicates import (
    LARGE_OBJECT_BYTES,
    Condition,
    compared,
    in_chunk,
    in_window,
    is_large,
    lanes,
    newest,
    object_length,
    spelled,
)
from ingestion.sources.sqlserver.session import Session, open_session
from ingestion.sources.sqlserver.sizes import rows_per_fetch
from ingestion.sql.quoting import quote_sqlserver as quote

CHUNKED = frozenset({*INTEGERS, *DECIMALS, *MONEY, *MOMENTS, "DATETIMEOFFSET"})

SELECTED_ROWS, SELECTED_BYTES = 5_000, 4_000
_FIXED_POINTS = ("snapshot", "statement")


class SqlServerSource:
    """The SQL Server database of a system. Connects on first use."""

    def __init__(self, system: str, connection: Connection) -> None:
        self._system = system
        self._connection = connection

    def probe(self) -> str:
        with open_session(self._system, self._connection) as session:
            ((version, edition),) = session.rows(
                "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), "
                "CAST(SERVERPROPERTY('Edition') AS nvarchar(128))"
            )
            return f"SQL Server {version}, {edition}"

    def grants(self, contracts: Sequence[Contract] = ()) -> list[Grant]:
        """Return the rights and settings needed for reading. Raises SourceUnavailableError, ConfigurationError."""
        with open_session(self._system, self._connection) as session:
            return list_grants(session, contracts)

    def describe(self, schema: str, table: str | None = None) -> list[TableFacts]:
        """Raises SourceUnavailableError, ConfigurationError."""
        with open_session(self._system, self._connection) as session:
            return describe(session, schema, table)

    def shares(self, point: FixedPoint) -> bool:  # noqa: ARG002 - a snapshot is its connection's own
        return False

    @contextmanager
    def snapshot(self, at: FixedPoint | None = None) -> Iterator[SqlServerSnapshot]:
        """Begin a snapshot. Raises SourceUnavailableError; ConfigurationError, also where `at` is given."""
        kind = self._connection.extra.get("fixed_point") or "snapshot"
        if kind not in _FIXED_POINTS or at is not None:
            raise ConfigurationError(
                f"{self._system}: a fixed point is snapshot or statement, and belongs to its own session; found "
                f"{kind if at is None else at.kind}. Nothing was read. Correct the connection's extra fixed_point."
            )
        with open_session(self._system, self._connection) as session:
            state = begin(session, self._system, kind)
            point = state.fixed_point
            shown = replace(point, moment=self._connection.clock or point.moment)
            yield SqlServerSnapshot(session, replace(state, fixed_point=shown))


class SqlServerSnapshot(SqlSnapshot[Condition, FoundTable]):
    """
    One state of the database. Implements `ingestion.sources.base.ChangeFeed`, too.

    `degraded` is why this is less than a snapshot and what follows; None for a snapshot.
    """

    dialect = SQLSERVER
    rows_counted = "COUNT_BIG(*) AS n"

    def __init__(self, session: Session, state: State) -> None:
        super().__init__(state.fixed_point, state.degraded)
        self._session = session
        self._active_rowversion = state.active_rowversion

    def highest_watermark(self, contract: Contract, *, below: str) -> str | None:
        """A rowversion is also bounded by the lowest one that an open transaction may still write."""
        table = self._table(contract)
        source = watermark_column(contract, table.columns)
        if base_of(source.physical_type) == ROWVERSION:
            below = str(min(int(below), self._active_rowversion))
        where = compared(contract, source, "<", below)
        ((highest,),) = self._rows(contract, f"{newest(contract, source)} AS highest", where)
        return None if highest is None else str(highest)

    def chunks(self, contract: Contract, *, rows: int) -> tuple[Chunk, ...]:
        table = self._table(contract)
        source = found_column(contract, contract.keys[0], table.columns)
        number = -(-self.count(contract, Window()) // rows)
        if number < 2 or base_of(source.physical_type) not in CHUNKED:
            return (WHOLE,)  # texts sort by collation, unlike in the lake; bits and binaries have no usable bound
        key = quote(source.name)
        tiles = f"SELECT {key}, NTILE({int(number)}) OVER (ORDER BY {key}) AS tile FROM {table.sql}"
        bounds = self._session.rows(
            f"SELECT {spelled(source, f'MIN({key})')} AS low FROM ({tiles} WHERE {key} IS NOT NULL) AS t "
            f"GROUP BY tile ORDER BY MIN({key})",
            contract=contract,
        )
        return cut("key", list(dict.fromkeys(str(low) for (low,) in bounds[1:])))

    def slice(self, contract: Contract, window: Window) -> Slice:
        return self._slice(contract, in_window(contract, window, self._table(contract).columns))

    def _slice(self, contract: Contract, where: Condition) -> Slice:
        relation = self._table(contract).sql

        def select(query: str, schema: pa.Schema) -> pa.Table:
            binds = where.binds if relation in query else ()
            found = self._session.batches(
                query, binds, requested=schema, size=SELECTED_ROWS, longest=SELECTED_BYTES, contract=contract
            )
            return pa.Table.from_batches([pa.record_batch(arrays, schema=schema) for arrays in found], schema)

        return Slice(relation, where.sql if where != Condition() else "", select)

    def tracks_changes(self, contract: Contract) -> bool:
        """Raises ConfigurationError if the log exists but cannot be used as the contract requires."""
        table = self._table(contract)
        if not is_tracked(self._session, table):
            return False
        if self.fixed_point.kind != "change_tracking":
            raise ConfigurationError(
                f"{contract.id}: mode changes reads log and rows in one snapshot, found the fixed point "
                f"{self.fixed_point.kind}. Nothing was read. Remove the connection's extra fixed_point, or the mode."
            )
        known = primary_key(self._session, table)
        keys = [found_column(contract, column, table.columns).name for column in contract.keys]
        if sorted(known) != sorted(keys):
            raise ConfigurationError(
                f"{contract.id}: mode changes needs the primary key ({', '.join(known)}) as the contract's key, "
                f"which is {', '.join(keys)}. Nothing was read. Name the same columns, or use another mode."
            )
        return True

    def reaches_back(self, contract: Contract, since: str) -> bool:
        """The log also has no changes from before it was enabled again, or before a TRUNCATE."""
        table = self._table(contract)
        ((oldest,),) = self._session.rows(
            f"SELECT CHANGE_TRACKING_MIN_VALID_VERSION({table.object_id}) AS oldest", contract=contract
        )
        return oldest is not None and int(oldest) <= int(since) <= int(self.fixed_point.value)

    def count_changes(self, contract: Contract, since: str) -> int:
        changed = self._changed(contract, since, "N'D' <> c.SYS_CHANGE_OPERATION")
        ((count,),) = self._rows(contract, self.rows_counted, changed)
        return int(count)

    def read_changes(
        self, contract: Contract, since: str, *, found: tuple[FoundColumn, ...]
    ) -> Iterator[pa.RecordBatch]:
        changed = self._changed(contract, since, "N'D' <> c.SYS_CHANGE_OPERATION")
        yield from self._stream(contract, None, found, changed)

    def read_deleted(self, contract: Contract, since: str) -> Iterator[pa.RecordBatch]:
        yield from self._logged_keys(contract, since, Condition("t.[SYS_CHANGE_OPERATION] = N'D'"))

    def read_changed_keys(self, contract: Contract, since: str) -> Iterator[pa.RecordBatch]:
        yield from self._logged_keys(contract, since, Condition())

    def _logged_keys(self, contract: Contract, since: str, which: Condition) -> Iterator[pa.RecordBatch]:
        found = self._table(contract).columns
        yield from self._stream(contract, contract.keys, found, which, origin=f"{self._log(contract, since)} AS t")

    def unchanged(self, contract: Contract, since: str) -> Slice:
        table = self._table(contract)
        keys = [quote(found_column(contract, column, table.columns).name) for column in contract.keys]
        same = " AND ".join(f"c.{key} = t.{key}" for key in keys)
        changed = f"EXISTS (SELECT 1 FROM {self._log(contract, since)} AS c WHERE {same})"
        return self._slice(contract, Condition(f"NOT {changed}"))

    def _changed(self, contract: Contract, since: str, which: str) -> Condition:
        """Return the condition of rows whose key is in the log after a version."""
        table = self._table(contract)
        keys = [quote(found_column(contract, column, table.columns).name) for column in contract.keys]
        same = " AND ".join(f"c.{key} = {table.sql}.{key}" for key in keys)
        return Condition(f"EXISTS (SELECT 1 FROM {self._log(contract, since)} AS c WHERE {same} AND {which})")

    def _log(self, contract: Contract, since: str) -> str:
        # a constant, because the function accepts no expression to convert a bound text
        return f"CHANGETABLE(CHANGES {self._table(contract).sql}, {int(since)})"

    def _stream(
        self,
        contract: Contract,
        columns: tuple[Column, ...] | None,
        found: tuple[FoundColumn, ...],
        where: Condition,
        *,
        origin: str | None = None,
    ) -> Iterator[pa.RecordBatch]:
        projection, sources = self._projected(contract, columns, found)
        select = ", ".join(f"{sql} AS c{at}" for at, sql in enumerate(projection.select))
        table = origin or self._table(contract).sql
        for lane, size in zip(lanes(sources), rows_per_fetch(sources), strict=True):
            condition = where & lane
            longest = 2 * LARGE_OBJECT_BYTES if size > 1 else self._longest(contract, sources, table, condition)
            if longest is None:
                continue
            for arrays in self._session.batches(
                f"SELECT {select} FROM {table} WHERE {condition.sql}",
                condition.binds,
                requested=projection.requested,
                size=size,
                longest=longest,
                contract=contract,
            ):
                yield projection.batch(arrays)

    def _longest(
        self, contract: Contract, sources: tuple[FoundColumn, ...], table: str, where: Condition
    ) -> int | None:
        """Return the bytes of the longest large object among rows, 0 for null; None without rows."""
        lengths = [f"MAX({object_length(column)})" for column in sources if is_large(column)]
        if not lengths:
            return 2 * LARGE_OBJECT_BYTES
        select = ", ".join(f"CAST({length} AS bigint) AS n{at}" for at, length in enumerate(lengths))
        rows = self._session.rows(
            f"SELECT COUNT_BIG(*) AS n, {select} FROM {table} WHERE {where.sql}", where.binds, contract
        )
        ((count, *longest),) = rows
        # as text, each byte of a binary is two characters
        return None if not count else 2 * max(int(length or 0) for length in longest) + 2

    def _rows(self, contract: Contract, select: str, where: Condition) -> list[tuple[Any, ...]]:
        sql = f"SELECT {select} FROM {self._table(contract).sql} WHERE {where.sql}"
        return self._session.rows(sql, where.binds, contract)

    def _in_window(self, contract: Contract, window: Window, found: tuple[FoundColumn, ...]) -> Condition:
        return in_window(contract, window, found)

    def _in_chunk(self, contract: Contract, chunk: Chunk, found: tuple[FoundColumn, ...]) -> Condition:
        return in_chunk(contract, chunk, found)

    def _with_keys(self, contract: Contract, found: tuple[FoundColumn, ...], keys: pa.Table) -> Iterator[Condition]:
        return with_keys(contract, found, keys, table=self._table(contract).sql)

    def _find_table(self, contract: Contract) -> FoundTable:
        return find_table(self._session, contract)
