"""A database that rows are written to: one session, transactions, and SQL that dialects complete.

Targets of streams and the tables of conversations are written through it. Statements have binds :1, :2 …
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any

import pyarrow as pa

from ingestion.contracts.model import Contract
from ingestion.contracts.types import INSTANT
from ingestion.errors import ConcurrentWriteError, PermanentError
from ingestion.sinks.tables import Table

Refused = Mapping[int, str]
"""Rows that the target refuses, by their place, with the break that their dead letters get."""


class RowsRefusedError(PermanentError):
    """A statement failed for a value or a constraint of the target's table."""


class Database(ABC):
    """One session, opened at the first use. `contract` and `system` (the connection's name) are for messages."""

    now = "CURRENT_TIMESTAMP"
    """The database's clock, UTC."""
    wall_clock = "CURRENT_TIMESTAMP"
    """The same in the time zone in which people read and compare the tables' own times, e.g. with SYSDATE."""
    dual = ""
    """What a SELECT without a table ends with."""

    def __init__(self, contract: Contract, system: str) -> None:
        self.contract = contract
        self.system = system
        self._is_open = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block did, or nothing of it. A transaction within another one is part of it."""
        if self._is_open:
            yield
            return
        with self.committed():
            self._is_open = True
            try:
                yield
            finally:
                self._is_open = False

    @abstractmethod
    def committed(self) -> AbstractContextManager[None]:
        """Commit what the block did, or nothing of it. Translates the driver's errors."""

    @abstractmethod
    def run(self, sql: str, *binds: Any) -> int:
        """Run a statement; return how many rows it wrote."""

    @abstractmethod
    def select(self, sql: str, schema: pa.Schema, *binds: Any) -> pa.Table:
        """Return the rows of a query in the types of a schema."""

    @abstractmethod
    def batches(self, sql: str, schema: pa.Schema) -> Iterator[pa.Table]:
        """Yield the rows of a query of any size in the types of a schema, some thousand at a time."""

    @abstractmethod
    def insert(self, name: tuple[str, ...], rows: pa.Table) -> Refused:
        """Insert rows into the columns of their names in a table. Refused rows are left out."""

    @abstractmethod
    def refused_by(self, merge: str, rows: pa.Table) -> Refused:
        """
        Return the rows that `merge` (in which {} stands for the rows to merge) cannot write. Changes nothing.

        Raises RowsRefusedError if the session cannot tell.
        """

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def quote(self, name: str) -> str: ...

    @abstractmethod
    def statements(self, table: Table) -> list[str]:
        """Return the statements that create a table and its staging table unless they exist."""

    @abstractmethod
    def updating(self, sets: str, condition: str) -> str:
        """Return the clause of MERGE that updates matched rows for which the condition holds."""

    def clock(self) -> datetime:
        """Return the time of the database, UTC."""
        found = self.select(f"SELECT {self.now} AS now{self.dual}", pa.schema([("now", INSTANT)]))
        return found["now"][0].as_py()  # type: ignore[no-any-return]

    def create(self, tables: Sequence[Table]) -> None:
        """Create the tables that are missing. Idempotent."""
        for table in tables:
            for statement in self.statements(table):
                with self.transaction():
                    self.run(statement)

    def lost_race(self) -> ConcurrentWriteError:
        return ConcurrentWriteError(
            f"{self.contract.id}: another writer was faster. Nothing of this batch was kept. It is read again from "
            "what is committed."
        )

    def stage(self, table: Table, rows: pa.Table) -> Refused:
        """Replace the rows of a table's staging table."""
        self.run(f"DELETE FROM {self.name_of(table.stage)}")
        return self.insert(table.stage, rows)

    def merge_into(
        self, table: Table, names: Sequence[str], condition: str, sets: Mapping[str, str] | None = None
    ) -> str:
        """Return the MERGE of rows s (for {}) into a table t: `sets` has the expressions that are not the new value."""
        own = {name: f"s.{self.quote(name)}" for name in names if name not in table.key} | dict(sets or {})
        same = " AND ".join(f"t.{self.quote(name)} = s.{self.quote(name)}" for name in table.key)
        update = ", ".join(f"{self.quote(name)} = {value}" for name, value in own.items())
        return (
            f"MERGE INTO {self.table_name(table)} t USING {{}} s ON ({same}) {self.updating(update, condition)} "
            f"WHEN NOT MATCHED THEN INSERT ({self.listed(names)}) VALUES ({self.listed(names, 's.')})"
        )

    def table_name(self, table: Table) -> str:
        return self.name_of(table.name)

    def name_of(self, name: Sequence[str]) -> str:
        return ".".join(f'"{part}"' for part in name)

    def rows(self, table: Table, names: Sequence[str], condition: str, *binds: Any) -> pa.Table:
        """Return columns of the rows of a table that fulfil a condition, in the types of the table."""
        schema = pa.schema([table.columns.field(name) for name in names])
        query = f"SELECT {self.listed(names)} FROM {self.table_name(table)} WHERE {condition}"
        return self.select(query, schema, *binds)

    def counted(self, table: Table, condition: str, *binds: Any) -> int:
        """Return how many rows of a table fulfil a condition."""
        query = f"SELECT COUNT(*) AS n FROM {self.table_name(table)} WHERE {condition}"
        return int(self.select(query, pa.schema([("n", pa.int64())]), *binds)["n"][0].as_py())

    def listed(self, names: Sequence[str], of: str = "") -> str:
        return ", ".join(f"{of}{self.quote(name)}" for name in names)

    def equal(self, names: Sequence[str], first: int = 1) -> str:
        """Return the condition that columns equal the binds from `first` on."""
        return " AND ".join(f"{self.quote(name)} = :{at}" for at, name in enumerate(names, first))

    def among(self, column: str, count: int, first: int = 1) -> str:
        """Return the condition that a column, quoted, is one of so many binds from `first` on."""
        return f"{column} IN ({', '.join(f':{at}' for at in range(first, first + count))})"
