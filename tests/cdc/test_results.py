"""Results in any order, repeated, wrong or unknown: each conversation has one result, nothing is lost or blocked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from ingestion.cdc.results import Receiver
from ingestion.cdc.run import Cdc, check_queues
from ingestion.errors import ConfigurationError, LakehouseError, SourceUnavailableError
from ingestion.queues.base import Outgoing
from ingestion.queues.local import LocalQueue
from ingestion.sinks.base import TableSink
from ingestion.streams.ports import Applied, Change
from tests.cdc.conftest import SHORT_ON_ORACLE, MakeWorld
from tests.cdc.world import LETTERS, CdcWorld, rest, result_of

HOUR = timedelta(hours=1)


def waiting(world: CdcWorld, name: str = "results") -> int:
    facts = world.queue(name).describe()
    return facts.waiting + facts.in_flight


def send_calls(world: CdcWorld, *calls: str) -> None:
    for call in calls:
        world.say(call, "one", "two")
    world.work()
    world.sent()


def statistics_are_those_of_the_tables(world: CdcWorld) -> None:
    """Of a world in which no conversation has more than one revision, and no result came twice."""
    [(outbox, sent, written, dead, orphans)] = world.rows(
        "select (select count(*) from cdc_processed_calls), "
        "(select count(*) from cdc_processed_calls where sqs_message_id is not null), "
        f"(select count(*) from {world.summaries}), (select count(*) from {LETTERS}), "
        f"(select count(*) from cdc_orphan_results){' from dual' if world.oracle else ''}"
    )
    with world.cdc() as cdc:  # as after a restart
        found = cdc.statistics()
    assert (found["calls_processed"], found["sqs_sent"]) == (outbox, sent)
    assert (found["ml_results_written"], found["ml_results_received"]) == (written, written + dead + orphans)


def test_results_out_of_order_and_repeated_leave_the_newest_revision(world: CdcWorld) -> None:
    send_calls(world, "a", "b")
    world.say("a", "three", first=3)
    world.work()
    for revision, sentiment in ((2, "positive"), (1, "negative"), (2, "positive"), (1, "negative")):
        world.reply(json.dumps(result_of("a", revision, sentiment=sentiment)))
    world.reply(json.dumps(result_of("b")))
    world.work()
    assert world.results() == [("a", 2, "positive"), ("b", 1, "neutral")]
    assert world.states() == {"DONE": 3}
    for revision in (1, 2):  # the first result of a revision stays
        world.reply(json.dumps(result_of("a", revision, sentiment="negative")))
        world.work()
    assert world.results() == [("a", 2, "positive"), ("b", 1, "neutral")]
    assert waiting(world) == 0


POISON = {
    "no JSON": (b"{bad", "(message):decode"),
    "no object": (b"[1, 2]", "(message):decode"),
    "no UTF-8": (b"\xff\xfe\xfd", "(message):decode"),
    "nothing": (b"null", "(message):decode"),
    "a text in place of a number": (json.dumps(result_of("a") | {"revision": "first"}).encode(), "revision:type"),
    "a number with a fraction": (json.dumps(result_of("a") | {"revision": 1.5}).encode(), "revision:type"),
    "a number that is too large": (json.dumps(result_of("a") | {"revision": 2**70}).encode(), "revision:type"),
    "a list in place of a text": (json.dumps(result_of("a", sentiment=["neutral"])).encode(), "sentiment:type"),
    "an unknown sentiment": (json.dumps(result_of("a", sentiment="angry")).encode(), "sentiment:pattern"),
    "no call": (json.dumps({"revision": 1}).encode(), "call_id:required"),
    "no revision": (json.dumps({"call_id": "a"}).encode(), "revision:required"),
    "deep": (b'{"call_id": ' + b"[" * 5000 + b"]" * 5000 + b"}", "call_id:type"),
}


def test_a_result_that_breaks_its_contract_is_kept_and_told_and_holds_up_no_other(world: CdcWorld) -> None:
    send_calls(world, "a", "b")
    for body, _ in POISON.values():
        world.reply(body)
    world.reply(json.dumps(result_of("b")))
    world.work()
    assert world.results() == [("b", 1, "neutral")]
    assert world.states() == {"DONE": 1, "SENT": 1}
    letters = world.letters()
    assert len(letters) == len(POISON)
    for name, (_, told) in POISON.items():
        assert any(told in letter for letter in letters), (name, letters)
    assert sorted(message for _, kind, message in world.errors() if kind == "RESULT") == sorted(letters)
    assert waiting(world) == 0
    world.reply(json.dumps(result_of("a")))
    world.work()
    assert world.results() == [("a", 1, "neutral"), ("b", 1, "neutral")]
    statistics_are_those_of_the_tables(world)


@SHORT_ON_ORACLE
def test_a_result_that_the_database_refuses_is_kept_and_its_conversation_is_not_done(make_world: MakeWorld) -> None:
    world = make_world(columns={"note": {}}, resultTimeout="PT1H")
    narrow = {"duckdb": '"note" varchar CHECK (length("note") <= 3)', "oracle": '"NOTE" VARCHAR2(3)'}[world.kind]
    usual = {"duckdb": '"note" varchar', "oracle": '"NOTE" VARCHAR2(64)'}[world.kind]
    with world.cdc_unmade() as cdc, world.sql() as sql:
        [statement] = [each for each in cdc.plan() if f'{world.summaries}" (' in each]
        assert usual in statement
        sql(statement.replace(usual, narrow))
    send_calls(world, "a", "b", "c")
    for call, note in (("a", "yes"), ("b", "too long"), ("c", "no")):
        world.reply(json.dumps(result_of(call, note=note)))
    world.work()
    assert [row[0] for row in world.results()] == ["a", "c"]
    assert world.states() == {"DONE": 2, "SENT": 1}
    [letter] = world.letters()
    assert letter.startswith("(row):")
    assert [kind for _, kind, message in world.errors() if message == letter] == ["RESULT"]
    assert waiting(world) == 0
    with world.cdc() as cdc:
        assert cdc.receiver.replay().dead == 1
    assert world.letters() == [letter]
    statistics_are_those_of_the_tables(world)


@SHORT_ON_ORACLE
def test_results_of_unknown_calls_and_revisions_are_kept_apart_until_they_are_known(world: CdcWorld) -> None:
    send_calls(world, "a")
    for call, revision in (("a", 2), ("a", 0), ("a", -1), ("a", 99_999_999), ("later", 1), ("never", 1), ("a", 1)):
        world.reply(json.dumps(result_of(call, revision)))
    world.work()
    kept = "select call_id, revision from cdc_orphan_results order by 1, 2"
    orphans = [("a", -1), ("a", 0), ("a", 2), ("a", 99_999_999), ("later", 1), ("never", 1)]
    assert world.rows(kept) == orphans
    assert world.results() == [("a", 1, "neutral")]
    send_calls(world, "later")
    with world.cdc() as cdc:
        cdc.receiver.replay()
    assert [row[:2] for row in world.results()] == [("a", 1), ("later", 1)]
    assert world.rows(kept) == [each for each in orphans if each[0] != "later"]
    assert world.states() == {"DONE": 2}


@SHORT_ON_ORACLE
def test_a_revision_of_any_size_is_an_orphan(make_world: MakeWorld) -> None:
    """It does not fit into what conversations count their revisions in."""
    world = make_world(columns={"revision": {"physicalType": "NUMBER(18)"}})
    if world.kind == "duckdb":
        world.columns = {"revision": {"physicalType": "BIGINT"}}
        world.write()
    send_calls(world, "a")
    world.reply(json.dumps(result_of("a", 2**40)))
    world.reply(json.dumps(result_of("a")))
    world.work()
    assert world.results() == [("a", 1, "neutral")]
    assert world.rows("select revision from cdc_orphan_results") == [(2**40,)]


@SHORT_ON_ORACLE
def test_what_comes_again_after_the_commit_changes_nothing(world: CdcWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    send_calls(world, "a", "b")
    for body in (json.dumps(result_of("a")), "{bad", json.dumps(result_of("unknown"))):
        world.reply(body)
    monkeypatch.setattr(LocalQueue, "delete", lambda *_: 0)
    world.work(steps=50)
    monkeypatch.undo()
    found = (world.results(), world.letters(), world.errors(), world.rows("select count(*) from cdc_orphan_results"))
    written = world.totals()["CDC_ML_RESULTS_WRITTEN"]
    _make_visible(world)
    world.work()
    assert waiting(world) == 0
    again = (world.results(), world.letters(), world.errors(), world.rows("select count(*) from cdc_orphan_results"))
    assert again == found
    assert world.totals()["CDC_ML_RESULTS_WRITTEN"] == written == 1


def _make_visible(world: CdcWorld) -> None:
    """Let the visibility of all deliveries end."""
    import sqlite3

    db = sqlite3.connect(world.folder / "back.db")
    db.execute("update messages set visible_at = 0")
    db.commit()
    db.close()


class WrongError(Exception):
    """A fault of the program."""


@SHORT_ON_ORACLE
def test_a_result_for_which_the_program_fails_is_buried_after_some_deliveries_and_no_other_is(
    world: CdcWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_calls(world, "a", "b", "c")
    for call in ("a", "b", "c"):
        world.reply(json.dumps(result_of(call)))
    honest = Receiver._without_orphans

    def failing(receiver: Receiver, change: Any) -> Any:
        if any(b'"b"' in value for value in change.records["value"].to_pylist()):
            raise WrongError
        return honest(receiver, change)

    monkeypatch.setattr(Receiver, "_without_orphans", failing)
    deaths = 0
    while waiting(world):
        try:
            world.work()
        except WrongError:
            deaths += 1
            _make_visible(world)
    assert deaths == 4
    assert [row[0] for row in world.results()] == ["a", "c"]
    assert world.letters() == ["(message):failed"]
    monkeypatch.undo()
    with world.cdc() as cdc:
        assert cdc.receiver.replay().merged == 1
    assert [row[0] for row in world.results()] == ["a", "b", "c"]
    assert world.states() == {"DONE": 3}


def test_what_a_person_must_mend_buries_no_result(world: CdcWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it was delivered meanwhile."""
    send_calls(world, "a")
    world.reply(json.dumps(result_of("a")))

    honest = TableSink.apply

    def fail(sink: TableSink, change: Change) -> Applied:
        if any(part.rows.num_rows for part in change.parts):
            raise ConfigurationError("the user may not write.")
        return honest(sink, change)

    monkeypatch.setattr(TableSink, "apply", fail)
    for _ in range(7):
        with pytest.raises(ConfigurationError):
            world.work()
        _make_visible(world)
    monkeypatch.undo()
    world.work()
    assert world.results() == [("a", 1, "neutral")]
    assert not world.letters()


def test_a_database_that_is_away_costs_no_result(world: CdcWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    send_calls(world, "a")
    world.reply(json.dumps(result_of("a")))
    honest, calls = TableSink.apply, [0]

    def away(sink: TableSink, change: Any) -> Any:
        calls[0] += 1
        if calls[0] < 8:
            raise SourceUnavailableError("away.")
        return honest(sink, change)

    monkeypatch.setattr(TableSink, "apply", away)
    with world.cdc() as cdc:
        for _ in range(7):
            with pytest.raises(LakehouseError):
                rest(cdc)
            _make_visible(world)
        rest(cdc)
    assert world.results() == [("a", 1, "neutral")]
    assert not world.letters()


@contextmanager
def one_queue(world: CdcWorld) -> Iterator[Cdc]:
    world.environ["AIRFLOW_CONN_RESULTS"] = f"queue://{world.folder}/out.db"
    world.__dict__.pop("settings", None)
    with world.cdc() as cdc:
        yield cdc


def test_one_queue_for_both_directions_is_refused(world: CdcWorld) -> None:
    with one_queue(world) as cdc, pytest.raises(ConfigurationError, match="single_queue: true"):
        check_queues(cdc.rules, cdc.sender.queue, cdc.receiver.queue)
    world.say("a", "one", "two")
    with one_queue(world) as cdc, pytest.raises(ConfigurationError, match="a queue each"):
        rest(cdc)
    assert waiting(world, "conversations") == 1


def test_one_queue_that_the_contract_allows_leaves_conversations_to_the_other_end(make_world: MakeWorld) -> None:
    world = make_world(single_queue=True)
    world.say("a", "one", "two")
    with one_queue(world) as cdc:
        check_queues(cdc.rules, cdc.sender.queue, cdc.receiver.queue)
        rest(cdc)
        [body] = world.bodies()
        assert json.loads(body)["call_id"] == "a"
        world.reply(json.dumps(result_of("a")))
        rest(cdc)
    assert world.results() == [("a", 1, "neutral")]


def test_a_delivery_that_cannot_be_unpacked_is_a_dead_letter(world: CdcWorld) -> None:
    send_calls(world, "a")
    queue = world.queue("results")
    queue.send([Outgoing("0", b"no gzip", "g", "d", {"kind": "result"})])
    import sqlite3

    db = sqlite3.connect(world.folder / "back.db")
    db.execute("""update messages set attributes = '{"encoding": "gzip+base64"}'""")
    db.commit()
    db.close()
    world.reply(json.dumps(result_of("a")))
    world.work()
    assert world.letters() == ["its body is not gzip in base64"]
    assert world.results() == [("a", 1, "neutral")]
