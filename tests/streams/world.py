"""A project with one stream, its topics as files, and a target in a DuckDB file or in Bronze."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import yaml

from ingestion.lake import duck
from ingestion.lake.layout import create_lake
from ingestion.runs.context import Context, open_context
from ingestion.settings import Settings
from ingestion.stream_jobs.open import open_loop
from ingestion.stream_jobs.replay import replay_stream
from ingestion.stream_jobs.run import init_stream, run_stream

ORDER_ID = {"logicalType": "integer", "physicalType": "BIGINT", "primaryKey": True, "required": True}
COLUMNS: dict[str, dict[str, Any]] = {
    "order_id": ORDER_ID,
    "amount": {"logicalType": "number", "physicalType": "DECIMAL(12,2)", "logicalTypeOptions": {"minimum": 0}},
    "status": {"logicalType": "string", "physicalType": "VARCHAR"},
}


def contract(
    mode: str | None = "merge",
    columns: Mapping[str, Mapping[str, Any]] = COLUMNS,
    *,
    table: str = "orders",
    kind: str = "duckdb",
    **stream: Any,
) -> str:
    """
    Return the text of the contract `streams.orders`, into Bronze if it has no mode.

    A column's `physicalName` is its name unless it says another.
    """
    given = {"source": "events", "topics": ["orders"], "deadLetters": {"maxPercent": 100}} | stream
    if mode is not None:
        given["target"] = {"system": "warehouse", "mode": mode}
    servers = [{"server": "events", "type": "kafka"}, {"server": "warehouse", "type": kind}]
    properties = [{"name": name, "physicalName": name, **column} for name, column in columns.items()]
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "streams.orders",
        "version": "1.0.0",
        "description": {"purpose": "One row per order."},
        "servers": servers,
        "schema": [{"name": "orders", "physicalName": table, "properties": properties}],
        "customProperties": [{"property": "lake", "value": {"stream": given}}],
    }
    return yaml.safe_dump(document, sort_keys=False)


@dataclass
class StreamWorld:
    """`messages` are written to files; `run` reads them until it has caught up."""

    folder: Path
    connections: dict[str, str] = field(default_factory=dict)
    name: str = "orders"

    @cached_property
    def settings(self) -> Settings:
        usual = {
            "AIRFLOW_CONN_EVENTS": f"files://{self.folder}/messages",
            "AIRFLOW_CONN_WAREHOUSE": f"duckdb://{self.folder}/warehouse.duckdb",
        }
        environ = {"LAKEHOUSE_PROJECT": str(self.folder), "LAKEHOUSE_ROOT": str(self.folder / "lake")}
        return Settings.from_environ(environ | usual | self.connections)

    def write(self, text: str) -> None:
        path = self.folder / "data_contracts" / "streams" / f"{self.name}.odcs.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("streams.orders", f"streams.{self.name}"))
        create_lake(self.settings.lake_root)

    def context(self) -> Context:
        return open_context(self.settings)

    def send(
        self,
        *messages: Any,
        topic: str = "orders",
        partition: int = 0,
        key: Any = None,
        at: str = "2026-01-01T00:00:00Z",
    ) -> None:
        """Append messages to a partition: values are written as JSON unless they are texts (as they are) or None."""
        lines = [self._line(message, key, at) for message in messages]
        path = self.folder / "messages" / topic / f"{partition}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.writelines(lines)

    @staticmethod
    def _line(message: Any, key: Any, at: str) -> str:
        value = message if message is None or isinstance(message, str) else json.dumps(message)
        return json.dumps({"value": value, "key": key, "timestamp": at}) + "\n"

    def run(self) -> dict[str, Any]:
        done = run_stream(self.context(), self.name, until_caught_up=True)
        assert done["read"] == done["merged"] + done["superseded"] + done["filtered"] + done["dead"]
        return done

    def counts(self) -> tuple[int, int, int, int, int]:
        """Run; return read, merged, superseded, filtered, dead."""
        done = self.run()
        return done["read"], done["merged"], done["superseded"], done["filtered"], done["dead"]

    def loop_once(self) -> None:
        with open_loop(self.context(), self.name) as loop:
            loop.sink.init()
            loop.step()

    def replay(self, rule: str | None = None) -> dict[str, int]:
        return replay_stream(self.context(), self.name, rule=rule)

    def target(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(f"{self.folder}/warehouse.duckdb", read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(query).fetchall()

    def bronze(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query in which {} is Bronze's table of the stream."""
        context = self.context()
        uri = context.lake.uri("bronze", "streams", "orders")
        with duck.session(uri) as connection:
            return connection.execute(query.format(duck.scan(uri, context.engine.version(uri)))).fetchall()

    def letters(self) -> list[tuple[Any, ...]]:
        """Return offset and breaks of the dead letters of a stream into Bronze."""
        context = self.context()
        uri = context.lake.uri("quarantine", "streams", "orders")
        with duck.session(uri) as connection:
            found = duck.scan(uri, context.engine.version(uri))
            return connection.execute(f'select "offset", breaks from {found} order by 1').fetchall()

    def ledger(self) -> list[dict[str, Any]]:
        return self.context().journal.select("select * from ops.streams order by noted_at")

    def restart(self) -> list[str]:
        return init_stream(self.context(), self.name, restart=True)

    def sql(self, statements: str) -> None:
        """Run statements in the target."""
        with duckdb.connect(f"{self.folder}/warehouse.duckdb") as connection:
            connection.execute(statements)
