"""A process that runs a stream in children and kills each by SIGKILL at a random moment.

    python -m tests.streams.killer FOLDER NAME URI KILLS SEED [BROKER]

With a broker Spark reads, and its Java dies with it. A child that catches up before its moment does not count; more
messages are sent then. Prints how many were sent.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ingestion.stream_jobs.open import open_loop
from tests.streams.broker import produce
from tests.streams.world import StreamWorld

AT_ONCE = 3_000
LONGEST = 0.1
"""Seconds after its first batch began at which a child is killed at the latest. A batch takes about a hundredth."""
LONGEST_ON_SPARK = 2.0
"""The same after its first batch was written; then each takes about a third of a second."""


def send(world: StreamWorld, key: str, first: int, broker: str = "") -> int:
    """Send messages of which every fiftieth is bad; return the number of the next one."""
    for partition in (0, 1):
        numbers = range(first + partition, first + AT_ONCE, 2)
        messages: list[Any] = [{key: n, "amount": n} if n % 50 else "{bad" for n in numbers]
        if broker:
            texts = [each if isinstance(each, str) else json.dumps(each) for each in messages]
            produce(broker, "orders", [(None, text) for text in texts], partition=partition)
        else:
            world.send(*messages, partition=partition)
    return first + AT_ONCE


def run(world: StreamWorld, begins: int, *, on_spark: bool) -> NoReturn:
    """Do what a run does until it has caught up; tell when the first batch begins."""
    code = 1
    try:
        if on_spark:
            os.setsid()
        with open_loop(world.context(), world.name) as loop:
            loop.sink.init()
            while on_spark and not loop.counts.read and not loop.is_caught_up:
                loop.step()
            os.write(begins, b".")
            while loop.step() or not loop.is_caught_up:
                pass
        code = 0
    finally:
        os._exit(code)


def main(arguments: Sequence[str]) -> None:
    folder, name, uri, kills, seed, *others = arguments
    connections, broker = {"AIRFLOW_CONN_WAREHOUSE": uri} if uri else {}, "".join(others)
    if broker:
        connections |= {"AIRFLOW_CONN_EVENTS": f"kafka://{broker}", "LAKEHOUSE_ENGINE": "spark"}
    world = StreamWorld(Path(folder), connections, name)
    moments, sent, killed, key = random.Random(int(seed)), 0, 0, "id" if uri else "order_id"
    sent = send(world, key, sent, broker)
    while killed < int(kills):
        begun, begins = os.pipe()
        child = os.fork()
        if child == 0:
            run(world, begins, on_spark=bool(broker))
        os.close(begins)
        os.read(begun, 1)
        os.close(begun)
        time.sleep(moments.uniform(0, LONGEST_ON_SPARK if broker else LONGEST))
        if broker:  # Java, too
            os.killpg(child, signal.SIGKILL)
        else:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        elif os.WEXITSTATUS(status):
            sys.exit("a child failed")
        else:
            sent = send(world, key, sent, broker)
    sys.stdout.write(f"{sent}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
