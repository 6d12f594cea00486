"""What a comparison of a table with its source found, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import pyarrow as pa

from ingestion.contracts.model import Contract
from ingestion.contracts.window import Window
from ingestion.reconcile.comparison import Comparison, Outcome
from ingestion.reconcile.leaves import Finding


@dataclass(frozen=True, slots=True)
class Bound:
    """
    What both sides are compared up to.

    `text` is a watermark or a version of the change log: what is `committed`, or further on where the newest load
    failed and should have reached. `future` is the watermark from which on rows are ahead of the source's clock, and so
    not in flight. `is_exact`: whatever changed later can be told from what is lost, so a difference is one. `low` is
    where the next window begins. Of a table that `is_never_loaded` everything is missing, and nothing in flight.
    """

    text: str | None = None
    is_exact: bool = False
    low: str | None = None
    is_never_loaded: bool = False
    committed: str | None = None
    future: str | None = None

    @property
    def in_flight(self) -> Window:
        """The rows that changed since the bound, and no others: one without a change time is never in flight."""
        return Window(low=self.text, high=self.future, nulls=False)

    @property
    def compared(self) -> Window:
        """All rows that are not in flight."""
        return Window() if self.text is None else replace(self.in_flight, inverted=True)


@dataclass(frozen=True, slots=True)
class Compared:
    """
    What a comparison found, before anybody judges it.

    `found` holds the differing keys by kind, with `DETAILS`, `_explained` and `_awaited`. `comparison.source.rows` are
    rows with a whole key, `unkeyed` others; `refused_unkeyed` such rows stand in the open quarantine. `refused` counts
    by partition the rows that stand there and not in the lake, of keys that a partial comparison did not find.
    `failed_load` is the error of the newest load, if that failed. `queries` and `rows` count all that was asked for.
    `moment` is the source's clock at the fixed point.
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
        """Whether everything was found that differs."""
        return self.comparison.outcome is not Outcome.PARTIAL
