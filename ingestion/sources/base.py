"""The interface of a source database. One adapter per driver implements it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import NamedTuple, Protocol, runtime_checkable

import pyarrow as pa

from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.facts import TableFacts
from ingestion.contracts.model import Contract
from ingestion.contracts.window import FixedPoint, Window
from ingestion.errors import PermanentError


class Grant(NamedTuple):
    """A right of the database user, whether it is granted, and the consequence if not (empty if there is none)."""

    what: str
    present: bool
    consequence: str


def is_permitted(rows: Callable[[str], object], statement: str) -> bool:
    """Return whether the user may run a statement, by running it with `rows`. Transient errors are raised."""
    try:
        rows(statement)
    except PermanentError:
        return False
    return True


class Chunk(NamedTuple):
    """
    A slice of a table: `low <= x < high`, where x is the first key column or the row's address; None for an open end.

    `kind` is key or rowid. Bounds are texts in the source's form. A chunk without `low` also contains the rows whose x
    is null.
    """

    kind: str
    low: str | None = None
    high: str | None = None


WHOLE = Chunk("key")


def cut(kind: str, bounds: Sequence[str]) -> tuple[Chunk, ...]:
    """Return the chunks between ascending, distinct bounds; the first one has no `low`, the last one no `high`."""
    ends = [None, *bounds, None]
    return tuple(Chunk(kind, low, high) for low, high in pairwise(ends))


class Slice(NamedTuple):
    """
    Rows of a table as SQL in the source's own dialect.

    `relation` is the table at its fixed point, to be used with the alias t. `where` is a condition on it (empty: none).
    `select` runs a query that contains either both, once each, or neither. It adds their bind values and returns
    exactly the given schema, with columns by position. Raises what `Snapshot.read` raises.
    """

    relation: str
    where: str
    select: Callable[[str, pa.Schema], pa.Table]


class Snapshot(Protocol):
    """A source at one fixed point. Only one read at a time: a new read ends the previous one."""

    @property
    def fixed_point(self) -> FixedPoint: ...

    @property
    def degraded(self) -> str | None:
        """What this kind of fixed point cannot do, and why; None if it has no limits."""
        ...

    def catalog(self, contract: Contract) -> tuple[FoundColumn, ...]:
        """Return the columns of the contracted table as the catalog shows them. Raises BrokenContractError."""
        ...

    def highest_watermark(self, contract: Contract, *, below: str) -> str | None:
        """Return the highest watermark less than `below`, in the source's form; None if there is none."""
        ...

    def count(self, contract: Contract, window: Window) -> int:
        """Count the rows that `read` of the same window yields."""
        ...

    def chunks(self, contract: Contract, *, rows: int) -> tuple[Chunk, ...]:
        """
        Split the table into disjoint chunks of about `rows` rows, in ascending order, that together contain all rows.

        Returns one chunk, open at both ends, if the table is smaller or cannot be split.
        """
        ...

    def read(
        self,
        contract: Contract,
        window: Window,
        *,
        found: tuple[FoundColumn, ...],
        keys: pa.Table | None = None,
        chunk: Chunk = WHOLE,
    ) -> Iterator[pa.RecordBatch]:
        """
        Yield the rows of a window; if given, only those of `keys` (a table of key columns) and of a chunk. Unordered.

        Batches have the shape that `ingestion.contracts.projection` describes.
        """
        ...

    def read_keys(self, contract: Contract, window: Window) -> Iterator[pa.RecordBatch]:
        """Yield the key columns of a window's rows, with the contract's types (null for a value that does not fit)."""
        ...

    def slice(self, contract: Contract, window: Window) -> Slice:
        """Return a window's rows for queries of the caller. Reads nothing itself."""
        ...


@runtime_checkable
class ChangeFeed(Protocol):
    """A snapshot whose database also keeps a log of changed keys. A version is the `value` of a fixed point."""

    def tracks_changes(self, contract: Contract) -> bool:
        """Return whether the database keeps a change log of this table."""
        ...

    def reaches_back(self, contract: Contract, since: str) -> bool:
        """Return whether the log still has every change after version `since`."""
        ...

    def count_changes(self, contract: Contract, since: str) -> int:
        """Count the rows that `read_changes` yields."""
        ...

    def read_changes(
        self, contract: Contract, since: str, *, found: tuple[FoundColumn, ...]
    ) -> Iterator[pa.RecordBatch]:
        """Yield the current rows of all keys that changed after `since`, one row per key, in the shape of `read`."""
        ...

    def read_deleted(self, contract: Contract, since: str) -> Iterator[pa.RecordBatch]:
        """Yield the keys that changed after `since` and no longer exist, in the shape of `read_keys`."""
        ...

    def read_changed_keys(self, contract: Contract, since: str) -> Iterator[pa.RecordBatch]:
        """Yield the keys that changed after `since`, deleted ones included, in the shape of `read_keys`."""
        ...

    def unchanged(self, contract: Contract, since: str) -> Slice:
        """Return the rows whose key did not change after `since`, as `Snapshot.slice` does."""
        ...


class Source(Protocol):
    """The database of a system."""

    def snapshot(self, at: FixedPoint | None = None) -> AbstractContextManager[Snapshot]:
        """
        Open the newest fixed point, or that of another session (`at`), so that both sessions read one state.

        Raises SourceUnavailableError, SnapshotLostError if the state no longer exists, and ConfigurationError
        if a fixed point of that kind cannot be shared.
        """
        ...

    def shares(self, point: FixedPoint) -> bool:
        """Return whether `snapshot(at=point)` is possible for this kind of fixed point."""
        ...

    def grants(self, contracts: Sequence[Contract] = ()) -> list[Grant]:
        """Return the rights needed to read these tables, each tested. Raises what `snapshot` raises."""
        ...

    def describe(self, schema: str, table: str | None = None) -> list[TableFacts]:
        """
        Return the catalog's description of a table, or (None) of all tables and views of a schema, ordered by name.

        Only what this user may see. Names match exactly, or in any case if only one name matches. Empty without match.
        """
        ...

    def probe(self) -> str:
        """Connect, and return one line about the server, without secrets."""
        ...
