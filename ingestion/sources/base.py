"""What the product asks of a source database. One adapter per driver implements it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import pyarrow as pa

from ingestion.contracts.compare import FoundColumn
from ingestion.contracts.model import Contract
from ingestion.contracts.window import FixedPoint, Window


class Grant(NamedTuple):
    """A right of the user, whether it is there, and what follows without it (empty where nothing does)."""

    what: str
    present: bool
    consequence: str


class Snapshot(Protocol):
    """A source at one fixed point. Reads are serial; a new read ends the one before."""

    @property
    def fixed_point(self) -> FixedPoint: ...

    @property
    def degraded(self) -> str | None:
        """What this fixed point cannot do, and why; None where it does all."""
        ...

    def catalog(self, contract: Contract) -> tuple[FoundColumn, ...]:
        """Return the columns of the contracted table as the catalog shows them. Raises BrokenContractError."""
        ...

    def highest_watermark(self, contract: Contract, *, below: str) -> str | None:
        """Return the highest watermark less than `below`, in source form; None where there is none."""
        ...

    def count(self, contract: Contract, window: Window) -> int:
        """Count the rows that `read` of the same window yields."""
        ...

    def read(
        self, contract: Contract, window: Window, *, found: tuple[FoundColumn, ...], keys: pa.Table | None = None
    ) -> Iterator[pa.RecordBatch]:
        """
        Yield the rows of a window, only those of `keys` (a table of key columns) if given. Unordered.

        Batches have the shape that `ingestion.contracts.projection` describes.
        """
        ...

    def read_keys(self, contract: Contract, window: Window) -> Iterator[pa.RecordBatch]:
        """Yield the key columns of a window's rows, as the contract types them (null where a value does not fit)."""
        ...

    def count_partitions(self, contract: Contract, window: Window) -> pa.Table:
        """
        Count a window's rows per reconcile partition.

        Columns: `partition` string (`YYYY[-MM[-DD]]` by the contract's grain; null for rows without one,
        and for all rows where the contract names no partition), `rows` int64.
        """
        ...


class Source(Protocol):
    """A database that a system name stands for."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Open a fixed point. Raises SourceUnavailableError, ConfigurationError."""
        ...

    def grants(self, contracts: Sequence[Contract] = ()) -> list[Grant]:
        """Return the rights that reading these tables takes, by trying them. Raises as `snapshot` does."""
        ...

    def probe(self) -> str:
        """Connect and return one line about the server (no secret)."""
        ...
