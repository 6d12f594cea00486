"""Runs conversations without Oracle and SQS: a DuckDB file, queues in files, and a program that answers."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pyarrow as pa

from ingestion.cdc.gaps import check_calls
from ingestion.cdc.run import Cdc, open_cdc
from ingestion.contracts.odcs import STREAMS
from ingestion.demo.show import world_folder
from ingestion.demo.streams import database_of, make_project
from ingestion.queues import open_queue
from ingestion.queues.base import Outgoing, Queue
from ingestion.runs.context import open_context
from ingestion.settings import Settings
from ingestion.shipped import EXAMPLE
from ingestion.sinks.database import Database

CALLS = 200
_ZONE = ZoneInfo("Asia/Jerusalem")
_TYPES = {
    r"type: oracle": "type: duckdb",
    r"VARCHAR2\(\d+\)|CLOB": "VARCHAR",
    r"NUMBER\(9\)": "INTEGER",
    r'"NUMBER\(5,4\)"': '"DECIMAL(5,4)"',
    r"TIMESTAMP\(6\) WITH TIME ZONE": "TIMESTAMPTZ",
    r"TIMESTAMP\(6\)": "TIMESTAMP",
}
_SAID = {
    "delivery": ("Where is my order?", "It left our warehouse today.", "תודה, זה דחוף לי 🙏", "You get it tomorrow."),
    "billing": ("I was charged twice.", "I see the second payment.", "Please pay it back.", "It is on its way to you."),
    "returns": ("The shoes are too small.", "You can send them back.", "Is that free?", "Yes, for thirty days."),
}
_SEGMENTS = (
    "create table verint_text_analysis (call_id varchar, segment_no integer, speaker varchar, text varchar, "
    "text_time timestamp)"
)


@dataclass(slots=True)
class CallStory:
    """What happened, as pairs of a sentence and a number; the statistics; the newest results."""

    project: str
    steps: list[tuple[str, int]] = field(default_factory=list)
    statistics: dict[str, float] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run_call_demo(settings: Settings, *, seed: int = 7, progress: Callable[[str], None] | None = None) -> CallStory:
    """Write a project of its own beside the lake and run conversations in it. An earlier demo's project is replaced."""
    told = progress or (lambda _step: None)
    world = world_folder(settings)
    folder = world.with_name(f"{world.name.removesuffix('-world')}-calls")
    told("calls")
    own = _project(folder)
    story = CallStory(str(folder))
    now = datetime.now(UTC)
    with open_cdc(open_context(own)) as cdc:
        cdc.init()
        worker = _Worker(own, cdc.db, random.Random(seed))  # noqa: S311 - not for secrets
        worker.say(range(CALLS), now - timedelta(days=2), spread=timedelta(days=1))
        told("history")
        _work(cdc, worker)
        story.steps.append(("calls of the day before yesterday, sent and answered", worker.answered))
        told("newest calls")
        worker.say(range(CALLS, CALLS + 20), datetime.now(UTC) - timedelta(minutes=8), spread=timedelta(minutes=2))
        worker.say(range(CALLS + 20, CALLS + 22), now - timedelta(minutes=1), spread=timedelta(seconds=1))
        before = worker.answered
        _work(cdc, worker)
        story.steps.append(("new calls, sent and answered", worker.answered - before))
        told("late segments, repetitions, poison")
        worker.add_late_segments(range(3))
        worker.repeat_answers(5)
        worker.poison(2)
        before = worker.answered
        check_calls(cdc, window=timedelta(days=7), repair=True)
        _work(cdc, worker)
        story.steps.append(("segments a day late, found by `cdc gaps`: sent as revision 2", worker.answered - before))
        story.statistics = {**cdc.numbers, **cdc.statistics()}
    with database_of(folder, "calls") as connection:
        for sentence, query in (
            ("calls that are not complete yet", "select count(*) from cdc_calls where state = 'OPEN'"),
            ("results that broke the contract: dead letters", "select count(*) from lake_dead_letter"),
            ("calls with a result", "select count(distinct call_id) from dicta_call_summary"),
        ):
            story.steps.append((sentence, connection.sql(query).fetchall()[0][0]))
        story.results = (
            connection.sql(
                "select classification_primary, sentiment, count(*) as calls, max(revision) as newest_revision "
                "from dicta_call_summary group by all order by all"
            )
            .to_arrow_table()
            .to_pylist()
        )
    return story


def _project(folder: Path) -> Settings:
    place = quote(str(folder))
    contracts = {}
    below = "\n" + " " * 8
    since = (datetime.now(UTC) - timedelta(days=3)).isoformat(timespec="seconds")
    for path in sorted((EXAMPLE / "data_contracts" / STREAMS).glob("*.odcs.yaml")):
        text = path.read_text()
        for oracle, duckdb in _TYPES.items():
            text = re.sub(oracle, duckdb, text)
        for usual, ours in (
            ("historical_mode_enabled: false", f"historical_start_date: {since!r}{below}historical_mode_enabled: true"),
            ("interval_seconds: 10", "interval_seconds: 0.2"),
            ("max_concurrent_calls: 10", "max_concurrent_calls: 1000"),
        ):
            text = text.replace(usual, ours)
        contracts[path.name] = text
    own = make_project(
        folder,
        contracts,
        {
            "AIRFLOW_CONN_RTBI": f"duckdb://{place}/calls.duckdb",
            "AIRFLOW_CONN_CONVERSATIONS": f"queue://{place}/conversations.db",
            "AIRFLOW_CONN_RESULTS": f"queue://{place}/results.db",
        },
    )
    with database_of(folder, "calls") as connection:
        connection.execute(_SEGMENTS)
    return own


def _work(cdc: Cdc, worker: _Worker) -> None:
    """Step until nothing is to be done, and let the other end answer meanwhile."""
    idle = 0
    while idle < 3:
        is_busy = cdc.step()
        idle = 0 if worker.answer() or is_busy else idle + 1


class _Worker:
    """The recording system and the summary service of the demo."""

    def __init__(self, settings: Settings, db: Database, chance: random.Random) -> None:
        self._db, self._chance = db, chance
        self._conversations: Queue = open_queue("conversations", settings.connections["conversations"])
        self._results: Queue = open_queue("results", settings.connections["results"])
        self._sent: list[bytes] = []
        self.answered = 0

    def say(self, calls: range, since: datetime, *, spread: timedelta) -> None:
        rows = []
        for call in calls:
            begin = (since + spread * self._chance.random()).astimezone(_ZONE).replace(tzinfo=None)
            said = _SAID[[*_SAID][call % len(_SAID)]]
            rows += [
                (f"call-{call:04}", at, ("customer", "agent")[at % 2 == 0], text, begin + timedelta(seconds=4 * at))
                for at, text in enumerate(said, start=1)
            ]
        self._insert(rows)

    def add_late_segments(self, calls: range) -> None:
        at = (datetime.now(UTC) - timedelta(days=1)).astimezone(_ZONE).replace(tzinfo=None)
        self._insert([(f"call-{call:04}", 5, "customer", "Thank you, goodbye.", at) for call in calls])

    def _insert(self, rows: list[tuple[Any, ...]]) -> None:
        names = ["call_id", "segment_no", "speaker", "text", "text_time"]
        with self._db.transaction():
            arrived = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
            self._db.insert(("verint_text_analysis",), arrived)

    def answer(self) -> int:
        """Answer all conversations that wait; return how many."""
        count = 0
        while messages := self._conversations.receive(wait_seconds=0):
            bodies = [self._answer_to(json.loads(message.body)) for message in messages]
            self._send(bodies)
            self._conversations.delete([message.receipt for message in messages])
            count += len(messages)
        self.answered += count
        return count

    def _answer_to(self, conversation: dict[str, Any]) -> bytes:
        first = conversation["turns"][0]["text"]
        topic = next(name for name, said in _SAID.items() if said[0] == first)
        answer = {
            **{name: conversation[name] for name in ("call_id", "revision")},
            "sentiment": self._chance.choice(["positive", "neutral", "negative"]),
            "classification_primary": topic,
            "confidence_score": round(self._chance.uniform(0.6, 1), 4),
            "summary": f"A call about {topic}, {conversation['segments']} segments.",
        }
        return json.dumps(answer).encode()

    def repeat_answers(self, count: int) -> None:
        self._send(self._sent[-count:])

    def poison(self, count: int) -> None:
        self._send([b'{"call_id": "call-0001", "revision": 1, "sentiment": "furious"}', b"no JSON"][:count])

    def _send(self, bodies: list[bytes]) -> None:
        self._sent += bodies
        name = str(len(self._sent))
        self._results.send(
            [Outgoing(f"{at}", body, name, f"{name}-{at}", {"kind": "result"}) for at, body in enumerate(bodies)]
        )
