"""The two systems on database servers: the same tables, as the contracts declare them, through the true drivers.

A schema that holds tables of these names is touched only if an earlier demo made them, which its marker table tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa

from ingestion.contracts.declarations import declaration
from ingestion.contracts.model import Contract
from ingestion.demo.tables import Changes, SourceTable
from ingestion.errors import ConfigurationError
from ingestion.settings import Settings

MARKER = "LAKEHOUSE_DEMO"
ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class SourceServers:
    """The databases behind the connections of the two systems. Tables have neither keys nor constraints."""

    settings: Settings
    contracts: Mapping[str, Contract]

    def replace(self, tables: Iterable[tuple[SourceTable, pa.Table]]) -> None:
        """Remove an earlier demo's tables and write these. Raises ConfigurationError where the tables are another's."""
        for system, given in groupby(tables, key=lambda pair: pair[0].system):
            pairs = list(given)
            with self._writer(system) as writer:
                writer.claim([table for table, _ in pairs])
                for table, rows in pairs:
                    columns = {c.source_name: c.physical_type for c in self.contracts[table.id].columns}
                    writer.create(table, [(name, columns[name]) for name in table.column_names])
                    writer.insert(table, rows)
                writer.commit()

    def apply(self, changes: Iterable[Changes]) -> None:
        """Apply a day's changes, one transaction per system."""
        for system, given in groupby(changes, key=lambda change: change.table.system):
            with self._writer(system) as writer:
                for change in given:
                    for name, _ in change.new_columns:
                        writer.add_column(change.table, name, change.inserts.schema.field(name).type)
                    for rows in (change.deletes, change.updates, change.inserts):
                        writer.delete(change.table, rows)
                    for rows in (change.updates, change.inserts):
                        writer.insert(change.table, rows)
                writer.commit()

    @contextmanager
    def _writer(self, system: str) -> Iterator[_Writer]:
        connection = self.settings.connection(system)
        if connection.type == "oracle":
            from ingestion.sources.oracle_session import connect

            # the driver takes Arrow as it is
            dialect = _Dialect("oracle", '"{}"', lambda n: f":{n}", _ORACLE_TABLES, lambda rows: rows)
            with closing(connect(system, connection)) as opened:
                yield _Writer(system, opened, dialect)
            return
        raise ConfigurationError(
            f"{system}: the demo's servers are Oracle and SQL Server, found a connection of type {connection.type}. "
            f"Nothing was written. Set AIRFLOW_CONN_{system.upper()}, or leave out --sources wire."
        )


_ORACLE_TABLES = "SELECT COUNT(*) FROM ALL_TABLES WHERE OWNER = :1 AND TABLE_NAME = :2"


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How a database spells names and binds, whether a table (schema, name) is there, and what rows it takes."""

    name: str
    quoted: str
    bind: Callable[[int], str]
    count_tables: str
    rows: Callable[[pa.Table], Any]


@dataclass(frozen=True, slots=True)
class _Writer:
    """One connection (DB-API) of one system."""

    system: str
    connection: Any
    dialect: _Dialect

    def claim(self, tables: Sequence[SourceTable]) -> None:
        """Drop what an earlier demo left and set the marker. Raises ConfigurationError for tables of somebody else."""
        schema = tables[0].schema
        is_ours = self._exists(schema, MARKER)
        found = [table for table in tables if self._exists(schema, table.name)]
        if found and not is_ours:
            names = ", ".join(f"{table.schema}.{table.name}" for table in found)
            raise ConfigurationError(
                f"{self.system}: promised a schema {schema} without the demo's tables, found {names}, which no demo "
                "made. Nothing was touched. Use a connection to another database for the demo."
            )
        for table in found:
            self._execute(f"DROP TABLE {self._name(table.schema, table.name)}")
        if not is_ours:
            number = "NUMBER(1)" if self.dialect.name == "oracle" else "int"
            self._execute(f"CREATE TABLE {self._name(schema, MARKER)} ({self._quote('VERSION')} {number})")

    def create(self, table: SourceTable, columns: Sequence[tuple[str, str]]) -> None:
        listed = ", ".join(f"{self._quote(name)} {type_}" for name, type_ in columns)
        self._execute(f"CREATE TABLE {self._name(table.schema, table.name)} ({listed})")

    def add_column(self, table: SourceTable, name: str, type_: pa.DataType) -> None:
        declared = declaration(self.dialect.name, type_)
        self._execute(f"ALTER TABLE {self._name(table.schema, table.name)} ADD {self._quote(name)} {declared}")

    def insert(self, table: SourceTable, rows: pa.Table) -> None:
        names = ", ".join(self._quote(name) for name in rows.column_names)
        binds = ", ".join(self.dialect.bind(n) for n in range(1, rows.num_columns + 1))
        self._each(f"INSERT INTO {self._name(table.schema, table.name)} ({names}) VALUES ({binds})", rows)

    def delete(self, table: SourceTable, rows: pa.Table) -> None:
        """Delete the rows that bear the keys of these."""
        keys = rows.select(list(table.keys))
        where = " AND ".join(f"{self._quote(k)} = {self.dialect.bind(n)}" for n, k in enumerate(table.keys, start=1))
        self._each(f"DELETE FROM {self._name(table.schema, table.name)} WHERE {where}", keys)

    def commit(self) -> None:
        self.connection.commit()

    def _each(self, sql: str, rows: pa.Table) -> None:
        with closing(self.connection.cursor()) as cursor:
            for start in range(0, rows.num_rows, ROWS_AT_ONCE):
                cursor.executemany(sql, self.dialect.rows(rows.slice(start, ROWS_AT_ONCE)))

    def _exists(self, schema: str, name: str) -> bool:
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(self.dialect.count_tables, [schema, name])
            return bool(cursor.fetchone()[0])

    def _execute(self, sql: str) -> None:
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(sql)

    def _name(self, schema: str, name: str) -> str:
        return f"{self._quote(schema)}.{self._quote(name)}"

    def _quote(self, name: str) -> str:
        return self.dialect.quoted.format(name)
