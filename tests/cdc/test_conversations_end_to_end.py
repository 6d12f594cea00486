"""Calls go out as conversations, results come back, each once."""

from __future__ import annotations

from datetime import timedelta

from tests.cdc.conftest import SHORT_ON_ORACLE
from tests.cdc.world import CdcWorld


@SHORT_ON_ORACLE
def test_a_complete_call_is_sent_and_its_result_written_and_an_open_one_is_waited_for(world: CdcWorld) -> None:
    world.say("done", "hello", "yes", "שלום 😀")
    world.say("open", "one", "two", ago=timedelta(minutes=1))
    world.work()
    assert world.states() == {"SENT": 1}

    world.answer()
    world.work()
    assert world.results() == [("done", 1, "neutral")]
    assert world.states() == {"DONE": 1}


def test_a_late_segment_is_sent_with_the_whole_call_as_the_next_revision(world: CdcWorld) -> None:
    world.say("call", "one", "two")
    world.work()
    world.answer()
    world.say("call", "three", first=3, ago=timedelta(minutes=30))
    world.work()

    [second] = world.sent()
    assert (second["revision"], second["segments"]) == (2, 3)
    world.answer(second, sentiment="positive")
    world.work()
    assert world.results() == [("call", 2, "positive")]
