"""Reads segments and enters conversations into the outbox: the newest ones (normal mode) and those of history.

A window of time says which calls have new segments; the segments of a call are then read whole. What is known of the
calls, the conversations and the progress change in one transaction.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from ingestion.cdc.logs import log
from ingestion.cdc.tables import CLOSED, CYCLES, HISTORY, NORMAL, OPEN, PENDING, TOTALS, CdcTables, add_total
from ingestion.contracts.conversations import Conversation
from ingestion.errors import ConcurrentWriteError
from ingestion.sinks.database import Database, RowsRefusedError
from ingestion.sql.quoting import quote_standard
from ingestion.streams.conversations import Assembled, assemble
from ingestion.streams.loop import Counts

SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=1)
MOST_PENDING = 20
"""History waits while more than so many batches of conversations are not sent yet."""


@dataclass(slots=True)
class Window:
    """Calls that are judged before a mode's progress moves from `before` to `after`."""

    mode: str
    before: datetime | None
    after: datetime
    calls: Iterator[Any]


@dataclass(slots=True)
class Progress:
    """A mode's row of `cdc_processing_status`."""

    watermark: datetime | None
    bound: datetime | None
    is_enabled: bool


@dataclass(slots=True)
class Reader:
    """
    `step` judges one batch of calls. All moments are of the database's clock.

    Raises ConcurrentWriteError if another process judged one of these calls first: nothing of the batch was kept.
    """

    rules: Conversation
    db: Database
    tables: CdcTables
    counts: Counts = field(default_factory=Counts)
    cycles: int = 0
    _normal: Window | None = None
    _history: Window | None = None
    _span: timedelta = timedelta(hours=1)

    def init(self) -> None:
        """Create the rows of progress that are missing."""
        columns = self.db.listed(["table_name", "total_processed", "is_enabled", "last_updated"])
        for name in TOTALS:
            with suppress(RowsRefusedError, ConcurrentWriteError), self.db.transaction():  # a rival was faster
                if not self.db.counted(self.tables.status, self.db.equal(("table_name",)), name):
                    self.db.run(
                        f"INSERT INTO {self.db.table_name(self.tables.status)} ({columns}) "
                        f"VALUES (:1, 0, 1, {self.db.wall_clock})",
                        name,
                    )

    # windows

    def poll(self) -> bool:
        """
        Open the window of the newest segments, unless one is open; return whether the mode is enabled.

        The window of a mode that is off now is dropped: its progress did not move, so its calls are found again.
        """
        self.cycles += 1
        self._touch()
        if not self.progress(HISTORY).is_enabled:
            self._history = None
        progress = self.progress(NORMAL)
        if not (self.rules.is_normal_enabled and progress.is_enabled):
            self._normal = None
            return False
        if self._normal is None:
            now = self._now()
            overlap = timedelta(minutes=self.rules.minutes)
            if progress.watermark is None:  # history ends where this mode begins, even if it dies before it moves
                low = self._bound(NORMAL, (self.progress(HISTORY).bound or now) - overlap)
            else:
                low = progress.watermark - overlap
            calls = self._due(now) | dict.fromkeys(self.touched(low, now))
            log("oracle", mode=NORMAL, low=low.isoformat(), high=now.isoformat(), calls=len(calls))
            self._normal = Window(NORMAL, progress.watermark, now, iter(calls))
        return True

    def look_back(self) -> bool:
        """Open the next window of history, unless one is open; return whether there is one."""
        if self._history is not None:
            return True
        progress = self.progress(HISTORY)
        if not (self.rules.is_history_enabled and progress.is_enabled and self.rules.since):
            return False
        bound = progress.bound or self._bound(HISTORY, self.progress(NORMAL).bound or self._now())
        low = progress.watermark or self.rules.since
        if low >= bound or self._is_congested():
            return False
        high = min(bound, low + self._span)
        calls = list(dict.fromkeys(self.touched(low, high)))
        few = len(calls) < self.rules.history_batch
        many = len(calls) > 4 * self.rules.history_batch
        self._span = max(SHORTEST, min(LONGEST, self._span * 2 if few else self._span / 2 if many else self._span))
        log("oracle", mode=HISTORY, low=low.isoformat(), high=high.isoformat(), calls=len(calls))
        self._history = Window(HISTORY, progress.watermark, high, iter(calls))
        return True

    def step(self) -> bool:
        """Judge the next calls of the window of the newest segments, else of history; return whether it had any."""
        window = self._normal or self._history
        if window is None:
            return False
        try:
            return self._judge(window) > 0 or window.mode == HISTORY
        except BaseException:  # its calls are found again by a new window
            self._drop(window)
            raise

    def again(self, calls: Sequence[Any]) -> Counts:
        """Judge these calls whatever is known of them, and move no progress; return what became of them."""
        total = Counts()
        for at in range(0, len(calls), self.rules.batch):
            with self.db.transaction():
                entered = self._enter(calls[at : at + self.rules.batch], NORMAL)
            total.add(entered)
        return total

    def forget(self, calls: Sequence[Any]) -> None:
        """Forget what was sent of these calls, so that `again` enters their next revision."""
        call, content, version = (self.db.quote(name) for name in ("call_id", "content_hash", "version"))
        with self.db.transaction():
            for each in calls:
                self.db.run(
                    f"UPDATE {self.db.table_name(self.tables.calls)} SET {content} = NULL, {version} = {version} + 1 "
                    f"WHERE {call} = :1",
                    each,
                )

    def _drop(self, window: Window) -> None:
        if window is self._normal:
            self._normal = None
        else:
            self._history = None

    def _judge(self, window: Window) -> int:
        size = self.rules.history_batch if window.mode == HISTORY else self.rules.batch
        calls = list(islice(window.calls, size))
        with self.db.transaction():
            entered = self._enter(calls, window.mode) if calls else Counts()
            if len(calls) < size:
                self._move(window)
        self.counts.add(entered)
        if len(calls) < size:
            self._drop(window)
        return len(calls)

    def _enter(self, calls: Sequence[Any], mode: str) -> Counts:
        """Write what is known of calls, and new conversations; return what became of them. Within a transaction."""
        now = self.db.clock()
        known = {row["call_id"]: row for row in self._known(calls).to_pylist()}
        segments = self.segments(calls)
        sizes = {r["call"]: r["n"] for r in _sizes(segments[self.rules.group])}
        since = {call: row["changed_at"] for call, row in known.items() if row["segments"] == sizes.get(call)}
        found = assemble(self.rules, segments, now, since)
        rows, messages = [], []
        for each in found:
            before = known.get(each.call)
            row, message = _entry(each, before, sizes[each.call], since.get(each.call, now), now)
            rows.append(row)
            messages += [message] if message else []
        gone = [
            row | {"state": CLOSED, "due_at": None, "version": row["version"] + 1}
            for call, row in known.items()
            if call not in sizes
        ]
        self._write([*rows, *gone], messages)
        add_total(self.db, self.tables, mode, len(messages))
        waiting = sum(1 for row in rows if row["state"] == OPEN)
        return Counts(len(found), len(messages), len(found) - len(messages) - waiting, waiting, batches=1)

    def _write(self, rows: list[dict[str, Any]], messages: list[dict[str, Any]]) -> None:
        """Write rows whose version is the next one, else another process was faster."""
        db, calls, outbox = self.db, self.tables.calls, self.tables.outbox
        if rows:
            staged = pa.Table.from_pylist(rows, schema=calls.columns)
            db.stage(calls, staged)
            version = db.quote("version")
            merge = db.merge_into(calls, calls.columns.names, f"t.{version} = s.{version} - 1")
            with self._raced():
                if db.run(merge.format(db.name_of(calls.stage))) != len(rows):
                    raise db.lost_race()
        if messages:
            names = [*messages[0]]
            schema = pa.schema([outbox.columns.field(name) for name in names])
            with self._raced():
                if db.insert(outbox.name, pa.Table.from_pylist(messages, schema=schema)):
                    raise db.lost_race()

    @contextmanager
    def _raced(self) -> Iterator[None]:
        try:
            yield
        except RowsRefusedError:  # a rival wrote the same call or revision
            raise self.db.lost_race() from None

    # the source

    def touched(self, low: datetime, high: datetime) -> list[Any]:
        """Return the calls with segments in a window that have more or fewer segments than was known, oldest first."""
        group, time = self._source(self.rules.group), self._source(self.rules.time)
        table, known = self._segments_table(), self.db.table_name(self.tables.calls)
        call, size = self.db.quote("call_id"), self.db.quote("segments")
        query = (
            f"SELECT s.g AS found FROM (SELECT {group} AS g, COUNT(*) AS n, MIN({time}) AS t FROM {table} "
            f"WHERE {group} IN (SELECT {group} FROM {table} WHERE {time} >= :1 AND {time} < :2) GROUP BY {group}) s "
            f"LEFT JOIN {known} k ON k.{call} = s.g WHERE k.{size} IS NULL OR k.{size} <> s.n ORDER BY s.t, s.g"
        )
        schema = pa.schema([("found", self._group_type)])
        with self.db.transaction():
            found = self.db.select(query, schema, *self.on_the_segments_clock(low, high))
        return list(found["found"].to_pylist())

    def count_since(self, since: datetime) -> int:
        """Return how many calls have segments from a moment on. Within a transaction."""
        group, time = self._source(self.rules.group), self._source(self.rules.time)
        query = f"SELECT COUNT(DISTINCT {group}) AS n FROM {self._segments_table()} WHERE {time} >= :1"
        first = self.on_the_segments_clock(since, since)[0]
        return int(self.db.select(query, pa.schema([("n", pa.int64())]), first)["n"][0].as_py())

    def _due(self, now: datetime) -> dict[Any, None]:
        db, due = self.db, self.db.quote("due_at")
        with db.transaction():
            in_order = f"{due} <= :1 ORDER BY {due}, {db.quote('call_id')}"
            found = db.rows(self.tables.calls, ["call_id"], in_order, now)
        return dict.fromkeys(found["call_id"].to_pylist())

    def segments(self, calls: Sequence[Any]) -> pa.Table:
        """Return all segments of these calls, at most 1,000."""
        names = [self.rules.group, self.rules.order, self.rules.time, self.rules.speaker, self.rules.text]
        names += [self.rules.end[0]] if self.rules.end else []
        schema = pa.schema([(name, self.rules.contract.column(name).arrow_type) for name in dict.fromkeys(names)])
        listed = ", ".join(self._source(name) for name in schema.names)
        chosen = self.db.among(self._source(self.rules.group), len(calls))
        query = f"SELECT {listed} FROM {self._segments_table()} WHERE {chosen}"
        return self.db.select(query, schema, *calls)

    def _known(self, calls: Sequence[Any]) -> pa.Table:
        table = self.tables.calls
        chosen = self.db.among(self.db.quote("call_id"), len(calls))
        return self.db.rows(table, table.columns.names, chosen, *calls)

    def on_the_segments_clock(self, low: datetime, high: datetime) -> tuple[datetime, datetime]:
        """Return a window as the segments' times are written; wider where clocks are changed within it."""
        if self.rules.contract.column(self.rules.time).arrow_type.tz is not None:
            return low, high
        zone, day = ZoneInfo(self.rules.contract.timezone), timedelta(days=1)
        # a change of the clock far from both ends does not count
        near = (low, min(high, low + day), max(low, high - day), high)
        moments = [moment.astimezone(zone) for moment in near]
        offsets = [moment.utcoffset() or timedelta(0) for moment in moments]
        change = max(offsets) - min(offsets)
        walls = moments[0].replace(tzinfo=None), moments[-1].replace(tzinfo=None)
        return min(walls) - change, max(walls) + change

    @property
    def _group_type(self) -> pa.DataType:
        return self.rules.contract.column(self.rules.group).arrow_type

    def _source(self, name: str) -> str:
        return quote_standard(self.rules.contract.column(name).source_name)

    def _segments_table(self) -> str:
        return self.db.name_of(self.rules.contract.source_table)

    # progress

    def progress(self, mode: str) -> Progress:
        names = ["watermark_at", "bound_at", "is_enabled"]
        with self.db.transaction():
            row = self.db.rows(self.tables.status, names, self.db.equal(("table_name",)), mode).to_pylist()[0]
        return Progress(row["watermark_at"], row["bound_at"], row["is_enabled"] == 1)

    def _move(self, window: Window) -> None:
        """Move a mode's progress, unless another process did."""
        db = self.db
        wall = self.on_the_segments_clock(window.after, window.after)[0]
        wall = wall if wall.tzinfo else wall.replace(tzinfo=UTC)  # as it is written there
        before = f"{db.quote('watermark_at')} = :4" if window.before else f"{db.quote('watermark_at')} IS NULL"
        count = db.run(
            f"UPDATE {db.table_name(self.tables.status)} SET {db.quote('watermark_at')} = :1, "
            f"{db.quote('last_processed_timestamp')} = :2 WHERE {db.quote('table_name')} = :3 AND {before}",
            *(window.after, wall, window.mode, *([window.before] if window.before else [])),
        )
        if count != 1:
            raise db.lost_race()

    def _bound(self, mode: str, at: datetime) -> datetime:
        """Return the bound of a mode, which is set now if there is none."""
        db = self.db
        bound = db.quote("bound_at")
        with db.transaction():
            db.run(
                f"UPDATE {db.table_name(self.tables.status)} SET {bound} = :1 "
                f"WHERE {db.quote('table_name')} = :2 AND {bound} IS NULL",
                *(at, mode),
            )
            return self.progress(mode).bound or at

    def _touch(self) -> None:
        """Say that this process lives, and count the cycle."""
        with self.db.transaction():
            self.db.run(
                f"UPDATE {self.db.table_name(self.tables.status)} "
                f"SET {self.db.quote('last_updated')} = {self.db.wall_clock}"
            )
            add_total(self.db, self.tables, CYCLES, 1)

    def _now(self) -> datetime:
        with self.db.transaction():
            return self.db.clock()

    def _is_congested(self) -> bool:
        most = MOST_PENDING * self.rules.history_batch
        with self.db.transaction():
            return self.db.counted(self.tables.outbox, self.db.equal(("state",)), PENDING) > most


def _entry(
    each: Assembled, known: Mapping[str, Any] | None, size: int, changed_at: datetime, now: datetime
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the row of a call, and that of its conversation if a revision is to be sent."""
    revision, content = (known["revision"], known["content_hash"]) if known else (0, None)
    is_new = each.due is None and each.content_hash != content
    revision += is_new
    row = {
        "call_id": each.call,
        "state": CLOSED if each.due is None else OPEN,
        "segments": size,
        "revision": revision,
        "content_hash": each.content_hash if is_new else content,
        "changed_at": changed_at,
        "due_at": each.due,
        "version": (known["version"] if known else 0) + 1,
        "first_segment_at": each.first_at,
    }
    if not is_new:
        return row, None
    message = {
        "call_id": each.call,
        "revision": revision,
        "state": PENDING,
        "content_hash": each.content_hash,
        "payload": gzip.compress(each.body(revision), mtime=0),
        "is_complete": int(each.is_complete),
        "enqueued_at": now,
        "attempts": 0,
        "resends": 0,
    }
    return row, message


def _sizes(calls: pa.ChunkedArray) -> list[dict[str, Any]]:
    counted = pa.table({"call": calls}).group_by("call").aggregate([([], "count_all")])
    return counted.rename_columns(["call", "n"]).to_pylist()  # type: ignore[no-any-return]
