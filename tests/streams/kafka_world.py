"""What the tests of both engines that read Kafka share: a project on a broker, messages, and a broker that goes away."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

from ingestion.stream_jobs.run import ask_to_stop, run_stream
from tests.streams.broker import Broker, create_topic, produce
from tests.streams.world import StreamWorld, contract


def world_at(folder: Path, server: Broker, engine: str = "embedded") -> StreamWorld:
    """Return a project in `folder`, made if need be, whose streams read from the broker by an engine."""
    folder.mkdir(exist_ok=True)
    events = f"kafka://{server.address}?timeout_seconds=10"
    return StreamWorld(folder, {"AIRFLOW_CONN_EVENTS": events, "LAKEHOUSE_ENGINE": engine})


def orders(*numbers: int) -> list[tuple[str | None, str | None]]:
    return [(str(n), json.dumps({"order_id": n, "amount": n, "status": "new"})) for n in numbers]


class Runner:
    """A stream that runs without end in a thread, until `stop`."""

    def __init__(self, world: StreamWorld) -> None:
        self._world = world
        arguments: dict[str, Any] = {"args": [world.context(), world.name], "kwargs": {"until_caught_up": False}}
        self._thread = threading.Thread(target=run_stream, **arguments)
        self._thread.start()

    def wait_for(self, query: str, expected: object, seconds: float) -> None:
        """Wait until a query of the target has this answer."""
        end = time.monotonic() + seconds
        while self._world.target(query)[0][0] != expected:
            assert self._thread.is_alive(), "the run ended"
            assert time.monotonic() < end, f"not {expected} after {seconds} seconds"
            time.sleep(0.5)

    def stop(self) -> None:
        ask_to_stop(self._world.context(), [self._world.name])
        self._thread.join(60)
        assert not self._thread.is_alive()


def waits_for_the_broker(world: StreamWorld, server: Broker, topic: str, *, after: float, away: float) -> None:
    """Run a stream whose broker goes away `after` seconds for `away`, and assert that every message comes once."""
    create_topic(server.address, topic, 1)
    produce(server.address, topic, orders(*range(100)))
    world.write(contract("append", topics=[topic], budget={"rows": 10, "seconds": 1.0}))
    runner = Runner(world)
    time.sleep(after)
    server.stop()
    time.sleep(away)
    server.start()
    produce(server.address, topic, orders(*range(100, 200)))
    time.sleep(away + 10)  # its pauses double
    runner.stop()

    assert world.target("select count(*), count(distinct order_id) from orders") == [(200, 200)]
