"""What a comparison of a table with its source found, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from ingestion.contracts.model import Contract
from ingestion.reconcile.comparison import Comparison, Outcome
from ingestion.reconcile.leaves import Finding


@dataclass(frozen=True, slots=True)
class Bound:
    """
    What both sides are compared up to.

    `text` is the committed watermark, or the version of the change log that is loaded. `is_exact`: whatever changed
    later can be told from what is lost, so a difference is one. `low` is where the next window begins. Of a table that
    `is_never_loaded` everything is missing, and nothing in flight.
    """

    text: str | None = None
    is_exact: bool = False
    low: str | None = None
    is_never_loaded: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """
    What a comparison found, before anybody judges it.

    `found` holds the differing keys by kind, with `DETAILS`, `_explained` and `_awaited`. `comparison.source.rows` are
    rows with a whole key, `unkeyed` others. `refused` keys stand in the open quarantine and not in the lake: they may
    explain what a budget left unresolved (0 where nothing is). `queries` and `rows` count all that was asked for.
    `moment` is the source's clock at the fixed point.
    """

    contract: Contract
    bound: Bound
    batch: int
    moment: datetime
    comparison: Comparison
    found: Mapping[Finding, pa.Table] = field(default_factory=dict)
    by_keys: bool = False
    refused: int = 0
    in_flight: int = 0
    lag_hours: float | None = None
    not_compared: str = ""
    queries: int = 0
    rows: int = 0
    seconds: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether everything was found that there is: all that differs, or (`by_keys`) all keys that a side lacks."""
        return self.by_keys or self.comparison.outcome is not Outcome.PARTIAL
