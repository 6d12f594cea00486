"""The two systems on database servers: the same tables with the contracts' types, written by the real drivers.

Existing tables of these names are replaced only if the schema has the marker table of an earlier demo.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa

from ingestion.contracts.model import Contract
from ingestion.contracts.writing.declarations import declaration
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
        """Replace an earlier demo's tables by these. Raises ConfigurationError for tables that no demo made."""
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
            from ingestion.sources.oracle.session import connect

            with closing(connect(system, connection)) as opened:
                yield OracleWriter(system, opened)
            return
        if connection.type in ("mssql", "sqlserver"):
            from ingestion.sources.sqlserver.session import connect as connect_sqlserver

            yield SqlServerWriter(system, connect_sqlserver(system, connection))
            return
        raise ConfigurationError(
            f"{system}: the demo's servers are Oracle and SQL Server, but AIRFLOW_CONN_{system.upper()} begins with "
            f"{connection.type}://. Nothing was written. Correct it, or leave out --sources wire."
        )


class _Writer(ABC):
    """One connection of one system, and the SQL of its database."""

    dialect: str
    quoted: str
    number: str

    def __init__(self, system: str, connection: Any) -> None:
        self.system = system
        self.connection = connection

    def claim(self, tables: Sequence[SourceTable]) -> None:
        """Drop an earlier demo's tables and create the marker. Raises ConfigurationError for tables no demo made."""
        schema = tables[0].schema
        is_ours = self.exists(schema, MARKER)
        found = [table for table in tables if self.exists(schema, table.name)]
        if found and not is_ours:
            names = ", ".join(f"{table.schema}.{table.name}" for table in found)
            raise ConfigurationError(
                f"{self.system}: the schema {schema} already has {names}, which no demo "
                "made. Nothing was touched. Use a connection to another database for the demo."
            )
        for table in found:
            self.execute(f"DROP TABLE {self.name(table.schema, table.name)}")
        if not is_ours:
            self.execute(f"CREATE TABLE {self.name(schema, MARKER)} ({self.quote('VERSION')} {self.number})")

    def create(self, table: SourceTable, columns: Sequence[tuple[str, str]]) -> None:
        listed = ", ".join(f"{self.quote(name)} {type_}" for name, type_ in columns)
        self.execute(f"CREATE TABLE {self.name(table.schema, table.name)} ({listed})")

    def add_column(self, table: SourceTable, name: str, type_: pa.DataType) -> None:
        declared = declaration(self.dialect, type_)
        self.execute(f"ALTER TABLE {self.name(table.schema, table.name)} ADD {self.quote(name)} {declared}")

    def name(self, schema: str, name: str) -> str:
        return f"{self.quote(schema)}.{self.quote(name)}"

    def quote(self, name: str) -> str:
        return self.quoted.format(name)

    @abstractmethod
    def exists(self, schema: str, name: str) -> bool: ...

    @abstractmethod
    def execute(self, sql: str) -> None: ...

    @abstractmethod
    def insert(self, table: SourceTable, rows: pa.Table) -> None: ...

    @abstractmethod
    def delete(self, table: SourceTable, rows: pa.Table) -> None:
        """Delete the rows that have the keys of `rows`."""

    @abstractmethod
    def commit(self) -> None: ...


class OracleWriter(_Writer):
    """Writes by binding Arrow data; the driver accepts it directly."""

    dialect, quoted, number = "oracle", '"{}"', "NUMBER(1)"

    def exists(self, schema: str, name: str) -> bool:
        with closing(self.connection.cursor()) as cursor:
            cursor.execute("SELECT COUNT(*) FROM ALL_TABLES WHERE OWNER = :1 AND TABLE_NAME = :2", [schema, name])
            return bool(cursor.fetchone()[0])

    def execute(self, sql: str) -> None:
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(sql)

    def insert(self, table: SourceTable, rows: pa.Table) -> None:
        names = ", ".join(self.quote(name) for name in rows.column_names)
        binds = ", ".join(f":{n}" for n in range(1, rows.num_columns + 1))
        self._each(f"INSERT INTO {self.name(table.schema, table.name)} ({names}) VALUES ({binds})", rows)

    def delete(self, table: SourceTable, rows: pa.Table) -> None:
        where = " AND ".join(f"{self.quote(key)} = :{n}" for n, key in enumerate(table.keys, start=1))
        self._each(f"DELETE FROM {self.name(table.schema, table.name)} WHERE {where}", rows.select(list(table.keys)))

    def commit(self) -> None:
        self.connection.commit()

    def _each(self, sql: str, rows: pa.Table) -> None:
        with closing(self.connection.cursor()) as cursor:
            for start in range(0, rows.num_rows, ROWS_AT_ONCE):
                cursor.executemany(sql, rows.slice(start, ROWS_AT_ONCE))


class SqlServerWriter(_Writer):
    """Writes Arrow data in bulk; each statement commits. Keys to delete are first written to a separate table."""

    dialect, quoted, number = "sqlserver", "[{}]", "int"

    def exists(self, schema: str, name: str) -> bool:
        answer = self.connection.read_arrow_batches(
            "SELECT COUNT(*) AS n FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?",
            parameters=[schema, name],
            fetch_concurrently=False,
        )
        return bool(sum(batch.column(0)[0].as_py() for batch in answer))

    def execute(self, sql: str) -> None:
        self.connection.execute(sql)

    def insert(self, table: SourceTable, rows: pa.Table) -> None:
        if rows.num_rows:
            self.connection.from_table_to_db(rows, f"{table.schema}.{table.name}", chunk_size=ROWS_AT_ONCE)

    def delete(self, table: SourceTable, rows: pa.Table) -> None:
        if not rows.num_rows:
            return
        keys = rows.select(list(table.keys))
        doomed, name = f"{table.name}_doomed", self.name(table.schema, table.name)
        columns = ", ".join(f"{self.quote(f.name)} {declaration(self.dialect, f.type)}" for f in keys.schema)
        same = " AND ".join(f"d.{self.quote(key)} = {name}.{self.quote(key)}" for key in table.keys)
        self.execute(f"CREATE TABLE {self.name(table.schema, doomed)} ({columns})")
        self.connection.from_table_to_db(keys, f"{table.schema}.{doomed}", chunk_size=ROWS_AT_ONCE)
        self.execute(
            f"DELETE FROM {name} WHERE EXISTS (SELECT 1 FROM {self.name(table.schema, doomed)} AS d WHERE {same})"
        )
        self.execute(f"DROP TABLE {self.name(table.schema, doomed)}")

    def commit(self) -> None:
        """Does nothing, because each statement has committed already."""
