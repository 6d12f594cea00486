"""A database with call segments, two queues, and a program at the other end that answers each conversation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import yaml

from ingestion.cdc.run import Cdc, open_cdc
from ingestion.lake.layout import create_lake
from ingestion.queues import open_queue
from ingestion.queues.base import Outgoing, Queue
from ingestion.runs.context import Context, open_context
from ingestion.settings import Settings

TYPES = {
    "duckdb": {"id": "VARCHAR", "number": "INTEGER", "text": "VARCHAR", "time": "TIMESTAMP", "score": "DECIMAL(5,4)"},
    "oracle": {
        "id": "VARCHAR2(64)",
        "number": "NUMBER(9)",
        "text": "CLOB",
        "time": "TIMESTAMP(6)",
        "score": "NUMBER(5,4)",
    },
}


def segments_contract(kind: str = "duckdb", table: str = "VERINT_TEXT_ANALYSIS", **rules: Any) -> str:
    types = TYPES[kind]
    columns = [
        {"name": "call_id", "logicalType": "string", "physicalType": types["id"], "primaryKey": True},
        {"name": "segment_no", "logicalType": "integer", "physicalType": types["number"], "primaryKey": True},
        {"name": "speaker", "logicalType": "string", "physicalType": types["id"]},
        {"name": "text", "logicalType": "string", "physicalType": types["text"]},
        {"name": "text_time", "logicalType": "timestamp", "physicalType": types["time"], "required": True},
    ]
    for position, column in enumerate(columns[:2], start=1):
        column |= {"primaryKeyPosition": position, "required": True}
    given = {name: name for name in ("speaker", "text")} | {
        "group": "call_id",
        "order": "segment_no",
        "time": "text_time",
        "idle": "PT5M",
        "maxWait": "PT1H",
        "queue": "conversations",
        "results": "dicta.call_summary",
        "normal_poll_interval_seconds": 0.01,
        "max_concurrent_calls": 1000,
    }
    return _contract("rtbi.call_segments", kind, table, columns, {"conversation": given | rules}, [kind])


def results_contract(kind: str = "duckdb", table: str = "DICTA_CALL_SUMMARY") -> str:
    types = TYPES[kind]
    columns = [
        {"name": "call_id", "logicalType": "string", "physicalType": types["id"], "primaryKey": True, "required": True},
        {"name": "revision", "logicalType": "integer", "physicalType": types["number"], "required": True},
        {
            "name": "sentiment",
            "logicalType": "string",
            "physicalType": types["id"],
            "logicalTypeOptions": {"pattern": "^(positive|neutral|negative)$"},
        },
        {"name": "classification_primary", "logicalType": "string", "physicalType": types["id"]},
        {"name": "confidence_score", "logicalType": "number", "physicalType": types["score"]},
        {
            "name": "processed_at",
            "physicalName": "@timestamp",
            "logicalType": "timestamp",
            "physicalType": types["time"],
        },
    ]
    if kind == "duckdb":
        columns[-1]["physicalType"] = "TIMESTAMPTZ"
    stream = {"source": "results", "target": {"system": "rtbi"}, "sequence": "revision"}
    return _contract("dicta.call_summary", kind, table, columns, {"stream": stream}, ["sqs", kind])


def _contract(
    id_: str, kind: str, table: str, columns: list[dict[str, Any]], lake: Mapping[str, Any], servers: Sequence[str]
) -> str:
    properties = [
        {"physicalName": column["name"].upper() if "stream" not in lake else column["name"]} | column
        for column in columns
    ]
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": id_,
        "version": "1.0.0",
        "description": {"purpose": "For tests."},
        "servers": [{"server": f"{name}_server", "type": name} for name in servers],
        "schema": [{"name": id_.split(".")[1], "physicalName": table, "properties": properties}],
        "customProperties": [{"property": "lake", "value": {"timezone": "Asia/Jerusalem", **lake}}],
    }
    return yaml.safe_dump(document, sort_keys=False)


@dataclass
class CdcWorld:
    """`say` adds segments; `run` works until nothing is to be done; `answer` is the other end."""

    folder: Path
    rules: dict[str, Any] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    answered: int = 0

    def __post_init__(self) -> None:
        self.write()
        create_lake(self.settings.lake_root)
        with self.sql() as sql:
            sql(
                "create table if not exists verint_text_analysis (call_id varchar, segment_no integer, "
                "speaker varchar, text varchar, text_time timestamp)"
            )

    def write(self) -> None:
        folder = self.folder / "data_contracts" / "streams"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rtbi.call_segments.odcs.yaml").write_text(segments_contract(**self.rules))
        (folder / "dicta.call_summary.odcs.yaml").write_text(results_contract())

    def environment(self) -> dict[str, str]:
        usual = {
            "LAKEHOUSE_PROJECT": str(self.folder),
            "LAKEHOUSE_ROOT": str(self.folder / "lake"),
            "AIRFLOW_CONN_RTBI": f"duckdb://{self.folder}/calls.duckdb",
            "AIRFLOW_CONN_CONVERSATIONS": f"queue://{self.folder}/out.db",
            "AIRFLOW_CONN_RESULTS": f"queue://{self.folder}/back.db",
        }
        return usual | self.environ

    @cached_property
    def settings(self) -> Settings:
        return Settings.from_environ(self.environment())

    def context(self) -> Context:
        return open_context(self.settings)

    @contextmanager
    def cdc(self) -> Iterator[Cdc]:
        with open_cdc(self.context()) as cdc:
            cdc.init()
            yield cdc

    @contextmanager
    def sql(self) -> Iterator[Any]:
        connection = duckdb.connect(str(self.folder / "calls.duckdb"))
        connection.execute("set timezone = 'UTC'")
        try:
            yield lambda query, *binds: connection.execute(query, list(binds)).fetchall()
        finally:
            connection.close()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.sql() as sql:
            return sql(query)  # type: ignore[no-any-return]

    def say(self, call: str, *texts: str, ago: timedelta = timedelta(hours=1), first: int = 1, step: int = 5) -> None:
        """Add segments of a call, the first one so long ago, `step` seconds apart; speakers take turns."""
        begin = (datetime.now(UTC) - ago).astimezone(_ZONE).replace(tzinfo=None)
        with self.sql() as sql:
            for at, text in enumerate(texts, start=first):
                when = begin + timedelta(seconds=step * (at - first))
                sql("insert into verint_text_analysis values (?, ?, ?, ?, ?)", call, at, "AB"[at % 2], text, when)

    def queue(self, name: str) -> Queue:
        return open_queue(name, self.settings.connections[name])

    def work(self, steps: int = 200) -> None:
        """Step until nothing is to be done: conversations are in the queue, and all results that came are written."""
        with self.cdc() as cdc:
            idle = 0
            for _ in range(steps):
                idle = 0 if cdc.step() else idle + 1
                if idle >= 2:
                    return
        raise AssertionError("it never rested")

    def sent(self) -> list[dict[str, Any]]:
        """Take what is in the queue of conversations."""
        queue, found = self.queue("conversations"), []
        while messages := queue.receive(wait_seconds=0):
            found += [json.loads(message.body) for message in messages]
            queue.delete([message.receipt for message in messages])
        return found

    def answer(self, *conversations: Mapping[str, Any], **changes: Any) -> None:
        """Send a result for each conversation, or for those that are in the queue now."""
        for each in conversations or self.sent():
            result = {"call_id": each["call_id"], "revision": each["revision"], "sentiment": "neutral"}
            result |= {"classification_primary": "billing", "confidence_score": 0.91, **changes}
            self.reply(json.dumps(result))

    def reply(self, body: str) -> None:
        self.answered += 1
        name = f"{self.answered}"
        self.queue("results").send([Outgoing("0", body.encode(), name, name, {"kind": "result"})])

    def states(self) -> dict[str, int]:
        return dict(self.rows("select state, count(*) from cdc_processed_calls group by 1 order by 1"))

    def results(self) -> list[tuple[Any, ...]]:
        return self.rows("select call_id, revision, sentiment from dicta_call_summary order by 1")


_ZONE = ZoneInfo("Asia/Jerusalem")
