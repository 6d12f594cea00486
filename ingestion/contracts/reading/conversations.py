"""Reads `lake.conversation`: the columns of segments, when a call is complete, and how it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from ingestion.contracts.conversations import Conversation
from ingestion.contracts.model import Column, Contract
from ingestion.contracts.names import is_place
from ingestion.contracts.reading.compile import given
from ingestion.contracts.reading.document import DocumentFaults, Steps
from ingestion.contracts.reading.shape import near
from ingestion.contracts.reading.stream_block import ConversationBlock

_COLUMNS = ("group", "order", "speaker", "text", "time")
_NAMES = {
    "normal_mode_enabled": "is_normal_enabled",
    "normal_mode_minutes": "minutes",
    "normal_poll_interval_seconds": "poll",
    "historical_mode_enabled": "is_history_enabled",
    "historical_batch_size": "history_batch",
    "max_batch_size": "batch",
    "max_concurrent_calls": "most_in_flight",
    "single_queue": "is_single_queue",
}


def check_conversation(
    findings: DocumentFaults, block: ConversationBlock, at: Steps, columns: tuple[Column, ...]
) -> None:
    """Report values of the block that its table's columns do not allow, and those that are missing."""
    known = {column.name: column for column in columns}

    def error(key: str, message: str) -> None:
        findings.error((*at, key), f"lake.conversation.{key}: {message}")

    for key in (*_COLUMNS, "queue", "results"):
        if not getattr(block, key):
            error(key, f"is missing; write it, e.g. `{key}: {_EXAMPLES[key]}`")
    for key, name in [*((key, getattr(block, key)) for key in _COLUMNS), ("end", block.end and block.end.column)]:
        if name and known and name not in known:
            error(key, f"{name} is no column of the table{near(name, known)}")
    for key, fits, what in (
        ("order", pa.types.is_integer, "a whole number"),
        ("time", pa.types.is_timestamp, "a moment"),
        ("group", _is_text_or_number, "a text or a whole number"),
    ):
        column = known.get(getattr(block, key) or "")
        if column and not fits(column.arrow_type):
            error(key, f"{column.name} is {column.arrow_type}; name {what}")
        if column and not column.required:
            error(key, f"{column.name} may be null; write `required: true` at the column")
    for key, message in _wrong_values(block):
        error(key, message)


def _wrong_values(block: ConversationBlock) -> Iterator[tuple[str, str]]:
    if block.queue and not is_place(block.queue):
        yield ("queue", f"{block.queue} is no name of a connection; write lower case letters, digits and single _")
    if (block.max_wait or _USUAL["max_wait"]) < (block.idle or _USUAL["idle"]):
        yield ("maxWait", "is shorter than idle; write at least as long")
    if block.historical_mode_enabled and not block.historical_start_date:
        yield ("historical_start_date", "is missing; write the first day to read, e.g. 2026-01-01T00:00:00+00:00")
    if block.historical_start_date and _moment(block.historical_start_date) is None:
        yield (
            "historical_start_date",
            f"{block.historical_start_date} is no moment; write it with its offset, e.g. 2026-01-01T00:00:00+00:00",
        )


def conversation_of(contract: Contract, block: ConversationBlock) -> Conversation:
    fields = given(block)
    end, since = fields.pop("end", None), fields.pop("historical_start_date", None)
    fields.pop("time")
    return Conversation(
        contract=contract,
        end=(end.column, end.value) if end else None,
        since=_moment(since) if since else None,
        **{_NAMES.get(name, name): value for name, value in fields.items()},
    )


def _is_text_or_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_integer(type_))


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None


_EXAMPLES = {
    **dict(zip(_COLUMNS, ("call_id", "segment_no", "speaker", "text", "text_time"), strict=True)),
    "queue": "conversations",
    "results": "dicta.call_summary",
}
_USUAL: dict[str, Any] = {field.name: field.default for field in fields(Conversation)}
