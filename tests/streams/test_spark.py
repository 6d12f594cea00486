"""Spark reads the topics: the same tables row by row, whichever engine reads and however often it changes or dies."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingestion.errors import ConcurrentWriteError, ConfigurationError, IntegrityError, LakeError
from ingestion.settings import Connection
from ingestion.stream_jobs.open import open_loop
from ingestion.streams.loop import Loop
from ingestion.streams.ports import Applied, Change
from tests.examples import LONG_FORM
from tests.sources.oracle_fixtures import oracle
from tests.spark.session import NEEDS_SPARK, SETTINGS
from tests.streams.broker import SECONDS, Broker, create_topic, needs_broker, produce
from tests.streams.kafka_world import orders, waits_for_the_broker, world_at
from tests.streams.oracle_world import COLUMNS as OF_ORACLE
from tests.streams.oracle_world import OracleWorld, oracle_world
from tests.streams.world import COLUMNS, StreamWorld, contract

__all__ = ["oracle", "oracle_world"]
pytestmark = [
    *NEEDS_SPARK,
    needs_broker,
    pytest.mark.skipif(
        "LAKEHOUSE_SPARK_JARS" not in SETTINGS, reason="needs the jars of Kafka: make .venv/spark-kafka"
    ),
    pytest.mark.usefixtures("spark"),
]
ROOT = Path(__file__).parents[2]
NOW = int(time.time() * 1000)


@pytest.fixture
def world(tmp_path: Path, server: Broker) -> StreamWorld:
    return world_at(tmp_path, server, "spark")


def on(world: StreamWorld, engine: str) -> StreamWorld:
    return StreamWorld(world.folder, {**world.connections, "LAKEHOUSE_ENGINE": engine}, world.name)


def send_all_kinds(producer: Any, topic: str, first: int) -> None:
    """Send 90 messages: repeated keys and events in one partition each, bad ones, tombstones, headers; then aborted ones."""
    for begin, end in ((first, producer.commit_transaction), (first + 90, producer.abort_transaction)):
        producer.begin_transaction()
        for n in range(begin, begin + 90):
            value: str | None = json.dumps({"amount": f"{n % 50}.5", "status": "ab"[n % 2], "event": f"e{n % 30}"})
            value = "{bad" if n % 17 == 0 else None if n % 13 == 0 else value
            headers: Any = [("trace", f"t{n}ü".encode()), ("trace", None if n % 4 else b"\xff")] if n % 2 else None
            at = NOW - 60_000 * (n % 97)
            producer.produce(topic, value, str(n % 39), partition=n % 3, timestamp=at, headers=headers)
        producer.flush(SECONDS)  # else those of an aborted transaction are never sent
        end()


ALL_KINDS = {
    **COLUMNS,
    "order_id": {**COLUMNS["order_id"], "physicalName": "@key"},
    "status": {**COLUMNS["status"], "required": True},
    "event": {"logicalType": "string", "physicalType": "VARCHAR"},
    "trace": {"logicalType": "string", "physicalType": "VARCHAR", "physicalName": "@headers.trace"},
}
TABLES = (
    "select * from orders order by all",
    "select * from lake_dead_letter order by all",
    "select * from lake_stream_position order by all",
    "select * from lake_seen order by all",
    "select * exclude (revised_at) from hourly order by all",
)


def agree(steady: StreamWorld, changing: StreamWorld, server: Broker, topic: str) -> None:
    """Read a topic by one engine, and again by engines that take turns; what is merged depends on the batches."""
    from confluent_kafka import Producer

    create_topic(server.address, topic, 3)
    producer = Producer({"bootstrap.servers": server.address, "transactional.id": topic})
    producer.init_transactions()
    found = []
    for phase, engine in enumerate(("embedded", "spark", "embedded")):
        send_all_kinds(producer, topic, phase * 90)
        found.append(on(changing, engine).run())
    expected = on(steady, "embedded").run()
    for name in ("read", "filtered", "dead"):
        assert sum(run[name] for run in found) == expected[name]


BUDGET = {"rows": 50, "seconds": 1.0}
FUNCTIONS = """
import pyarrow as pa
import pyarrow.compute as pc

def one_more(rows):
    at = rows.schema.get_field_index("amount")
    return rows.set_column(at, rows.schema.field(at), pc.add(rows["amount"], pa.scalar(1)).cast(rows["amount"].type))

def wanted(rows):
    return pc.not_equal(rows["event"], "e7")
"""
RULES: dict[str, Any] = {
    "transform": "kinds:one_more",
    "filter": "kinds:wanted",
    "tombstones": "delete",
    "dedupe": {"column": "event", "period": "PT1H"},
    "windows": [{"table": "hourly", "size": "PT1H", "by": ["status"], "measures": ["sum(amount)", "avg(amount)"]}],
    "budget": BUDGET,
}


def test_a_stream_that_changes_its_engine_mid_topic_and_back_fills_the_same_tables(
    tmp_path: Path, server: Broker
) -> None:
    steady, changing = (world_at(tmp_path / name, server) for name in ("steady", "changing"))
    for each in (steady, changing):
        each.write(contract(columns=ALL_KINDS, topics=["changing"], **RULES))
        (each.settings.contracts / "streams" / "kinds.py").write_text(FUNCTIONS)
    agree(steady, changing, server, "changing")

    for query in TABLES:
        assert changing.target(query) == steady.target(query) != []


class Died(BaseException):
    pass


def test_what_was_committed_before_spark_noted_it_is_not_written_again_nor_what_a_rival_wrote(
    world: StreamWorld, server: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_topic(server.address, "fenced", 2)
    produce(server.address, "fenced", orders(*range(50)))
    world.write(contract("append", topics=["fenced"], budget={"rows": 20, "seconds": 1.0}))
    with open_loop(world.context(), "orders") as loop, monkeypatch.context() as patch:
        loop.sink.init()
        patch.setattr(Loop, "_account", _die)
        with pytest.raises(Died):
            read(loop)
    [(committed,)] = world.target("select count(*) from orders")
    assert 0 < committed <= 20

    with open_loop(world.context(), "orders") as loop:
        read(loop)
        assert on(world, "embedded").run()["read"] == 50 - committed - loop.counts.read
        with pytest.raises(ConcurrentWriteError):
            loop.step()
        produce(server.address, "fenced", orders(*range(50, 60)))
        read(loop)
    assert world.target("select count(*), count(distinct order_id) from orders") == [(60, 60)]


def read(loop: Loop, count: int = 1) -> None:
    """Step until so many messages were read; the first query of a session takes seconds to begin."""
    end, least = time.monotonic() + SECONDS, loop.counts.read + count
    while loop.counts.read < least:
        assert time.monotonic() < end, "messages are missing"
        loop.step()


def read_on(loop: Loop) -> None:
    for _ in range(5):
        read(loop)


def _die(_: Loop, change: Change, __: Applied) -> None:
    if change.read:
        raise Died


def test_messages_of_another_size_come_in_pieces_and_then_in_micro_batches_of_fewer_rows(
    world: StreamWorld, server: Broker
) -> None:
    def sized(*sizes: int) -> list[tuple[str | None, str | None]]:
        return [(None, json.dumps({"order_id": n, "amount": 1, "status": "x" * size})) for n, size in enumerate(sizes)]

    create_topic(server.address, "sized", 1)
    world.write(contract("append", topics=["sized"], budget={"rows": 20, "bytes": 1_600, "seconds": 1.0}))
    with open_loop(world.context(), "orders") as loop:
        loop.sink.init()
        loop.step()
        produce(server.address, "sized", sized(*[10] * 30, *[110] * 30))
        read(loop, 60)
        assert rows_of(loop) == 15, "1,600 bytes of their mean"
        assert loop.counts.batches == 1 + 6, "the first positions; two of 15, and twice 15 in two pieces"

        produce(server.address, "sized", sized(*[1_000] * 18))
        read(loop, 18)
        assert loop.counts.batches == 1 + 6 + 18, "each alone"
        produce(server.address, "sized", sized(1_000))
        read(loop)
        assert rows_of(loop) == 1
    assert world.target("select count(*), count(distinct lake_offset) from orders") == [(79, 79)]


def rows_of(loop: Loop) -> int:
    query = loop.source._query  # type: ignore[attr-defined]
    return int(query.rows)


def test_offsets_that_spark_was_not_asked_for_are_refused(
    world: StreamWorld, server: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_topic(server.address, "wrong", 1)
    produce(server.address, "wrong", orders(1, 2, 3))
    world.write(contract("append", topics=["wrong"], start={0: 2}))
    monkeypatch.setattr("ingestion.sources.kafka_spark._by_topic", lambda _: {"wrong": {0: 0}})

    with open_loop(world.context(), "orders") as loop:
        loop.sink.init()
        with pytest.raises(IntegrityError, match="from offset 0 to 2, and was asked for 2 to 3"):
            read(loop)


def test_a_session_without_the_jars_of_kafka_says_what_to_do(
    world: StreamWorld, server: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_topic(server.address, "jarless", 1)
    produce(server.address, "jarless", orders(1))
    world.write(contract("append", topics=["jarless"]))
    monkeypatch.setattr("ingestion.sources.kafka_spark.FORMAT", "kafka-without-jars")

    with pytest.raises(ConfigurationError, match="set LAKEHOUSE_SPARK_JARS to the folder"):
        world.run()


def test_login_and_certificates_become_options_of_javas_client(tmp_path: Path) -> None:
    from ingestion.sources.kafka_spark import options_of

    authority = tmp_path / "ca.pem"
    authority.write_text("a certificate")
    extra = {"sasl_mechanism": "SCRAM-SHA-512", "ssl_ca_location": str(authority)}
    options = options_of(Connection("kafka", "broker", 9093, "", 'us"er', "pass\\word", extra), 5.0)

    assert options["kafka.bootstrap.servers"] == "broker:9093"
    assert options["kafka.security.protocol"] == "SASL_SSL"
    assert options["kafka.sasl.jaas.config"] == (
        "org.apache.kafka.common.security.scram.ScramLoginModule required "
        r'username="us\"er" password="pass\\word";'
    )
    assert options["kafka.ssl.truststore.certificates"] == "a certificate"
    assert options["kafka.request.timeout.ms"] == "5000"


@LONG_FORM
def test_engines_that_take_turns_fill_the_same_table_of_oracle(oracle_world: OracleWorld, server: Broker) -> None:
    connections = oracle_world.connections | world_at(oracle_world.folder, server).connections
    worlds = []
    for name in (oracle_world.name, f"{oracle_world.name}x"):
        made = OracleWorld(oracle_world.folder, connections, name)
        made.desk, made.table = oracle_world.desk, name.upper()
        columns = {"id": {**OF_ORACLE["id"], "physicalName": "@key"}, "amount": OF_ORACLE["amount"]}
        made.write(made.contract(columns=columns, topics=[oracle_world.name], tombstones="delete", budget=BUDGET))
        worlds.append(made)
    steady, changing = worlds
    try:
        agree(steady, changing, server, oracle_world.name)
        assert changing.target("SELECT * FROM {} ORDER BY ID") == steady.target("SELECT * FROM {} ORDER BY ID") != []
        assert changing.letters() == steady.letters() != []
    finally:
        for table in (changing.table, f"LAKE_STAGE_{changing.table}_0"):
            changing.desk.sql(f"DROP TABLE IF EXISTS {table}")


@LONG_FORM
def test_engines_that_take_turns_write_the_same_log_of_bronze(tmp_path: Path, server: Broker) -> None:
    worlds = [world_at(tmp_path / name, server) for name in ("steady", "changing")]
    for each in worlds:
        each.write(contract(None, ALL_KINDS, topics=["bronze"], tombstones="delete", budget=BUDGET))
    steady, changing = worlds
    agree(steady, changing, server, "bronze")

    query = "select * exclude (_batch, _row, _ingested_at) from {} order by all"
    assert on(changing, "embedded").bronze(query) == on(steady, "embedded").bronze(query) != []
    assert changing.letters() == steady.letters() != []


@LONG_FORM
def test_fifty_kills_at_any_moment_of_a_stream_on_spark_lose_and_double_nothing(
    world: StreamWorld, server: Broker
) -> None:
    create_topic(server.address, "orders", 2)
    world.write(contract("append", budget={"rows": 60}))
    command = [
        sys.executable,
        "-m",
        "tests.streams.killer",
        str(world.folder),
        world.name,
        "",
        "50",
        "7",
        server.address,
    ]
    done = subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **SETTINGS}
    )
    world.run()

    sent = int(done.stdout.split()[-1])
    good, bad = sent - sent // 50, sent // 50
    assert world.target("select count(*), count(distinct order_id) from orders") == [(good, good)]
    assert world.target("select count(*) from lake_dead_letter") == [(bad,)]


DEADLY = """
import sys
from pathlib import Path
from tests.engines.deadly import die_at
from tests.streams.world import StreamWorld

die_at(sys.argv[1], int(sys.argv[2]), sys.argv[3])
StreamWorld(Path(sys.argv[4]), {"AIRFLOW_CONN_EVENTS": sys.argv[5], "LAKEHOUSE_ENGINE": "spark"}).run()
"""
DEATHS = [
    ("ingestion.streams.loop.Loop._account", "before"),  # the target has committed, Spark has not
    ("ingestion.sinks.duckdb.DuckDbDatabase.insert", "after"),  # neither has
    ("ingestion.sources.kafka_spark._Query.collect", "after"),  # both have
]


@LONG_FORM
@pytest.mark.parametrize(("target", "when"), DEATHS)
def test_a_kill_between_the_two_commits_and_beside_them_repeats_nothing(
    world: StreamWorld, server: Broker, target: str, when: str
) -> None:
    topic = f"deaths-{DEATHS.index((target, when))}"
    create_topic(server.address, topic, 2)
    produce(server.address, topic, orders(*range(200)))
    world.write(contract("append", topics=[topic], budget={"rows": 60}))
    events = world.connections["AIRFLOW_CONN_EVENTS"]
    command = [sys.executable, "-c", DEADLY, target, "2", when, str(world.folder), events]
    ended = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, env={**os.environ, **SETTINGS})
    assert ended.returncode == -9, ended.stderr
    [(before,)] = world.target("select count(*) from orders")
    assert 0 < before < 200

    assert world.run()["read"] == 200 - before
    assert world.target("select count(*), count(distinct order_id) from orders") == [(200, 200)]


@LONG_FORM
def test_messages_that_the_topic_deletes_under_a_running_query_stop_the_stream(
    world: StreamWorld, server: Broker
) -> None:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    create_topic(server.address, "shrinking", 1)
    produce(server.address, "shrinking", orders(*range(10)))
    world.write(contract("append", topics=["shrinking"], budget={"rows": 5}))
    with open_loop(world.context(), "orders") as loop:
        loop.sink.init()
        read(loop)
        produce(server.address, "shrinking", orders(*range(10, 30)))
        admin = AdminClient({"bootstrap.servers": server.address})
        for deleted in admin.delete_records([TopicPartition("shrinking", 0, 25)]).values():
            deleted.result(SECONDS)
        with pytest.raises(LakeError, match="not in the topic any more"):
            read_on(loop)
    assert world.target("select count(*) from orders")[0][0] <= 10


@LONG_FORM
def test_spark_waits_for_a_broker_that_is_away(world: StreamWorld, server: Broker) -> None:
    waits_for_the_broker(world, server, "absent", after=5, away=20)


@LONG_FORM
def test_the_documented_join_of_two_streams_becomes_a_topic_that_a_stream_reads(
    world: StreamWorld, server: Broker, spark: Any
) -> None:
    [code] = re.findall(r"```python\n(from pyspark.*?)```", (ROOT / "docs" / "streaming.md").read_text(), re.DOTALL)
    for topic in ("orders", "payments", "paid_orders"):
        create_topic(server.address, f"{topic}-of-the-join", 1)
        code = code.replace(f'"{topic}"', f'"{topic}-of-the-join"')
    when = "2026-01-01T{}:00:00Z"
    ordered = [{"order_id": n, "ordered_at": when.format("10")} for n in range(20)]
    paid = [{"paid_for": n, "paid_at": when.format("10" if n % 2 else "12"), "amount": f"{n}.5"} for n in range(20)]
    produce(server.address, "orders-of-the-join", [(None, json.dumps(each)) for each in ordered])
    produce(server.address, "payments-of-the-join", [(None, json.dumps(each)) for each in paid])
    names: dict[str, Any] = {"session": spark, "brokers": server.address, "checkpoint": str(world.folder / "join")}
    exec(code, names)
    names["query"].processAllAvailable()
    names["query"].stop()

    columns = {name: COLUMNS[name] for name in ("order_id", "amount")}
    world.write(contract(columns=columns, topics=["paid_orders-of-the-join"]))
    assert world.run()["dead"] == 0
    assert world.target("select order_id, amount from orders order by 1") == [
        (n, Decimal(n) + Decimal("0.5")) for n in range(1, 20, 2)
    ]
