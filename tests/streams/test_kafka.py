"""A true broker: positions, holes of transactions, topics that come back, and time spent away."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.errors import ConfigurationError, LakeError, SourceUnavailableError
from ingestion.stream_jobs.open import open_loop
from tests.examples import LONG_FORM
from tests.streams.broker import Broker, create_topic, delete_topic, needs_broker, produce
from tests.streams.kafka_world import orders, waits_for_the_broker, world_at
from tests.streams.world import StreamWorld, contract

pytestmark = [needs_broker, pytest.mark.xdist_group("spark")]  # they share its broker


@pytest.fixture
def world(tmp_path: Path, server: Broker) -> StreamWorld:
    return world_at(tmp_path, server)


def test_messages_are_read_once_from_all_partitions_without_any_offset_of_a_group(
    world: StreamWorld, server: Broker
) -> None:
    create_topic(server.address, "first", 3)
    world.write(contract("append", topics=["first"], budget={"rows": 100, "seconds": 1.0}))
    produce(server.address, "first", orders(*range(500)))
    assert world.counts() == (500, 500, 0, 0, 0)

    produce(server.address, "first", [*orders(*range(500, 510)), ("x", "{bad"), ("y", None)])
    assert world.counts() == (12, 10, 0, 0, 2)
    assert world.target("select count(*), count(distinct order_id) from orders") == [(510, 510)]
    assert world.target(
        "select count(*), count(distinct topic_id), max(length(topic_id)) > 10 from lake_stream_position"
    ) == [(3, 1, True)]


def test_a_message_whose_own_timestamp_is_no_moment_is_a_dead_letter_and_ends_nothing(
    world: StreamWorld, server: Broker
) -> None:
    from confluent_kafka import Producer

    create_topic(server.address, "clocks", 1, **{"message.timestamp.after.max.ms": str(2**63 - 1)})  # as before Kafka 4
    producer = Producer({"bootstrap.servers": server.address})
    moments = (2**62, 253_402_300_800_000, 253_402_300_799_999, 1)  # milliseconds; the second is the year 10000
    for (key, value), at in zip(orders(1, 2, 3, 4), moments, strict=True):
        producer.produce("clocks", value, key, timestamp=at)
    producer.flush()
    world.write(contract("append", topics=["clocks"], budget={"seconds": 1.0}))

    assert world.counts() == (4, 2, 0, 0, 2)
    assert world.target("select message_offset, breaks from lake_dead_letter order by 1") == [
        (0, "(message):timestamp"),
        (1, "(message):timestamp"),
    ]
    assert world.target("select order_id, left(lake_at::varchar, 19) from orders order by 1") == [
        (3, "9999-12-31 23:59:59"),
        (4, "1970-01-01 00:00:00"),
    ]
    assert world.replay()["merged"] == 2
    assert world.target("select order_id from orders where lake_at is null order by 1") == [(1,), (2,)]


def test_aborted_transactions_and_their_marks_are_holes(world: StreamWorld, server: Broker) -> None:
    from confluent_kafka import Producer

    create_topic(server.address, "atomic", 1)
    producer = Producer({"bootstrap.servers": server.address, "transactional.id": "t"})
    producer.init_transactions()
    for number, ends in enumerate(
        (producer.commit_transaction, producer.abort_transaction, producer.commit_transaction)
    ):
        producer.begin_transaction()
        for key, value in orders(number * 2, number * 2 + 1):
            producer.produce("atomic", value, key)
        producer.flush()  # else those of an aborted transaction are never sent
        ends()
    world.write(contract("append", topics=["atomic"], budget={"seconds": 1.0}))

    assert world.counts() == (4, 4, 0, 0, 0)
    assert world.counts() == (0, 0, 0, 0, 0)
    assert world.target("select order_id, lake_offset from orders order by all") == [(0, 0), (1, 1), (4, 6), (5, 7)]
    assert world.target("select next_offset from lake_stream_position") == [(9,)]


def test_a_topic_that_was_deleted_and_created_again_stops_the_stream(world: StreamWorld, server: Broker) -> None:
    create_topic(server.address, "again", 1)
    world.write(contract(topics=["again"], budget={"seconds": 1.0}))
    produce(server.address, "again", orders(1, 2))
    world.run()
    delete_topic(server.address, "again")
    with pytest.raises((ConfigurationError, LakeError), match="again"):
        world.run()

    create_topic(server.address, "again", 1)
    produce(server.address, "again", orders(3, 4, 5))
    with pytest.raises(LakeError, match="deleted and created again"):
        world.run()
    assert world.restart() == ["again, partition 0: begins at offset 0"]
    assert world.counts() == (3, 3, 0, 0, 0)


@pytest.mark.parametrize(("start", "expected"), [("latest", []), ("2100-01-01T00:00:00+00:00", []), ({0: 1}, [2, 3])])
def test_a_new_stream_starts_where_the_contract_says(
    world: StreamWorld, server: Broker, start: object, expected: list[int]
) -> None:
    topic = f"start{len(expected)}{len(str(start))}"
    create_topic(server.address, topic, 1)
    produce(server.address, topic, orders(1, 2, 3))
    world.write(contract(topics=[topic], start=start, budget={"seconds": 1.0}))

    world.run()
    assert [row[0] for row in world.target("select order_id from orders order by 1")] == expected


def test_a_missing_topic_and_a_broker_that_is_away_are_told_apart(
    world: StreamWorld, server: Broker, tmp_path: Path
) -> None:
    world.write(contract(topics=["missing"]))
    with pytest.raises(ConfigurationError, match="a topic of missing does not exist"):
        world.run()

    away = StreamWorld(tmp_path / "away", {"AIRFLOW_CONN_EVENTS": "kafka://127.0.0.1:1?timeout_seconds=1"})
    away.write(contract(topics=["missing"]))
    with pytest.raises(SourceUnavailableError, match="no broker answers"):
        away.loop_once()


def test_partitions_rest_while_the_target_is_away_and_no_message_is_left_out(
    world: StreamWorld, server: Broker
) -> None:
    create_topic(server.address, "resting", 2)
    produce(server.address, "resting", orders(*range(200)))
    world.write(contract("append", topics=["resting"], budget={"rows": 7, "seconds": 1.0}))
    with open_loop(world.context(), "orders") as loop:
        loop.sink.init()
        while not loop.is_caught_up:
            loop.step()
            loop.source.rest(0.01)
    assert world.target("select count(*), count(distinct order_id) from orders") == [(200, 200)]


@LONG_FORM
def test_a_broker_that_is_away_for_a_minute_is_waited_for(world: StreamWorld, server: Broker) -> None:
    waits_for_the_broker(world, server, "away", after=3, away=60)
