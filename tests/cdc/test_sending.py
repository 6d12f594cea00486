"""Sending: what a queue refuses, forgets or cannot take now; results that come early or never; bodies of any content."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise

import pytest

from ingestion.cdc.run import Cdc
from ingestion.cdc.sending import MOST_ATTEMPTS, Sender
from ingestion.contracts.conversations import Conversation
from ingestion.errors import ConfigurationError, SourceUnavailableError
from ingestion.queues.base import UNACCOUNTED, UNAVAILABLE, Outgoing, Queue, QueueFacts, Received, Refusal, Sent
from ingestion.streams.conversations import assemble
from tests.cdc.conftest import SHORT_ON_ORACLE, MakeWorld
from tests.cdc.world import CdcWorld, rest, result_of

Answer = Callable[[Outgoing], Refusal | None]


@dataclass
class Strict:
    """A queue that refuses what `judge` says, and raises `error` if there is one."""

    queue: Queue
    judge: Answer = lambda _: None
    error: Exception | None = None
    before: Callable[[], None] = lambda: None
    sizes: list[int] = field(default_factory=list)

    def send(self, messages: Sequence[Outgoing]) -> Sent:
        self.sizes.append(len(messages))
        self.before()
        if self.error is not None:
            raise self.error
        refused = {message.id: found for message in messages if (found := self.judge(message))}
        good = [message for message in messages if message.id not in refused]
        return Sent(self.queue.send(good).accepted if good else {}, refused)

    def describe(self) -> QueueFacts:
        return self.queue.describe()

    def receive(
        self, *, most: int = 10, wait_seconds: float = 20, visibility_seconds: int | None = None
    ) -> list[Received]:
        return self.queue.receive(most=most, wait_seconds=wait_seconds, visibility_seconds=visibility_seconds)

    def extend(self, receipts: Sequence[str], seconds: int) -> None:
        self.queue.extend(receipts, seconds)

    def delete(self, receipts: Sequence[str]) -> int:
        return self.queue.delete(receipts)

    def close(self) -> None:
        self.queue.close()


def strict(cdc: Cdc) -> Strict:
    cdc.sender.queue = queue = Strict(cdc.sender.queue)
    return queue


def move(cdc: Cdc, world: CdcWorld, **period: float) -> None:
    """Move the database's clock of a program that runs."""
    world.later(**period)
    world.set_clock(cdc)


def outbox(world: CdcWorld) -> dict[str, str]:
    return dict(world.rows("select call_id, state from cdc_processed_calls order by call_id, revision"))


def say(world: CdcWorld, *calls: str) -> None:
    for call in calls:
        world.say(call, "one", "two")


@SHORT_ON_ORACLE
def test_a_conversation_that_no_queue_takes_is_given_up_and_told_and_holds_up_no_other(world: CdcWorld) -> None:
    say(world, "a", "bad", "c")
    with world.cdc() as cdc:
        queue = strict(cdc)
        queue.judge = lambda message: Refusal("TooLarge", is_permanent=True) if message.group == "bad" else None
        rest(cdc)
        assert outbox(world) == {"a": "SENT", "bad": "FAILED", "c": "SENT"}
        assert world.errors() == [("bad", "SEND", "revision 1: TooLarge, attempt 1")]
        assert cdc.statistics()["sqs_failed"] == cdc.statistics()["calls_failed"] == 1
        assert cdc.statistics()["sqs_sent"] == 2
        queue.judge = lambda _: None
        assert cdc.sender.send_again() == 1
        rest(cdc)
        assert cdc.statistics()["calls_failed"] == 0
    assert sorted(each["call_id"] for each in world.sent()) == ["a", "bad", "c"]


@pytest.mark.parametrize("code", ["InternalError", UNACCOUNTED])
def test_a_refusal_that_may_pass_is_tried_again_after_longer_and_longer_pauses(world: CdcWorld, code: str) -> None:
    say(world, "a", "b")
    with world.cdc() as cdc:
        queue = strict(cdc)
        tried: list[timedelta] = []

        def judge(message: Outgoing) -> Refusal | None:
            if message.group != "a":
                return None
            tried.append(world.shift)
            return Refusal(code, is_permanent=False)

        queue.judge = judge
        for _ in range(1000):
            rest(cdc)
            move(cdc, world, seconds=8)
            if outbox(world)["a"] != "PENDING":
                break
        assert outbox(world) == {"a": "FAILED", "b": "SENT"}
    pauses = [(after - before).total_seconds() for before, after in pairwise(tried)]
    assert len(tried) == MOST_ATTEMPTS
    assert pauses == sorted(pauses)
    assert pauses[-1] > 4 * pauses[0]
    assert world.errors() == [("a", "SEND", f"revision 1: {code}, attempt {MOST_ATTEMPTS}")]


@pytest.mark.parametrize("error", [SourceUnavailableError("throttled."), ConfigurationError("the queue is gone.")])
def test_a_queue_that_takes_nothing_leaves_all_conversations_free_and_gives_none_up(
    world: CdcWorld, error: Exception
) -> None:
    say(world, "a", "b")
    with world.cdc() as cdc:
        queue = strict(cdc)
        queue.error = error
        for _ in range(MOST_ATTEMPTS + 2):
            with pytest.raises(type(error)):
                rest(cdc)
        assert outbox(world) == {"a": "PENDING", "b": "PENDING"}
        queue.error = None
        queue.judge = lambda message: Refusal("InternalError", is_permanent=False) if message.group == "a" else None
        rest(cdc)
        assert outbox(world) == {"a": "PENDING", "b": "SENT"}
    world.later(seconds=5)
    world.work()  # another process, at once: its claim is another one
    assert outbox(world) == {"a": "SENT", "b": "SENT"}
    assert not world.errors()


def test_a_process_that_starts_after_the_queue_was_away_sends_at_once(world: CdcWorld) -> None:
    say(world, "a")
    with world.cdc() as cdc:
        strict(cdc).error = ConfigurationError("the queue is gone.")
        with pytest.raises(ConfigurationError):
            rest(cdc)
    world.work()
    assert [each["call_id"] for each in world.sent()] == ["a"]


def test_no_more_conversations_are_in_flight_than_may_be(make_world: MakeWorld) -> None:
    world = make_world(max_concurrent_calls=3, max_batch_size=2)
    say(world, *(f"call {number}" for number in range(8)))
    with world.cdc() as cdc:
        queue, seen = strict(cdc), 0
        while seen < 8:
            rest(cdc)
            sent = world.sent()
            assert len(sent) == min(3, 8 - seen)
            assert world.states()["SENT"] == len(sent)
            seen += len(sent)
            world.answer(*sent)
        rest(cdc)
        assert max(queue.sizes) <= 2
    assert world.states() == {"DONE": 8}


@SHORT_ON_ORACLE
def test_a_result_that_is_there_before_its_conversation_is_marked_stays(world: CdcWorld) -> None:
    say(world, "a")
    with world.cdc() as cdc:
        queue = strict(cdc)

        def answered(cdc: Cdc = cdc) -> None:
            world.reply(json.dumps(result_of("a")))
            cdc.receiver.step(0)

        queue.before = answered
        rest(cdc)
        assert cdc.statistics()["sqs_sent"] == 1
    assert world.states() == {"DONE": 1}
    assert world.results() == [("a", 1, "neutral")]
    world.later(days=8)
    world.work()
    assert world.states() == {"DONE": 1}


def test_a_conversation_without_a_result_is_sent_once_more_and_then_given_up_and_told(make_world: MakeWorld) -> None:
    world = make_world(resultTimeout="PT1H")
    say(world, "answered", "silent")
    world.work()
    [answered] = [each for each in world.sent() if each["call_id"] == "answered"]
    world.answer(answered)
    world.work()
    world.later(minutes=50)
    world.work()
    assert not world.sent()
    world.later(minutes=11)
    world.work()
    assert [each["call_id"] for each in world.sent()] == ["silent"]
    assert not world.errors()
    world.later(minutes=61)
    world.work()
    assert outbox(world) == {"answered": "DONE", "silent": "EXPIRED"}
    assert world.errors() == [("silent", "EXPIRED", "revision 1: no result, twice")]
    world.later(hours=3)
    world.work()
    assert not world.sent()
    assert len(world.errors()) == 1
    world.reply(json.dumps(result_of("silent")))
    world.work()
    assert outbox(world) == {"answered": "DONE", "silent": "DONE"}


@SHORT_ON_ORACLE
def test_what_a_process_claimed_that_died_is_sent_when_its_lease_has_ended(world: CdcWorld) -> None:
    say(world, "a")
    with world.cdc() as cdc:
        cdc.reader.poll()
        cdc.reader.step()
        assert len(cdc.sender._claimed()) == 1
    world.later(minutes=4)
    world.work()
    assert not world.sent()
    world.later(minutes=2)
    world.work()
    assert [each["call_id"] for each in world.sent()] == ["a"]


def test_two_senders_get_different_conversations(world: CdcWorld) -> None:
    say(world, *"abcdefgh")
    with world.cdc() as cdc:
        cdc.reader.poll()
        cdc.reader.step()
        cdc.sender.rules = cdc.rules = _small(cdc)
        rival = Sender(cdc.rules, cdc.db, cdc.tables, cdc.sender.queue)
        taken = [row["call_id"] for sender in (cdc.sender, rival) for row in sender._claimed()]
    assert sorted(taken) == [*"abcdefgh"]


def _small(cdc: Cdc) -> Conversation:
    return replace(cdc.rules, batch=4)


TRICKY = 'שלום 😀\t\u0001\u0007\u001b"\\\u2028 line\nline\r\n\ufffe'


@SHORT_ON_ORACLE
def test_a_long_conversation_with_any_characters_arrives_byte_by_byte(world: CdcWorld) -> None:
    pieces = [f"{TRICKY}{number}" * 4_000 for number in range(24)]
    world.say("long", *pieces)
    assert sum(len(piece.encode()) for piece in pieces) > 2_000_000
    with world.cdc() as cdc:
        with cdc.db.transaction():
            [expected] = assemble(cdc.rules, cdc.reader.segments(["long"]), cdc.db.clock())
        rest(cdc)
    [body] = world.bodies()
    assert body == expected.body(1)
    assert [turn["text"] for turn in json.loads(body)["turns"]] == pieces


def test_a_refusal_because_the_queue_was_away_is_no_attempt(world: CdcWorld) -> None:
    """A part of a request may be answered and the rest not."""
    say(world, "a", "b")
    with world.cdc() as cdc:
        queue = strict(cdc)
        queue.judge = lambda message: Refusal(UNAVAILABLE, is_permanent=False) if message.group == "a" else None
        for _ in range(MOST_ATTEMPTS + 1):
            rest(cdc)  # it waits, although nothing was raised
            move(cdc, world, seconds=3)
        assert len(queue.sizes) == MOST_ATTEMPTS + 1
        assert outbox(world) == {"a": "PENDING", "b": "SENT"}
        assert world.rows("select attempts from cdc_processed_calls order by call_id") == [(0,), (0,)]
