"""The interface of one side of a comparison: its queries and the types of their results.

Both sides show one table up to the same bound, without the keys in flight. Each adapter is given the keys to leave out.
Rows with a null in their key, or with a key value that the promised type cannot hold, have no usable key. They are
counted separately and left out of everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import pyarrow as pa

KEY_HASH, ROW_HASH, PARTITION = "_key_hash", "_row_hash", "_partition"


@dataclass(frozen=True, slots=True)
class Summary:
    """
    One side as a whole.

    `low` and `high` bound the first key column where it is a whole number, floored. `misfits` counts
    those of the `unkeyed` rows whose key has a value that its promised type cannot hold.
    """

    rows: int
    unkeyed: int = 0
    low: int | None = None
    high: int | None = None
    misfits: int = 0


@dataclass(frozen=True, slots=True)
class Checksum:
    """
    Row count of one group and the sums of its rows' lanes: equal for equal rows, in any order.

    `low` and `high` as in `Summary`; set for partitions only.
    """

    rows: int
    lane_1: int
    lane_2: int
    low: int | None = field(default=None, compare=False)
    high: int | None = field(default=None, compare=False)


class Cut(StrEnum):
    """How a table is split into groups: by partition, ranges of the first key column, or digits of the key's hash."""

    PARTITION = "partition"
    RANGE = "range"
    DIGITS = "digits"


@dataclass(frozen=True, slots=True)
class Split:
    """
    How rows are put into groups.

    A range group is named by a whole number n and holds `low + n * width <= key < low + (n + 1) * width`; a group of
    digits by the first `digits` hexadecimal digits (upper case) of the key's hash.
    """

    cut: Cut
    low: int = 0
    width: int = 1
    digits: int = 0


BY_PARTITION = Split(Cut.PARTITION)


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows that a query covers: some partitions (None: all) and some groups of a split (None: all)."""

    partitions: frozenset[str | None] | None = None
    split: Split | None = None
    groups: frozenset[str] | None = None


EVERYTHING = Scope()


class Side(Protocol):
    """One table in one database. Each method is one query."""

    @property
    def partitioned(self) -> bool:
        """Whether the contract names a partition."""
        ...

    @property
    def whole_keys(self) -> bool:
        """Whether the first key column is a whole number, so that the table can be split by its ranges."""
        ...

    def summary(self) -> Summary: ...

    def partitions(self) -> Mapping[str | None, int]:
        """Count the rows of every partition (`YYYY[-MM[-DD]]`; None: rows without one) without comparing contents."""
        ...

    def checksums(self, split: Split, scope: Scope = EVERYTHING) -> Mapping[str | None, Checksum]:
        """Return the checksum of every group that has rows."""
        ...

    def leaves(self, scope: Scope) -> pa.Table:
        """
        Return every row's key columns (typed by the contract), `_key_hash`, `_row_hash` and `_partition`.

        Hashes are in upper case. The partition is null if the contract names none.
        """
        ...
