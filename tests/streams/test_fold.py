"""Whatever the batches are, the target and its windows are a fold of the log: no message is lost, doubled or reordered."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from ingestion.contracts.reading.streams import examine_stream
from ingestion.contracts.streams import Stream
from ingestion.settings import Connection
from ingestion.sinks.base import TableSink
from ingestion.sinks.duckdb import DuckDbDatabase
from ingestion.sources.message_files import MessageFiles
from ingestion.streams.change import Functions
from ingestion.streams.loop import Loop
from tests.examples import examples
from tests.streams.world import contract

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SIZE, SLIDE = timedelta(minutes=20), timedelta(minutes=10)
Message = dict[str, Any]
Select = Callable[[str], list[tuple[Any, ...]]]


def columns(*, key: str = "id") -> dict[str, dict[str, Any]]:
    return {
        "id": {"logicalType": "integer", "physicalType": "BIGINT", "primaryKey": True, "required": True}
        | {"physicalName": key},
        "amount": {"logicalType": "number", "physicalType": "DECIMAL(12,2)"},
        "state": {"logicalType": "string", "physicalType": "VARCHAR", "required": True},
        "version": {"logicalType": "integer", "physicalType": "BIGINT", "required": True},
        "at": {"logicalType": "timestamp", "physicalType": "TIMESTAMPTZ", "required": True},
    }


WINDOWS = [
    {"table": "w", "size": "PT20M", "slide": "PT10M", "by": ["state"], "measures": ["sum(amount)", "avg(amount)"]}
]
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(0, 5),
            "amount": st.none() | st.decimals(0, 100, places=2),
            "state": st.sampled_from("ab"),
            "version": st.integers(0, 6),
            "minute": st.integers(-30, 90),
            "gone": st.booleans() | st.just(False),
        }
    ),
    min_size=15,
    max_size=30,
)
BATCHES = st.lists(st.integers(1, 7), min_size=1, max_size=4)


def stream_of(text: str, name: str = "orders") -> Stream:
    stream, faults = examine_stream(text, "orders", path="", expected_id="streams.orders")
    assert stream is not None, faults
    return stream


@contextmanager
def duckdb_sink(stream: Stream) -> Iterator[tuple[TableSink, Select]]:
    db = DuckDbDatabase(stream.contract, "warehouse", Connection("duckdb"))
    connection = duckdb.connect(":memory:")
    connection.execute("set timezone = 'UTC'")
    db.__dict__["_connection"] = connection
    sink = TableSink(stream, db)
    yield sink, lambda query: connection.execute(query).fetchall()
    sink.close()


def fold_run(stream: Stream, sink: TableSink, messages: Sequence[Message], batches: Sequence[int]) -> Loop:
    """Write messages to two partitions by key and read them in batches of these sizes."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "orders"
        place.mkdir()
        for number in (0, 1):
            lines = [line_of(message) for message in messages if message["id"] % 2 == number]
            (place / f"{number}.jsonl").write_text("".join(lines))
        source = MessageFiles("events", Connection("files", schema=folder), ["orders"])
        sink.init()
        loop = Loop(stream, source, sink, Functions())
        step, moved = 0, True
        while moved:
            loop.stream = replace(stream, budget=replace(stream.budget, rows=batches[step % len(batches)]))
            moved, step = loop.step(), step + 1
    counts = loop.counts
    assert counts.read == len(messages) == counts.merged + counts.superseded + counts.filtered + counts.dead
    return loop


def moment(message: Message) -> datetime:
    return BEGIN + timedelta(minutes=message["minute"])


def line_of(message: Message) -> str:
    at = moment(message).isoformat()
    amount = None if message["amount"] is None else str(message["amount"])
    value = {"id": message["id"], "amount": amount, "state": message["state"], "version": message["version"], "at": at}
    text = None if message["gone"] else json.dumps(value)
    return json.dumps({"key": str(message["id"]), "value": text, "timestamp": at}) + "\n"


def windows_of(rows: Sequence[Message]) -> dict[tuple[datetime, str], tuple[int, Decimal | None]]:
    """Return count and sum per window and state."""
    found: dict[tuple[datetime, str], list[Decimal | None]] = defaultdict(list)
    for row in rows:
        start = BEGIN - timedelta(hours=2)
        while start <= moment(row):
            if moment(row) < start + SIZE:
                found[start, row["state"]].append(row["amount"])
            start += SLIDE
    return {k: (len(v), sum((x for x in v if x is not None), Decimal(0))) for k, v in found.items()}


def check(rows: Sequence[Message], select: Select, where: str = "") -> None:
    read = select(f"SELECT id, amount, state, version FROM orders {where} ORDER BY id")
    assert read == [(r["id"], r["amount"], r["state"], r["version"]) for r in sorted(rows, key=lambda r: r["id"])]
    found = select("SELECT window_start, state, row_count, coalesce(sum_amount, 0), avg_amount, count_amount FROM w")
    assert {(at, state): (count, total) for at, state, count, total, *_ in found} == windows_of(rows)
    for *_, total, average, count in found:
        assert (average is None) == (count == 0)
        assert average is None or abs(float(total) / float(count) - average) < 1e-9


@given(messages=MESSAGES, batches=BATCHES)
@examples(6)
def test_late_and_repeated_rows_leave_the_newest_of_each_key_and_windows_follow(
    messages: list[Message], batches: list[int]
) -> None:
    messages = [message | {"gone": False} for message in messages]
    stream = stream_of(contract(columns=columns(), sequence="version", time="at", windows=WINDOWS))
    newest: dict[int, Message] = {}
    for message in messages:  # a later message of the same version wins
        if message["id"] not in newest or message["version"] >= newest[message["id"]]["version"]:
            newest[message["id"]] = message

    with duckdb_sink(stream) as (sink, select):
        fold_run(stream, sink, messages, batches)
        check([*newest.values()], select)


@given(messages=MESSAGES, batches=BATCHES)
@examples(6)
def test_tombstones_take_rows_out_of_the_target_and_of_its_windows(messages: list[Message], batches: list[int]) -> None:
    stream = stream_of(contract(columns=columns(key="@key"), tombstones="delete", windows=WINDOWS))
    newest = {message["id"]: message for message in messages}

    with duckdb_sink(stream) as (sink, select):
        fold_run(stream, sink, messages, batches)
        check([m for m in newest.values() if not m["gone"]], select, "WHERE lake_deleted = 0")


@given(messages=MESSAGES, batches=BATCHES)
@examples(6)
def test_an_append_without_repeated_events_is_the_fold_and_so_are_the_extremes_of_its_windows(
    messages: list[Message], batches: list[int]
) -> None:
    messages = [message | {"gone": False, "minute": abs(message["minute"]) % 30} for message in messages]
    dedupe = {"column": "id", "period": "PT15M"}
    measures = ["min(amount)", "max(amount)", "count(amount)"]
    stream = stream_of(
        contract("append", columns(), dedupe=dedupe, windows=[{"table": "w", "size": "PT10M", "measures": measures}])
    )
    kept: list[Message] = []
    last: dict[int, datetime] = {}
    for message in messages:
        if message["id"] not in last or moment(message) - last[message["id"]] > timedelta(minutes=15):
            kept.append(message)
        last[message["id"]] = moment(message)
    expected: dict[datetime, list[Decimal]] = defaultdict(list)
    for message in kept:
        amounts = expected[moment(message) - timedelta(minutes=message["minute"] % 10)]
        amounts += [] if message["amount"] is None else [message["amount"]]

    with duckdb_sink(stream) as (sink, select):
        fold_run(stream, sink, messages, batches)
        assert sorted(select("SELECT id, version FROM orders")) == sorted((m["id"], m["version"]) for m in kept)
        found = select("SELECT window_start, min_amount, max_amount, count_amount FROM w")
    assert {at: rest for at, *rest in found} == {
        at: [min(of, default=None), max(of, default=None), len(of)] for at, of in expected.items()
    }
