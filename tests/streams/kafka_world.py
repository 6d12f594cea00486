"""What the tests of both engines that read Kafka share: a project on a broker, messages, and a broker that goes away."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

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


def waits_for_the_broker(world: StreamWorld, server: Broker, topic: str, *, after: float) -> None:
    """Run a stream whose broker goes away `after` seconds for 20, and assert that every message comes once."""
    create_topic(server.address, topic, 1)
    produce(server.address, topic, orders(*range(100)))
    world.write(contract("append", topics=[topic], budget={"rows": 10, "seconds": 1.0}))
    runner = threading.Thread(target=run_stream, args=[world.context(), "orders"], kwargs={"until_caught_up": False})
    runner.start()
    time.sleep(after)
    server.stop()
    time.sleep(20)
    server.start()
    produce(server.address, topic, orders(*range(100, 200)))
    time.sleep(30)
    ask_to_stop(world.context(), ["orders"])
    runner.join(60)

    assert not runner.is_alive()
    assert world.target("select count(*), count(distinct order_id) from orders") == [(200, 200)]
