"""Stand-ins of SQS: moto in this process, and ElasticMQ from the jars in `.venv/elasticmq` (`make .venv/elasticmq`)."""

from __future__ import annotations

import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ingestion.settings import Connection
from tests.streams.broker import JAVA, ROOT, free_port

JARS = ROOT / ".venv" / "elasticmq"
needs_elasticmq = pytest.mark.skipif(
    JAVA is None or not any(JARS.glob("elasticmq-server_*.jar")),
    reason="needs Java 17 and ElasticMQ's jars: make .venv/elasticmq",
)
REGION, SECONDS = "eu-central-1", 60


def client(endpoint: str | None = None, service: str = "sqs") -> Any:
    """Return the client of who owns the queues."""
    import boto3

    keys = {"aws_access_key_id": "owner", "aws_secret_access_key": "owner"}
    return boto3.session.Session(**keys, region_name=REGION).client(service, endpoint_url=endpoint)


def new_queue(owner: Any, *, fifo: bool = False, **attributes: str) -> str:
    """Return the URL of a queue that no other test has."""
    name = f"calls-{uuid.uuid4().hex}{'.fifo' if fifo else ''}"
    found = owner.create_queue(QueueName=name, Attributes=attributes | ({"FifoQueue": "true"} if fifo else {}))
    return str(found["QueueUrl"])


def connection(url: str, **extra: str) -> Connection:
    return Connection("sqs", login="key", password="secret", extra={"queue_url": url, "region": REGION, **extra})


@contextmanager
def elasticmq(folder: Path) -> Iterator[str]:
    """Yield the address of a server that holds its queues in memory and refuses what AWS refuses."""
    port = free_port()
    (folder / "elasticmq.conf").write_text(
        f"""
        include classpath("application.conf")
        node-address {{ protocol = http, host = "127.0.0.1", port = {port}, context-path = "" }}
        rest-sqs {{ enabled = true, bind-port = {port}, bind-hostname = "127.0.0.1", sqs-limits = strict }}
        rest-stats {{ enabled = false }}
        """
    )
    with (folder / "elasticmq.log").open("wb") as log:
        options = ["-Xmx256m", "-Xshare:auto", "-XX:TieredStopAtLevel=1", f"-Dconfig.file={folder}/elasticmq.conf"]
        command = [str(JAVA), *options, "-cp", f"{JARS}/*", "org.elasticmq.server.Main"]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            _wait(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait(SECONDS)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, "ElasticMQ ended"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError("ElasticMQ does not answer")
