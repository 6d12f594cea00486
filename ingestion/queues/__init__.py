"""Queues of messages behind one Protocol (`ingestion.queues.base`); a driver is imported when a queue is opened."""

from __future__ import annotations

from ingestion.errors import ConfigurationError
from ingestion.queues.base import Queue
from ingestion.settings import Connection
from ingestion.sources import needs_extra


def open_queue(name: str, connection: Connection) -> Queue:
    """Return the queue behind a connection. Does not connect yet. Raises ConfigurationError."""
    if connection.type == "queue":
        from ingestion.queues.local import LocalQueue

        return LocalQueue(name, connection)
    if connection.type == "sqs":
        with needs_extra(name, "sqs"):
            from ingestion.queues.sqs import SqsQueue

        return SqsQueue(name, connection)
    raise ConfigurationError(
        f"{name}: a connection of type {connection.type} is no known kind of queue; known are sqs and queue. Nothing "
        f"was sent or received. Correct AIRFLOW_CONN_{name.upper()}."
    )
