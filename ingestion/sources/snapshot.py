"""A snapshot of a SQL database: what all databases share. Subclasses add what differs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import pyarrow as pa

from ingestion.contracts.drift import FoundColumn, match_columns
from ingestion.contracts.model import Column, Contract
from ingestion.contracts.window import FixedPoint, Window
from ingestion.sources.base import WHOLE, Chunk
from ingestion.sources.conditions import SqlCondition
from ingestion.sources.projection import Dialect, Projection, project


class FoundTable(Protocol):
    """A table in the source's catalog."""

    @property
    def columns(self) -> tuple[FoundColumn, ...]: ...


C = TypeVar("C", bound=SqlCondition)
T = TypeVar("T", bound=FoundTable)


class SqlSnapshot(ABC, Generic[C, T]):
    """Implements `ingestion.sources.base.Snapshot` except `highest_watermark`, `chunks` and `slice`."""

    dialect: Dialect
    rows_counted: str
    """The expression that counts rows."""

    def __init__(self, fixed_point: FixedPoint, degraded: str | None) -> None:
        self._fixed_point = fixed_point
        self._degraded = degraded
        self._tables: dict[tuple[str, ...], T] = {}

    @property
    def fixed_point(self) -> FixedPoint:
        return self._fixed_point

    @property
    def degraded(self) -> str | None:
        return self._degraded

    def catalog(self, contract: Contract) -> tuple[FoundColumn, ...]:
        return self._table(contract).columns

    def count(self, contract: Contract, window: Window) -> int:
        where = self._in_window(contract, window, self._table(contract).columns)
        ((count,),) = self._rows(contract, self.rows_counted, where)
        return int(count)

    def read(
        self,
        contract: Contract,
        window: Window,
        *,
        found: tuple[FoundColumn, ...],
        keys: pa.Table | None = None,
        chunk: Chunk = WHOLE,
    ) -> Iterator[pa.RecordBatch]:
        where = self._in_window(contract, window, found) & self._in_chunk(contract, chunk, found)
        if keys is None:
            yield from self._stream(contract, None, found, where)
            return
        for condition in self._with_keys(contract, found, keys):
            yield from self._stream(contract, None, found, where & condition)

    def read_keys(self, contract: Contract, window: Window) -> Iterator[pa.RecordBatch]:
        found = self._table(contract).columns
        yield from self._stream(contract, contract.keys, found, self._in_window(contract, window, found))

    def _table(self, contract: Contract) -> T:
        if contract.source_table not in self._tables:
            self._tables[contract.source_table] = self._find_table(contract)
        return self._tables[contract.source_table]

    def _projected(
        self, contract: Contract, columns: tuple[Column, ...] | None, found: tuple[FoundColumn, ...]
    ) -> tuple[Projection, tuple[FoundColumn, ...]]:
        """Return how to read the columns (None: all, with misfit texts), and those of them that the source has."""
        matches = match_columns(contract, found)
        names = [column.name for column in columns or contract.columns]
        projection = project(contract, found, self.dialect, columns)
        return projection, tuple(matches[name] for name in names if name in matches)

    @abstractmethod
    def _find_table(self, contract: Contract) -> T:
        """Raises BrokenContractError."""

    @abstractmethod
    def _in_window(self, contract: Contract, window: Window, found: tuple[FoundColumn, ...]) -> C: ...

    @abstractmethod
    def _in_chunk(self, contract: Contract, chunk: Chunk, found: tuple[FoundColumn, ...]) -> C: ...

    @abstractmethod
    def _with_keys(self, contract: Contract, found: tuple[FoundColumn, ...], keys: pa.Table) -> Iterable[C]:
        """Return conditions that together match the rows of the keys, each row once."""

    @abstractmethod
    def _rows(self, contract: Contract, select: str, where: C) -> list[tuple[Any, ...]]:
        """Return all rows of a small result."""

    @abstractmethod
    def _stream(
        self, contract: Contract, columns: tuple[Column, ...] | None, found: tuple[FoundColumn, ...], where: C
    ) -> Iterator[pa.RecordBatch]:
        """Yield the columns (None: all, with misfit texts) of matching rows; rows with large objects separately."""
