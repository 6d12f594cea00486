"""The loop of a stream: positions of the target, records from there on, one change, one transaction. Opens nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts.streams import Stream, TargetMode
from ingestion.errors import (
    Break,
    BrokenContractError,
    ConcurrentWriteError,
    IntegrityError,
    LakeError,
    QuarantineLimitError,
)
from ingestion.sources.records import Log, Partition, Position, Positions, Read, RecordSource
from ingestion.streams.change import Functions, make_change
from ingestion.streams.decode import new_fields
from ingestion.streams.ports import Applied, Change, Sink

JUDGED = 100
"""Fewer messages are not judged by the share of dead letters among them."""
RECENT = 100_000


@dataclass(slots=True)
class Counts:
    """What became of messages: `read` is the sum of the next four. Seconds are of the wall clock."""

    read: int = 0
    merged: int = 0
    superseded: int = 0
    filtered: int = 0
    dead: int = 0
    batches: int = 0
    seconds_read: float = 0.0
    seconds_decode: float = 0.0
    seconds_apply: float = 0.0

    def add(self, other: Counts) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(slots=True)
class Loop:
    """One stream between its source and its target. `step` can be called again after any of our errors."""

    stream: Stream
    source: RecordSource
    sink: Sink
    functions: Functions
    counts: Counts = field(default_factory=Counts)
    lag: int = 0
    event_at: datetime | None = None
    _positions: dict[Partition, Position] | None = None
    _known: frozenset[Partition] = frozenset()
    _recent: tuple[int, int] = (0, 0)
    _goal: Mapping[Partition, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.stream.name

    @property
    def pause(self) -> float:
        return min(1.0, self.stream.budget.seconds / 10)

    @property
    def numbers(self) -> Mapping[str, float]:
        return {}

    def rest(self, seconds: float) -> None:
        self.source.rest(seconds)

    def take_others(self) -> Mapping[str, Counts]:
        return {}

    @property
    def is_caught_up(self) -> bool:
        """Whether everything is committed that the topics held at the first step."""
        positions = self._positions
        return positions is not None and all(positions[p].offset >= end for p, end in self._goal.items())

    def step(self) -> bool:
        """
        Read one batch and apply it; return whether something was read or a position moved.

        Raises ConcurrentWriteError if another writer moved a position: nothing of the batch was kept, and the next
        step reads from the positions that the target has then.
        """
        began = time.monotonic()
        logs = self.source.logs()
        self._goal = self._goal or {partition: log.high for partition, log in logs.items()}
        if self._positions is None or logs.keys() - self._positions.keys():
            self._resume(logs)
        positions = self._positions or {}
        read = self.source.read(positions, self.stream.budget)
        # a partition without messages gets its position, too: else `latest` would be another place the next time
        begun = {partition: at for partition, at in positions.items() if partition not in self._known}
        read = Read(read.records, {**begun, **read.reached})
        read_at = time.monotonic()
        ends = {partition: log.high for partition, log in logs.items()}
        self._seen(read.reached, logs)
        change = make_change(self.stream, self.functions, read, start=positions, known=self._known, ends=ends)
        self._brake(change.read, change.dead.num_rows)
        self._look_for_new_fields(read.records)
        decoded_at = time.monotonic()
        if change.reached:
            try:
                applied = self.sink.apply(change, self._brake)
            except ConcurrentWriteError:
                self._positions = None
                raise
            self._account(change, applied)
            self._positions = {**positions, **change.reached}
            self._known |= change.reached.keys()
            self.source.acknowledge(change.reached)
        self.counts.seconds_read += read_at - began
        self.counts.seconds_decode += decoded_at - read_at
        self.counts.seconds_apply += time.monotonic() - decoded_at
        self.lag = sum(max(0, ends[p] - at.offset) for p, at in (self._positions or {}).items() if p in ends)
        return bool(change.reached)

    def _resume(self, logs: Mapping[Partition, Log]) -> None:
        """Take the positions of the target; the others start as the contract says. Raises LakeError for a lost one."""
        committed = dict(self.sink.positions())
        check_positions(self.stream, committed, logs)
        started = first_positions(self.stream, self.source, logs)
        self._known = frozenset(committed)
        self._positions = {**started, **{p: at for p, at in committed.items() if p in logs}}

    def _seen(self, reached: Positions, logs: Mapping[Partition, Log]) -> None:
        """Check that what was read is of the topics that the positions are about."""
        for partition in reached:
            if self._positions and logs[partition].topic_id != self._positions[partition].topic_id:
                raise _recreated(self.stream, partition)

    def _look_for_new_fields(self, records: pa.RecordBatch) -> None:
        """Compare the fields of the first message of a batch with the contract's."""
        if not self.stream.refuses_new_fields or not records.num_rows or not records["value"][0].is_valid:
            return
        with suppress(pa.ArrowInvalid):  # becomes a dead letter
            parts, topic = self.stream.parts, records["topic"][0].as_py()
            encoding = next(part.encoding for part in parts if topic in part.topics)
            found = new_fields([part.contract for part in parts], encoding, records["value"][0].as_py())
            if found:
                raise BrokenContractError(
                    self.stream.contract.id, [Break(name, "no such field", "it in a message") for name in sorted(found)]
                )

    def _brake(self, read: int, dead: int) -> None:
        """Raise QuarantineLimitError if too many of a batch, with those before it, are dead letters."""
        total, bad = self._recent[0] + read, self._recent[1] + dead
        if total >= JUDGED and bad * 100 > self.stream.max_dead_percent * total:
            raise QuarantineLimitError(
                f"{self.stream.contract.id}: {bad:,} of the last {total:,} messages break the contract, more than "
                f"{self.stream.max_dead_percent:g} %. This batch was not committed. Correct the producer or the "
                "contract, or raise `deadLetters.maxPercent`, and run it again."
            )

    def _account(self, change: Change, applied: Applied) -> None:
        dead = change.dead.num_rows + applied.dead
        if change.read != applied.merged + applied.superseded + change.filtered + dead or applied.superseded < 0:
            raise IntegrityError(
                f"{self.stream.contract.id}: {change.read} messages were read; {applied.merged} merged, "
                f"{applied.superseded} superseded, {change.filtered} filtered and {dead} dead are another number. The "
                "batch is committed. This is a fault of the program; stop the stream and report it."
            )
        total, bad = self._recent[0] + change.read, self._recent[1] + dead
        self._recent = (total, bad) if total < RECENT else (total // 2, bad // 2)
        self.counts.read += change.read
        self.counts.merged += applied.merged
        self.counts.superseded += applied.superseded
        self.counts.filtered += change.filtered
        self.counts.dead += dead
        self.counts.batches += 1
        found = [pc.max(part.rows["lake_at"]).as_py() for part in change.parts if part.rows.num_rows]
        self.event_at = max([*found, *([self.event_at] if self.event_at else [])], default=None)


def first_positions(stream: Stream, source: RecordSource, logs: Mapping[Partition, Log]) -> dict[Partition, Position]:
    """Return where each partition starts by the contract."""
    start = stream.start
    at: Mapping[Partition, int] = source.offsets_at(start) if isinstance(start, datetime) else {}
    if isinstance(start, Mapping):
        at = {partition: start[partition.number] for partition in logs if partition.number in start}
    end = start == "latest"
    return {
        partition: Position(at.get(partition, log.high if end else log.low), log.topic_id)
        for partition, log in logs.items()
    }


def check_positions(stream: Stream, committed: Positions, logs: Mapping[Partition, Log]) -> None:
    """Raise LakeError if a committed position is of another topic, or outside of what its log holds."""
    for partition, position in committed.items():
        log = logs.get(partition)
        where = f"{stream.contract.id}: {partition.topic}, partition {partition.number}"
        if log is None:
            raise _lost(where, "does not exist any more")
        if position.topic_id and log.topic_id and position.topic_id != log.topic_id:
            raise _recreated(stream, partition)
        if position.offset > log.high:
            raise _lost(where, f"ends at offset {log.high}, and {position.offset} is committed")
        if position.offset < log.low:
            raise _lost(
                where, f"begins at offset {log.low}, and the messages from {position.offset} on are gone unread"
            )
    topics = {partition.topic for partition in committed}
    grown = sorted({p.topic for p in logs if p not in committed and p.topic in topics})
    if grown and stream.sequence is None and stream.mode is TargetMode.MERGE:
        raise _lost(
            f"{stream.contract.id}: {', '.join(grown)}",
            "has more partitions than before, so keys may have moved, and offsets no longer order their messages: "
            "name a `sequence` in the contract",
        )


def _recreated(stream: Stream, partition: Partition) -> LakeError:
    where = f"{stream.contract.id}: {partition.topic}, partition {partition.number}"
    return _lost(where, "is another topic than the one whose positions are committed: it was deleted and created again")


def _lost(where: str, why: str) -> LakeError:
    return LakeError(
        f"{where} {why}. Nothing was written. Find out what happened to the topic; then `lakehouse stream init "
        "--restart NAME` lets the partitions concerned begin again as the contract's `start` says."
    )
