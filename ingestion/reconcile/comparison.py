"""The budget and the result of a comparison. Values only. Keys are kept for the repair and never printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import pyarrow as pa

from ingestion.reconcile.leaves import Finding
from ingestion.reconcile.sides import Summary


class Rung(IntEnum):
    """How deep a comparison goes. Counts disprove equality; only checksums prove it."""

    COUNTS = 1
    PARTITIONS = 2
    CHECKSUMS = 3
    BISECT = 4
    LEAVES = 5


class Outcome(StrEnum):
    """`partial`: the comparison ended before it found every difference or proved equality; `why` gives the reason."""

    EQUAL = "equal"
    DIFFERENT = "different"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a comparison may cost: queries sent to both sides, rows fetched from both, seconds (between queries)."""

    queries: int = 40
    rows: int = 1_000_000
    seconds: float = 1_800.0


@dataclass(frozen=True, slots=True)
class Cost:
    queries: int = 0
    rows: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PartitionCounts:
    """A partition that differs. If only row counts were compared, partitions with equal counts may differ too."""

    partition: str | None
    source_rows: int
    lake_rows: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    The result of a comparison.

    `found` holds the keys that differ, by kind, with `leaves.DETAILS`; every key in it certainly differs.
    `unresolved_rows` counts the rows (of the larger side) in groups that differ but were not compared row by row.
    """

    outcome: Outcome
    rung: Rung
    source: Summary
    lake: Summary
    partitions: tuple[PartitionCounts, ...] = ()
    found: Mapping[Finding, pa.Table] = field(default_factory=dict)
    unresolved_rows: int = 0
    why: str = ""
    cost: Cost = field(default_factory=Cost)
