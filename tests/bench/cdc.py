"""What conversations cost: reading and assembling, entering, sending. `make bench-cdc`.

    python -m tests.bench.cdc [--calls N]

With AIRFLOW_CONN_ORACLE_TEST in that database, else in a DuckDB file. Calls have 20 segments, 5 kB in all.
- read: calls per second, read 200 at a time and with one query per call, and how many times faster that is
- cpu_ms: CPU per conversation from the source into the outbox
- send: conversations per second through a queue whose requests take 20 ms, as a share of what that queue takes at most
- peak_mb: of a process that enters and sends all of them
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingestion.cdc.run import Cdc, open_cdc
from ingestion.lake.layout import create_lake
from ingestion.queues.base import Outgoing, QueueFacts, Received, Sent
from ingestion.runs.context import open_context
from ingestion.settings import Settings
from ingestion.streams.conversations import assemble
from tests.cdc.world import results_contract, segments_contract

RESULT = Path(__file__).with_name("results") / "cdc.json"
SEGMENTS, TEXT = 20, "What was said in this call, in some words of a customer. " * 4
SINGLE = 500
LATENCY = 0.02


class SlowQueue:
    """Takes ten messages in 20 ms, and never answers."""

    def __init__(self) -> None:
        self.count = 0

    def describe(self) -> QueueFacts:
        return QueueFacts("slow", is_fifo=False, max_bytes=1 << 20, waiting=0, in_flight=0, visibility_seconds=30)

    def send(self, messages: Sequence[Outgoing]) -> Sent:
        for _ in range(0, len(messages), 10):
            time.sleep(LATENCY)
        self.count += len(messages)
        return Sent({message.id: f"m{self.count}-{message.id}" for message in messages}, {})

    def receive(self, **_: Any) -> list[Received]:
        return []

    def extend(self, receipts: Sequence[str], seconds: int) -> None: ...

    def delete(self, receipts: Sequence[str]) -> int:
        return len(receipts)

    def close(self) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=20_000)
    calls = parser.parse_args().calls
    oracle = os.environ.get("AIRFLOW_CONN_ORACLE_TEST")
    kind = "oracle" if oracle else "duckdb"
    with (
        tempfile.TemporaryDirectory() as folder,
        open_cdc(open_context(_settings(Path(folder), kind, oracle))) as cdc,
    ):
        _drop(cdc)
        try:
            figures = {"kind": kind, "calls": calls, **_measure(cdc, calls)}
        finally:
            _drop(cdc)
    RESULT.write_text(json.dumps(figures, indent=2) + "\n")
    sys.stdout.write(" ".join(f"{name}={value}" for name, value in figures.items()) + "\n")


def _settings(folder: Path, kind: str, oracle: str | None) -> Settings:
    contracts = folder / "data_contracts" / "streams"
    contracts.mkdir(parents=True)
    rules: dict[str, Any] = {"max_concurrent_calls": 10**9, "historical_batch_size": 200, "max_batch_size": 1000}
    rules |= {"historical_mode_enabled": True, "historical_start_date": (_now() - timedelta(days=3)).isoformat()}
    text = segments_contract(kind, table="BENCH_SEGMENTS", **rules)
    (contracts / "rtbi.call_segments.odcs.yaml").write_text(text)
    (contracts / "dicta.call_summary.odcs.yaml").write_text(results_contract(kind, table="BENCH_SUMMARY"))
    settings = Settings.from_environ(
        {
            "LAKEHOUSE_PROJECT": str(folder),
            "LAKEHOUSE_ROOT": str(folder / "lake"),
            "AIRFLOW_CONN_RTBI": oracle or f"duckdb://{folder}/calls.duckdb",
            "AIRFLOW_CONN_CONVERSATIONS": f"queue://{folder}/out.db",
            "AIRFLOW_CONN_RESULTS": f"queue://{folder}/back.db",
        }
    )
    create_lake(settings.lake_root)
    return settings


def _measure(cdc: Cdc, calls: int) -> dict[str, float]:
    _fill(cdc, calls)
    cdc.init()
    names = [f"call-{number:06}" for number in range(calls)]
    cdc.rules = replace(cdc.rules, batch=50)
    some = names[: min(calls, 10 * SINGLE)]
    together = _rate(cdc, [some[at : at + 200] for at in range(0, len(some), 200)])
    alone = _rate(cdc, [[name] for name in some[:SINGLE]])
    queue = SlowQueue()
    cdc.sender.queue = cdc.receiver.queue = queue
    cdc.reader.poll()
    cdc.reader.step()
    began = time.process_time()
    while cdc.reader.look_back() and cdc.reader.step():
        pass
    entering = time.process_time() - began
    began_at = time.monotonic()
    cdc.sender.rules = replace(cdc.rules, batch=1000)
    while cdc.sender.step():
        pass
    sending = time.monotonic() - began_at
    assert queue.count == calls, (queue.count, calls)
    return {
        "read_together": round(together),
        "read_alone": round(alone),
        "read_ratio": round(together / alone, 1),
        "cpu_ms": round(1000 * entering / calls, 3),
        "send_per_second": round(calls / sending),
        "send_share": round(calls / sending / (10 / LATENCY), 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _rate(cdc: Cdc, batches: list[list[str]]) -> float:
    began, now = time.monotonic(), _now()
    count = 0
    for batch in batches:
        with cdc.db.transaction():
            count += len(assemble(cdc.rules, cdc.reader.segments(batch), now))
    assert count == sum(map(len, batches))
    return count / (time.monotonic() - began)


def _fill(cdc: Cdc, calls: int) -> None:
    table, db = cdc.rules.contract.source_table, cdc.db
    columns = ", ".join(f'"{c.source_name}" {c.physical_type}' for c in cdc.rules.contract.columns)
    with db.transaction():
        db.run(f"CREATE TABLE {db.name_of(table)} ({columns})")
        db.run(f'CREATE INDEX BENCH_CALLS ON {db.name_of(table)} ("CALL_ID")')
    begin = (_now() - timedelta(days=2)).replace(tzinfo=None)
    for first in range(0, calls, 500):
        numbers = [number for number in range(first, min(first + 500, calls)) for _ in range(SEGMENTS)]
        rows = pa.table(
            {
                "CALL_ID": [f"call-{number:06}" for number in numbers],
                "SEGMENT_NO": pa.array([1 + at % SEGMENTS for at in range(len(numbers))], pa.int64()),
                "SPEAKER": ["AB"[at % 2] for at in range(len(numbers))],
                "TEXT": [TEXT] * len(numbers),
                "TEXT_TIME": pa.array(
                    [begin + timedelta(seconds=number + at % SEGMENTS) for at, number in enumerate(numbers)],
                    pa.timestamp("us"),
                ),
            }
        )
        with db.transaction():
            db.insert(table, rows)


def _drop(cdc: Cdc) -> None:
    made = (*cdc.sink.tables.all, *cdc.tables.all)
    names = [cdc.rules.contract.source_table, *(name for table in made for name in (table.name, table.stage) if name)]
    for name in names:
        try:
            with cdc.db.transaction():
                cdc.db.run(f"DROP TABLE {cdc.db.name_of(name)}")
        except Exception:
            continue


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main()
