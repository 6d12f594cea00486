"""The `lake` block of a stream contract: our own keys as written in the file (camelCase, ISO 8601 durations)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ingestion.contracts.reading.lake_block import LakeModel, NonNegative, Percent, StrictDuration
from ingestion.contracts.streams import TargetMode, Tombstones

_Count = Annotated[int, Field(strict=True, ge=1)]


class TopicBlock(LakeModel):
    """A topic, and the columns that its messages fill if other topics fill the others."""

    topic: str
    columns: tuple[str, ...] | None = None


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
    format: Literal["json"] | None = None
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


class StreamLakeBlock(LakeModel):
    timezone: str | None = None
    stream: StreamBlock | None = None
