"""One Kafka broker in a process of its own, from the jars in `.venv/kafka` (`make .venv/kafka`); needs Java 17."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
JARS = ROOT / ".venv" / "kafka"
JAVA = shutil.which("java")
needs_broker = pytest.mark.skipif(
    JAVA is None or not any(JARS.glob("kafka_*.jar")), reason="needs Java 17 and Kafka's jars: make .venv/kafka"
)
SECONDS = 60


@dataclass
class Broker:
    """A broker that can be stopped and started again with the same log."""

    folder: Path
    port: int
    controller: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def run(self, main: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [
            str(JAVA),
            "-Xmx256m",
            "-Xshare:auto",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            f"{JARS}/*",
            main,
            *arguments,
        ]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder)

    def start(self) -> None:
        """Start the broker and wait until it accepts connections."""
        self.process = self.run("kafka.Kafka", str(self.folder / "server.properties"))
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            assert self.process.poll() is None, "the broker ended"
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.1)
        raise AssertionError("the broker does not answer")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(SECONDS)
            self.process = None


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def broker(folder: Path) -> Iterator[Broker]:
    """Yield a running broker, one node with its own controller, that keeps its log in a folder."""
    made = Broker(folder, free_port(), free_port())
    (folder / "server.properties").write_text(
        f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{made.controller}
listeners=PLAINTEXT://127.0.0.1:{made.port},CONTROLLER://127.0.0.1:{made.controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{made.port}
controller.listener.names=CONTROLLER
log.dirs={folder}/log
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""
    )
    cluster = uuid.uuid4().hex[:22]
    arguments = ("format", "-t", cluster, "-c", str(folder / "server.properties"))
    assert made.run("kafka.tools.StorageTool", *arguments).wait(SECONDS) == 0
    made.start()
    try:
        yield made
    finally:
        made.stop()


def create_topic(address: str, topic: str, partitions: int = 2, **config: str) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(SECONDS)


def delete_topic(address: str, topic: str) -> None:
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": address})
    admin.delete_topics([topic])[topic].result(SECONDS)


def produce(address: str, topic: str, messages: list[tuple[str | None, str | None]], **config: Any) -> None:
    """Send messages of key and value, in order; `partition` sends all to one."""
    from confluent_kafka import Producer

    partition = config.pop("partition", None)
    producer = Producer({"bootstrap.servers": address, "linger.ms": 5, **config})
    for key, value in messages:
        while True:
            try:
                producer.produce(topic, value, key, **({} if partition is None else {"partition": partition}))
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(SECONDS) == 0
