"""Reads contracted tables from an Oracle database at one system change number (SCN).

Tables, counts and key sets can all be read `AS OF` one SCN, from any number of sessions. If the user may not
read the SCN, one read-only transaction of one session is used instead.
Texts are delivered as Oracle stores them: a CHAR with its trailing blanks, an empty string as null.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa

from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.facts import TableFacts
from ingestion.contracts.model import Column, Contract
from ingestion.contracts.window import FixedPoint, Window
from ingestion.errors import ConfigurationError
from ingestion.settings import Connection
from ingestion.sources.base import WHOLE, Chunk, Grant, Slice
from ingestion.sources.conditions import watermark_column
from ingestion.sources.oracle.catalog import FoundTable
from ingestion.sources.oracle.chunks import find_chunks, in_chunk
from ingestion.sources.oracle.describe import describe
from ingestion.sources.oracle.expressions import ORACLE
from ingestion.sources.oracle.fixed_points import (
    DEGRADED,
    find_table,
    list_grants,
    newest_scn,
    read_only_transaction,
)
from ingestion.sources.oracle.keys import with_keys
from ingestion.sources.oracle.predicates import Condition, compared, in_window, lanes, newest
from ingestion.sources.oracle.session import Session, open_session
from ingestion.sources.oracle.sizes import rows_per_fetch
from ingestion.sources.snapshot import SqlSnapshot

SELECTED_ROWS = 10_000
_FIXED_POINTS = ("scn", "transaction")


class OracleSource:
    """The Oracle database of a system. Connects on first use."""

    def __init__(self, system: str, connection: Connection) -> None:
        self._system = system
        self._connection = connection

    def probe(self) -> str:
        with open_session(self._system, self._connection) as session:
            return f"Oracle Database {session.version}"

    def grants(self, contracts: Sequence[Contract] = ()) -> list[Grant]:
        """Return the rights needed for reading, each one tested. Raises SourceUnavailableError, ConfigurationError."""
        with open_session(self._system, self._connection) as session:
            return list_grants(session, contracts, self._connection.login)

    def describe(self, schema: str, table: str | None = None) -> list[TableFacts]:
        """Raises SourceUnavailableError, ConfigurationError."""
        with open_session(self._system, self._connection) as session:
            return describe(session, schema, table) or describe(session, schema.upper(), table and table.upper())

    def shares(self, point: FixedPoint) -> bool:
        return point.kind == "scn" and self._connection.extra.get("fixed_point") != "transaction"

    @contextmanager
    def snapshot(self, at: FixedPoint | None = None) -> Iterator[OracleSnapshot]:
        """
        Open a fixed point: the newest, or another session's one of kind scn, so that both read one state.

        Raises SourceUnavailableError, ConfigurationError.
        """
        kind = self._connection.extra.get("fixed_point") or "scn"
        if kind not in _FIXED_POINTS or (at is not None and at.kind != "scn"):
            raise ConfigurationError(
                f"{self._system}: a fixed point is scn, or transaction (which only its own session has); found "
                f"{kind if at is None else at.kind}. Nothing was read. Correct the connection's extra fixed_point."
            )
        with open_session(self._system, self._connection) as session:
            point = at or (newest_scn(session) if kind == "scn" else None)
            degraded = None if point is not None else DEGRADED
            point = point or read_only_transaction(session)
            shown = replace(point, moment=self._connection.clock or point.moment)
            yield OracleSnapshot(session, shown, self._connection.login, degraded)


class OracleSnapshot(SqlSnapshot[Condition, FoundTable]):
    """One state of the database. `degraded` is why this is less than an SCN and what follows; None for an SCN."""

    dialect = ORACLE
    rows_counted = "COUNT(*)"

    def __init__(self, session: Session, fixed_point: FixedPoint, user: str, degraded: str | None) -> None:
        super().__init__(fixed_point, degraded)
        self._session = session
        self._user = user

    def highest_watermark(self, contract: Contract, *, below: str) -> str | None:
        table = self._table(contract)
        source = watermark_column(contract, table.columns)
        where = compared(contract, source, "below", "<", below)
        ((highest,),) = self._rows(contract, newest(contract, source), where)
        return None if highest is None else str(highest)

    def chunks(self, contract: Contract, *, rows: int) -> tuple[Chunk, ...]:
        table = self._table(contract)
        number = -(-self.count(contract, Window()) // rows)
        if number < 2 or self._fixed_point.kind != "scn":
            return (WHOLE,)
        return find_chunks(self._session, contract, table, number, int(self._fixed_point.value))

    def slice(self, contract: Contract, window: Window) -> Slice:
        table = self._table(contract)
        where = in_window(contract, window, table.columns)
        relation, binds = self._at_point(table)

        def select(query: str, schema: pa.Schema) -> pa.Table:
            needed = binds | where.binds if relation in query else {}
            found = self._session.batches(query, needed, requested=schema, size=SELECTED_ROWS, contract=contract)
            return pa.Table.from_batches([pa.record_batch(arrays, schema=schema) for arrays in found], schema)

        return Slice(relation, where.sql if where != Condition() else "", select)

    def _stream(
        self, contract: Contract, columns: tuple[Column, ...] | None, found: tuple[FoundColumn, ...], where: Condition
    ) -> Iterator[pa.RecordBatch]:
        projection, sources = self._projected(contract, columns, found)
        for lane, size in zip(lanes(sources), rows_per_fetch(sources), strict=False):
            condition = where & lane
            sql, binds = self._query(contract, ", ".join(projection.select), condition)
            for arrays in self._session.batches(
                sql, binds, requested=projection.requested, size=size, contract=contract
            ):
                yield projection.batch(arrays)

    def _rows(self, contract: Contract, select: str, where: Condition) -> list[tuple[Any, ...]]:
        sql, binds = self._query(contract, select, where)
        return self._session.rows(sql, binds, contract)

    def _query(self, contract: Contract, select: str, where: Condition) -> tuple[str, dict[str, Any]]:
        relation, binds = self._at_point(self._table(contract))
        return f"SELECT {select} FROM {relation} WHERE {where.sql}", binds | where.binds

    def _at_point(self, table: FoundTable) -> tuple[str, dict[str, Any]]:
        if self._fixed_point.kind == "scn":
            return f"{table.sql} AS OF SCN :scn", {"scn": int(self._fixed_point.value)}
        return table.sql, {}

    def _in_window(self, contract: Contract, window: Window, found: tuple[FoundColumn, ...]) -> Condition:
        return in_window(contract, window, found)

    def _in_chunk(self, contract: Contract, chunk: Chunk, found: tuple[FoundColumn, ...]) -> Condition:
        return in_chunk(contract, chunk, found)

    def _with_keys(self, contract: Contract, found: tuple[FoundColumn, ...], keys: pa.Table) -> Iterator[Condition]:
        return with_keys(contract, found, keys)

    def _find_table(self, contract: Contract) -> FoundTable:
        return find_table(self._session, contract, self._user)

    def _table(self, contract: Contract) -> FoundTable:
        self._session.serve(contract)
        return super()._table(contract)
