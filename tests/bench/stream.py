"""What a stream costs: reading a topic, and writing it to a table beside a plain insert of the same rows.

    python -m tests.bench.stream [--messages N] [--written N]        `make bench-stream`; needs Java 17

A broker of one node; two partitions; messages of 190 bytes, and one of 1 MB among 20,000. The target is the database of
AIRFLOW_CONN_ORACLE_TEST, else a DuckDB file. Start-up is taken off the seconds and the CPU: what the same program takes
for one message or row.
- read_per_second, read_cpu_us: messages read and decoded, without a target; CPU of one message
- sink_share: the rate into the target as a share of that of a plain array insert of the same rows and columns
- sink_share_of_four: the same of an insert of the contract's four columns alone, without the six of ours
- cpu_us: CPU of a message from the topic into the target, without the database's own (a DuckDB file's is in it)
- peak_mb: resident memory of the process that runs the stream, whatever the backlog
- p99_seconds: Oracle only; from a message's production to its row's commit, at 10,000 messages a second
- read_times_spark: the rate of reading and decoding, over that of Spark's from_json without a target on the same
  cores, in micro-batches of 50,000; read_times_spark_at_once: over that of Spark in one batch of the whole topic
- stream_times_spark: the rate into the target, over that of the engine spark (foreachBatch) by the same contract into
  the same target; stream_times_spark_large: over the same with batches of 50,000 on Spark, with which it is fastest
Spark's start, what the same program takes for one message, is taken off (spark_start_seconds). These figures are left
out where Spark or its jars are missing (`make .venv/spark-kafka`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingestion.contracts.odcs import find_stream
from ingestion.contracts.streams import JSON
from ingestion.sinks import open_database
from ingestion.sinks.tables import Table, tables_of
from ingestion.sources.records import RECORDS
from ingestion.stream_jobs.open import open_records, open_sink
from ingestion.streams.decode import decode
from ingestion.streams.loop import first_positions
from tests.bench.measure import Cost, measure
from tests.spark.session import SETTINGS
from tests.streams.broker import broker, create_topic
from tests.streams.kafka_world import Runner
from tests.streams.world import StreamWorld, contract

Phase = Callable[[StreamWorld, argparse.Namespace], None]
TOPICS = ("backlog", "written", "one", "paced")
PACED_SECONDS, PACED_RATE = 20, 10_000
RESULT = Path(__file__).with_name("results") / "stream.json"
LARGE = 20_000
SPARK_ROWS = 50_000
SPARK_BATCH = {"maxOffsetsPerTrigger": str(SPARK_ROWS)}
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
        {**PHASES, "paced": _paced, **SPARK_PHASES}[given.phase](_world(Path(given.folder), given.address), given)
        return
    oracle = "AIRFLOW_CONN_ORACLE_TEST" in os.environ
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder)) as server:
        for topic in TOPICS:
            create_topic(server.address, topic, 2)
        arguments = ["--folder", folder, "--address", server.address]
        arguments += ["--messages", str(given.messages), "--written", str(given.written)]
        costs: dict[str, Cost] = {}
        for phase in (
            *PHASES,
            *(["paced"] if oracle else []),
            *(SPARK_PHASES if "LAKEHOUSE_SPARK_JARS" in SETTINGS else {}),
        ):
            costs[phase] = measure([sys.executable, "-m", "tests.bench.stream", "--phase", phase, *arguments])
            cost = costs[phase]
            sys.stdout.write(f"{phase:18} {cost.wall:7.1f} s {cost.cpu:7.1f} s of CPU {cost.peak / 1e6:6.0f} MB\n")
        p99 = json.loads((Path(folder) / "paced.json").read_text()) if oracle else None
    start, stream = costs["start"], costs["stream"].net(costs["stream_start"])
    figures = {
        "target": "oracle" if oracle else "duckdb",
        "read_per_second": round(given.messages / costs["read"].net(start)),
        "read_cpu_us": round(1e6 * (costs["read"].cpu - start.cpu) / given.messages, 1),
        "sink_share": round(costs["insert"].net(costs["insert_start"]) / stream, 2),
        "sink_share_of_four": round(costs["insert_four"].net(costs["insert_start"]) / stream, 2),
        "cpu_us": round(1e6 * (costs["stream"].cpu - costs["stream_start"].cpu) / given.written, 1),
        "peak_mb": round(max(costs["read"].peak, costs["stream"].peak) / 1e6),
    }
    figures |= {"p99_seconds": p99} if oracle else {}
    if "spark_read" in costs:
        for name in ("read", "read_at_once", "stream", "stream_large"):
            kind = name.split("_")[0]
            seconds = costs[f"spark_{name}"].net(costs[f"spark_{kind}_start"])
            ours = costs["read"].net(start) if kind == "read" else stream
            figures[f"{kind}_times_spark{name.removeprefix(kind)}"] = round(seconds / ours, 1)
        figures["spark_start_seconds"] = round(costs["spark_read_start"].wall - start.wall, 1)
    RESULT.write_text(json.dumps(figures, indent=2) + "\n")
    sys.stdout.write(" ".join(f"{name}={value}" for name, value in figures.items()) + "\n")


def _world(
    folder: Path,
    address: str,
    topic: str = "written",
    name: str = "orders",
    engine: str = "embedded",
    **stream: Any,
) -> StreamWorld:
    """Return a project with a stream of this name, that reads a topic into a table of this name."""
    target = os.environ.get("AIRFLOW_CONN_ORACLE_TEST")
    connections = {"AIRFLOW_CONN_EVENTS": f"kafka://{address}", "LAKEHOUSE_ENGINE": engine}
    world = StreamWorld(folder, connections | ({"AIRFLOW_CONN_WAREHOUSE": target} if target else {}), name)
    kind = "oracle" if target else "duckdb"
    names = ("order_id", "amount", "status", "note")
    logical = ("integer", "number", "string", "string")
    columns: dict[str, dict[str, Any]] = {
        name: {"logicalType": type_, "physicalType": physical}
        for name, type_, physical in zip(names, logical, TYPES[kind], strict=True)
    }
    columns["order_id"] |= {"primaryKey": True, "required": True}
    world.write(contract("append", columns, table=f"BENCH_{name.upper()}", kind=kind, topics=[topic], **stream))
    return world


def _produce(world: StreamWorld, given: argparse.Namespace) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": given.address, "linger.ms": 50, "compression.type": "lz4"})
    counts = {"backlog": given.messages, "written": given.written, "one": 1}
    for topic, count in counts.items():
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
        count += decode(stream.contract, JSON, read.records).rows.num_rows
    source.close()


def _stream(world: StreamWorld, given: argparse.Namespace, topic: str = "written") -> None:
    count = given.written if topic == "written" else 1
    assert _world(world.folder, given.address, topic, topic).counts() == (count, count, 0, 0, 0)


def _insert(world: StreamWorld, given: argparse.Namespace, *, has_marks: bool = True, is_start: bool = False) -> None:
    """Insert the same rows, already decoded, by the same batches; nothing else."""
    stream = find_stream(world.settings.contracts, "orders")
    target = tables_of(stream).target
    columns = target.columns if has_marks else stream.contract.arrow_schema
    key = target.key if has_marks else ("order_id",)
    table = Table((f"BENCH_PLAIN_{len(columns)}",), columns, key, target.declared)
    connection = world.settings.connection(stream.target or "", stream.contract.dialect)
    db = open_database(stream.contract, stream.target or "", connection)
    db.create([table])
    size, places = stream.budget.rows, range(given.written)
    if is_start:
        places = range(given.written, given.written + 1)
    for first in range(0, len(places), size):
        numbers = places[first : first + size]
        rows = pa.table(
            {
                "order_id": pa.array(numbers, pa.int64()),
                "amount": pa.array([f"{number % 1000}.25" for number in numbers]).cast(pa.decimal128(12, 2)),
                "status": ["new"] * len(numbers),
                "note": [NOTE] * len(numbers),
                "lake_topic": ["written"] * len(numbers),
                "lake_partition": [0] * len(numbers),
                "lake_offset": numbers,
                "lake_at": [datetime.now(UTC)] * len(numbers),
                "lake_seq": numbers,
                "lake_deleted": [0] * len(numbers),
            }
        ).select(columns.names)
        with db.transaction():
            db.insert(table.name, rows.cast(columns))
    db.close()


def _paced(world: StreamWorld, given: argparse.Namespace) -> None:
    """Note when each message was produced and when the positions beyond it were seen committed."""
    world = _world(world.folder, given.address, "paced", "paced")
    stream = find_stream(world.settings.contracts, "paced")
    sink, runner = open_sink(world.context(), stream), Runner(world)
    produced: list[list[float]] = [[], []]
    seen, total = list[tuple[float, int, int]](), PACED_SECONDS * PACED_RATE
    producing = threading.Thread(target=_produce_paced, args=(given.address, produced))
    producing.start()
    while not seen or seen[-1][1] + seen[-1][2] < total:
        reached = {partition.number: position.offset for partition, position in sink.positions().items()}
        seen.append((time.monotonic(), reached.get(0, 0), reached.get(1, 0)))
        time.sleep(0.1)
    producing.join()
    runner.stop()
    sink.close()
    lags = []
    for partition in (0, 1):
        begin = 0
        for at, *offsets in seen:
            lags += [at - moment for moment in produced[partition][begin : offsets[partition]]]
            begin = max(begin, offsets[partition])
    assert len(lags) == total
    (world.folder / "paced.json").write_text(json.dumps(round(sorted(lags)[int(0.99 * total)], 1)))


def _produce_paced(address: str, produced: list[list[float]]) -> None:
    from confluent_kafka import Producer

    producer, begun = Producer({"bootstrap.servers": address, "linger.ms": 5}), time.monotonic()
    for number in range(PACED_SECONDS * PACED_RATE):
        if number % 100 == 0:
            time.sleep(max(0.0, begun + number / PACED_RATE - time.monotonic()))
        value = f'{{"order_id": {number}, "amount": "1.25", "status": "new", "note": "{NOTE}"}}'
        produced[number % 2].append(time.monotonic())
        producer.produce("paced", value, str(number), partition=number % 2)
        producer.poll(0)
    assert producer.flush(60) == 0


def _start(world: StreamWorld, given: argparse.Namespace) -> None:
    """Do what every phase does before its work."""
    del given
    stream = find_stream(world.settings.contracts, "orders")
    source = open_records(world.context(), stream)
    source.logs()
    source.close()
    assert RECORDS.names


def _spark_read(
    world: StreamWorld, given: argparse.Namespace, topic: str = "backlog", options: Mapping[str, str] = SPARK_BATCH
) -> None:
    """Let Spark alone read a topic to its end and parse it, to a sink that keeps nothing."""
    from pyspark.sql import functions as f

    from ingestion.lake.spark.session import open_session

    fields = "order_id BIGINT, amount DECIMAL(12,2), status STRING, note STRING"
    source = {"kafka.bootstrap.servers": given.address, "subscribe": topic, "startingOffsets": "earliest", **options}
    messages = open_session(environ=_with_spark()).readStream.format("kafka").options(**source).load()
    rows = messages.select(f.from_json(f.col("value").cast("string"), fields).alias("row")).select("row.*")
    checkpoint = str(world.folder / f"spark-{topic}-{len(options)}")
    writer = rows.writeStream.format("noop").option("checkpointLocation", checkpoint)
    assert writer.trigger(availableNow=True).start().awaitTermination(600)


def _spark_stream(world: StreamWorld, given: argparse.Namespace, topic: str = "written", **budget: int) -> None:
    """Do what `_stream` does, by the engine spark: the same contract but for the budget."""
    os.environ |= _with_spark()
    name = "_".join(["spark", topic, *budget])
    on_spark = _world(world.folder, given.address, topic, name, "spark", budget=budget)
    count = given.written if topic == "written" else 1
    assert on_spark.counts() == (count, count, 0, 0, 0)


def _with_spark() -> dict[str, str]:
    return {**os.environ, **SETTINGS, "LAKEHOUSE_SPARK_CONF": '{"spark.master": "local[2]"}'}


PHASES: dict[str, Phase] = {
    "produce": _produce,
    "start": _start,
    "read": _read,
    "stream_start": partial(_stream, topic="one"),
    "stream": _stream,
    "insert_start": partial(_insert, is_start=True),
    "insert": _insert,
    "insert_four": partial(_insert, has_marks=False),
}
SPARK_PHASES: dict[str, Phase] = {
    "spark_read_start": partial(_spark_read, topic="one"),
    "spark_read": _spark_read,
    "spark_read_at_once": partial(_spark_read, options={}),
    "spark_stream_start": partial(_spark_stream, topic="one"),
    "spark_stream": _spark_stream,
    "spark_stream_large": partial(_spark_stream, rows=SPARK_ROWS),
}

if __name__ == "__main__":
    main()
