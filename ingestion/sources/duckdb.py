"""Reads contracted tables from a DuckDB file. The only source module that imports duckdb.

A file is read in one transaction of one read-only connection, so a batch reads one state of it.
A fixed point's moment is the connection's `clock` (for a file with an earlier state), else now.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ingestion.contracts.cutting import cut, is_finer
from ingestion.contracts.drift import FoundColumn, match_columns
from ingestion.contracts.facts import ColumnFacts, ColumnId, TableFacts
from ingestion.contracts.model import Column, Contract
from ingestion.contracts.projection import RAW_PREFIX
from ingestion.contracts.types import UnknownTypeError, arrow_type, duckdb_type
from ingestion.contracts.window import FixedPoint, Window
from ingestion.errors import Break, BrokenContractError, ConfigurationError, SourceUnavailableError
from ingestion.settings import Connection
from ingestion.sources.base import WHOLE, Chunk, Grant, Slice
from ingestion.sources.conditions import watermark_of
from ingestion.sources.kept_sessions import session_of
from ingestion.sql.quoting import quote_standard as quote

BATCH_BYTES = 16 * 1024 * 1024
_CORRUPT = re.compile(r"[Cc]orrupt database file|Failure while replaying WAL|database has been invalidated")
_DESCRIBE = """
select c.schema_name, c.table_name, k.constraint_column_names, t.comment,
    c.column_name, c.data_type, c.is_nullable, c.comment
from duckdb_columns() c
left join (
    select schema_name, table_name, comment from duckdb_tables() where database_name = current_database()
    union all
    select schema_name, view_name, comment from duckdb_views() where database_name = current_database()
) t using (schema_name, table_name)
left join duckdb_constraints() k
    on k.database_name = c.database_name and k.schema_name = c.schema_name and k.table_name = c.table_name
    and k.constraint_type = 'PRIMARY KEY'
where c.database_name = current_database() and not c.internal
    and lower(c.schema_name) = lower(?) and (? is null or lower(c.table_name) = lower(?))
order by c.schema_name, c.table_name, c.column_index
"""
_REFERENCES = """
select schema_name, table_name, constraint_column_names, referenced_table, referenced_column_names
from duckdb_constraints()
where database_name = current_database() and constraint_type = 'FOREIGN KEY' and lower(schema_name) = lower(?)
"""
_WANTED_KEYS = "wanted_keys"
_SOURCE = "t"
"""Alias of the source's table. Unqualified column names would refer to the keys' own columns in their subquery."""


class DuckDbSource:
    """A DuckDB file under a system's name."""

    def __init__(self, system: str, connection: Connection) -> None:
        self._system = system
        # duckdb:///folder/file.duckdb: the path below the root arrives as the connection's schema
        self._path = f"{connection.host}/{connection.schema}"
        self._connection = connection
        self._clock = connection.clock

    def probe(self) -> str:
        with self._connect() as connection:
            (version,) = connection.execute("select version()").fetchone() or ("",)
        return f"DuckDB {version} file {Path(self._path).name}"

    def grants(self, contracts: Sequence[Contract] = ()) -> list[Grant]:  # noqa: ARG002 - a file asks for none
        return []

    def describe(self, schema: str, table: str | None = None) -> list[TableFacts]:
        with self._connect() as connection:
            rows = connection.execute(_DESCRIBE, [schema, table, table]).fetchall()
            references = _references(connection.execute(_REFERENCES, [schema]).fetchall())
        return [
            TableFacts(
                schema=name[0],
                name=name[1],
                columns=tuple(
                    ColumnFacts(FoundColumn(c, t, _arrow(t), n, "duckdb"), m or "") for *_, c, t, n, m in own
                ),
                key=tuple(name[2] or ()),
                comment=name[3] or "",
                references=references.get((name[0], name[1]), {}),
            )
            for name, own in groupby(rows, key=itemgetter(0, 1, 2, 3))
        ]

    def shares(self, point: FixedPoint) -> bool:  # noqa: ARG002 - a transaction is its connection's own
        return False

    @contextmanager
    def snapshot(self, at: FixedPoint | None = None) -> Iterator[DuckDbSnapshot]:
        if at is not None:
            raise ConfigurationError(
                f"{self._system}: a DuckDB file is read in one transaction of one connection; another cannot join it. "
                "Nothing was read. Read it in one session."
            )
        with self._connect() as connection:
            connection.execute("begin transaction")
            moment = self._clock or datetime.now(UTC)
            yield DuckDbSnapshot(connection, FixedPoint("transaction", moment.isoformat(), moment))

    @contextmanager
    def _connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if not Path(self._path).is_file():
            raise SourceUnavailableError(
                f"{self._system}: there is no file {self._path}. Nothing was read. "
                f"Correct the path in AIRFLOW_CONN_{self._system.upper()}, or wait for whoever writes the file."
            )
        try:
            with session_of(
                self._system,
                self._connection,
                open_session=lambda _: self._open(),
                reset=_reset,
                close=duckdb.DuckDBPyConnection.close,
            ) as connection:
                yield connection
        except (duckdb.Error, OSError) as exc:  # errors of the lake's files are raised here too
            if self._path not in str(exc) and not _CORRUPT.search(str(exc)):
                raise
            raise SourceUnavailableError(
                f"{self._system}: the DuckDB file {Path(self._path).name} is cut off or damaged. "
                "Nothing was committed. Restore it, or wait for whoever writes it; then run the command again."
            ) from None

    def _open(self) -> duckdb.DuckDBPyConnection:
        try:
            connection = duckdb.connect(self._path, read_only=True)
        except duckdb.Error as exc:
            raise SourceUnavailableError(
                f"{self._system}: the DuckDB file {Path(self._path).name} cannot be opened for reading "
                f"({type(exc).__name__}); another program may be writing it. Nothing was read. Try again."
            ) from None
        connection.execute("set timezone = 'UTC'")
        connection.execute("set enable_progress_bar = false")  # as in ingestion.lake.duck
        return connection


def _reset(connection: duckdb.DuckDBPyConnection) -> None:
    with suppress(duckdb.TransactionException):  # there is none
        connection.rollback()
    connection.unregister(_WANTED_KEYS)


class DuckDbSnapshot:
    """One read transaction. Implements `ingestion.sources.base.Snapshot`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, fixed_point: FixedPoint) -> None:
        self._connection = connection
        self._fixed_point = fixed_point

    @property
    def fixed_point(self) -> FixedPoint:
        return self._fixed_point

    @property
    def degraded(self) -> str | None:
        return None

    def catalog(self, contract: Contract) -> tuple[FoundColumn, ...]:
        try:  # duckdb_columns() would describe all tables to find this one
            rows = self._connection.execute(f"describe {_table(contract)}").fetchall()
        except duckdb.CatalogException:
            raise BrokenContractError(
                contract.id, [Break("(table)", ".".join(contract.source_table), "no such table in the source")]
            ) from None
        return tuple(FoundColumn(name, type_, _arrow(type_), null == "YES", "duckdb") for name, type_, null, *_ in rows)

    def highest_watermark(self, contract: Contract, *, below: str) -> str | None:
        watermark = watermark_of(contract)
        row = self._connection.execute(
            f"select cast(max({quote(watermark.source_name)}) as varchar) from {_table(contract)} "
            f"where {quote(watermark.source_name)} < cast(? as {duckdb_type(watermark.arrow_type)})",
            [below],
        ).fetchone()
        return None if row is None else row[0]

    def count(self, contract: Contract, window: Window) -> int:
        where, binds = _predicate(contract, window)
        row = self._connection.execute(f"select count(*) from {_table(contract)} where {where}", binds).fetchone()
        return int(row[0]) if row else 0

    def chunks(self, contract: Contract, *, rows: int) -> tuple[Chunk, ...]:  # noqa: ARG002 - one stream is the fastest
        return (WHOLE,)

    def read(
        self,
        contract: Contract,
        window: Window,
        *,
        found: tuple[FoundColumn, ...],
        keys: pa.Table | None = None,
        chunk: Chunk = WHOLE,  # noqa: ARG002 - there is one only
    ) -> Iterator[pa.RecordBatch]:
        select, schema = _projection(contract, found)
        where, binds = _predicate(contract, window)
        if keys is not None:
            columns = match_columns(contract, found)
            self._connection.register(_WANTED_KEYS, keys)
            matches = " and ".join(f"w.{quote(c.name)} = {_exactly(c, columns[c.name])}" for c in contract.keys)
            where += f" and exists (select 1 from {_WANTED_KEYS} w where {matches})"
        yield from self._stream(f"select {select} from {_table(contract)} {_SOURCE} where {where}", binds, schema)

    def read_keys(self, contract: Contract, window: Window) -> Iterator[pa.RecordBatch]:
        where, binds = _predicate(contract, window)
        columns = match_columns(contract, self.catalog(contract))
        select = ", ".join(f"{_exactly(c, columns[c.name])} as {quote(c.name)}" for c in contract.keys)
        yield from self._stream(
            f"select {select} from {_table(contract)} {_SOURCE} where {where}", binds, contract.key_schema
        )

    def slice(self, contract: Contract, window: Window) -> Slice:
        relation = _table(contract)
        where, binds = _predicate(contract, window)

        def select(query: str, schema: pa.Schema) -> pa.Table:
            found = self._connection.execute(query, binds if relation in query else []).to_arrow_table()
            return found.rename_columns(schema.names).cast(schema)

        return Slice(relation, "" if where == "true" else where, select)

    def _stream(self, query: str, binds: list[str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        batch_rows = max(1024, BATCH_BYTES // (32 * max(1, len(schema))))
        for batch in self._connection.execute(query, binds).to_arrow_reader(batch_rows):
            yield batch.cast(schema) if batch.schema != schema else batch


def _references(rows: Sequence[tuple[Any, ...]]) -> dict[tuple[str, str], dict[ColumnId, ColumnId]]:
    """Return the foreign keys of each table; in DuckDB they refer to tables of the same schema only."""
    found: dict[tuple[str, str], dict[ColumnId, ColumnId]] = {}
    for schema, table, columns, other, others in rows:
        own = found.setdefault((schema, table), {})
        own |= {ColumnId(schema, table, a): ColumnId(schema, other, b) for a, b in zip(columns, others, strict=True)}
    return found


def _projection(contract: Contract, found: tuple[FoundColumn, ...]) -> tuple[str, pa.Schema]:
    """Return the select list and the schema it yields: typed columns, then raw texts of guarded ones."""
    sources = match_columns(contract, found)
    typed, raw, raw_fields = [], [], []
    for column in contract.columns:
        source = sources.get(column.name)
        if source is None:  # the drift policy allows a removed column
            typed.append(f"cast(null as {duckdb_type(column.arrow_type)}) as {quote(column.name)}")
            continue
        typed.append(f"{_exactly(column, source)} as {quote(column.name)}")
        if not _needs_guard(column, source):
            continue
        reference = f"{_SOURCE}.{quote(source.name)}"
        fits = _fits(column, reference, source)
        raw.append(
            f"case when {reference} is not null and not coalesce({fits}, false) then cast({reference} as varchar) end "
            f"as {quote(RAW_PREFIX + column.name)}"
        )
        raw_fields.append((RAW_PREFIX + column.name, pa.string()))
    schema = pa.schema([*((c.name, c.arrow_type) for c in contract.columns), *raw_fields])
    return ", ".join([*typed, *raw]), schema


def _needs_guard(column: Column, source: FoundColumn) -> bool:
    # DuckDB has infinite dates, Arrow and Delta have none; HUGEINT has numbers of 39 digits, a decimal at most 38
    has_infinity = pa.types.is_timestamp(column.arrow_type) or pa.types.is_date(column.arrow_type)
    return bool(has_infinity or source.arrow_type != column.arrow_type or source.physical_type == "HUGEINT")


def _exactly(column: Column, source: FoundColumn) -> str:
    """Return a column's value as its promised type; null if the value is not exactly equal."""
    reference, target = f"{_SOURCE}.{quote(source.name)}", duckdb_type(column.arrow_type)
    if not _needs_guard(column, source):
        return f"cast({reference} as {target})"
    value = _cut(column, source, reference) or f"try_cast({reference} as {target})"
    return f"case when {_fits(column, reference, source)} then {value} end"


def _cut(column: Column, source: FoundColumn, reference: str) -> str | None:
    """Return a moment truncated to microseconds; None if the contract or the type does not require it."""
    is_cut = column.truncate and is_finer("duckdb", source.physical_type)
    return cut("duckdb", source.physical_type, reference)[0] if is_cut else None


def _fits(column: Column, reference: str, source: FoundColumn) -> str:
    """Return a condition that is true if converting the value back gives the original, or it may be truncated."""
    kind, target = source.physical_type.split("(")[0], duckdb_type(column.arrow_type)
    if _cut(column, source, reference):
        return f"isfinite({reference})"
    back = f"try_cast(try_cast({reference} as {target}) as {source.physical_type}) = {reference}"  # 2^63 is no BIGINT
    return f"isfinite({reference}) and {back}" if kind.startswith(("DATE", "TIMESTAMP")) else back


def _predicate(contract: Contract, window: Window) -> tuple[str, list[str]]:
    if window.is_whole:
        return "true", []
    watermark = watermark_of(contract)
    reference, type_ = quote(watermark.source_name), duckdb_type(watermark.arrow_type)
    low, high = ("<", ">=") if window.inverted else (">=", "<")
    bounds = [(operator, text) for operator, text in ((low, window.low), (high, window.high)) if text is not None]
    conditions = [f"{reference} {operator} cast(? as {type_})" for operator, _ in bounds]
    where = (" or " if window.inverted else " and ").join(conditions)
    nulls = f" or {reference} is null" if window.holds_nulls else ""
    return f"({where}{nulls})", [text for _, text in bounds]


def _arrow(physical_type: str) -> pa.DataType | None:
    try:
        return arrow_type("duckdb", physical_type)
    except UnknownTypeError:
        return None


def _schema_and_table(contract: Contract) -> tuple[str, str]:
    schema = contract.source_table[-2] if len(contract.source_table) > 1 else "main"
    return schema, contract.source_table[-1]


def _table(contract: Contract) -> str:
    return ".".join(quote(part) for part in _schema_and_table(contract))
