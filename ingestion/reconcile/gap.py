"""The gap of one table: how the lake differs from its source. Pure: computes a report from counts.

Both sides are counted up to the same committed watermark; keys that changed later are left out on both sides.
The count of a side that could not be counted is None: an unknown gap is never reported as zero.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ingestion.contracts.model import Contract
from ingestion.ledger.vocabulary import State
from ingestion.reconcile.comparison import Outcome

OK, WARNING, CRITICAL, UNKNOWN = "OK", "WARNING", "CRITICAL", "UNKNOWN"
OK_IN_PART = "OK*"
"""No difference was found, but not everything that the contract promises was compared."""


@dataclass(frozen=True, slots=True)
class PartitionGap:
    """
    One partition (`YYYY[-MM[-DD]]`; None: rows without one). `sync_gap` counts rows without an explanation.

    `moved_count` is the number of rows that the lake has in another partition, minus those that the source has in
    another.
    """

    partition: str | None
    source_count: int
    lake_count: int
    quarantined_count: int
    waived_count: int = 0
    moved_count: int = 0

    @property
    def sync_gap(self) -> int:
        explained = self.quarantined_count + self.waived_count + self.moved_count
        return self.source_count - self.lake_count - explained

    @property
    def is_missing(self) -> bool:
        """Whether the source has rows and the lake has none, apart from explained rows."""
        return self.sync_gap > 0 and self.lake_count == 0

    @property
    def percentage(self) -> float:
        return percentage(self.sync_gap, self.source_count)


@dataclass(frozen=True, slots=True)
class GapReport:
    """
    The gap of one table up to `bound` (None: the table has no watermark; one state of the source was compared). Rows
    from `future` on (inclusive) are ahead of the source's clock and were compared too.

    If a comparison ended early, the counts include keys of which only the number is known, but never estimates.
    `missing_keys` are in the source and neither in the lake nor in quarantine; `extra_keys` are live
    in the lake only; `differing_keys` are on both sides with other contents; `duplicated_keys` have several rows in
    the source. None of them is quarantined or waived. `misfit_keys` are rows of the source whose key does not fit the
    contract's type; they are counted as quarantined. `quarantined_count` are rows of the source that are in
    quarantine; for `refused_updates` of them the lake has an older state. `failed_load` is the error of the newest
    load. `waived_count` is the part of the counts that waivers explain.
    `partitions` holds those with a gap, worst first. `state` is that of the most severe open difference. `sla_met` is
    None if the only open differences are suspected, or if not everything promised was compared (`not_compared`).
    `unverified_columns` says which columns were not compared, and why. `unresolved_rows` counts rows of groups that
    differ but were not compared row by row within the budget.
    """

    contract_id: str
    bound: str | None
    batch: int
    source_count: int
    lake_count: int
    quarantined_count: int
    in_flight_count: int
    missing_keys: int
    extra_keys: int
    freshness_lag_hours: float | None
    severity: str
    partitions: tuple[PartitionGap, ...]
    differing_keys: int = 0
    duplicated_keys: int = 0
    refused_updates: int = 0
    future: str | None = None
    misfit_keys: int = 0
    waived_count: int = 0
    rung: str = ""
    outcome: str = ""
    why: str = ""
    failed_load: str | None = None
    state: str | None = None
    unverified_columns: str = ""
    unresolved_rows: int = 0
    queries: int = 0
    rows_compared: int = 0
    seconds: float = 0.0
    data_quality_score: float = 100.0
    sla_met: bool | None = None

    @property
    def sync_gap(self) -> int:
        refused = self.quarantined_count - self.refused_updates
        return self.source_count - self.lake_count - refused - self.waived_count

    @property
    def not_compared(self) -> tuple[str, ...]:
        """What was not compared: columns with the reason, and why the comparison ended early."""
        ended = self.why if self.outcome == Outcome.PARTIAL else ""
        return tuple(part for part in (self.unverified_columns, ended) if part)

    @property
    def gap_percentage(self) -> float:
        return percentage(self.sync_gap, self.source_count)

    @property
    def missing_partitions(self) -> tuple[str | None, ...]:
        return tuple(p.partition for p in self.partitions if p.is_missing)

    def as_dict(self) -> dict[str, Any]:
        derived = {
            "sync_gap": self.sync_gap,
            "gap_percentage": self.gap_percentage,
            "missing_partitions": list(self.missing_partitions),
        }
        return {**asdict(self), **derived}


def percentage(gap: int, source_count: int) -> float:
    """Return the size of a gap in percent of the source's rows; 100 if the source has no rows and the lake has."""
    if source_count:
        return 100.0 * abs(gap) / source_count
    return 100.0 if gap else 0.0


def score(source_count: int, doubtful: int) -> float:
    """Return the share of the source's rows without a known fault, 0 to 100."""
    return 100.0 * max(0, source_count - doubtful) / source_count if source_count else 100.0


def severity(contract: Contract, report: GapReport) -> str:
    """
    Return the severity of a report by the contract's limits for missing partitions and differing keys.

    A table within the limits is OK if everything promised was compared, else OK_IN_PART.
    """
    promise = contract.reconcile
    worst = OK
    keys = report.missing_keys + report.extra_keys + report.differing_keys + report.duplicated_keys
    share = max(report.gap_percentage, percentage(keys, report.source_count))
    if share > promise.critical_gap_percent or report.missing_partitions:
        worst = CRITICAL
    elif share > promise.warning_gap_percent or report.unresolved_rows or report.failed_load:
        worst = WARNING
    if promise.freshness is not None and report.freshness_lag_hours is not None:
        allowed = promise.freshness.total_seconds() / 3600
        if report.freshness_lag_hours > 2 * allowed:
            worst = CRITICAL
        elif report.freshness_lag_hours > allowed and worst == OK:
            worst = WARNING
    return OK_IN_PART if worst == OK and report.not_compared else worst


def is_alarm(severity: str, state: str | None) -> bool:
    """Return whether a check raises an alarm: a critical gap that is confirmed. A suspected one may be in flight."""
    return (severity, state) == (CRITICAL, State.CONFIRMED)


def is_stale(contract: Contract, lag_hours: float | None) -> bool:
    """Return whether the lake is further behind than the contract promises."""
    promise = contract.reconcile.freshness
    return promise is not None and lag_hours is not None and lag_hours > promise.total_seconds() / 3600
