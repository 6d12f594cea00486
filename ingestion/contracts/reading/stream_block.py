"""The `lake` block of a stream contract: our own keys as written in the file (camelCase, ISO 8601 durations)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ingestion.contracts.reading.lake_block import LakeModel, NonNegative, Percent, StrictDuration
from ingestion.contracts.streams import Format, Framing, TargetMode, Tombstones

_Count = Annotated[int, Field(strict=True, ge=1)]
_Seconds = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
_BatchSize = Annotated[int, Field(strict=True, ge=1, le=1000)]  # Oracle compares with a list of 1,000 at most


class MessagesBlock(LakeModel):
    """How binary values are written. Files stand beside the contract; `writers` names those of a framing."""

    schema_: str | None = Field(None, alias="schema")
    type: str | None = None
    framing: Framing | None = None
    writers: dict[int, str] | tuple[str, ...] | None = None


class TopicBlock(LakeModel):
    """A topic, and the columns that its messages fill if other topics fill the others."""

    topic: str
    columns: tuple[str, ...] | None = None
    messages: MessagesBlock | None = None


class TargetBlock(LakeModel):
    system: str
    mode: TargetMode = TargetMode.MERGE


class DedupeBlock(LakeModel):
    """Messages that repeat a value of `column` within `period` of its last occurrence are dropped."""

    column: str
    period: StrictDuration


class WindowBlock(LakeModel):
    """`measures` are written sum(amount), min(amount), max(amount), avg(amount); the count is always kept."""

    table: str
    size: StrictDuration
    slide: StrictDuration | None = None
    by: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    lateness: StrictDuration | None = None
    idle: StrictDuration | None = None


class LookupBlock(LakeModel):
    table: str
    on: dict[str, str]
    columns: dict[str, str]


class BudgetBlock(LakeModel):
    rows: _Count | None = None
    bytes: _Count | None = None
    seconds: NonNegative | None = None


class DeadLettersBlock(LakeModel):
    max_percent: Percent | None = None


class StreamDrift(LakeModel):
    new_field: Literal["ignore", "fail"] | None = None


class StreamBlock(LakeModel):
    """What becomes of the messages; see docs/streaming.md."""

    source: str | None = None
    topics: tuple[str | TopicBlock, ...] | None = None
    format: Format | None = None
    messages: MessagesBlock | None = None
    start: str | dict[int, int] | None = None
    target: TargetBlock | None = None
    sequence: str | None = None
    time: str | None = None
    tombstones: Tombstones | None = None
    transform: str | None = None
    filter: str | None = None
    defaults: dict[str, str] | None = None
    dedupe: DedupeBlock | None = None
    windows: tuple[WindowBlock, ...] | None = None
    lookups: tuple[LookupBlock, ...] | None = None
    budget: BudgetBlock | None = None
    dead_letters: DeadLettersBlock | None = None
    on_drift: StreamDrift | None = None
    future_tolerance: StrictDuration | None = None


class EndBlock(LakeModel):
    """A segment whose `column` has this value is the last one of its call."""

    column: str
    value: str


class ConversationBlock(LakeModel):
    """How segments become conversations; see docs/conversations.md. The settings of a mode are written with _."""

    group: str | None = None
    order: str | None = None
    speaker: str | None = None
    text: str | None = None
    time: str | None = None
    end: EndBlock | None = None
    idle: StrictDuration | None = None
    max_wait: StrictDuration | None = None
    result_timeout: StrictDuration | None = None
    queue: str | None = None
    results: str | None = None
    normal_mode_enabled: bool | None = Field(None, alias="normal_mode_enabled")
    normal_mode_minutes: _Count | None = Field(None, alias="normal_mode_minutes")
    normal_poll_interval_seconds: _Seconds | None = Field(None, alias="normal_poll_interval_seconds")
    historical_mode_enabled: bool | None = Field(None, alias="historical_mode_enabled")
    historical_start_date: str | None = Field(None, alias="historical_start_date")
    historical_batch_size: _BatchSize | None = Field(None, alias="historical_batch_size")
    max_batch_size: _BatchSize | None = Field(None, alias="max_batch_size")
    max_concurrent_calls: _Count | None = Field(None, alias="max_concurrent_calls")
    single_queue: bool | None = Field(None, alias="single_queue")


class StreamLakeBlock(LakeModel):
    timezone: str | None = None
    stream: StreamBlock | None = None
    conversation: ConversationBlock | None = None
