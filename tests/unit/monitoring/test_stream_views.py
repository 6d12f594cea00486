"""What the ledger tells of streams, and which of it is a fault."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitoring import stream_views
from monitoring.findings import Finding, Level
from monitoring.stream_views import StreamMinute, StreamState
from tests.web.worlds import World

NOW = datetime(2026, 3, 2, 9, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COUNTS = ("read", "merged", "superseded", "filtered", "dead", "batches", "fenced", "retries")


def note(ago: timedelta, state: str = "running", **columns: Any) -> dict[str, Any]:
    row = {"stream": "orders", "run_id": "run-1", "noted_at": NOW - ago, "state": state, "lag": 4}
    return {**row, **dict.fromkeys(COUNTS, 0), **columns}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path).written()


def states(world: World, *notes: dict[str, Any]) -> list[StreamState]:
    world.journal.append("streams", list(notes))
    return stream_views.states(world.journal, NOW)


def faults(world: World, *notes: dict[str, Any]) -> list[Finding]:
    return list(stream_views.find(states(world, *notes), NOW))


def test_a_state_began_when_it_changed_and_counts_are_of_a_day(world: World) -> None:
    [found] = states(
        world,
        note(timedelta(hours=30), read=900, merged=900),
        note(5 * MINUTE, "away", read=2, merged=2, retries=3),
        note(4 * MINUTE, read=10, merged=6, superseded=1, filtered=1, dead=2, event_at=NOW - 9 * MINUTE),
        note(MINUTE, lag=0, read=5, merged=5),
        note(timedelta(seconds=2), "stop"),
    )

    assert (found.state, found.since, found.noted_at, found.lag) == ("running", NOW - 4 * MINUTE, NOW - MINUTE, 0)
    assert (found.read, found.merged, found.superseded, found.filtered, found.dead) == (17, 13, 1, 1, 2)
    assert (found.retries, found.event_at, found.dead_at) == (3, NOW - 9 * MINUTE, NOW - 4 * MINUTE)
    assert stream_views.minutes(world.journal, NOW - 4 * MINUTE) == [
        StreamMinute("orders", datetime(2026, 3, 2, 8, 59, tzinfo=UTC), 5, 0, 0)
    ]


@pytest.mark.parametrize(
    ("notes", "kind"),
    [
        ([note(MINUTE)], None),
        ([note(timedelta(hours=9), "caught up")], None),
        ([note(timedelta(hours=9), "stopped")], None),
        ([note(6 * MINUTE)], "stream_stuck"),
        ([note(6 * MINUTE, "away")], "stream_stuck"),
        ([note(7 * MINUTE, "away"), note(MINUTE, "away")], "stream_stuck"),
        ([note(7 * MINUTE), note(MINUTE, "away")], None),
        ([note(7 * MINUTE, "away"), note(MINUTE)], None),
        ([note(9 * MINUTE), note(8 * MINUTE, "failed", message="ORA-00942: no such table")], "stream_failed"),
        ([note(9 * MINUTE, "failed", message="It broke."), note(MINUTE)], None),
    ],
)
def test_a_stream_that_failed_or_does_not_go_on_is_critical(
    world: World, notes: list[dict[str, Any]], kind: str | None
) -> None:
    found = faults(world, *notes)

    assert [(finding.kind, finding.level) for finding in found] == ([(kind, Level.CRITICAL)] if kind else [])


def test_faults_of_calls_name_the_commands_of_calls_and_one_program_fails_once(world: World) -> None:
    both = [
        note(MINUTE, "failed", stream="rtbi.call_segments", numbers="{}", read=9, dead=1, message="It broke."),
        note(MINUTE, "failed", stream="dicta.call_summary", read=8, dead=2),
    ]

    found = [(each.kind, each.subject, each.command) for each in faults(world, *both)]

    assert sorted(found) == [
        ("dead_letters", "dicta.call_summary", "lakehouse cdc replay results"),
        ("dead_letters", "rtbi.call_segments", "lakehouse cdc replay conversations"),
        ("stream_failed", "rtbi.call_segments", "lakehouse cdc run"),
    ]


def test_dead_letters_of_a_day_are_a_warning_with_the_command_that_replays_them(world: World) -> None:
    [found] = faults(
        world, note(timedelta(hours=30), read=9, dead=9), note(MINUTE, "caught up", read=20, merged=17, dead=3)
    )

    assert (found.kind, found.level, found.command) == ("dead_letters", Level.WARNING, "lakehouse stream replay orders")
    assert found.text == "3 of 20 messages of 24 hours are dead letters: they broke the contract."
