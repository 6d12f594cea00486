"""What the advisor answered, read from `ops.advisor_calls`: the newest calls, and sums by role and version."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from monitoring.ledger_views import Row, read

if TYPE_CHECKING:
    from ingestion.ledger.journal import Journal

_NEWEST = (
    "(select *, coalesce(prompt_version, role) as version from ops.advisor_calls "
    "qualify row_number() over (partition by call_id order by state_at desc) = 1)"
)


@dataclass(frozen=True, slots=True)
class CallTold(Row):
    """One answer. `tokens` and `cost` are None where no model was asked, or nothing is known of them."""

    call_id: str
    called_at: datetime
    version: str
    advisor: str | None
    outcome: str
    tokens: int | None
    cost: float | None
    seconds: float | None
    confidence: float | None
    redactions: str | None
    feedback: str | None
    why: str | None

    @property
    def masked(self) -> str:
        """How many personal values were masked in what was sent, by class; empty if none, or nothing was sent."""
        counts: dict[str, int] = json.loads(self.redactions or "{}")
        return ", ".join(f"{count} {name}" for name, count in counts.items())


@dataclass(frozen=True, slots=True)
class CallSum(Row):
    """All answers of a role's version by one advisor. `up` and `down` count the feedback, `confidence` is the mean."""

    version: str
    advisor: str
    calls: int
    answered: int
    tokens: int | None
    cost: float | None
    p50: float | None
    p95: float | None
    confidence: float | None
    up: int
    down: int


def newest_calls(journal: Journal, limit: int = 50) -> list[CallTold]:
    """Return the newest answers, the newest first."""
    rest = f"(select *, tokens_in + tokens_out as tokens from {_NEWEST}) order by called_at desc limit {int(limit)}"
    return read(journal, CallTold, rest, [])


def call_sums(journal: Journal) -> list[CallSum]:
    """Return the sums by version of a role and by advisor; a call whose end is unknown is one of its model."""
    rest = (
        "(select version, coalesce(advisor, model) as advisor, count(*) as calls, "
        "count(*) filter (where outcome in ('answered', 'repeated')) as answered, "
        "sum(tokens_in + tokens_out)::bigint as tokens, "
        "sum(cost) as cost, quantile_cont(seconds, 0.5) as p50, quantile_cont(seconds, 0.95) as p95, "
        "avg(confidence) as confidence, count(*) filter (where feedback = 'up') as up, "
        f"count(*) filter (where feedback = 'down') as down from {_NEWEST} group by all) order by calls desc, version"
    )
    return read(journal, CallSum, rest, [])
