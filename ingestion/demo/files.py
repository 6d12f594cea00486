"""The two systems as two DuckDB files: schema RETAIL in `erp.duckdb`, schema dbo in `shop.duckdb`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ingestion.demo.tables import Changes, SourceTable
from ingestion.errors import ConfigurationError
from ingestion.lake import duck
from ingestion.lake.duck import Connection
from ingestion.sql.quoting import quote_standard, text_literal

SYSTEMS = ("erp", "shop")


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The files of the two systems in one folder. Tables have neither keys nor constraints: day 2 breaks them."""

    directory: Path

    def path(self, system: str) -> Path:
        """Return the file of a system, `erp` or `shop`."""
        return self.directory / f"{system}.duckdb"

    def replace(self, tables: Iterable[tuple[SourceTable, pa.Table]]) -> None:
        """Delete existing files and write these tables. No process may have the files open."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for system in SYSTEMS:
            self.path(system).unlink(missing_ok=True)
            self.path(system).with_name(f"{system}.duckdb.wal").unlink(missing_ok=True)
        with self._opened() as connection:
            for table, rows in tables:
                _create(connection, table, rows)

    def apply(self, changes: Iterable[Changes]) -> None:
        """
        Apply a day's changes, one transaction per table. Idempotent.

        Raises:
            ConfigurationError: there are no files to change.
        """
        missing = [self.path(system).name for system in SYSTEMS if not self.path(system).exists()]
        if missing:
            raise ConfigurationError(
                f"demo: there is no {' and no '.join(missing)} of day 1. Nothing was changed. Create day 1 first."
            )
        with self._opened() as connection:
            for change in changes:
                _apply(connection, change)

    @contextmanager
    def _opened(self) -> Iterator[Connection]:
        connection = duck.connect()
        try:
            for system in SYSTEMS:
                connection.execute(f"attach {text_literal(str(self.path(system)))} as {quote_standard(system)}")
            yield connection
        finally:
            connection.close()


def _create(connection: Connection, table: SourceTable, rows: pa.Table) -> None:
    columns = ", ".join(f"{quote_standard(name)} {type_}" for name, type_ in table.columns)
    connection.execute(f"create schema if not exists {quote_standard(table.system)}.{quote_standard(table.schema)}")
    connection.execute(f"create table {_name(table)} ({columns})")
    connection.register("arrived", rows)
    connection.execute(f"insert into {_name(table)} by name from arrived")


def _apply(connection: Connection, change: Changes) -> None:
    name, keys = _name(change.table), ", ".join(change.table.keys)
    batches = {"deletes": change.deletes, "updates": change.updates, "inserts": change.inserts}
    for batch, rows in batches.items():
        connection.register(batch, rows)
    connection.execute("begin")
    for column, type_ in change.new_columns:
        connection.execute(f"alter table {name} add column if not exists {quote_standard(column)} {type_}")
    for batch in batches:
        connection.execute(f"delete from {name} where ({keys}) in (select ({keys}) from {batch})")
    for batch in ("updates", "inserts"):
        connection.execute(f"insert into {name} by name from {batch}")
    connection.execute("commit")


def _name(table: SourceTable) -> str:
    return ".".join(quote_standard(part) for part in (table.system, table.schema, table.name))
