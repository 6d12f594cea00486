"""What passes between the loop of a stream and its target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from ingestion.contracts.streams import Part
from ingestion.contracts.types import INSTANT
from ingestion.sources.records import RECORDS, Partition, Positions

MARKS = pa.schema(
    [
        ("lake_topic", pa.string()),
        ("lake_partition", pa.int32()),
        ("lake_offset", pa.int64()),
        ("lake_at", INSTANT),  # event time: the contract's column, else the message's timestamp
        ("lake_seq", pa.int64()),  # the sequence: the contract's column, microseconds of a moment, else the offset
        ("lake_deleted", pa.bool_()),  # a tombstone: all columns but the key are null
    ]
)
"""The columns beside the contract's in the rows of a change."""
Place = tuple[str, int, int]
"""Topic, partition and offset of a message."""
DEAD = pa.schema([*RECORDS, ("breaks", pa.string())])


@dataclass(frozen=True, slots=True)
class PartRows:
    """Good rows that one part of a stream fills, in log order: its contract's columns, then MARKS."""

    part: Part
    rows: pa.Table


@dataclass(frozen=True, slots=True)
class Change:
    """
    What one batch does to the target, in one transaction: its rows and dead letters, and `start` becomes `reached`.

    `start` and `reached` have the partitions that moved; one that the target does not know starts without a row there.
    `known` says for which the target has a position, `ends` where the partitions end now. In a replay the records are
    dead letters: no position moves, and those that became rows or are filtered count as replayed.
    """

    start: Positions
    reached: Positions
    known: frozenset[Partition]
    records: pa.RecordBatch
    parts: tuple[PartRows, ...]
    dead: pa.Table
    filtered: int
    ends: Mapping[Partition, int] = field(default_factory=dict)
    is_replay: bool = False

    @property
    def read(self) -> int:
        return int(self.records.num_rows)

    def letters_of(self, refused: pa.Table) -> pa.Table:
        """Return dead letters (`DEAD`) of rows that the target refused: MARKS and `breaks`."""
        place = {mark: name for name, mark in zip(RECORDS.names, MARKS.names[:3], strict=False)}
        found = refused.select([*place, "breaks"]).rename_columns([*place.values(), "breaks"])
        records = pa.Table.from_batches([self.records])
        return records.join(found, list(place.values()), join_type="inner").select(DEAD.names).cast(DEAD)


@dataclass(frozen=True, slots=True)
class Applied:
    """What the target did with the rows: written, not newer than what it has, or refused (`dead`)."""

    merged: int
    superseded: int
    dead: int = 0


Judge = Callable[[int, int], None]
"""Takes how many messages of a batch were read and how many are dead letters; raises if these are too many."""


class Sink(Protocol):
    """
    The target of one stream. Only one `apply` at a time.

    Raises SourceUnavailableError while the target is away, ConcurrentWriteError if another writer moved a position.
    """

    def plan(self) -> list[str]:
        """Return the statements that `init` would run, for a person; empty if they are no SQL."""
        ...

    def init(self) -> None:
        """Create what is missing. Idempotent."""
        ...

    def positions(self) -> Positions:
        """Return the committed positions."""
        ...

    def apply(self, change: Change, judge: Judge | None = None) -> Applied:
        """Apply a change whole or not at all. `judge` is asked before the commit if the target refuses rows."""
        ...

    def overwriting(self) -> AbstractContextManager[None]:
        """Replace all rows by those that the block applies, in one transaction; for mode overwrite."""
        ...

    def restart(self, positions: Positions) -> None:
        """Set the positions of these partitions anew, whatever they were."""
        ...

    def dead_letters(self, rule: str | None, after: Place | None, limit: int) -> pa.Table:
        """Return dead letters that were not replayed (`DEAD`), of one rule or all, in order of place, after a place."""
        ...

    def count_dead(self) -> int: ...

    def lookup(self, table: str, schema: pa.Schema) -> pa.Table:
        """Return columns of a reference table of the target, in these types."""
        ...

    def close(self) -> None: ...
