"""The result of a comparison of a table with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from ingestion.contracts.model import Contract
from ingestion.gaps.bound import Bound
from ingestion.reconcile.comparison import Comparison, Outcome
from ingestion.reconcile.leaves import Finding


@dataclass(frozen=True, slots=True)
class Compared:
    """
    What a comparison found, before waivers and earlier checks are considered.

    `found` has the differing keys by kind, with `DETAILS`, `_explained` and `_awaited`. `comparison.source.rows` counts
    rows with a complete key, `unkeyed` the others; `refused_unkeyed` of these are open quarantine entries. `refused`
    counts by partition the open entries that the lake lacks, of keys that a partial comparison did not find.
    `failed_load` is the error of the newest load, if that failed. `queries` and `rows` are the total cost. `moment` is
    the source's clock at the fixed point.
    """

    contract: Contract
    bound: Bound
    batch: int
    moment: datetime
    comparison: Comparison
    found: Mapping[Finding, pa.Table] = field(default_factory=dict)
    refused: Mapping[str | None, int] = field(default_factory=dict)
    refused_unkeyed: int = 0
    failed_load: str | None = None
    in_flight: int = 0
    lag_hours: float | None = None
    not_compared: str = ""
    queries: int = 0
    rows: int = 0
    seconds: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether all differences were found."""
        return self.comparison.outcome is not Outcome.PARTIAL
