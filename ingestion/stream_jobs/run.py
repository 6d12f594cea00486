"""Runs streams: the endless loop and the bounded one, how they end, what they note, and what is done to them."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from types import FrameType
from typing import Any, Protocol

from ingestion.contracts.odcs import find_any, find_conversation, find_stream, list_streams
from ingestion.contracts.streams import Stream, TargetMode
from ingestion.errors import ConcurrentWriteError, ConfigurationError, LakehouseError, RunFailedError, TransientError
from ingestion.privacy.logs import logger
from ingestion.runs.context import Context
from ingestion.sources.records import Log, Partition, Positions
from ingestion.stream_jobs.open import open_loop, open_records, open_sink
from ingestion.streams.loop import Counts, Loop, check_positions, first_positions

NOTED_EVERY = 60.0
"""Seconds between two rows of a run in the ledger."""
ASKED_EVERY = 5.0
"""Seconds between two looks for a request to stop."""
MOST_FENCED = 5
"""A run that another writer was faster than so often in a row stops: two runners work on one stream."""
LONGEST_PAUSE = 60.0
RUNNING, AWAY, CAUGHT_UP, STOPPED, FAILED, STOP = "running", "away", "caught up", "stopped", "failed", "stop"


class Steps(Protocol):
    """
    What a run repeats: the loop of a stream, or both directions of conversations.

    A `step` that raised one of our errors can be repeated. `counts` are reset by the run, `pause` is how many seconds
    to rest after a step that did nothing, `numbers` are further ones for the ledger. Only `step` asks a server.
    """

    counts: Counts
    lag: int
    event_at: datetime | None

    @property
    def name(self) -> str: ...
    @property
    def pause(self) -> float: ...
    @property
    def numbers(self) -> Mapping[str, float]: ...
    @property
    def is_caught_up(self) -> bool: ...
    def step(self) -> bool: ...
    def rest(self, seconds: float) -> None: ...
    def take_others(self) -> Mapping[str, Counts]:
        """Return the counts of further rows of the ledger since the last call, by name."""
        ...


@dataclass(slots=True)
class StreamRun:
    """One run. `ask_to_end` may be called from a signal handler: the open batch is finished."""

    context: Context
    loop: Steps
    until_caught_up: bool
    is_overwriting: bool = False
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    total: Counts = field(default_factory=Counts)
    fenced: int = 0
    retries: int = 0
    state: str = RUNNING
    _in_a_row: int = 0
    _asked: threading.Event = field(default_factory=threading.Event)
    _noted_at: float = field(default_factory=time.monotonic)
    _looked_at: float = field(default_factory=time.monotonic)

    def ask_to_end(self) -> None:
        self._asked.set()

    def run(self) -> None:
        """Run until it is asked to end, or has caught up. A failure is noted in the ledger and raised."""
        self._note()
        try:
            while not self._is_asked():
                self._step()
                if self.until_caught_up and self.state == RUNNING and self.loop.is_caught_up:
                    self.state = CAUGHT_UP
                    break
                if time.monotonic() - self._noted_at >= NOTED_EVERY:
                    self._note()
            else:
                self.state = STOPPED
        except BaseException as exc:
            self.state = FAILED
            self._note(str(exc) if isinstance(exc, LakehouseError) else type(exc).__name__)
            raise
        self._note()

    def _step(self) -> None:
        """Do one step. After a transient error wait longer each time: the next step probes whether it is over."""
        try:
            has_moved = self.loop.step()
        except TransientError as exc:
            self._in_a_row += 1
            if self.is_overwriting:  # its transaction is lost
                raise
            if isinstance(exc, ConcurrentWriteError):
                self.fenced += 1
                if self._in_a_row > MOST_FENCED:
                    raise
            else:
                self.retries += 1
                self.state = AWAY
            logger.warning("%s", exc)
            pause = min(LONGEST_PAUSE, 2.0 ** (self._in_a_row - 1))
            self._rest(pause / 10 if isinstance(exc, ConcurrentWriteError) else pause)
            return
        self._in_a_row, self.state = 0, RUNNING
        if not has_moved:
            self._rest(self.loop.pause)

    def _rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._is_asked():
            self.loop.rest(min(left, 1.0))

    def _is_asked(self) -> bool:
        if not self._asked.is_set() and time.monotonic() - self._looked_at >= ASKED_EVERY:
            self._looked_at = time.monotonic()
            if is_asked_to_stop(self.context, self.loop.name, self.began):
                self._asked.set()
        return self._asked.is_set()

    def _note(self, message: str | None = None) -> None:
        counts, loop = self.loop.counts, self.loop
        row = {
            "stream": loop.name,
            "run_id": self.context.run_id,
            "noted_at": datetime.now(UTC),
            "state": self.state,
        }
        row |= asdict(counts) | {"fenced": self.fenced, "retries": self.retries, "lag": loop.lag, "message": message}
        row["event_at"] = loop.event_at
        others = [
            {**row, "stream": name, **asdict(other), "lag": None, "message": None}
            for name, other in loop.take_others().items()
        ]
        row["numbers"] = json.dumps(loop.numbers) if loop.numbers else None
        self.context.journal.append("streams", [row, *others])
        self.total.add(counts)
        loop.counts, self.fenced, self.retries, self._noted_at = Counts(), 0, 0, time.monotonic()


def run_stream(context: Context, name: str, *, until_caught_up: bool) -> dict[str, Any]:
    """
    Run a stream; return what it did. SIGTERM and SIGINT finish the open batch.

    Raises what the source and the target raise, QuarantineLimitError for too many dead letters.
    """
    with open_loop(context, name) as loop:
        loop.sink.init()
        run = StreamRun(context, loop, until_caught_up, loop.stream.mode is TargetMode.OVERWRITE)
        with ended_by_signals(run), _whole(loop, until_caught_up):
            run.run()
            if run.is_overwriting and run.state != CAUGHT_UP:
                raise RunFailedError(
                    f"{name}: stopped before all messages were read. The target was not changed, for its mode is "
                    "overwrite. Run it again."
                )
        return {"stream": name, "state": run.state, "lag": loop.lag, **asdict(run.total)}


def _whole(loop: Loop, until_caught_up: bool) -> AbstractContextManager[None]:
    """Return the one transaction of a run that overwrites; nothing for other modes, which commit each batch."""
    if loop.stream.mode is not TargetMode.OVERWRITE:
        return nullcontext()
    if not until_caught_up:
        raise ConfigurationError(
            f"{loop.stream.contract.id}: mode overwrite replaces the table when all messages are read. Nothing was "
            "read. Run it with --until-caught-up, or write mode merge."
        )
    return loop.sink.overwriting()


@contextmanager
def ended_by_signals(run: StreamRun) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(_number: int, _frame: FrameType | None) -> None:
        run.ask_to_end()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def init_stream(context: Context, name: str, *, restart: bool = False) -> list[str]:
    """Create what a stream's target lacks; with `restart`, begin partitions anew whose position is lost."""
    stream = find_stream(context.settings.contracts, name)
    sink = open_sink(context, stream)
    try:
        sink.init()
        if not restart:
            return []
        source = open_records(context, stream)
        try:
            logs, committed = source.logs(), dict(sink.positions())
            lost = [p for p, at in committed.items() if _is_lost(stream, {p: at}, logs)]
            anew = first_positions(stream, source, {p: logs[p] for p in lost if p in logs})
        finally:
            source.close()
        sink.restart(anew)
        return [f"{p.topic}, partition {p.number}: begins at offset {at.offset}" for p, at in sorted(anew.items())]
    finally:
        sink.close()


def _is_lost(stream: Stream, positions: Positions, logs: Mapping[Partition, Log]) -> bool:
    try:
        check_positions(stream, positions, logs)
    except LakehouseError:
        return True
    return False


def chosen_streams(context: Context, names: tuple[str, ...], *, everything: bool = False) -> list[str]:
    """Return the streams of these names, or all; also conversations. Raises ConfigurationError for an unknown one."""
    known = list_streams(context.settings.contracts)
    return known if everything or not names else [find_any(context.settings.contracts, n).name for n in names]


def stoppable_streams(context: Context, names: tuple[str, ...]) -> list[str]:
    """
    Return the streams of these names, or all, of which each has a run to stop.

    Raises ConfigurationError for an unknown one, and for results: the run of conversations reads them.
    """
    folder = context.settings.contracts
    for found in (find_any(folder, name) for name in names):
        if isinstance(found, Stream) and found.is_of_queue:
            raise ConfigurationError(
                f"{found.name}: its messages are read by the run of the conversations, `lakehouse cdc run`. Nothing "
                f"was stopped. Stop that one: lakehouse stream stop {find_conversation(folder).name}"
            )
    return chosen_streams(context, names)


def streams_of_topics(context: Context) -> list[str]:
    """Return the names of the streams that read topics: not conversations, nor their results."""
    folder = context.settings.contracts
    found = [(name, find_any(folder, name)) for name in list_streams(folder)]
    return [name for name, each in found if isinstance(each, Stream) and not each.is_of_queue]


def is_asked_to_stop(context: Context, name: str, since: datetime) -> bool:
    rows = context.journal.select(
        "select count(*) as n from ops.streams where stream = ? and state = ? and noted_at >= ?::timestamptz",
        [name, STOP, since],
    )
    return bool(rows[0]["n"])


def ask_to_stop(context: Context, names: list[str]) -> None:
    """Ask the runs of streams to end, on whatever machine they are."""
    now = datetime.now(UTC)
    context.journal.append(
        "streams", [{"stream": n, "run_id": context.run_id, "noted_at": now, "state": STOP} for n in names]
    )


def statuses(context: Context, names: list[str]) -> list[dict[str, Any]]:
    """Return per stream its newest state, the numbers of the last hour, and the lag that was noted last."""
    return context.journal.select(
        "select stream, arg_max(state, noted_at) as state, max(noted_at) as noted_at, arg_max(lag, noted_at) as lag, "
        "max(event_at) as event_at, arg_max(message, noted_at) as message, "
        + ", ".join(
            f"sum({name}) filter (where noted_at > (now() - interval 1 hour)) as {name}"
            for name in ("read", "merged", "superseded", "filtered", "dead", "fenced", "retries")
        )
        + f" from ops.streams where list_contains(?, stream) and state <> '{STOP}' group by stream order by stream",
        [names],
    )


def wait_for(context: Context, names: list[str], *, seconds: float) -> list[str]:
    """Wait until no run of these streams is under way any more; return those that still run after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        running = [row["stream"] for row in statuses(context, names) if row["state"] in (RUNNING, AWAY)]
        if not running or time.monotonic() >= end:
            return running
        time.sleep(min(1.0, max(0.05, end - time.monotonic())))
