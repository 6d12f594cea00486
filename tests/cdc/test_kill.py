"""Processes that die anywhere between the source and the result: each call has one effect."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.cdc.conftest import MakeWorld
from tests.cdc.killer import answer
from tests.cdc.world import LETTERS, CdcWorld
from tests.examples import LONG_FORM

READER, SENDER = "ingestion.cdc.reading.Reader", "ingestion.cdc.sending.Sender"
RECEIVER, QUEUE = "ingestion.cdc.results.Receiver", "ingestion.queues.local.LocalQueue"
DEATHS = (
    (f"{READER}._write", 2, "after"),  # calls and conversations are written, not committed
    (f"{READER}._judge", 1, "after"),  # committed, and nobody knows
    (f"{SENDER}._claimed", 1, "after"),
    (f"{QUEUE}.send", 1, "after"),  # sent, not marked
    (f"{SENDER}._note", 1, "after"),
    ("ingestion.sinks.base.TableSink.apply", 1, "after"),  # results are written, not committed
    (f"{RECEIVER}.take", 1, "after"),  # committed, not deleted
    (f"{QUEUE}.delete", 1, "after"),
)


def killed(world: CdcWorld, kills: Any) -> dict[str, int]:
    """Kill the program so often; return how many died in each phase. Then let everything end, and look at it."""
    since = (datetime.now(UTC) - timedelta(hours=20)).isoformat()
    rules = {"historical_mode_enabled": True, "historical_start_date": since, "historical_batch_size": 3}
    world.write(**rules, normal_mode_minutes=120, max_batch_size=4)
    given = {"folder": str(world.folder), "rules": world.rules, "oracle": world.oracle, "name": world.name}
    command = [sys.executable, "-m", "tests.cdc.killer", json.dumps(given), json.dumps(kills), "7"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    world.shift = timedelta(seconds=told["shift"])
    world.answered = 1_000_000
    for _ in range(4):
        answer(world, Random(1))
        world.work(steps=5_000)
    look(world, told["calls"])
    return told["deaths"]  # type: ignore[no-any-return]


def look(world: CdcWorld, calls: int) -> None:
    expected = sorted((f"call {number}", 1, "neutral") for number in range(calls))
    assert sorted(world.results()) == expected
    assert world.states() == {"DONE": calls}
    assert world.rows("select count(*) from error_log") == [(0,)]
    assert world.rows(f"select count(*) from {LETTERS}") == [(0,)]
    [(marked,)] = world.rows("select count(*) from cdc_processed_calls where sqs_message_id is not null")
    with world.cdc() as cdc:
        found = cdc.statistics()
    assert (found["calls_processed"], found["ml_results_written"], found["sqs_sent"]) == (calls, calls, marked)


@pytest.mark.parametrize("make_world", ["duckdb"], indirect=True)
def test_a_program_that_is_killed_at_each_step_of_both_directions_gives_each_call_one_effect(
    make_world: MakeWorld,
) -> None:
    assert sum(killed(make_world(), DEATHS).values()) == len(DEATHS)


@LONG_FORM
@pytest.mark.parametrize("make_world", ["duckdb"], indirect=True)
def test_a_hundred_kills_at_any_moment_of_both_directions_give_each_call_one_effect(make_world: MakeWorld) -> None:
    deaths = killed(make_world(), 100)
    print("DEATHS", deaths)
    assert sum(deaths.values()) == 100


@LONG_FORM
@pytest.mark.xdist_group("cdc_on_oracle")
@pytest.mark.parametrize("make_world", ["oracle"], indirect=True)
def test_fifty_kills_at_any_moment_of_both_directions_on_oracle_give_each_call_one_effect(
    make_world: MakeWorld,
) -> None:
    deaths = killed(make_world(), 50)
    print("DEATHS", deaths)
    assert sum(deaths.values()) == 50
