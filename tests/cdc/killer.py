"""A process that runs both directions in children and kills each by SIGKILL.

    python -m tests.cdc.killer WORLD KILLS SEED

WORLD has the fields of a `CdcWorld` as JSON. KILLS is how many die at a random moment of a random phase, or a list of
`[function, call, when]` of which each is the death of one child. Between two children a new process at the other end
answers what was sent, some of it twice; leases and visibilities end. A child that rests before its moment does not
count; more calls come then. Prints how many calls there were, and how many children died in each phase.
"""

from __future__ import annotations

import importlib
import json
import mmap
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from tests.cdc.world import ZONE, CdcWorld, rest, result_of
from tests.engines.deadly import die_at

AT_ONCE = 12
LONGEST = 0.02
"""Seconds after a phase began at which a child is killed at the latest."""
PHASES = {
    "read": "ingestion.cdc.reading.Reader.poll",
    "enter": "ingestion.cdc.reading.Reader._judge",
    "claim": "ingestion.cdc.sending.Sender._claimed",
    "send": "ingestion.queues.local.LocalQueue.send",
    "mark": "ingestion.cdc.sending.Sender._note",
    "receive": "ingestion.queues.local.LocalQueue.receive",
    "merge": "ingestion.cdc.results.Receiver.take",
    "delete": "ingestion.queues.local.LocalQueue.delete",
}
OTHER = "between"


def noting(phases: mmap.mmap) -> None:
    """Let this process write in which phase it is, where its parent reads it."""
    for number, target in enumerate(PHASES.values(), start=1):
        module, owner, name = target.rsplit(".", 2)
        holder = getattr(importlib.import_module(module), owner)
        setattr(holder, name, _noted(getattr(holder, name), phases, number))


def _noted(honest: Callable[..., Any], phases: mmap.mmap, number: int) -> Callable[..., Any]:
    def noted(*args: Any, **kwargs: Any) -> Any:
        phases[0] = number
        try:
            return honest(*args, **kwargs)
        finally:
            phases[0] = 0

    return noted


def run(world: CdcWorld, begins: int, phases: mmap.mmap, death: Sequence[Any] | None) -> NoReturn:
    """Do what the program does until it rests; tell when the first step begins."""
    code = 1
    try:
        noting(phases)
        if death is not None:
            die_at(*death)
        with world.cdc() as cdc:
            os.write(begins, b".")
            rest(cdc, 2_000)
        code = 0
    finally:
        os._exit(code)


def answer(world: CdcWorld, moments: random.Random) -> None:
    """Let claims and deliveries end, and answer what was sent."""
    world.later(minutes=6)
    for name in ("out.db", "back.db"):
        queue = sqlite3.connect(world.folder / name)
        has_messages = queue.execute("select count(*) from sqlite_master where name = 'messages'").fetchone()[0]
        if has_messages:
            queue.execute("update messages set visible_at = 0")
        queue.commit()
        queue.close()
    sent = world.sent()
    sent += [each for each in sent if moments.random() < 0.2]
    moments.shuffle(sent)
    for each in sent:
        world.reply(json.dumps(result_of(each["call_id"], each["revision"])))


def talk(world: CdcWorld, calls: int) -> int:
    """Add calls; return how many there are then."""
    with world.sql() as sql:
        for number in range(calls, calls + AT_ONCE):
            begin = world.now - timedelta(minutes=50 if calls else 50 + 60 * number)
            for at in (1, 2):
                when = (begin + timedelta(seconds=at)).astimezone(ZONE).replace(tzinfo=None)
                statement = f"insert into {world.segments} values (:1, :2, :3, :4, :5)"
                sql(statement, f"call {number}", at, "AB"[at % 2], f"text {at}", when)
    return calls + AT_ONCE


def kill(child: int, phases: mmap.mmap, moments: random.Random) -> int:
    """Kill a child at a random moment of a random phase, if it comes to it; return its status."""
    phase = moments.randrange(len(PHASES) + 1)
    while phases[0] != phase:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.0002)
    time.sleep(moments.uniform(0, LONGEST))
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def main(arguments: Sequence[str]) -> None:
    given = json.loads(arguments[0])
    world, deaths = CdcWorld(Path(given.pop("folder")), **given), json.loads(arguments[1])
    moments, phases, table = random.Random(int(arguments[2])), mmap.mmap(-1, 1), Counter[str]()
    kills = deaths if isinstance(deaths, int) else len(deaths)
    calls = talk(world, 0)
    while sum(table.values()) < kills:
        answer(world, moments)
        begun, begins = os.pipe()
        phases[0] = 0
        child = os.fork()
        if child == 0:
            run(world, begins, phases, None if isinstance(deaths, int) else deaths[sum(table.values())])
        os.close(begins)
        os.read(begun, 1)
        os.close(begun)
        status = kill(child, phases, moments) if isinstance(deaths, int) else os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            table[[OTHER, *PHASES][phases[0]]] += 1
        elif os.WEXITSTATUS(status):
            sys.exit("a child failed")
        if not os.WIFSIGNALED(status) or not isinstance(deaths, int):
            calls = talk(world, calls)
    sys.stdout.write(json.dumps({"calls": calls, "deaths": table, "shift": world.shift.total_seconds()}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
