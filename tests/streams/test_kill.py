"""Processes that die and writers that race: every message is in an append-only target once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from ingestion.errors import ConcurrentWriteError
from ingestion.stream_jobs.open import open_loop
from tests.examples import LONG_FORM
from tests.sources.oracle_fixtures import oracle
from tests.streams.oracle_world import OracleWorld, oracle_world
from tests.streams.world import StreamWorld, contract

__all__ = ["oracle", "oracle_world"]
SCRIPT = """
import sys
from pathlib import Path
from tests.engines.deadly import die_at
from tests.streams.world import StreamWorld

die_at(sys.argv[3], int(sys.argv[4]), sys.argv[5])
StreamWorld(Path(sys.argv[1]), {"AIRFLOW_CONN_WAREHOUSE": sys.argv[6]} if sys.argv[6] else {}, sys.argv[2]).run()
"""
ACCOUNT = ("ingestion.streams.loop.Loop._account", 2, "before")  # committed, and nobody knows
DEATHS = {
    "duckdb": [("ingestion.sinks.duckdb.DuckDbDatabase.insert", 2, "after"), ACCOUNT],
    "bronze": [
        ("ingestion.lake.embedded.engine.DeltaRs.append", 3, "after"),  # 1: ledger; 2, 3: dead letters of the batches
        ("ingestion.bronze.table.BronzeTable.adopt", 2, "after"),
        ACCOUNT,
    ],
    "oracle": [("ingestion.sinks.oracle.OracleDatabase.insert", 2, "after"), ACCOUNT],
}
MESSAGES = 400


def kill(world: StreamWorld, target: str, call: int, when: str) -> None:
    uri = world.connections.get("AIRFLOW_CONN_WAREHOUSE", "")
    command = [sys.executable, "-c", SCRIPT, str(world.folder), world.name, target, str(call), when, uri]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], check=False, capture_output=True, env={**os.environ})
    assert ended.returncode == -9, ended.stderr


def fill(world: StreamWorld, key: str = "order_id") -> None:
    for number in range(MESSAGES):
        world.send({key: number, "amount": number} if number % 50 else "{bad", partition=number % 2)


def drill(world: StreamWorld, kind: str, key: str = "order_id") -> None:
    fill(world, key)
    for target, call, when in DEATHS[kind]:
        kill(world, target, call, when)
    world.run()
    assert world.counts() == (0, 0, 0, 0, 0)


BUDGET = {"rows": 60}


def test_a_stream_into_a_table_that_is_killed_loses_and_doubles_nothing(world: StreamWorld) -> None:
    world.write(contract("append", budget=BUDGET))
    drill(world, "duckdb")

    assert world.target("select count(*), count(distinct order_id) from orders") == [(392, 392)]
    assert world.target("select count(*) from lake_dead_letter") == [(8,)]


def test_a_stream_into_bronze_that_is_killed_loses_and_doubles_nothing(world: StreamWorld) -> None:
    world.write(contract(None, budget=BUDGET))
    drill(world, "bronze")

    assert world.bronze("select count(*), count(distinct order_id) from {}") == [(392, 392)]
    assert len(world.letters()) == len({*world.letters()}) == 8


def test_a_stream_into_oracle_that_is_killed_loses_and_doubles_nothing(oracle_world: OracleWorld) -> None:
    oracle_world.write(oracle_world.contract("append", budget=BUDGET))
    drill(oracle_world, "oracle", "id")

    assert oracle_world.target("SELECT COUNT(*), COUNT(DISTINCT ID) FROM {}") == [(392, 392)]
    assert len(oracle_world.letters()) == 8


def kill_anywhere(world: StreamWorld, kills: int) -> tuple[int, int]:
    """Kill a stream's process so often at random moments, then let it end; return the good and bad messages sent."""
    uri = world.connections.get("AIRFLOW_CONN_WAREHOUSE", "")
    command = [sys.executable, "-m", "tests.streams.killer", str(world.folder), world.name, uri, str(kills), "7"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], check=True, stdout=subprocess.PIPE, text=True)
    world.run()
    sent = int(done.stdout.split()[-1])
    print("SENT", sent)
    return sent - sent // 50, sent // 50


@LONG_FORM
def test_a_hundred_kills_at_any_moment_of_a_stream_into_a_table_lose_and_double_nothing(world: StreamWorld) -> None:
    world.write(contract("append", budget=BUDGET))
    good, bad = kill_anywhere(world, 100)

    assert world.target("select count(*), count(distinct order_id) from orders") == [(good, good)]
    assert world.target("select count(*) from lake_dead_letter") == [(bad,)]


@LONG_FORM
def test_a_hundred_kills_at_any_moment_of_a_stream_into_bronze_lose_and_double_nothing(world: StreamWorld) -> None:
    world.write(contract(None, budget=BUDGET))
    good, bad = kill_anywhere(world, 100)

    assert world.bronze("select count(*), count(distinct order_id) from {}") == [(good, good)]
    assert len(world.letters()) == bad


@LONG_FORM
def test_a_hundred_kills_at_any_moment_of_a_stream_into_oracle_lose_and_double_nothing(
    oracle_world: OracleWorld,
) -> None:
    oracle_world.write(oracle_world.contract("append", budget=BUDGET))
    good, bad = kill_anywhere(oracle_world, 100)

    assert oracle_world.target("SELECT COUNT(*), COUNT(DISTINCT ID) FROM {}") == [(good, good)]
    assert len(oracle_world.letters()) == bad


def race(world: StreamWorld, key: str = "order_id") -> int:
    """Let three writers work on one stream at once; return how often one was fenced."""
    fill(world, key)
    with open_loop(world.context(), world.name) as loop:
        loop.sink.init()
    fenced, failures, barrier = [0, 0, 0], [], threading.Barrier(3)

    def write(number: int) -> None:
        try:
            with open_loop(world.context(), world.name) as loop:
                barrier.wait()
                while True:
                    try:
                        if not loop.step():
                            return
                    except ConcurrentWriteError:
                        fenced[number] += 1
        except BaseException as exc:
            failures.append(exc)

    writers = [threading.Thread(target=write, args=[number]) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failures
    return sum(fenced)


def test_three_writers_of_one_table_are_fenced_and_double_nothing(world: StreamWorld) -> None:
    world.write(contract("append", budget={"rows": 20}))

    assert race(world) > 0
    assert world.target("select count(*), count(distinct order_id) from orders") == [(392, 392)]


def test_three_writers_of_bronze_are_fenced_and_double_nothing(world: StreamWorld) -> None:
    world.write(contract(None, budget={"rows": 60}))

    assert race(world) > 0
    assert world.bronze("select count(*), count(distinct order_id) from {}") == [(392, 392)]
    assert len(world.letters()) == len({*world.letters()}) == 8


def test_three_writers_of_oracle_are_fenced_and_double_nothing(oracle_world: OracleWorld) -> None:
    oracle_world.write(oracle_world.contract("append", budget={"rows": 20}))

    assert race(oracle_world, "id") > 0
    assert oracle_world.target("SELECT COUNT(*), COUNT(DISTINCT ID) FROM {}") == [(392, 392)]
