"""A process that runs a stream in children and kills each by SIGKILL at a random moment.

    python -m tests.streams.killer FOLDER NAME URI KILLS SEED

A child that catches up before its moment does not count; more messages are sent then. Prints how many were sent.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ingestion.stream_jobs.open import open_loop
from tests.streams.world import StreamWorld

AT_ONCE = 3_000
LONGEST = 0.1
"""Seconds after its first batch began at which a child is killed at the latest. A batch takes about a hundredth."""


def send(world: StreamWorld, key: str, first: int) -> int:
    """Send messages of which every fiftieth is bad; return the number of the next one."""
    for partition in (0, 1):
        numbers = range(first + partition, first + AT_ONCE, 2)
        world.send(*({key: n, "amount": n} if n % 50 else "{bad" for n in numbers), partition=partition)
    return first + AT_ONCE


def run(world: StreamWorld, begins: int) -> NoReturn:
    """Do what a run does until it has caught up; tell when the first batch begins."""
    code = 1
    try:
        with open_loop(world.context(), world.name) as loop:
            loop.sink.init()
            os.write(begins, b".")
            while loop.step():
                pass
        code = 0
    finally:
        os._exit(code)


def main(arguments: Sequence[str]) -> None:
    folder, name, uri, kills, seed = arguments
    world = StreamWorld(Path(folder), {"AIRFLOW_CONN_WAREHOUSE": uri} if uri else {}, name)
    moments, sent, killed, key = random.Random(int(seed)), 0, 0, "id" if uri else "order_id"
    sent = send(world, key, sent)
    while killed < int(kills):
        begun, begins = os.pipe()
        child = os.fork()
        if child == 0:
            run(world, begins)
        os.close(begins)
        os.read(begun, 1)
        os.close(begun)
        time.sleep(moments.uniform(0, LONGEST))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        elif os.WEXITSTATUS(status):
            sys.exit("a child failed")
        else:
            sent = send(world, key, sent)
    sys.stdout.write(f"{sent}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
