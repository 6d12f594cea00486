"""Looks at everything that conversations need, and says at which step calls are missing. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from ingestion.cdc.run import Cdc, check_queues
from ingestion.cdc.tables import DONE, EXPIRED, FAILED, HISTORY, NORMAL, OPEN, PENDING, SENT
from ingestion.errors import LakehouseError
from ingestion.sql.quoting import quote_standard

HEALTHY_FOR = timedelta(minutes=5)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that was looked at: whether it is as it must be, what was found, and what to do if not."""

    what: str
    is_ok: bool
    finding: str = ""
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """How many calls are at one stage of their way."""

    name: str
    count: int


def check(cdc: Cdc) -> list[Found]:
    """Return what was found of the database, the segments, each table and right, and both queues, in this order."""
    try:
        with cdc.db.transaction():
            cdc.db.clock()
    except LakehouseError as exc:
        return [Found("database", is_ok=False, finding=str(exc))]
    return [Found("database", is_ok=True), _segments(cdc), *_tables(cdc), *_queues(cdc)]


def _segments(cdc: Cdc) -> Found:
    contract = cdc.rules.contract
    listed = ", ".join(quote_standard(column.source_name) for column in contract.columns)
    return _tried(
        cdc,
        f"SELECT on {'.'.join(contract.source_table)}",
        f"SELECT {listed} FROM {cdc.db.name_of(contract.source_table)} WHERE 1 = 0",
        f"Grant SELECT on it to the user of {contract.system}, or correct its name and columns in {contract.id}.",
    )


def _tables(cdc: Cdc) -> Iterator[Found]:
    for table in (*cdc.sink.tables.all, *cdc.tables.all):
        name = cdc.db.table_name(table)
        first = cdc.db.quote(table.key[0])
        shown = ".".join(table.name)
        exists = _tried(cdc, shown, f"SELECT 1 FROM {name} WHERE 1 = 0", "Run: lakehouse cdc init")
        yield exists
        for right, statement in (
            ("INSERT", f"INSERT INTO {name} SELECT * FROM {name} WHERE 1 = 0"),
            ("UPDATE", f"UPDATE {name} SET {first} = {first} WHERE 1 = 0"),
            ("DELETE", f"DELETE FROM {name} WHERE 1 = 0"),
        ):
            if exists.is_ok:
                found = _tried(cdc, f"{right} on {shown}", statement, f"Grant {right} on {shown} to the user.")
                if not found.is_ok:
                    yield found


def _tried(cdc: Cdc, what: str, statement: str, next_step: str) -> Found:
    try:
        with cdc.db.transaction():
            cdc.db.run(statement)
    except LakehouseError:
        return Found(what, is_ok=False, finding="missing, or the user may not", next_step=next_step)
    return Found(what, is_ok=True)


def _queues(cdc: Cdc) -> Iterator[Found]:
    is_reached = True
    for what, queue in (("queue of conversations", cdc.sender.queue), ("queue of results", cdc.receiver.queue)):
        try:
            facts = queue.describe()
        except LakehouseError as exc:
            is_reached = False
            yield Found(what, is_ok=False, finding=str(exc))
        else:
            yield Found(what, is_ok=True, finding=f"{facts.waiting:,} waiting")
    if is_reached:
        try:
            check_queues(cdc.rules, cdc.sender.queue, cdc.receiver.queue)
        except LakehouseError as exc:
            yield Found("two queues", is_ok=False, finding=str(exc))


def explain(cdc: Cdc) -> tuple[list[Stage], str]:
    """
    Return how many calls with segments of the last day are at each stage, and in one sentence where they are missing.

    Everything of `check` must be well.
    """
    db, tables = cdc.db, cdc.tables
    state = db.quote("state")
    with db.transaction():
        now = db.clock()
        since = now - DAY
        calls = cdc.reader.count_since(since)
        unseen = len(cdc.reader.touched(since, now))
        recent = f"{db.quote('enqueued_at')} >= :1 AND {state} = :2"
        states = (PENDING, SENT, DONE, FAILED, EXPIRED)
        counts = {name: db.counted(tables.outbox, recent, since, name) for name in states}
        waiting = db.counted(tables.calls, f"{state} = :1", OPEN)
    normal, history = cdc.reader.progress(NORMAL), cdc.reader.progress(HISTORY)
    results = cdc.receiver.queue.describe().waiting
    stages = [
        Stage("calls with segments of the last day", calls),
        Stage("of them not judged yet, or with new segments", unseen),
        Stage("calls that are not complete yet", waiting),
        Stage("conversations to be sent", counts[PENDING]),
        Stage("sent, without a result", counts[SENT]),
        Stage("with a result", counts[DONE]),
        Stage("that cannot be sent", counts[FAILED]),
        Stage("without a result, twice", counts[EXPIRED]),
        Stage("results in their queue", results),
    ]
    is_late = normal.watermark is None or now - normal.watermark > HEALTHY_FOR
    since_when = f"since {normal.watermark:%Y-%m-%d %H:%M} UTC" if normal.watermark else "yet"
    is_reading_history = history.is_enabled and cdc.rules.is_history_enabled and history.watermark != history.bound
    judged = (
        (
            not (cdc.rules.is_normal_enabled and normal.is_enabled),
            f"The normal mode is off: set IS_ENABLED of {NORMAL} to 1, or normal_mode_enabled to true.",
        ),
        (is_late, f"No cycle was completed {since_when}: `lakehouse cdc run` is not running, or fails (see its log)."),
        (not calls, "The source has no segments of the last day: look at what writes them, and at their time zone."),
        (
            counts[FAILED] > 0,
            "Conversations cannot be sent: ERROR_LOG says why; then run: lakehouse cdc replay conversations",
        ),
        (
            counts[EXPIRED] > 0 or (counts[SENT] > 0 and not results and not counts[DONE]),
            "Conversations are sent and no results come: look at the program that reads the queue.",
        ),
        (unseen > cdc.rules.batch, "Calls wait to be judged: the cycles are behind the source."),
        (is_reading_history, "All newest calls are on their way; history is still read."),
    )
    return stages, next((told for holds, told in judged if holds), "All calls are on their way.")
