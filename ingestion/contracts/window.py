"""Which state of a source is read, and which slice of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """
    One state of a source that every read of a batch sees.

    `kind` is scn, snapshot, change_tracking or transaction; `value` its number as text.
    `moment` is the source's own clock there, UTC. `sequence` becomes `_seq` of the rows (0 where
    the source has no such number).
    """

    kind: str
    value: str
    moment: datetime
    sequence: int = 0

    def as_dict(self) -> dict[str, str]:
        """Return the point as JSON; `from_dict` reads it back."""
        texts = {"kind": self.kind, "value": self.value, "moment": self.moment.isoformat()}
        return texts | {"sequence": str(self.sequence)}

    @classmethod
    def from_dict(cls, texts: Mapping[str, str]) -> Self:
        moment = datetime.fromisoformat(texts["moment"])
        return cls(texts["kind"], texts["value"], moment, int(texts["sequence"]))


@dataclass(frozen=True, slots=True)
class Window:
    """
    A slice of the watermark, half-open: `low <= w < high`, None for an open end.

    Bounds are texts in the source's own precision: whole numbers, `YYYY-MM-DD`, or
    `YYYY-MM-DD HH:MM:SS[.f…]` as the source's wall clock (UTC for zoned columns).
    Rows whose watermark is null are included, so that they are counted, unless `nulls` is False.
    `inverted`: all rows outside of the slice.
    """

    low: str | None = None
    high: str | None = None
    nulls: bool = True
    inverted: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it has no bound and so includes every row."""
        return self.low is None and self.high is None

    @property
    def holds_nulls(self) -> bool:
        return self.nulls is not self.inverted
