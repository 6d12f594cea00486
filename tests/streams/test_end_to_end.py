"""Messages from files into a table and into Bronze: what becomes of each, and that none is lost or doubled."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from decimal import Decimal
from typing import Any

import pytest

from ingestion.errors import (
    BrokenContractError,
    ConfigurationError,
    LakeError,
    QuarantineLimitError,
    SourceUnavailableError,
)
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.sinks.base import TableSink
from ingestion.stream_jobs import run
from ingestion.stream_jobs.open import open_loop
from ingestion.stream_jobs.run import run_stream
from ingestion.streams.ports import Applied, Change, Judge
from tests.streams.world import COLUMNS, StreamWorld, contract

ROWS = "select order_id, amount, status from orders where lake_deleted = 0 order by order_id"


def order(order_id: Any, amount: Any = 1, status: str | None = "new", **more: Any) -> dict[str, Any]:
    return {"order_id": order_id, "amount": amount, "status": status, **more}


def test_a_merge_keeps_the_newest_message_of_each_key_and_a_second_run_reads_nothing(world: StreamWorld) -> None:
    world.write(contract())
    world.send(order(1), order(2), order(1, 5, "paid"))

    assert world.counts() == (3, 2, 1, 0, 0)
    assert world.target(ROWS) == [(1, Decimal("5.00"), "paid"), (2, Decimal("1.00"), "new")]

    world.send(order(4), order(3), partition=0)
    assert world.counts() == (2, 2, 0, 0, 0)
    assert world.counts() == (0, 0, 0, 0, 0)


def test_an_append_keeps_every_message_with_its_place_in_the_topic(world: StreamWorld) -> None:
    world.write(contract("append"))
    world.send(order(1), order(1))
    world.send(order(1), partition=1)

    assert world.counts() == (3, 3, 0, 0, 0)
    assert world.target("select lake_topic, lake_partition, lake_offset from orders order by all") == [
        ("orders", 0, 0),
        ("orders", 0, 1),
        ("orders", 1, 0),
    ]


def test_messages_of_a_stream_into_bronze_become_rows_of_its_log_in_batches(world: StreamWorld) -> None:
    world.write(contract(None))
    world.send(order(1), order(1, 5), at="2026-01-02T03:04:05Z")
    assert world.counts() == (2, 2, 0, 0, 0)
    world.send(order(2), order(3, -1))
    assert world.counts() == (2, 1, 0, 0, 1)
    assert world.counts() == (0, 0, 0, 0, 0)

    columns = "order_id, amount, _op, _eff::varchar, _seq, _batch, _row, _source_system"
    assert world.bronze(f"select {columns} from {{}} order by _batch, _row") == [
        (1, Decimal("1.00"), "U", "2026-01-02 03:04:05+00", 0, 1, 1, "streams"),
        (1, Decimal("5.00"), "U", "2026-01-02 03:04:05+00", 1, 1, 2, "streams"),
        (2, Decimal("1.00"), "U", "2026-01-01 00:00:00+00", 2, 2, 1, "streams"),
    ]


BAD: list[tuple[Any, str]] = [
    ("{bad", "(message):decode"),
    ("[1]", "(message):decode"),
    ("", "(message):decode"),
    ('{"order_id": 1}{"order_id": 2}', "(message):decode"),
    ('{"order_id": 1, "order_id": 2}', "order_id:type"),
    (order("x"), "order_id:type"),
    (order(1, "12.345"), "amount:type"),
    (order(1, 1e11), "amount:type"),
    (order(1, -1), "amount:minimum"),
    (order(None), "order_id:required"),
    ({"amount": True, "status": 7, "order_id": 1}, "amount:type; status:type"),
    (None, "(message):tombstone"),
]


@pytest.mark.parametrize("mode", ["merge", None])
def test_each_message_that_breaks_the_contract_becomes_a_dead_letter_and_the_others_are_merged(
    world: StreamWorld, mode: str | None
) -> None:
    world.write(contract(mode))
    for number, (message, _) in enumerate(BAD):
        world.send(order(100 + number), message)

    assert world.counts() == (2 * len(BAD), len(BAD), 0, 0, len(BAD))
    expected = [(2 * number + 1, breaks) for number, (_, breaks) in enumerate(BAD)]
    if mode is None:
        assert world.letters() == expected
    else:
        assert world.target("select message_offset, breaks from lake_dead_letter order by 1") == expected


def test_a_message_that_cannot_be_decoded_is_told_as_such_also_where_columns_are_not_of_its_value(
    world: StreamWorld,
) -> None:
    key = {"order_id": COLUMNS["order_id"] | {"physicalName": "@key"}}
    world.write(contract(columns=key | {"amount": COLUMNS["amount"]}))
    for message in ("{bad", '{"amount": }', {"amount": "x"}):
        world.send(message, key="1")

    assert world.counts() == (3, 0, 0, 0, 3)
    breaks = [("(message):decode",), ("(message):decode",), ("amount:type",)]
    assert world.target("select breaks from lake_dead_letter order by message_offset") == breaks


def test_numbers_of_many_digits_and_moments_are_exact(world: StreamWorld) -> None:
    columns = COLUMNS | {
        "amount": {"logicalType": "number", "physicalType": "DECIMAL(38,2)"},
        "at": {"logicalType": "timestamp", "physicalType": "TIMESTAMPTZ", "physicalName": "meta.at"},
        "wall": {"logicalType": "timestamp", "physicalType": "TIMESTAMP"},
    }
    world.write(contract(columns=columns))
    exact = ' \n{"order_id": 9007199254740993, "amount": 123456789012345678901234567890123456.78, '
    world.send(
        exact + '"meta": {"at": "2026-01-01T02:00:00.123456+02:00"}, "wall": "2026-01-01T02:00:00"}\t ',
        exact + '"meta": {"at": "2026-01-01T00:00:00.1234567Z"}}',
        exact + '"wall": "2026-01-01T00:00:00Z"}',
    )

    assert world.counts() == (3, 1, 0, 0, 2)
    assert world.target('select order_id, amount, "at"::varchar, wall::varchar from orders') == [
        (
            9007199254740993,
            Decimal("123456789012345678901234567890123456.78"),
            "2026-01-01 00:00:00.123456+00",
            "2026-01-01 02:00:00",
        )
    ]
    assert world.target("select breaks from lake_dead_letter order by message_offset") == [("at:type",), ("wall:type",)]


def test_a_tombstone_deletes_its_key_and_an_older_message_does_not_bring_it_back(world: StreamWorld) -> None:
    columns = COLUMNS | {"order_id": COLUMNS["order_id"] | {"physicalName": "@key"}}
    world.write(contract(columns=columns, tombstones="delete"))
    world.send(order(1), key="1")
    world.send(order(2), key="2")
    world.send(None, key="1")
    world.send(None, key="x")

    assert world.counts() == (4, 2, 1, 0, 1)
    assert [row[0] for row in world.target(ROWS)] == [2]
    assert world.target("select amount, status from orders where lake_deleted = 1") == [(None, None)]

    world.send(order(1, 9), key="1")
    world.counts()
    assert [row[0] for row in world.target(ROWS)] == [1, 2]


def test_ignored_tombstones_count_as_filtered_and_deletes_in_bronze_are_events(world: StreamWorld) -> None:
    columns = COLUMNS | {"order_id": COLUMNS["order_id"] | {"physicalName": "@key"}}
    world.write(contract(columns=columns, tombstones="ignore"))
    world.send(None, key="1")
    assert world.counts() == (1, 0, 0, 1, 0)

    world.write(contract(None, columns=columns, tombstones="delete"))
    assert world.counts() == (1, 1, 0, 0, 0)
    assert world.bronze("select order_id, _op from {}") == [(1, "D")]


def test_more_dead_letters_than_the_contract_allows_stop_the_stream_before_the_batch_is_committed(
    world: StreamWorld,
) -> None:
    world.write(contract(deadLetters={"maxPercent": 10}))
    world.send(*(order(n) for n in range(89)), *["{bad"] * 11)

    with pytest.raises(QuarantineLimitError, match="11 of the last 100 messages"):
        world.run()
    assert world.target("select count(*) from orders") == [(0,)]
    assert [row["state"] for row in world.ledger()] == ["running", "failed"]


def test_a_replay_after_a_repair_brings_dead_letters_in_unless_the_key_has_a_newer_row(world: StreamWorld) -> None:
    world.write(contract())
    world.send(order(1, -1), order(2, -1), order(2, 2), "{bad")
    assert world.counts() == (4, 1, 0, 0, 3)

    columns = COLUMNS | {"amount": {"logicalType": "number", "physicalType": "DECIMAL(12,2)"}}
    world.write(contract(columns=columns))
    assert world.replay("amount:minimum") == {"merged": 1, "superseded": 1, "filtered": 0, "dead": 0}
    assert world.replay() == {"merged": 0, "superseded": 0, "filtered": 0, "dead": 1}
    assert world.target(ROWS) == [(1, Decimal("-1.00"), "new"), (2, Decimal("2.00"), "new")]


def test_a_replay_into_bronze_appends_each_event_once_also_if_it_dies_before_it_marks_the_letters(
    world: StreamWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(contract(None))
    world.send(order(1, -1), order(2, 2), order(1, -1), "{bad")
    assert world.counts() == (4, 1, 0, 0, 3)
    columns = COLUMNS | {"amount": {"logicalType": "number", "physicalType": "DECIMAL(12,2)"}}
    world.write(contract(None, columns=columns))

    with monkeypatch.context() as patch:
        patch.setattr(DeltaRs, "merge", lambda *_, **__: exec("raise KeyboardInterrupt"))
        with pytest.raises(KeyboardInterrupt):
            world.replay("amount:minimum")
    assert world.replay("amount:minimum") == {"merged": 0, "superseded": 2, "filtered": 0, "dead": 0}
    assert world.replay() == {"merged": 0, "superseded": 0, "filtered": 0, "dead": 1}
    assert world.bronze("select order_id, amount, _seq, _batch from {} order by _seq") == [
        (1, Decimal("-1.00"), 0, 2),
        (2, Decimal("2.00"), 1, 1),
        (1, Decimal("-1.00"), 2, 2),
    ]
    world.send(order(3))
    assert world.counts() == (1, 1, 0, 0, 0)


def test_a_topic_that_was_created_again_or_lost_messages_stops_the_stream(world: StreamWorld) -> None:
    world.write(contract())
    world.send(order(1), order(2))
    mark = world.folder / "messages" / "orders" / "_id"
    mark.write_text("one")
    world.run()

    mark.write_text("two")
    with pytest.raises(LakeError, match="it was deleted and created again"):
        world.run()
    mark.write_text("one")
    path = mark.parent / "0.jsonl"
    path.write_text("")
    with pytest.raises(LakeError, match="ends at offset 0, and 2 is committed"):
        world.run()
    path.write_text(json.dumps({"offset": 5, "value": json.dumps(order(5))}) + "\n")
    with pytest.raises(LakeError, match="begins at offset 5, and the messages from 2 on are gone"):
        world.run()

    assert world.restart() == ["orders, partition 0: begins at offset 5"]
    assert world.counts() == (1, 1, 0, 0, 0)


def test_an_overwrite_replaces_the_table_in_one_transaction_of_a_bounded_run(world: StreamWorld) -> None:
    world.write(contract("overwrite", budget={"rows": 1}))
    world.send(order(1), order(2), "{bad")
    assert world.counts() == (3, 2, 0, 0, 1)

    path = world.folder / "messages" / "orders" / "0.jsonl"
    path.unlink()
    world.send(order(3), order(4), order(4, 5))
    assert world.counts() == (3, 3, 0, 0, 0)
    assert [row[0] for row in world.target(ROWS)] == [3, 4]
    assert world.target("select count(*) from lake_dead_letter") == [(0,)]

    world.write(contract("overwrite", deadLetters={"maxPercent": 0}))
    world.send(*["{bad"] * 100)
    with pytest.raises(QuarantineLimitError):
        world.run()
    assert [row[0] for row in world.target(ROWS)] == [3, 4]
    with pytest.raises(ConfigurationError, match="Run it with --until-caught-up"):
        run_stream(world.context(), "orders", until_caught_up=False)


def test_a_field_that_the_contract_does_not_know_is_ignored_or_stops_the_stream(world: StreamWorld) -> None:
    world.write(contract(onDrift={"newField": "fail"}))
    world.send(order(1, colour="red"))
    with pytest.raises(BrokenContractError, match="colour: expected no such field"):
        world.run()
    world.write(contract())
    assert world.counts() == (1, 1, 0, 0, 0)


def test_a_run_without_end_stops_when_somebody_asks_and_finishes_its_batch(
    world: StreamWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "ASKED_EVERY", 0.1)
    world.write(contract())
    world.send(order(1))
    runner = threading.Thread(target=run_stream, args=[world.context(), "orders"], kwargs={"until_caught_up": False})
    runner.start()
    while not any(row["state"] == "running" for row in world.ledger()):
        time.sleep(0.05)
    run.ask_to_stop(world.context(), ["orders"])
    runner.join(30)

    assert not runner.is_alive()
    assert run.wait_for(world.context(), ["orders"], seconds=0) == []
    assert run.statuses(world.context(), ["orders"])[0]["state"] == "stopped"
    assert world.target("select count(*) from orders") == [(1,)]


def test_a_target_that_is_away_for_a_while_is_tried_again_with_longer_pauses(
    world: StreamWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(contract())
    world.send(order(1))
    honest, calls, pauses = TableSink.apply, [0], []

    def away(self: TableSink, change: Change, judge: Judge | None = None) -> Applied:
        calls[0] += 1
        if calls[0] <= 3:
            raise SourceUnavailableError("the target does not answer")
        return honest(self, change, judge)

    monkeypatch.setattr(TableSink, "apply", away)
    monkeypatch.setattr(run.StreamRun, "_rest", lambda self, seconds: pauses.append(seconds))
    assert world.counts() == (1, 1, 0, 0, 0)
    assert pauses == [1.0, 2.0, 4.0]
    assert world.ledger()[-1]["retries"] == 3


def test_a_compacted_topic_has_holes_that_lose_nothing(world: StreamWorld) -> None:
    world.write(contract(budget={"rows": 2}))
    path = world.folder / "messages" / "orders" / "0.jsonl"
    path.parent.mkdir(parents=True)
    offsets = [3, 7, 8, 20, 21]
    path.write_text("".join(json.dumps({"offset": n, "value": json.dumps(order(n))}) + "\n" for n in offsets))

    assert world.counts() == (5, 5, 0, 0, 0)
    assert [row[0] for row in world.target(ROWS)] == offsets


def test_a_topic_with_more_partitions_needs_a_sequence_in_the_contract(world: StreamWorld) -> None:
    world.write(contract())
    world.send(order(1))
    world.run()
    world.send(order(1, 2), partition=1)

    with pytest.raises(LakeError, match="name a `sequence`"):
        world.run()


def test_a_partition_without_messages_is_no_new_one_and_latest_is_where_the_stream_began(world: StreamWorld) -> None:
    world.write(contract(start="latest"))
    world.send(order(1))
    world.send(partition=1)
    assert world.counts() == (0, 0, 0, 0, 0)

    world.send(order(2))
    world.send(order(3), partition=1)
    assert world.counts() == (2, 2, 0, 0, 0)
    assert [row[0] for row in world.target(ROWS)] == [2, 3]


def test_a_partition_that_is_added_while_a_stream_runs_is_read_from_its_start(world: StreamWorld) -> None:
    world.write(contract("append"))
    world.send(order(1))
    with open_loop(world.context(), "orders") as loop:
        loop.sink.init()
        assert loop.step()
        world.send(order(2), partition=1)
        assert loop.step()
        assert not loop.step()
        assert (loop.counts.read, loop.is_caught_up) == (2, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_after_its_open_batch(
    world: StreamWorld, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    world.write(contract(budget={"rows": 1}))
    world.send(order(1), order(2))
    honest = TableSink.apply

    def signalled(self: TableSink, change: Change, judge: Judge | None = None) -> Applied:
        os.kill(os.getpid(), number)
        return honest(self, change, judge)

    monkeypatch.setattr(TableSink, "apply", signalled)
    done = run_stream(world.context(), "orders", until_caught_up=False)
    assert (done["state"], done["merged"], done["lag"]) == ("stopped", 1, 1)


def test_a_sequence_of_the_contract_decides_and_late_rows_are_superseded(world: StreamWorld) -> None:
    columns = COLUMNS | {"version": {"logicalType": "integer", "physicalType": "BIGINT", "required": True}}
    world.write(contract(columns=columns, sequence="version", budget={"rows": 1}))
    world.send(order(1, 1, version=5), order(1, 2, version=4), order(1, 3, version=5), order(1, 4, version=6))

    assert world.counts() == (4, 3, 1, 0, 0)
    assert world.target("select amount, lake_seq from orders") == [(Decimal("4.00"), 6)]


def test_a_message_of_a_wrong_clock_does_not_win_over_all_later_states_of_its_key(world: StreamWorld) -> None:
    moment = {"logicalType": "timestamp", "physicalType": "TIMESTAMPTZ", "required": True}
    columns = COLUMNS | {"changed_at": moment}
    world.write(contract(columns=columns, sequence="changed_at", futureTolerance="PT1H"))
    world.send(order(1, 1, changed_at="2026-01-01T00:59:59Z"), order(1, 2, changed_at="2099-01-01T00:00:00Z"))
    world.send(order(1, 3, changed_at="2026-01-02T00:00:00Z"), at="2026-01-02T00:00:00Z")

    assert world.counts() == (3, 1, 1, 0, 1)
    assert world.target("select amount from orders") == [(Decimal("3.00"),)]
    assert world.target("select breaks, message_offset from lake_dead_letter") == [("changed_at:future", 1)]


def test_functions_beside_the_contract_transform_and_filter(world: StreamWorld) -> None:
    columns = COLUMNS | {
        "total": {"logicalType": "number", "physicalType": "DECIMAL(14,2)", "physicalName": "@computed"},
        "place": {"logicalType": "integer", "physicalType": "BIGINT", "physicalName": "@offset"},
    }
    world.write(
        contract(columns=columns, transform="orders:doubled", filter="orders:is_paid", defaults={"status": "paid"})
    )
    (world.folder / "data_contracts" / "streams" / "orders.py").write_text(
        "import pyarrow.compute as pc\n"
        "def doubled(rows):\n"
        "    total = pc.multiply(rows['amount'], 2).cast(rows.schema.field('total').type)\n"
        "    return rows.set_column(rows.schema.get_field_index('total'), rows.schema.field('total'), total)\n"
        "def is_paid(rows):\n"
        "    return pc.equal(rows['status'], 'paid')\n"
    )
    world.send(order(1, 2, "paid"), order(2, 3, "new"), order(3, 4, None))

    assert world.counts() == (3, 2, 0, 1, 0)
    assert world.target("select order_id, total, place from orders order by 1") == [
        (1, Decimal("4.00"), 0),
        (3, Decimal("8.00"), 2),
    ]

    world.write(contract(columns=columns, transform="orders:missing"))
    with pytest.raises(ConfigurationError, match=r"orders\.py is missing or has no function missing"):
        world.run()


def test_fields_that_are_named_nearly_like_metadata_are_read_from_the_message(world: StreamWorld) -> None:
    text = {"logicalType": "string", "physicalType": "VARCHAR"}
    world.write(
        contract(columns=COLUMNS | {"a": text | {"physicalName": "_key"}, "b": text | {"physicalName": "xvalue"}})
    )
    world.send(order(1, _key="of the field", xvalue="another"), key="of the message")

    assert world.counts() == (1, 1, 0, 0, 0)
    assert world.target("select a, b from orders") == [("of the field", "another")]


def test_rows_are_enriched_from_a_reference_table_of_the_target(world: StreamWorld) -> None:
    world.sql(
        "create table kinds (code varchar, label varchar, rank bigint);"
        "insert into kinds values ('new', 'New', 1), ('paid', 'Paid', 2)"
    )
    columns = COLUMNS | {
        "label": {"logicalType": "string", "physicalType": "VARCHAR", "physicalName": "@computed"},
        "rank": {"logicalType": "integer", "physicalType": "BIGINT", "physicalName": "@computed"},
    }
    lookup = {"table": "kinds", "on": {"status": "code"}, "columns": {"label": "label", "rank": "rank"}}
    world.write(contract(columns=columns, lookups=[lookup]))
    world.send(order(1, 1, "paid"), order(2, 1, "gone"), order(3, 1, "new"))

    world.run()
    rows = world.target("select order_id, label, rank from orders order by 1")
    assert rows == [(1, "Paid", 2), (2, None, None), (3, "New", 1)]


def test_two_topics_fill_different_columns_of_one_row(world: StreamWorld) -> None:
    topics = [{"topic": "orders", "columns": ["amount"]}, {"topic": "states", "columns": ["status"]}]
    world.write(contract(topics=topics, budget={"rows": 3}))
    world.send({"order_id": 1, "amount": 5}, {"order_id": 2, "amount": 6}, {"order_id": 1, "amount": 7})
    world.send({"order_id": 1, "status": "paid"}, {"order_id": 3, "status": "new"}, topic="states")

    assert world.counts() == (5, 4, 1, 0, 0)
    assert world.target(ROWS) == [(1, Decimal("7.00"), "paid"), (2, Decimal("6.00"), None), (3, None, "new")]


def test_an_event_that_is_repeated_within_the_period_is_dropped(world: StreamWorld) -> None:
    columns = COLUMNS | {"event": {"logicalType": "string", "physicalType": "VARCHAR"}}
    world.write(contract("append", columns=columns, dedupe={"column": "event", "period": "PT1H"}, budget={"rows": 2}))
    for minute, event in ((0, "a"), (10, "b"), (50, "a"), (50, "a"), (110, "a"), (171, "a"), (172, None), (173, None)):
        at = f"2026-01-01T{minute // 60:02d}:{minute % 60:02d}:00Z"
        world.send(order(minute, event=event), at=at)

    assert world.counts() == (8, 5, 3, 0, 0)
    assert world.target("select order_id, event from orders order by 1") == [
        *((0, "a"), (10, "b"), (171, "a"), (172, None), (173, None)),
    ]
