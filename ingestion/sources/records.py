"""The interface of a source of messages, and what it reads: records with their positions. One adapter per kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

import pyarrow as pa

from ingestion.contracts.streams import Budget
from ingestion.contracts.types import INSTANT


class Partition(NamedTuple):
    topic: str
    number: int


class Position(NamedTuple):
    """The offset of the next message to read, and the id of the topic that it belongs to (empty: none is known)."""

    offset: int
    topic_id: str = ""


Positions = Mapping[Partition, Position]

RECORDS = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("timestamp", INSTANT),  # by the message's producer or its broker
        ("key", pa.binary()),
        ("value", pa.binary()),  # null: a tombstone
        ("headers", pa.string()),  # one JSON object, null: none
    ]
)


@dataclass(frozen=True, slots=True)
class Log:
    """What a partition holds: messages of `low <= offset < high`, not necessarily all of them."""

    topic_id: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Read:
    """
    Records in offset order within each partition, and the positions after them, for partitions that moved.

    A position may move without a record: compacted topics and transactions leave holes.
    """

    records: pa.RecordBatch
    reached: Positions


class RecordSource(Protocol):
    """The topics of one stream. Reading has no side effect on the server."""

    def logs(self) -> Mapping[Partition, Log]:
        """Return all partitions of the topics as they are now. Raises SourceUnavailableError, ConfigurationError."""
        ...

    def offsets_at(self, moment: datetime) -> Mapping[Partition, int]:
        """Return the offset of each partition's first message at or after a moment; its end if there is none."""
        ...

    def read(self, start: Positions, budget: Budget) -> Read:
        """Read on from `start`, the positions of all partitions, until the budget is spent or nothing more is there."""
        ...

    def acknowledge(self, reached: Positions) -> None:
        """Tell the server what was committed to the target, for its own tools. May be lost; never raises."""
        ...

    def rest(self, seconds: float) -> None:
        """Read nothing for a while, and stay in touch with the server."""
        ...

    def close(self) -> None: ...
