"""Runs both directions of conversations: reading and entering, sending, receiving; one step after the other."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from ingestion.cdc.logs import log, log_files
from ingestion.cdc.reading import Reader
from ingestion.cdc.results import Receiver, ResultSink
from ingestion.cdc.sending import Sender
from ingestion.cdc.settings import with_given_names
from ingestion.cdc.tables import (
    CYCLES,
    EXPIRED,
    FAILED,
    HISTORY,
    NORMAL,
    RECEIVED_TOTAL,
    REFUSED_TOTAL,
    SENT_TOTAL,
    WRITTEN_TOTAL,
    CdcTables,
    cdc_tables,
)
from ingestion.contracts.conversations import Conversation
from ingestion.contracts.odcs import find_conversation, find_stream
from ingestion.errors import ConfigurationError
from ingestion.queues import open_queue
from ingestion.queues.base import Queue
from ingestion.runs.context import Context
from ingestion.settings.values import QUEUES
from ingestion.sinks import open_database
from ingestion.sinks.base import TableSink
from ingestion.sinks.database import Database
from ingestion.stream_jobs.run import StreamRun, ended_by_signals
from ingestion.streams.loop import Counts

CYCLES_PER_BLOCK = 10
"""The statistics are written to the log and to CDC_PROCESSING_LOG after so many polls."""
EXPIRY_SECONDS = 30.0
STATISTICS = {
    "uptime_seconds": "Uptime (s)",
    "cycles_completed": "Cycles completed",
    "calls_processed": "Calls processed",
    "calls_failed": "Calls failed",
    "sqs_sent": "SQS sent",
    "sqs_failed": "SQS failed",
    "ml_results_received": "ML results received",
    "ml_results_written": "ML results written",
}
_TOTALS = {
    "cycles_completed": CYCLES,
    "sqs_sent": SENT_TOTAL,
    "sqs_failed": REFUSED_TOTAL,
    "ml_results_received": RECEIVED_TOTAL,
    "ml_results_written": WRITTEN_TOTAL,
}


@dataclass(slots=True)
class Cdc:
    """Both directions over one session of the database. Implements `stream_jobs.run.Steps`."""

    rules: Conversation
    db: Database
    tables: CdcTables
    sink: TableSink
    reader: Reader
    sender: Sender
    receiver: Receiver
    lag: int = 0
    event_at: datetime | None = None
    began: float = field(default_factory=time.monotonic)
    _statistics: Mapping[str, float] = field(default_factory=dict)
    _next_poll: float = 0.0
    _next_expiry: float = 0.0
    _is_reading: bool = True

    @property
    def name(self) -> str:
        return self.rules.name

    @property
    def counts(self) -> Counts:
        return self.reader.counts

    @counts.setter
    def counts(self, counts: Counts) -> None:
        self.reader.counts = counts

    @property
    def pause(self) -> float:
        return 0.0  # `step` waits for results

    def init(self) -> None:
        """Create the tables and rows that are missing. Idempotent."""
        self.sink.init()
        self.db.create(self.tables.all)
        self.reader.init()

    def plan(self) -> list[str]:
        """Return the statements that create all tables."""
        return [*self.sink.plan(), *(each for table in self.tables.all for each in self.db.statements(table))]

    def step(self) -> bool:
        """Poll if it is time to, judge a batch of calls, send one, receive one; return whether there was something."""
        began = time.monotonic()
        if began >= self._next_poll:
            self._next_poll = began + self.rules.poll
            self.reader.poll()
            self._statistics = self.statistics()
            if self.reader.cycles % CYCLES_PER_BLOCK == 0:
                self._write_block()
        if began >= self._next_expiry:
            self._next_expiry = began + EXPIRY_SECONDS
            self.sender.expire()
        self._is_reading = self.reader.step() or (self.reader.look_back() and self.reader.step())
        read_at = time.monotonic()
        sent = self.sender.step()
        sent_at = time.monotonic()
        is_busy = self._is_reading or sent > 0
        received = self.receiver.step(0.0 if is_busy else max(0.0, min(20.0, self._next_poll - sent_at)))
        lost, self.sender.lost = self.sender.lost, 0
        self.counts.read += lost
        self.counts.dead += lost
        self.counts.seconds_read += read_at - began
        self.counts.seconds_apply += sent_at - read_at
        if is_busy or received:
            log(
                "performance",
                read=round(read_at - began, 3),
                send=round(sent_at - read_at, 3),
                sent=sent,
                received=received,
            )
        return is_busy or received > 0

    @property
    def is_caught_up(self) -> bool:
        """Whether all calls of the source were judged and nothing is to be sent or waited for."""
        return self.reader.cycles > 0 and not self._is_reading and self.sender.is_idle()

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def take_others(self) -> Mapping[str, Counts]:
        counts, self.receiver.counts = self.receiver.counts, Counts()
        return {self.rules.results: counts}

    @property
    def numbers(self) -> Mapping[str, float]:
        """The statistics of the newest poll: a run notes them also while the database is away."""
        return {**self._statistics, "uptime_seconds": round(time.monotonic() - self.began)}

    def statistics(self) -> dict[str, float]:
        """Return the statistics since the tables exist, by the keys of `STATISTICS`, without the uptime."""
        state = self.db.quote("state")
        with self.db.transaction():
            rows = self.db.rows(self.tables.status, ["table_name", "total_processed"], "1 = 1").to_pylist()
            failed = self.db.counted(self.tables.outbox, f"{state} IN ('{FAILED}', '{EXPIRED}')")
        totals = {row["table_name"]: row["total_processed"] for row in rows}
        found = {key: totals.get(name, 0) for key, name in _TOTALS.items()}
        return {**found, "calls_processed": totals.get(NORMAL, 0) + totals.get(HISTORY, 0), "calls_failed": failed}

    def status(self) -> dict[str, Any]:
        """Return the modes, the statistics and the conversations by state, for people and programs."""
        db, status, outbox = self.db, self.tables.status, self.tables.outbox
        names = ["table_name", "is_enabled", "watermark_at", "last_updated"]
        schema = pa.schema([status.columns.field(name) for name in names])
        healthy = f"CASE WHEN {db.quote('last_updated')} > {db.wall_clock} - INTERVAL '5' MINUTE THEN 1 ELSE 0 END"
        modes = f"{db.quote('table_name')} IN ('{NORMAL}', '{HISTORY}')"
        state = db.quote("state")
        with db.transaction():
            rows = db.select(
                f"SELECT {db.listed(names)}, {healthy} FROM {db.table_name(status)} WHERE {modes} "
                f"ORDER BY {db.quote('table_name')} DESC",
                schema.append(pa.field("healthy", pa.int64())),
            ).to_pylist()
            states = db.select(
                f"SELECT {state}, COUNT(*) FROM {db.table_name(outbox)} GROUP BY {state} ORDER BY {state}",
                pa.schema([("state", pa.string()), ("n", pa.int64())]),
            ).to_pylist()
        modes_told = [
            {
                "mode": row["table_name"],
                "is_enabled": row["is_enabled"] == 1,
                "watermark_at": row["watermark_at"],
                "last_updated": row["last_updated"],
                "health": "HEALTHY" if row["healthy"] else "UNHEALTHY",
            }
            for row in rows
        ]
        return {
            "modes": modes_told,
            "statistics": {**self.statistics(), "last_cycle": max(row["last_updated"] for row in rows)},
            "states": {row["state"]: row["n"] for row in states},
        }

    def _write_block(self) -> None:
        numbers = self.numbers
        told = ", ".join(f"{title} {numbers[key]:,}" for key, title in STATISTICS.items())
        log("main", statistics=told)
        columns = self.db.listed(["log_id", "logged_at", "cycles", "message"])
        with self.db.transaction():
            self.db.run(
                f"INSERT INTO {self.db.table_name(self.tables.log)} ({columns}) "
                f"VALUES (:1, {self.db.wall_clock}, :2, :3)",
                *(uuid.uuid4().hex, numbers["cycles_completed"], told),
            )

    def close(self) -> None:
        self.sender.queue.close()
        self.receiver.queue.close()
        self.db.close()


@contextmanager
def open_cdc(context: Context) -> Iterator[Cdc]:
    """Yield both directions, ready to step; sessions are closed at the end. Raises ConfigurationError."""
    settings = with_given_names(context.settings, os.environ)
    rules = find_conversation(settings.contracts)
    stream = find_stream(settings.contracts, rules.results)
    system = rules.contract.system
    if stream.target != system:
        raise ConfigurationError(
            f"{rules.results}: its target is {stream.target}, but the segments are in {system}. Nothing was read. "
            f"Results and progress are written where the segments are: write `target: {{system: {system}}}`."
        )
    missing = {"call_id", "revision"} - {column.name for column in stream.contract.columns}
    if missing or stream.sequence != "revision":
        raise ConfigurationError(
            f"{rules.results}: results need the columns call_id and revision, and `sequence: revision`. Nothing was "
            "read. Correct the contract as docs/conversations.md shows."
        )
    columns = {column.name: column.arrow_type for column in stream.contract.columns}
    group = rules.contract.column(rules.group).arrow_type
    if columns["call_id"] != group or not pa.types.is_integer(columns["revision"]):
        raise ConfigurationError(
            f"{rules.results}: call_id must be {group}, as in {rules.name}, and revision a whole number. Nothing was "
            "read. Correct their types in the contract."
        )
    db = open_database(stream.contract, system, settings.connection(system, stream.contract.dialect))
    out, back = (
        open_queue(name, settings.connection(name, "queue", kinds=QUEUES)) for name in (rules.queue, stream.source)
    )
    tables, sink = cdc_tables(rules, stream), ResultSink(stream, db)
    cdc = Cdc(
        *(rules, db, tables, sink, Reader(rules, db, tables)),
        Sender(rules, db, tables, out),
        Receiver(rules, db, tables, sink, back),
    )
    try:
        yield cdc
    finally:
        cdc.close()


def check_queues(rules: Conversation, out: Queue, back: Queue) -> None:
    """Raise ConfigurationError if both directions use one queue and the contract does not say so."""
    if out.describe().url == back.describe().url and not rules.is_single_queue:
        raise ConfigurationError(
            f"{rules.name}: conversations and results have the same queue, so this program would receive what it sent. "
            "Nothing was read or sent. Make a second queue for results and name it in that connection, or write "
            "`single_queue: true` if the program at the other end tells messages apart by the attribute `kind`."
        )


def run_cdc(context: Context, *, until_idle: bool) -> dict[str, Any]:
    """
    Run until it is asked to end, or until all calls are judged and every conversation has its result.

    SIGTERM and SIGINT finish the open step. Raises what database and queues raise.
    """
    with log_files(os.environ), open_cdc(context) as cdc:
        cdc.init()
        check_queues(cdc.rules, cdc.sender.queue, cdc.receiver.queue)
        run = StreamRun(context, cdc, until_idle)
        with ended_by_signals(run):
            run.run()
        return {"stream": cdc.name, "state": run.state, **asdict(run.total), **cdc.numbers, **cdc.statistics()}
