"""What goes wrong around a stream: Oracle and Kafka away or slow, poison of each kind, offsets lost, a target of yesterday."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

from ingestion.errors import QuarantineLimitError, SourceUnavailableError, TransientError
from ingestion.sinks.database import Refused
from ingestion.sinks.oracle import OracleDatabase
from ingestion.sources.kafka import KafkaSource
from ingestion.stream_jobs.open import open_loop
from tests.examples import LONG_FORM
from tests.sources.oracle_fixtures import oracle
from tests.streams.broker import Broker, create_topic, needs_broker, produce
from tests.streams.kafka_world import Runner, orders, world_at
from tests.streams.oracle_world import COLUMNS, OracleWorld, oracle_world
from tests.streams.proxy import Proxy, proxy
from tests.streams.world import contract

__all__ = ["oracle", "oracle_world"]
pytestmark = pytest.mark.xdist_group("spark")  # they share its broker
FEW = {name: COLUMNS[name] for name in ("id", "amount")}
AWAY = 60.0


def rows(*numbers: int) -> list[tuple[str | None, str | None]]:
    return [(str(n), json.dumps({"id": n, "amount": n})) for n in numbers]


@pytest.fixture
def between(oracle_world: OracleWorld) -> Iterator[Proxy]:
    """A proxy through which the stream, and nobody else, reaches Oracle."""
    to = oracle_world.desk.connection
    with proxy(to.host, to.port or 1521) as made:
        uri = f"oracle://{to.login}:{to.password}@127.0.0.1:{made.port}/{to.schema}"
        oracle_world.connections["AIRFLOW_CONN_WAREHOUSE"] = uri
        yield made


def members(server: Broker, group: str) -> int:
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": server.address})
    return len(admin.describe_consumer_groups([group])[group].result(30).members)


def test_a_batch_that_loses_oracle_is_taken_again_when_it_is_back(oracle_world: OracleWorld, between: Proxy) -> None:
    world = oracle_world
    world.write(world.contract("append", FEW, budget={"rows": 10}))
    world.send(*({"id": n, "amount": n} for n in range(30)))
    with open_loop(world.context(), world.name) as loop:
        loop.sink.init()
        loop.step()
        between.away()
        for _ in range(2):  # the session that is lost, and no new one
            with pytest.raises(TransientError):
                loop.step()
        between.back()
        while not loop.is_caught_up:
            loop.step()
    assert world.target("SELECT COUNT(*), COUNT(DISTINCT ID) FROM {}") == [(30, 30)]


def test_rows_that_oracle_refuses_count_for_the_brake_and_nothing_of_their_batch_is_committed(
    oracle_world: OracleWorld,
) -> None:
    world = oracle_world
    world.write(world.contract("merge", FEW, deadLetters={"maxPercent": 10}))
    with open_loop(world.context(), world.name) as loop:
        loop.sink.init()
    world.desk.sql(f"ALTER TABLE {world.table} MODIFY (AMOUNT NOT NULL)")
    world.send(*({"id": n} for n in range(100)))

    with pytest.raises(QuarantineLimitError, match="100 of the last 100 messages"):
        world.run()
    assert world.letters() == []
    world.desk.sql(f"ALTER TABLE {world.table} MODIFY (AMOUNT NULL)")
    assert world.counts() == (100, 100, 0, 0, 0)


@needs_broker
def test_a_batch_that_loses_the_broker_is_taken_again_when_it_is_back_and_a_run_may_end_meanwhile(
    tmp_path: Path, server: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KafkaSource, "looked_every", 0.0)
    world = world_at(tmp_path, server)
    world.connections["AIRFLOW_CONN_EVENTS"] = f"kafka://{server.address}?timeout_seconds=2"
    create_topic(server.address, "lost", 1)
    produce(server.address, "lost", orders(*range(30)))
    world.write(contract("append", topics=["lost"], budget={"rows": 10, "seconds": 0.5}))
    with open_loop(world.context(), world.name) as loop:
        loop.sink.init()
        loop.step()
        with open_loop(world.context(), world.name) as other:
            other.step()
            server.stop()
            before = time.monotonic()
        assert time.monotonic() - before < 10
        with pytest.raises(SourceUnavailableError):
            loop.step()
        server.start()
        while not loop.is_caught_up:
            with suppress(TransientError):
                loop.step()
    assert world.target("select count(*), count(distinct order_id) from orders") == [(30, 30)]


@needs_broker
def test_lost_offsets_of_the_group_change_nothing_and_a_target_of_yesterday_goes_on_from_there(
    tmp_path: Path, server: Broker
) -> None:
    from confluent_kafka.admin import AdminClient

    world = world_at(tmp_path, server)
    create_topic(server.address, "days", 2)
    window = {"table": "per_hour", "size": "PT1H", "measures": ["sum(amount)"]}
    world.write(contract(topics=["days"], windows=[window], budget={"rows": 30, "seconds": 1.0}))
    produce(server.address, "days", orders(*range(100)))
    world.run()
    yesterday = tmp_path / "yesterday.duckdb"
    shutil.copy(tmp_path / "warehouse.duckdb", yesterday)
    produce(server.address, "days", [*orders(*range(50, 150)), ("7", "{bad")])
    assert world.counts()[0] == 101
    queries = ("select order_id, amount from orders order by 1", "select sum(row_count), sum(sum_amount) from per_hour")
    today = [world.target(query) for query in queries]
    assert today[1] == [(150, sum(range(150)))]

    admin, group = AdminClient({"bootstrap.servers": server.address}), "lakehouse-orders"
    admin.delete_consumer_groups([group])[group].result(30)
    assert world.counts()[0] == 0
    shutil.copy(yesterday, tmp_path / "warehouse.duckdb")
    assert world.counts()[0] == 101
    assert [world.target(query) for query in queries] == today
    assert world.target("select count(*) from lake_dead_letter") == [(1,)]


@LONG_FORM
@needs_broker
def test_oracle_that_is_away_for_a_minute_is_waited_for_and_nothing_is_lost(
    oracle_world: OracleWorld, between: Proxy, server: Broker
) -> None:
    world, topic = oracle_world, oracle_world.name
    world.connections["AIRFLOW_CONN_EVENTS"] = f"kafka://{server.address}"
    create_topic(server.address, topic, 2)
    world.write(world.contract("append", FEW, topics=[topic], budget={"rows": 100, "seconds": 1.0}))
    produce(server.address, topic, rows(*range(500)))
    runner = Runner(world)
    count = "SELECT COUNT(*) FROM {}"
    time.sleep(3)  # its tables are made
    runner.wait_for(count, 500, 30)
    between.away()
    produce(server.address, topic, rows(*range(500, 1000)))
    time.sleep(AWAY)
    between.back()
    runner.wait_for(count, 1000, 2 * AWAY)
    runner.stop()

    assert world.target("SELECT COUNT(DISTINCT ID) FROM {}") == [(1000,)]
    assert sum(row["retries"] or 0 for row in world.ledger()) >= 5
    assert members(server, f"lakehouse-{world.name}") == 0


@LONG_FORM
@needs_broker
def test_an_oracle_that_takes_longer_than_kafka_waits_for_a_poll_loses_nothing(
    oracle_world: OracleWorld, between: Proxy, server: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from confluent_kafka import Consumer

    world, topic = oracle_world, oracle_world.name
    patience = {"max.poll.interval.ms": 6000, "session.timeout.ms": 6000}
    impatient = lambda config, **more: Consumer({**config, **patience}, **more)  # noqa: E731
    monkeypatch.setattr("ingestion.sources.kafka.ck.Consumer", impatient)
    world.connections["AIRFLOW_CONN_EVENTS"] = f"kafka://{server.address}"
    create_topic(server.address, topic, 2)
    world.write(world.contract("append", FEW, topics=[topic], budget={"rows": 100, "seconds": 1.0}))
    produce(server.address, topic, rows(*range(300)))
    with open_loop(world.context(), world.name) as loop:
        loop.sink.init()
        loop.step()
        between.delay, before = 2.0, time.monotonic()
        loop.step()
        between.delay = 0.0
        assert time.monotonic() - before > 6
        assert members(server, f"lakehouse-{world.name}") == 0
        while not loop.is_caught_up:
            loop.step()
    assert loop.counts.batches >= 3
    assert world.target("SELECT COUNT(*), COUNT(DISTINCT ID) FROM {}") == [(300, 300)]


KINDS = {
    '{"id": %d, "amount": 1, "code": "0123456789"}': "(row):ORA-12899",  # by the staging table
    "{bad": "(message):decode",
    '{"amount": 1}': "id:required",
    '{"id": %d, "amount": 1, "name": "abcd"}': "name:max_length",
    '{"id": %d, "amount": 1, "code": "abc"}': "(row):ORA-12899",
    '{"id": %d}': "(row):ORA-01400",
    '{"id": %d, "amount": 10000}': "(row):ORA-01438",
}


def poisoned(world: OracleWorld, monkeypatch: pytest.MonkeyPatch, messages: int) -> None:
    """Send one message of each kind of poison among so many, then repair table and contract and replay."""
    table = (
        f"CREATE TABLE {world.table} (ID NUMBER(18) NOT NULL, AMOUNT NUMBER(4) NOT NULL, NAME VARCHAR2(9 CHAR), "
        "CODE VARCHAR2(2 CHAR), LAKE_TOPIC VARCHAR2(249), LAKE_PARTITION NUMBER(10), LAKE_OFFSET NUMBER(19), "
        "LAKE_AT TIMESTAMP(6), LAKE_SEQ NUMBER(19), LAKE_DELETED NUMBER(1), PRIMARY KEY (ID))"
    )
    world.desk.sql(table)
    text = {"logicalType": "string", "physicalType": "VARCHAR2(9 CHAR)"}
    columns = FEW | {"name": text | {"logicalTypeOptions": {"maxLength": 3}}, "code": text}
    budget = {"budget": {"rows": messages}}
    world.write(world.contract("merge", columns, **budget))
    places = {messages * (2 * n + 1) // (2 * len(KINDS)): text for n, text in enumerate(KINDS)}
    world.send(
        *(places[n].replace("%d", str(n)) if n in places else {"id": n, "amount": n % 9999} for n in range(messages))
    )
    carried: list[int] = []
    honest = OracleDatabase._many

    def counted(self: OracleDatabase, sql: str, rows: pa.Table) -> Refused:
        carried.append(rows.num_rows)
        return honest(self, sql, rows)

    monkeypatch.setattr(OracleDatabase, "_many", counted)
    assert world.counts() == (messages, messages - 7, 0, 0, 7)
    assert world.letters() == [(place, KINDS[text]) for place, text in places.items()]
    assert sum(carried) <= 3 * messages

    for repair in (
        "MODIFY (AMOUNT NUMBER(38,2))",
        "MODIFY (AMOUNT NULL)",
        "DROP COLUMN CODE",  # its length cannot be modified in the stand-in for Oracle
        "ADD (CODE VARCHAR2(9 CHAR))",
    ):
        world.desk.sql(f"ALTER TABLE {world.table} {repair}")
    world.write(world.contract("merge", columns | {"name": text}, **budget))
    assert world.replay() == {"merged": 4, "superseded": 0, "filtered": 0, "dead": 3}
    assert [reason for _, reason in world.letters()] == ["(row):ORA-12899", "(message):decode", "id:required"]
    assert world.target("SELECT COUNT(*) FROM {}") == [(messages - 3,)]


def test_poison_of_each_kind_costs_three_batches_and_comes_in_after_a_repair(
    oracle_world: OracleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(oracle_world, monkeypatch, 300)


@LONG_FORM
def test_poison_of_each_kind_among_twenty_thousand_costs_three_batches(
    oracle_world: OracleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(oracle_world, monkeypatch, 20_000)
