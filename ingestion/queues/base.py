"""
A queue of messages behind one Protocol: conversations go out, results come in.

Every queue delivers at least once: a message may come twice or out of order, and comes again until it is deleted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from ingestion.errors import LakehouseError
from ingestion.privacy.logs import logger

UNAVAILABLE = "Unavailable"
"""The code of what is not the message's fault: throttling, an outage, a queue or a right that is missing."""
UNACCOUNTED = "Unaccounted"
"""The code of a message that the queue's answer does not mention."""
DEDUPE_ID = "dedupe_id"
"""The attribute with `Outgoing.dedupe` on a queue that does not deduplicate."""
_JOIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """
    One message to send. `id` is unique within one `send`, `body` a JSON document in UTF-8 of any size.

    A FIFO queue keeps the order within a `group`, and drops a message whose `dedupe` it had within five minutes.
    """

    id: str
    body: bytes
    group: str
    dedupe: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    Why a message was not sent; `is_permanent`: it never succeeds as it is.

    Of the others those with the code UNAVAILABLE say nothing about the message.
    """

    code: str
    is_permanent: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """Each id that was submitted is in one of the two; of accepted ones the queue's message id is kept."""

    accepted: Mapping[str, str]
    refused: Mapping[str, Refusal]


@dataclass(frozen=True, slots=True)
class Received:
    """
    One delivery of a message, unpacked. `times` counts its deliveries, this one included.

    `fault` says why a body could not be unpacked; `body` and `attributes` are then those of the queue.
    """

    id: str
    receipt: str
    body: bytes
    attributes: Mapping[str, str]
    times: int
    fault: str = ""


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """`url` is for people; `waiting` and `in_flight` are approximate; a delivery is invisible `visibility_seconds`."""

    url: str
    is_fifo: bool
    max_bytes: int
    waiting: int
    in_flight: int
    visibility_seconds: int


class Queue(Protocol):
    """
    One queue. Its methods may be called by several threads and processes at once.

    Raises ConfigurationError if the queue is missing or refuses login or action, SourceUnavailableError while it does
    not answer.
    """

    def describe(self) -> QueueFacts: ...

    def send(self, messages: Sequence[Outgoing]) -> Sent:
        """
        Send in as few requests as the limits allow. Raises only if nothing was accepted.

        After an error in a later request the rest is refused, not permanently. A request without an answer may have
        been accepted: what is sent again may come twice.
        """
        ...

    def receive(
        self, *, most: int = 10, wait_seconds: float = 20, visibility_seconds: int | None = None
    ) -> list[Received]:
        """Return up to `most` (at most 10) messages; waits for the first one. Raises also if claims cannot be read."""
        ...

    def extend(self, receipts: Sequence[str], seconds: int) -> None:
        """Keep deliveries invisible for `seconds` from now (0: visible at once). Stale receipts are passed over."""
        ...

    def delete(self, receipts: Sequence[str]) -> int:
        """Return how many the queue says are deleted. Stale receipts are passed over."""
        ...

    def close(self) -> None: ...


@contextmanager
def keeping_visible(queue: Queue, receipts: Sequence[str], seconds: int) -> Iterator[None]:
    """
    Keep deliveries invisible to others while the block runs: extended to `seconds` now and three times as often.

    What the queue answers is logged and does not end the block: a message that comes again is only one more delivery.
    """
    ended = threading.Event()

    def beat() -> None:
        while True:
            try:
                queue.extend(receipts, seconds)
            except LakehouseError as exc:
                logger.warning("%s", exc)
            if ended.wait(seconds / 3):
                return

    thread = threading.Thread(target=beat, name="visibility", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_JOIN_SECONDS)  # a request without an answer is not waited for
