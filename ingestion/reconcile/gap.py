"""What the lake lacks against its source, as values. Pure: counts come in, a report goes out.

Both sides are counted up to the same committed watermark; a key that changed later is left out on both.
A side that could not be counted is None and stays None: an unknown gap is never reported as zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from ingestion.contracts.model import Contract

OK, WARNING, CRITICAL, UNKNOWN = "OK", "WARNING", "CRITICAL", "UNKNOWN"
_RANK = {OK: 0, WARNING: 1, UNKNOWN: 2, CRITICAL: 3}


@dataclass(frozen=True, slots=True)
class PartitionGap:
    """One partition (`YYYY[-MM[-DD]]`; None: rows without one). `sync_gap` is what nothing explains."""

    partition: str | None
    source_count: int
    lake_count: int
    quarantined_count: int

    @property
    def sync_gap(self) -> int:
        return self.source_count - self.lake_count - self.quarantined_count

    @property
    def is_missing(self) -> bool:
        """True where the source has rows and the lake has none, quarantine aside."""
        return self.source_count > self.quarantined_count and self.lake_count == 0

    @property
    def percentage(self) -> float:
        return percentage(self.sync_gap, self.source_count)


@dataclass(frozen=True, slots=True)
class GapReport:
    """
    The gap of one table up to `bound` (None: the table has no watermark; the newest state was compared).

    `missing_keys` are in the source and neither in the lake nor in quarantine; `extra_keys` are live
    in the lake only. `partitions` holds those with a gap, worst first.
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
    runbook_sql: str

    @property
    def sync_gap(self) -> int:
        return self.source_count - self.lake_count - self.quarantined_count

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
    """Return the size of a gap in percent of the source's rows; 100 where the source has none and the lake some."""
    if source_count:
        return 100.0 * abs(gap) / source_count
    return 100.0 if gap else 0.0


def compare_partitions(
    source: Mapping[str | None, int], lake: Mapping[str | None, int], quarantined: Mapping[str | None, int]
) -> tuple[PartitionGap, ...]:
    """Return the partitions whose counts differ, the largest gap first, then by name."""
    names = {*source, *lake}
    every = [PartitionGap(n, source.get(n, 0), lake.get(n, 0), quarantined.get(n, 0)) for n in names]
    return tuple(sorted((p for p in every if p.sync_gap), key=lambda p: (-abs(p.sync_gap), p.partition or "")))


def severity(contract: Contract, report: GapReport) -> str:
    """Judge a report by the contract's promise: a missing partition or missing keys at or over the limits."""
    promise = contract.reconcile
    worst = OK
    keys = report.missing_keys + report.extra_keys
    share = max(report.gap_percentage, percentage(keys, report.source_count))
    if share > promise.critical_gap_percent or report.missing_partitions:
        worst = CRITICAL
    elif share > promise.warning_gap_percent:
        worst = WARNING
    if promise.freshness is not None and report.freshness_lag_hours is not None:
        allowed = promise.freshness.total_seconds() / 3600
        if report.freshness_lag_hours > 2 * allowed:
            worst = CRITICAL
        elif report.freshness_lag_hours > allowed and worst == OK:
            worst = WARNING
    return worst


def worse(left: str, right: str) -> str:
    """Return the graver of two severities."""
    return max(left, right, key=lambda name: _RANK[name])


def runbook_sql(contract: Contract, bound: str | None, partition: str | None) -> str:
    """Return SQL a person can run on the source and on the lake to see the gap. Holds no row value."""
    table = ".".join(f'"{part}"' for part in contract.source_table)
    source, lake = ["1 = 1"], ["is_current"]
    literal = _DATE_LITERALS[contract.dialect]
    if bound is not None and contract.watermark is not None:
        column = contract.column(contract.watermark)
        moment = f"timestamp '{bound}'" if literal and " " in bound else f"'{bound}'"
        source.append(f'"{column.source_name}" < {moment}')
        lake.append(f"\"{column.name}\" < '{bound}'")
    if partition is not None and contract.reconcile.partition is not None:
        column = contract.column(contract.reconcile.partition)
        first, end = partition_bounds(partition)
        source.append(f"\"{column.source_name}\" >= {literal}'{first}' and \"{column.source_name}\" < {literal}'{end}'")
        lake.append(f"\"{column.name}\" >= '{first}' and \"{column.name}\" < '{end}'")
    return (
        f"-- on the source\nselect count(*) from {table} where {' and '.join(source)};\n"
        f"-- on the lake: lakehouse sql\n"
        f"select count(*) from silver.{contract.silver_model} where {' and '.join(lake)};\n"
        f"-- to close it\n-- lakehouse repair {contract.id}"
    )


def partition_bounds(partition: str) -> tuple[date, date]:
    """Return the first day of a partition `YYYY[-MM[-DD]]` and the first day after it."""
    parts = [int(part) for part in partition.split("-")]
    if len(parts) == 1:
        return date(parts[0], 1, 1), date(parts[0] + 1, 1, 1)
    if len(parts) == 2:
        year, month = parts
        return date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)
    first = date(*parts)
    return first, first + timedelta(days=1)


_DATE_LITERALS = {"oracle": "date ", "duckdb": "date ", "sqlserver": ""}
