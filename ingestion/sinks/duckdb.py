"""A table of a DuckDB file as target: for the demo, for tests, and for one machine. One process writes a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import duckdb
import pyarrow as pa

from ingestion.contracts.model import Contract
from ingestion.contracts.types import duckdb_type
from ingestion.errors import ConfigurationError, LakehouseError, SourceUnavailableError
from ingestion.settings import Connection
from ingestion.sinks.database import Database, Refused, RowsRefusedError
from ingestion.sinks.tables import Table
from ingestion.sql.quoting import quote_standard

_BIND = re.compile(r":(\d+)\b")


class DuckDbDatabase(Database):
    """Every row that the table refuses stops the stream: a statement that fails ends DuckDB's transaction."""

    def __init__(self, contract: Contract, system: str, connection: Connection) -> None:
        super().__init__(contract, system)
        self._path = f"{connection.host}/{connection.schema}"

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(self._path)
        connection.execute("set timezone = 'UTC'")
        return connection

    @contextmanager
    def committed(self) -> Iterator[None]:
        name = self.contract.id
        try:
            self._connection.begin()
            try:
                yield
                self._connection.commit()
            except BaseException:
                self._connection.rollback()
                raise
        except LakehouseError:
            raise
        except duckdb.TransactionException:
            raise self.lost_race() from None
        except duckdb.IOException:
            raise SourceUnavailableError(
                f"{name}: another process has the file of {self.system} open. Nothing was written. Run it again "
                "when that process has ended."
            ) from None
        except (duckdb.CatalogException, duckdb.BinderException, duckdb.ConversionException):
            raise self._refused() from None

    def _refused(self) -> LakehouseError:
        return ConfigurationError(
            f"{self.contract.id}: the target refused a statement: a table is missing or differs from the "
            "contract. Nothing was written. Compare it with `lakehouse stream plan`; `lakehouse stream init` creates "
            "what is missing."
        )

    def run(self, sql: str, *binds: Any) -> int:
        with self._constrained():
            found = self._connection.execute(_BIND.sub(r"$\1", sql), list(binds)).fetchone()
        return int(found[0]) if found and isinstance(found[0], int) else 0

    @contextmanager
    def _constrained(self) -> Iterator[None]:
        """Tell a key that a rival has just committed, which this transaction does not see yet, from a refused row."""
        try:
            yield
        except duckdb.ConstraintException as exc:
            raise self.lost_race() if "Duplicate key" in str(exc) else RowsRefusedError(str(self._refused())) from None
        except (duckdb.ConversionException, duckdb.OutOfRangeException):  # the table is narrower than the contract
            raise RowsRefusedError(str(self._refused())) from None

    def select(self, sql: str, schema: pa.Schema, *binds: Any) -> pa.Table:
        sql = sql.replace(" FETCH FIRST ", " LIMIT ").replace(" ROWS ONLY", "")
        found = self._connection.execute(_BIND.sub(r"$\1", sql), list(binds)).to_arrow_table()
        return found.rename_columns(schema.names).cast(schema)

    def batches(self, sql: str, schema: pa.Schema) -> Iterator[pa.Table]:
        for batch in self._connection.execute(sql).to_arrow_reader():
            yield pa.Table.from_batches([batch]).rename_columns(schema.names).cast(schema)

    def insert(self, name: tuple[str, ...], rows: pa.Table) -> Refused:
        self._connection.register("arrived", rows)
        with self._constrained():
            columns = self.listed(rows.column_names)
            self._connection.execute(f"INSERT INTO {self.name_of(name)} ({columns}) SELECT * FROM arrived")
        self._connection.unregister("arrived")
        return {}

    def refused_by(self, merge: str, rows: pa.Table) -> Refused:  # noqa: ARG002
        raise RowsRefusedError(str(self._refused()))

    def quote(self, name: str) -> str:
        return quote_standard(name)

    def statements(self, table: Table) -> list[str]:
        columns = ", ".join(f"{self.quote(f.name)} {duckdb_type(f.type)}" for f in table.columns)
        made = [f"CREATE SCHEMA IF NOT EXISTS {quote_standard(part)}" for part in table.name[-2:-1]]
        made.append(
            f"CREATE TABLE IF NOT EXISTS {self.table_name(table)} ({columns}, PRIMARY KEY ({self.listed(table.key)}))"
        )
        return made + ([f"CREATE TABLE IF NOT EXISTS {self.name_of(table.stage)} ({columns})"] if table.stage else [])

    def updating(self, sets: str, condition: str) -> str:
        return f"WHEN MATCHED AND {condition} THEN UPDATE SET {sets}"

    def close(self) -> None:
        if "_connection" in self.__dict__:
            self._connection.close()
