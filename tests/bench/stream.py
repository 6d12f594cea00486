"""What a stream costs: reading a topic, and writing it to a table beside a plain insert of the same rows.

    python -m tests.bench.stream [--messages N] [--written N]        `make bench-stream`; needs Java 17

A broker of one node; two partitions; messages of 190 bytes, and one of 1 MB among 20,000. The target is the database of
AIRFLOW_CONN_ORACLE_TEST, else a DuckDB file. Start-up is taken off the seconds and the CPU.
- read_per_second, read_cpu_us: messages read and decoded, without a target; CPU of one message
- sink_share: the rate into the target as a share of that of a plain array insert of the same rows
- cpu_us: CPU of a message from the topic into the target, without the database's own (a DuckDB file's is in it)
- peak_mb: resident memory of the process that runs the stream, whatever the backlog
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingestion.contracts.odcs import find_stream
from ingestion.sinks import open_database
from ingestion.sinks.tables import Table
from ingestion.sources.records import RECORDS
from ingestion.stream_jobs.open import open_records
from ingestion.streams.decode import decode
from ingestion.streams.loop import first_positions
from tests.bench.measure import Cost, measure
from tests.streams.broker import broker, create_topic
from tests.streams.world import StreamWorld, contract

RESULT = Path(__file__).with_name("results") / "stream.json"
LARGE = 20_000
NOTE = "x" * 90
TYPES = {
    "oracle": ("NUMBER(18)", "NUMBER(12,2)", "VARCHAR2(20)", "CLOB"),
    "duckdb": ("BIGINT", "DECIMAL(12,2)", "VARCHAR", "VARCHAR"),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=2_000_000)
    parser.add_argument("--written", type=int, default=200_000)
    parser.add_argument("--phase")
    parser.add_argument("--folder")
    parser.add_argument("--address")
    given = parser.parse_args()
    if given.phase:
        PHASES[given.phase](_world(Path(given.folder), given.address), given)
        return
    oracle = "AIRFLOW_CONN_ORACLE_TEST" in os.environ
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder)) as server:
        for topic in ("backlog", "written"):
            create_topic(server.address, topic, 2)
        arguments = ["--folder", folder, "--address", server.address]
        arguments += ["--messages", str(given.messages), "--written", str(given.written)]
        costs: dict[str, Cost] = {}
        for phase in PHASES:
            costs[phase] = measure([sys.executable, "-m", "tests.bench.stream", "--phase", phase, *arguments])
            cost = costs[phase]
            sys.stdout.write(f"{phase:8} {cost.wall:7.1f} s {cost.cpu:7.1f} s of CPU {cost.peak / 1e6:6.0f} MB\n")
    start = costs["start"]
    figures = {
        "target": "oracle" if oracle else "duckdb",
        "read_per_second": round(given.messages / costs["read"].net(start)),
        "read_cpu_us": round(1e6 * (costs["read"].cpu - start.cpu) / given.messages, 1),
        "sink_share": round(costs["insert"].net(start) / costs["stream"].net(start), 2),
        "cpu_us": round(1e6 * (costs["stream"].cpu - start.cpu) / given.written, 1),
        "peak_mb": round(max(costs["read"].peak, costs["stream"].peak) / 1e6),
    }
    RESULT.write_text(json.dumps(figures, indent=2) + "\n")
    sys.stdout.write(" ".join(f"{name}={value}" for name, value in figures.items()) + "\n")


def _world(folder: Path, address: str) -> StreamWorld:
    target = os.environ.get("AIRFLOW_CONN_ORACLE_TEST")
    connections = {"AIRFLOW_CONN_EVENTS": f"kafka://{address}"}
    world = StreamWorld(folder, connections | ({"AIRFLOW_CONN_WAREHOUSE": target} if target else {}))
    kind = "oracle" if target else "duckdb"
    names = ("order_id", "amount", "status", "note")
    logical = ("integer", "number", "string", "string")
    columns: dict[str, dict[str, Any]] = {
        name: {"logicalType": type_, "physicalType": physical}
        for name, type_, physical in zip(names, logical, TYPES[kind], strict=True)
    }
    columns["order_id"] |= {"primaryKey": True, "required": True}
    world.write(contract("append", columns, table="BENCH_STREAM", kind=kind, topics=["written"]))
    return world


def _produce(world: StreamWorld, given: argparse.Namespace) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": given.address, "linger.ms": 50, "compression.type": "lz4"})
    for topic, count in (("backlog", given.messages), ("written", given.written)):
        for number in range(count):
            note = NOTE * (11_000 if number % LARGE == LARGE - 1 else 1)
            value = f'{{"order_id": {number}, "amount": "{number % 1000}.25", "status": "new", "note": "{note}"}}'
            while True:
                try:
                    producer.produce(topic, value, str(number), partition=number % 2)
                    break
                except BufferError:
                    producer.poll(0.05)
        assert producer.flush(120) == 0
    del world


def _read(world: StreamWorld, given: argparse.Namespace) -> None:
    world.write(
        (world.settings.contracts / "streams" / "orders.odcs.yaml").read_text().replace("- written", "- backlog")
    )
    stream = find_stream(world.settings.contracts, "orders")
    source = open_records(world.context(), stream)
    positions, count = dict(first_positions(stream, source, source.logs())), 0
    while count < given.messages:
        read = source.read(positions, stream.budget)
        positions |= read.reached
        count += decode(stream.contract, read.records).rows.num_rows
    source.close()


def _stream(world: StreamWorld, given: argparse.Namespace) -> None:
    assert world.counts() == (given.written, given.written, 0, 0, 0)


def _insert(world: StreamWorld, given: argparse.Namespace) -> None:
    """Insert the same rows, already decoded, by the same batches; nothing else."""
    stream = find_stream(world.settings.contracts, "orders")
    table = Table(
        ("BENCH_PLAIN",),
        stream.contract.arrow_schema,
        ("order_id",),
        {c.name: c.physical_type for c in stream.contract.columns},
    )
    connection = world.settings.connection(stream.target or "", stream.contract.dialect)
    db = open_database(stream.contract, stream.target or "", connection)
    db.create([table])
    size = stream.budget.rows
    for first in range(0, given.written, size):
        numbers = range(first, min(first + size, given.written))
        rows = pa.table(
            {
                "order_id": pa.array(numbers, pa.int64()),
                "amount": pa.array([f"{number % 1000}.25" for number in numbers]).cast(pa.decimal128(12, 2)),
                "status": ["new"] * len(numbers),
                "note": [NOTE] * len(numbers),
            }
        )
        with db.transaction():
            db.insert(table.name, rows)
    db.close()


def _start(world: StreamWorld, given: argparse.Namespace) -> None:
    """Do what every phase does before its work."""
    del given
    stream = find_stream(world.settings.contracts, "orders")
    source = open_records(world.context(), stream)
    source.logs()
    source.close()
    assert RECORDS.names


PHASES = {"produce": _produce, "start": _start, "read": _read, "stream": _stream, "insert": _insert}

if __name__ == "__main__":
    main()
