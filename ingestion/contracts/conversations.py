"""A conversation as values: how the segments of calls become one message each, and when. Pure data, immutable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ingestion.contracts.model import Contract


@dataclass(frozen=True, slots=True)
class Conversation:
    """
    `contract` has the segments: its `watermark` is the time of a segment, in the contract's time zone.

    `group`, `order`, `speaker` and `text` are columns; `end` is a column and the value that ends a call, if one does.
    A call is complete when no number is missing and it has ended or was quiet for `idle`; after `max_wait` of quiet it
    is sent incomplete. `queue` is the connection that conversations go to, `results` the stream contract of what comes
    back. `minutes` is how far each poll reads back, `poll` the seconds between two polls. History is read from
    `since` (UTC). A transaction has at most `batch` calls (`history_batch` in history); `most_in_flight` conversations
    may be without a result, each for `result_timeout`. `is_single_queue`: both directions use one queue.
    """

    contract: Contract
    group: str
    order: str
    speaker: str
    text: str
    queue: str
    results: str
    end: tuple[str, str] | None = None
    idle: timedelta = timedelta(minutes=5)
    max_wait: timedelta = timedelta(hours=1)
    result_timeout: timedelta = timedelta(hours=1)
    is_normal_enabled: bool = True
    minutes: int = 10
    poll: float = 10.0
    is_history_enabled: bool = False
    since: datetime | None = None
    history_batch: int = 50
    batch: int = 50
    most_in_flight: int = 10
    is_single_queue: bool = False

    @property
    def name(self) -> str:
        return self.contract.id

    @property
    def time(self) -> str:
        return self.contract.watermark or ""
