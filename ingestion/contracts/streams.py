"""A stream as values: what the messages of topics promise, and how they become rows. Pure data, immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from ingestion.contracts.model import Contract

MAX_DEAD_PERCENT = 10.0
FUTURE_TOLERANCE = timedelta(days=1)
COMPUTED = "@computed"
"""In place of a path: the column is filled by a lookup or the transform. Several columns may say it."""


class TargetMode(StrEnum):
    """How rows enter a table: one row per message, the newest row per key, or the whole table anew in each run."""

    APPEND = "append"
    MERGE = "merge"
    OVERWRITE = "overwrite"


class Tombstones(StrEnum):
    """What a message without a value does: delete its key, nothing (it counts as filtered), or become a dead letter."""

    DELETE = "delete"
    IGNORE = "ignore"
    REJECT = "reject"


class Format(StrEnum):
    """How the value of a message is written: one object of JSON, or binary by a schema."""

    JSON = "json"
    AVRO = "avro"
    PROTOBUF = "protobuf"


class Framing(StrEnum):
    """What stands before a binary value: nothing, the id of its schema in a registry, or its schema's fingerprint."""

    BARE = "bare"
    CONFLUENT = "confluent"
    SINGLE_OBJECT = "single_object"


@dataclass(frozen=True, slots=True)
class Encoding:
    """
    How values are written. `schema` is the text of a schema of Avro, which columns are read by, or a set of descriptors
    of Protobuf with the message `type`. `writers` are the schemas by which values were written, with the bytes that
    name each before a value; none if all are written by `schema`.
    """

    format: Format = Format.JSON
    framing: Framing = Framing.BARE
    schema: bytes = b""
    type: str = ""
    writers: tuple[tuple[bytes, bytes], ...] = ()


JSON = Encoding()


@dataclass(frozen=True, slots=True)
class Part:
    """The columns that the messages of some topics fill. `suffix` tells the sequence columns of several parts apart."""

    topics: tuple[str, ...]
    contract: Contract
    suffix: str = ""
    encoding: Encoding = JSON


@dataclass(frozen=True, slots=True)
class WindowRule:
    """
    Aggregates per window of event time, half-open `[start, start + size)`, kept in a table of their own.

    A window begins each `slide` since 1970-01-01 UTC; tumbling where `slide` equals `size`. `measures` are pairs of
    function (sum, count, min, max) and column; the count of rows is always kept, and `averages` are columns whose sum
    is divided by their count. `by` are the columns of a group. A window is final
    when every partition has passed its end by `lateness`; a partition without unread messages that is more than
    `idle` behind the newest one is not waited for.
    """

    table: str
    size: timedelta
    slide: timedelta
    by: tuple[str, ...] = ()
    measures: tuple[tuple[str, str], ...] = ()
    averages: tuple[str, ...] = ()
    lateness: timedelta = timedelta(0)
    idle: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Columns filled from a reference table of the target: `on` and `columns` map our columns to that table's."""

    table: str
    on: Mapping[str, str]
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that one batch takes: rows, bytes of the messages, seconds of waiting for them; whichever is first."""

    rows: int = 10_000
    bytes: int = 32 * 1024 * 1024
    seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Stream:
    """
    One stream. `contract` has the columns in the types of the target and the target's table (`source_table`).

    `target` is the system of the target's connection, None for Bronze. `start` is earliest, latest, a moment (UTC), or
    an offset per partition. `sequence` and `time` are columns; None: the offset, the message's timestamp.
    `transform` and `keep` are `module:function` in the project's folder of stream contracts. `is_of_queue`: the
    messages come from a queue, which `lakehouse cdc` reads. A moment in `sequence` may be later than the message's
    timestamp by `future_tolerance`.
    """

    contract: Contract
    source: str
    parts: tuple[Part, ...]
    target: str | None = None
    mode: TargetMode = TargetMode.MERGE
    start: str | datetime | Mapping[int, int] = "earliest"
    sequence: str | None = None
    time: str | None = None
    tombstones: Tombstones = Tombstones.REJECT
    transform: str | None = None
    keep: str | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    dedupe: tuple[str, timedelta] | None = None
    windows: tuple[WindowRule, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    budget: Budget = field(default_factory=Budget)
    max_dead_percent: float = MAX_DEAD_PERCENT
    refuses_new_fields: bool = False
    is_of_queue: bool = False
    future_tolerance: timedelta = FUTURE_TOLERANCE

    @property
    def name(self) -> str:
        return self.contract.entity

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(topic for part in self.parts for topic in part.topics)
