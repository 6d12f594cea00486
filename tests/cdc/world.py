"""A database with call segments, two queues, and a program at the other end that answers each conversation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from ingestion.settings import Settings, parse_connection
from tests.sources.oracle_fixtures import OracleDesk

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
OWN = (
    *("cdc_processing_status", "cdc_calls", "cdc_processed_calls", "error_log", "cdc_orphan_results"),
    *("cdc_processing_log", "lake_stage_cdc_calls", "lake_stage_cdc_processed", "lake_stage_cdc_orphans"),
    "lake_stage_call_summary_0",
)
"""Tables whose names no contract chooses, and no other stream shares."""
LETTERS = "lake_dead_letter where stream = 'call_summary'"
"""Ours of the dead letters: other streams have the same table."""
Sql = Callable[..., list[tuple[Any, ...]]]
Column = dict[str, Any]
ZONE = ZoneInfo("Asia/Jerusalem")
_BIND = re.compile(r":(\d+)\b")


def segments_contract(kind: str = "duckdb", table: str = "VERINT_TEXT_ANALYSIS", **rules: Any) -> str:
    types = TYPES[kind]
    key = {"primaryKey": True, "required": True}
    text: Column = {"logicalType": "string"}
    columns: list[Column] = [
        {"name": "call_id", **text, "physicalType": types["id"], **key, "primaryKeyPosition": 1},
        {
            "name": "segment_no",
            "logicalType": "integer",
            "physicalType": types["number"],
            **key,
            "primaryKeyPosition": 2,
        },
        {"name": "speaker", **text, "physicalType": types["id"]},
        {"name": "text", **text, "physicalType": types["text"]},
        {"name": "text_time", "logicalType": "timestamp", "physicalType": types["time"], "required": True},
    ]
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


def results_contract(kind: str = "duckdb", table: str = "DICTA_CALL_SUMMARY", **more: Column) -> str:
    """`more` has columns, or what columns have beside the usual."""
    types = TYPES[kind]
    text: Column = {"logicalType": "string", "physicalType": types["id"]}
    columns: list[Column] = [
        {"name": "call_id", **text, "primaryKey": True, "required": True},
        {"name": "revision", "logicalType": "integer", "physicalType": types["number"], "required": True},
        {"name": "sentiment", **text, "logicalTypeOptions": {"pattern": "^(positive|neutral|negative)$"}},
        {"name": "classification_primary", **text},
        {"name": "confidence_score", "logicalType": "number", "physicalType": types["score"]},
        {
            "name": "processed_at",
            "physicalName": "@timestamp",
            "logicalType": "timestamp",
            "physicalType": "TIMESTAMPTZ" if kind == "duckdb" else types["time"],
        },
    ]
    columns = [column | more.pop(column["name"], {}) for column in columns]
    columns += [{"name": name, **text, **column} for name, column in more.items()]
    stream = {"source": "results", "target": {"system": "rtbi"}, "sequence": "revision"}
    return _contract("dicta.call_summary", kind, table, columns, {"stream": stream}, ["sqs", kind])


def _contract(
    id_: str, kind: str, table: str, columns: list[Column], lake: Mapping[str, Any], servers: Sequence[str]
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
    """
    `say` adds segments; `work` steps until nothing is to be done; `answer` is the other end.

    `oracle` is the URI of an Oracle database, if it is not a DuckDB file; `name` then ends the names of its two tables.
    `later` moves the database's clock.
    """

    folder: Path
    rules: dict[str, Any] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    oracle: str = ""
    name: str = ""
    columns: dict[str, Column] = field(default_factory=dict)
    answered: int = 0
    shift: timedelta = timedelta()

    def __post_init__(self) -> None:
        self.write()
        create_lake(self.settings.lake_root)
        if not self.oracle:
            self.create()

    @property
    def kind(self) -> str:
        return "oracle" if self.oracle else "duckdb"

    @property
    def segments(self) -> str:
        return f"VERINT_TEXT_ANALYSIS{self.name}"

    @property
    def summaries(self) -> str:
        return f"DICTA_CALL_SUMMARY{self.name}"

    @cached_property
    def desk(self) -> OracleDesk:
        return OracleDesk(parse_connection("ORACLE", self.oracle), self.folder)

    def write(self, **rules: Any) -> None:
        """Write the contracts, with changed rules."""
        self.rules |= rules
        folder = self.folder / "data_contracts" / "streams"
        folder.mkdir(parents=True, exist_ok=True)
        owner = f"{self.desk.owner}." if self.oracle else ""
        segments = segments_contract(self.kind, f"{owner}{self.segments}", **self.rules)
        (folder / "rtbi.call_segments.odcs.yaml").write_text(segments)
        results = results_contract(self.kind, f"{owner}{self.summaries}", **self.columns)
        (folder / "dicta.call_summary.odcs.yaml").write_text(results)

    def create(self) -> CdcWorld:
        """Create the table of segments."""
        types = TYPES[self.kind]
        with self.sql() as sql:
            sql(
                f"create table if not exists {self.segments} (call_id {types['id']}, segment_no {types['number']}, "
                f"speaker {types['id']}, text {types['text']}, text_time {types['time']})"
            )
        return self

    def drop(self) -> None:
        """Drop all tables, for the next test in the same schema."""
        self.desk.sql(*(f"DROP TABLE IF EXISTS {name.upper()}" for name in (*OWN, self.segments, self.summaries)))
        if self.rows("select table_name from user_tables where table_name = 'LAKE_DEAD_LETTER'"):
            self.desk.sql(f"delete from {LETTERS}")

    def environment(self) -> dict[str, str]:
        usual = {
            "LAKEHOUSE_PROJECT": str(self.folder),
            "LAKEHOUSE_ROOT": str(self.folder / "lake"),
            "AIRFLOW_CONN_RTBI": self.oracle or f"duckdb://{self.folder}/calls.duckdb",
            "AIRFLOW_CONN_CONVERSATIONS": f"queue://{self.folder}/out.db",
            "AIRFLOW_CONN_RESULTS": f"queue://{self.folder}/back.db",
        }
        return usual | self.environ

    @cached_property
    def settings(self) -> Settings:
        return Settings.from_environ(self.environment())

    def context(self) -> Context:
        return open_context(self.settings)

    # time

    def later(self, **period: float) -> None:
        """Move the database's clock on."""
        self.shift += timedelta(**period)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift

    # the program

    @contextmanager
    def cdc(self) -> Iterator[Cdc]:
        with self.cdc_unmade() as cdc:
            cdc.init()
            yield cdc

    @contextmanager
    def cdc_unmade(self) -> Iterator[Cdc]:
        """Yield both directions before their tables exist."""
        with open_cdc(self.context()) as cdc:
            self.set_clock(cdc)
            yield cdc

    def set_clock(self, cdc: Cdc) -> None:
        """Let the database's clock be what `later` says."""
        if self.shift:
            unit = "NUMTODSINTERVAL({}, 'SECOND')" if self.oracle else "INTERVAL ({}) SECOND"
            cdc.db.now = f"({type(cdc.db).now} + {unit.format(self.shift.total_seconds())})"

    def work(self, steps: int = 200) -> None:
        """Step until nothing is to be done: conversations are in the queue, and all results that came are written."""
        with self.cdc() as cdc:
            rest(cdc, steps)

    # the database

    @contextmanager
    def sql(self) -> Iterator[Sql]:
        """Yield a function that runs a statement with binds :1, :2 …, and returns its rows."""
        if self.oracle:
            yield self._on_oracle
            return
        connection = duckdb.connect(str(self.folder / "calls.duckdb"))
        connection.execute("set timezone = 'UTC'")
        try:
            yield lambda query, *binds: connection.execute(_BIND.sub(r"$\1", query), list(binds)).fetchall()
        finally:
            connection.close()

    def _on_oracle(self, query: str, *binds: Any) -> list[tuple[Any, ...]]:
        import oracledb

        with self.desk.driver().cursor() as cursor:
            moments = [oracledb.DB_TYPE_TIMESTAMP if isinstance(bind, datetime) else None for bind in binds]
            if any(moments):
                cursor.setinputsizes(*moments)
            cursor.execute(query, list(binds))
            return list(cursor.fetchall()) if cursor.description else []

    def rows(self, query: str, *binds: Any) -> list[tuple[Any, ...]]:
        with self.sql() as sql:
            return sql(query, *binds)

    def say(
        self,
        call: str,
        *texts: str,
        ago: timedelta = timedelta(hours=1),
        first: int = 1,
        step: float = 5,
        at: datetime | None = None,
    ) -> None:
        """Add segments of a call, the first one so long ago, `step` seconds apart; speakers take turns."""
        begin = at or self.now - ago
        with self.sql() as sql:
            for number, text in enumerate(texts, start=first):
                when = (begin + timedelta(seconds=step * (number - first))).astimezone(ZONE).replace(tzinfo=None)
                sql(
                    f"insert into {self.segments} values (:1, :2, :3, :4, :5)",
                    *(call, number, "AB"[number % 2], text, when),
                )

    def states(self) -> dict[str, int]:
        return dict(self.rows("select state, count(*) from cdc_processed_calls group by state order by state"))

    def results(self) -> list[tuple[Any, ...]]:
        return self.rows(f"select call_id, revision, sentiment from {self.summaries} order by 1")

    def errors(self) -> list[tuple[Any, ...]]:
        """Return call, type and message of each error."""
        return self.rows("select call_id, error_type, error_message from error_log order by 2, 3, 1")

    def letters(self) -> list[str]:
        """Return what each dead letter breaks."""
        return [row[0] for row in self.rows(f"select breaks from {LETTERS} and replayed = 0 order by 1")]

    def totals(self) -> dict[str, int]:
        return {name: int(n) for name, n in self.rows("select table_name, total_processed from cdc_processing_status")}

    def switch(self, mode: str, is_enabled: int) -> None:
        """Do what a person does by SQL."""
        with self.sql() as sql:
            sql("update cdc_processing_status set is_enabled = :1 where table_name = :2", is_enabled, mode)

    # the other end

    def queue(self, name: str) -> Queue:
        return open_queue(name, self.settings.connections[name])

    def bodies(self) -> list[bytes]:
        """Take what is in the queue of conversations."""
        queue, found = self.queue("conversations"), []
        while messages := queue.receive(wait_seconds=0):
            found += [message.body for message in messages]
            queue.delete([message.receipt for message in messages])
        return found

    def sent(self) -> list[dict[str, Any]]:
        """Take the conversations of the queue."""
        return [json.loads(body) for body in self.bodies()]

    def answer(self, *conversations: Mapping[str, Any], **changes: Any) -> None:
        """Send a result for each conversation, or for those that are in the queue now."""
        for each in conversations or self.sent():
            self.reply(json.dumps(result_of(each["call_id"], each["revision"], **changes)))

    def reply(self, body: str | bytes, **attributes: str) -> None:
        self.answered += 1
        name, given = f"{self.answered}", {"kind": "result", **attributes}
        self.queue("results").send([Outgoing("0", body.encode() if isinstance(body, str) else body, name, name, given)])


def result_of(call: str, revision: int = 1, **changes: Any) -> dict[str, Any]:
    usual = {"sentiment": "neutral", "classification_primary": "billing", "confidence_score": 0.91}
    return {"call_id": call, "revision": revision, **usual, **changes}


def rest(cdc: Cdc, steps: int = 200) -> None:
    """Step until nothing is to be done."""
    idle = 0
    for _ in range(steps):
        idle = 0 if cdc.step() else idle + 1
        if idle >= 2:
            return
    raise AssertionError("it never rested")
