"""Windows of time lose and double no call: outages, late commits, clocks, both modes, switches, rivals."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import count
from typing import Any

import pyarrow as pa
import pytest

from ingestion.cdc import reading, results, run, sending
from ingestion.cdc.reading import Reader
from ingestion.cdc.run import Cdc, open_cdc
from ingestion.cdc.tables import HISTORY, NORMAL
from ingestion.errors import ConcurrentWriteError, SourceUnavailableError
from ingestion.stream_jobs import run as runs
from ingestion.streams import conversations
from tests.cdc.conftest import SHORT_ON_ORACLE, MakeWorld
from tests.cdc.world import CdcWorld, rest
from tests.examples import LONG_FORM

HISTORY_RULES: dict[str, Any] = {"historical_mode_enabled": True, "historical_batch_size": 3}


def since(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


def revisions(sent: list[dict[str, Any]]) -> dict[str, list[int]]:
    """Return the revisions of each call that were sent."""
    found: dict[str, list[int]] = {}
    for each in sent:
        found.setdefault(each["call_id"], []).append(each["revision"])
    return found


def test_calls_of_an_outage_that_is_longer_than_the_overlap_are_sent_once(make_world: MakeWorld) -> None:
    world = make_world(normal_mode_minutes=10)
    world.say("before", "a", "b", ago=timedelta(minutes=8))
    world.work()
    world.later(hours=3)
    for minutes in range(1, 180, 4):
        world.say(f"call {minutes}", "a", "b", ago=timedelta(minutes=minutes))
    world.work()
    world.later(minutes=10)
    world.work()
    assert revisions(world.sent()) == {"before": [1]} | {f"call {n}": [1] for n in range(1, 180, 4)}


def test_segments_that_are_committed_late_are_sent_if_the_overlap_is_longer(make_world: MakeWorld) -> None:
    world = make_world(normal_mode_minutes=60)
    world.say("known", "a", "b", ago=timedelta(minutes=40))
    world.work()
    world.later(minutes=30)
    world.say("known", "c", first=3, ago=timedelta(minutes=60), step=0)
    world.say("new", "a", ago=timedelta(minutes=60))
    world.work()
    world.later(minutes=6)
    world.work()
    assert revisions(world.sent()) == {"known": [1, 2], "new": [1]}


def test_the_clock_of_the_host_changes_nothing(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(normal_mode_minutes=60)
    world.say("done", "a", "b", ago=timedelta(minutes=20))
    world.say("open", "a", "b", ago=timedelta(minutes=1))

    for days in (-1, 1):

        class Wrong(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Any:
                return datetime.now(tz) + timedelta(days=days)  # noqa: B023

        for module in (conversations, reading, sending, results, run):
            if hasattr(module, "datetime"):
                monkeypatch.setattr(module, "datetime", Wrong)
        with in_zone(f"XXX{12 * days}"):
            world.work()
    assert revisions(world.sent()) == {"done": [1]}
    world.later(minutes=6)
    world.work()
    assert revisions(world.sent()) == {"open": [1]}


@contextmanager
def in_zone(name: str) -> Iterator[None]:
    """Let this process have another time zone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        try:
            yield
        finally:
            patch.undo()
            time.tzset()


def test_history_and_normal_mode_together_send_each_call_once_however_often_they_are_ended(
    make_world: MakeWorld,
) -> None:
    rules = HISTORY_RULES | {"historical_start_date": since(hours=40), "normal_mode_minutes": 30}
    world = make_world(**rules)
    for hours in range(1, 40, 2):
        world.say(f"old {hours}", "a", "b", ago=timedelta(hours=hours))
    world.say("straddles", "a", "b", "c", ago=timedelta(minutes=45), step=1200)
    for number in range(4):
        world.say(f"new {number}", "a", "b", ago=timedelta(minutes=12 + number))

    for _ in range(12):  # as if killed: nothing is finished but steps
        with world.cdc() as cdc:
            cdc.step()
    world.later(minutes=20)
    world.say("newest", "a", "b", ago=timedelta(minutes=15))
    world.work()
    expected = {f"old {n}" for n in range(1, 40, 2)} | {f"new {n}" for n in range(4)} | {"straddles", "newest"}
    assert revisions(world.sent()) == {call: [1] for call in expected}
    assert world.totals()[NORMAL] + world.totals()[HISTORY] == len(expected)


def test_normal_mode_that_starts_after_history_leaves_no_gap(make_world: MakeWorld) -> None:
    world = make_world(
        **HISTORY_RULES, historical_start_date=since(hours=5), normal_mode_enabled=False, normal_mode_minutes=10
    )
    world.say("old", "a", "b", ago=timedelta(hours=4))
    world.say("too old", "a", "b", ago=timedelta(hours=6))
    world.work()
    world.later(hours=7)
    for minutes in (10, 200, 400, 415):
        world.say(f"between {minutes}", "a", "b", ago=timedelta(minutes=minutes))
    world.write(normal_mode_enabled=True)
    world.work()
    assert revisions(world.sent()) == {"old": [1]} | {f"between {n}": [1] for n in (10, 200, 400, 415)}


def test_history_that_starts_after_normal_mode_ends_where_that_began(make_world: MakeWorld) -> None:
    world = make_world(normal_mode_minutes=10)
    world.say("old", "a", "b", ago=timedelta(hours=4))
    world.say("new", "a", "b", ago=timedelta(minutes=8))
    world.work()
    assert revisions(world.sent()) == {"new": [1]}
    world.later(hours=2)
    world.write(**HISTORY_RULES, historical_start_date=since(hours=5))
    world.say("newest", "a", "b", ago=timedelta(minutes=8))
    with world.cdc() as cdc:
        rest(cdc)
        normal, history = cdc.reader.progress(NORMAL), cdc.reader.progress(HISTORY)
    assert revisions(world.sent()) == {"old": [1], "newest": [1]}
    assert history.watermark == history.bound == normal.bound


@SHORT_ON_ORACLE
@pytest.mark.parametrize("mode", [NORMAL, HISTORY])
def test_a_mode_is_switched_off_and_on_by_sql_without_a_loss(world: CdcWorld, mode: str) -> None:
    if mode == HISTORY:
        world.write(**HISTORY_RULES, historical_start_date=since(minutes=155), normal_mode_enabled=False)
    calls = [f"call {number}" for number in range(10)]
    for number, call in enumerate(calls):
        world.say(call, "a", "b", ago=timedelta(minutes=60 + 10 * number))
    world.write(max_batch_size=3)
    with world.cdc() as cdc:
        cdc.step()
        known = world.rows("select count(*) from cdc_processed_calls")
        world.switch(mode, 0)
        rest(cdc)
        assert world.rows("select count(*) from cdc_processed_calls") == known
        assert known[0][0] < 10
        world.switch(mode, 1)
        rest(cdc)
    assert revisions(world.sent()) == {call: [1] for call in calls}


def test_a_call_with_a_segment_in_the_future_is_not_waited_for_until_then(world: CdcWorld) -> None:
    world.say("a", "one", "two", "three", ago=timedelta(minutes=30), step=86400)
    world.work()
    world.later(minutes=6)
    world.work()
    assert [(each["call_id"], each["segments"]) for each in world.sent()] == [("a", 3)]


def test_a_call_of_which_all_segments_are_in_the_future_is_sent_when_that_has_come(world: CdcWorld) -> None:
    world.say("a", "one", "two", ago=timedelta(minutes=-30))
    world.work()
    assert not world.sent()
    world.later(minutes=40)
    world.work()
    assert [(each["call_id"], each["segments"]) for each in world.sent()] == [("a", 2)]


def test_repeated_segments_are_said_once_and_make_no_new_revision(world: CdcWorld) -> None:
    begin = world.now - timedelta(hours=1)
    world.say("a", "one", "two", at=begin)
    world.say("a", "one", "two", at=begin)
    world.work()
    [sent] = world.sent()
    assert (sent["segments"], [turn["text"] for turn in sent["turns"]]) == (2, ["one", "two"])
    world.say("a", "two", first=2, at=begin + timedelta(seconds=5))
    world.work()
    assert not world.sent()


@SHORT_ON_ORACLE
def test_a_call_whose_segments_are_deleted_is_kept_as_it_was_sent(world: CdcWorld) -> None:
    world.say("gone", "a", "b")
    world.say("waits", "a", "b", ago=timedelta(minutes=1))
    world.work()
    with world.sql() as sql:
        sql(f"delete from {world.segments}")
    world.answer()
    world.work()
    world.later(minutes=10)
    world.work()
    assert world.results() == [("gone", 1, "neutral")]
    assert not world.sent()
    assert world.rows("select count(*) from cdc_calls where due_at is not null") == [(0,)]


def rivals(world: CdcWorld, steps: int) -> tuple[int, list[BaseException]]:
    """Let two programs work at once; return how often one was fenced, and what failed."""
    fenced, failures, barrier = [0, 0], list[BaseException](), threading.Barrier(2)

    def runner(number: int) -> None:
        try:
            with open_cdc(world.context()) as cdc:
                barrier.wait()
                is_made = False
                for _ in range(steps):
                    try:
                        if not is_made:
                            cdc.init()
                            is_made = True
                        cdc.step()
                    except ConcurrentWriteError:
                        fenced[number] += 1
        except BaseException as exc:
            failures.append(exc)

    runners = [threading.Thread(target=runner, args=[number]) for number in range(2)]
    for each in runners:
        each.start()
    for each in runners:
        each.join()
    return sum(fenced), failures


@SHORT_ON_ORACLE
def test_two_programs_on_one_database_send_each_call_once(world: CdcWorld) -> None:
    world.write(max_batch_size=2, **HISTORY_RULES, historical_start_date=since(hours=20), normal_mode_minutes=60)
    calls = [f"call {number}" for number in range(24)]
    for number, call in enumerate(calls):
        world.say(call, "a", "b", ago=timedelta(minutes=10 + 10 * number))
    _, failures = rivals(world, 25)
    assert not failures
    world.work()
    world.later(minutes=6)  # a claim whose note lost a race is free again
    world.work()
    found = revisions(world.sent())
    assert {call: {*sent} for call, sent in found.items()} == {call: {1} for call in calls}
    assert world.rows("select count(*), count(distinct call_id) from cdc_processed_calls") == [(24, 24)]
    assert world.states() == {"SENT": 24}
    assert world.totals()[NORMAL] + world.totals()[HISTORY] == 24


@SHORT_ON_ORACLE
def test_what_a_slower_program_knew_of_a_call_is_not_written_over_what_a_faster_one_did(
    world: CdcWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.say("a", "one", "two")
    with world.cdc() as cdc:
        with cdc.db.transaction():
            stale = cdc.reader._known(["a"])
        cdc.reader.again(["a"])
        world.say("a", "three", first=3, ago=timedelta())
        monkeypatch.setattr(Reader, "_known", lambda *_: stale)
        with pytest.raises(ConcurrentWriteError):
            cdc.reader.again(["a"])
    assert world.rows("select revision, segments, state from cdc_calls") == [(1, 2, "CLOSED")]


@SHORT_ON_ORACLE
def test_a_rival_that_begins_at_the_same_moment_moves_no_beginning(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both find no bound; the one that was slower to write its own begins where the faster one did."""
    world = make_world(normal_mode_minutes=10)
    with world.cdc() as slow:
        honest = Reader._bound

        def late(reader: Reader, mode: str, at: datetime) -> datetime:
            with world.sql() as sql:
                sql(
                    "update cdc_processing_status set bound_at = :1 where table_name = :2",
                    *(at - timedelta(minutes=5) if world.kind == "duckdb" else _plain(at) - timedelta(minutes=5), mode),
                )
            return honest(reader, mode, at)

        monkeypatch.setattr(Reader, "_bound", late)
        world.say("there", "a", ago=timedelta(minutes=12))
        rest(slow)
    assert revisions(world.sent()) == {"there": [1]}


def _plain(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


def test_a_database_that_is_away_while_a_run_notes_its_state_ends_no_run(
    world: CdcWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.say("call", "a", "b")
    monkeypatch.setattr(runs, "NOTED_EVERY", 0.0)
    monkeypatch.setattr(runs, "LONGEST_PAUSE", 0.01)
    with world.cdc() as cdc:
        honest, transactions = cdc.db.committed, count()

        @contextmanager
        def committed() -> Iterator[None]:
            if next(transactions) < 4:
                raise SourceUnavailableError("rtbi: away")
            with honest():
                yield

        step, runner = Cdc.step, runs.StreamRun(world.context(), cdc, until_caught_up=False)

        def step_until_sent(self: Cdc) -> bool:
            was_busy = step(self)
            if not self.sender.is_idle():
                runner.ask_to_end()
            return was_busy

        monkeypatch.setattr(cdc.db, "committed", committed)
        monkeypatch.setattr(Cdc, "step", step_until_sent)
        runner.run()
        assert (runner.state, cdc.statistics()["sqs_sent"]) == ("stopped", 1)
    assert world.states() == {"SENT": 1}


@SHORT_ON_ORACLE
def test_calls_that_are_judged_again_count_in_the_statistics(world: CdcWorld) -> None:
    world.say("a", "one", "two")
    with world.cdc() as cdc:
        assert cdc.reader.again(["a"]).merged == 1
        assert cdc.statistics()["calls_processed"] == 1


@SHORT_ON_ORACLE
def test_moments_are_bound_with_their_fractions_and_without_a_zone_as_they_are_written(world: CdcWorld) -> None:
    written = datetime(2026, 1, 1, 1, 2, 3, 456789)
    with in_zone("XXX-5"), world.cdc() as cdc, cdc.db.transaction():
        for moment in (written, written.replace(tzinfo=UTC)):
            query = f"SELECT CAST(:1 AS TIMESTAMP) AS found{cdc.db.dual}"
            found = cdc.db.select(query, pa.schema([("found", pa.timestamp("us"))]), moment)
            assert found["found"].to_pylist() == [written]


@pytest.mark.parametrize(
    "change", [pytest.param(datetime(2026, 3, 27, tzinfo=UTC), marks=LONG_FORM), datetime(2026, 10, 24, 23, tzinfo=UTC)]
)
def test_a_call_within_an_hour_that_the_clock_has_twice_or_never_is_sent_once(
    make_world: MakeWorld, change: datetime
) -> None:
    world = make_world(normal_mode_minutes=1)
    calls = range(-80, 81, 10)
    for minutes in calls:
        world.say(f"call {minutes}", "a", "b", at=change + timedelta(minutes=minutes))
    for minutes in range(-85, 160, 15):
        world.shift = change + timedelta(minutes=minutes) - datetime.now(UTC)
        world.work()
    assert revisions(world.sent()) == {f"call {minutes}": [1] for minutes in calls}
