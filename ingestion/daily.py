"""The whole day by hand, in the order the daily DAG has: load, Silver, Gold, sync gaps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from ingestion.build.dbt import BuildResult, build_layer
from ingestion.contracts.window import FixedPoint
from ingestion.errors import TransientError
from ingestion.gaps.record import record_sync_gap
from ingestion.load.load_table import load_table
from ingestion.load.result import LoadResult
from ingestion.reconcile.gap import GapReport
from ingestion.runs.context import Context
from ingestion.runs.each import each
from ingestion.runs.fixed_points import shared_point

Progress = Callable[[str, str], None]
"""Told of each step as it begins: the step's name and its subject."""


@dataclass(slots=True)
class DayResult:
    """What a day did. `failures` has one text per step that failed; empty means green."""

    run_id: str
    loads: list[LoadResult] = field(default_factory=list)
    builds: list[BuildResult] = field(default_factory=list)
    gaps: list[GapReport] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "loads": [load.as_dict() for load in self.loads],
            "builds": [build.as_dict() for build in self.builds],
            "gaps": [gap.as_dict() for gap in self.gaps],
            "failures": self.failures,
        }


def run_day(context: Context, *, attempts: int = 3, progress: Progress | None = None) -> DayResult:
    """
    Load every contract (tables of a system at one fixed point, where it can share one), build Silver and Gold,
    record every gap. Raises ConfigurationError if there is no contract.

    A step that fails, for whatever reason, stops no other: what descends from a failed load is left out of the build,
    and its gap is recorded all the same. Transient errors are tried again after a short, growing pause, up to
    `attempts` times in all (Airflow waits longer; a person watches this one).
    """
    tell = progress or (lambda _step, _subject: None)
    day = DayResult(context.run_id)
    contract_ids = context.contract_ids()
    points = {system: _point(context, system) for system in sorted({i.partition(".")[0] for i in contract_ids})}

    def load(contract_id: str) -> LoadResult:
        tell("load", contract_id)
        at = points[contract_id.partition(".")[0]]
        return _patient(attempts)(load_table, context, contract_id, at=at)

    def build(_: str) -> BuildResult:
        tell("build", "silver and gold")
        without = [failed.subject for failed in unloaded]
        return _patient(attempts)(build_layer, context, "all", without=without)

    def check(contract_id: str) -> GapReport:
        tell("gaps", contract_id)
        return _patient(attempts)(record_sync_gap, context, contract_id)

    day.loads, unloaded = each(contract_ids, load)
    day.builds, unbuilt = each(["dbt"], build)
    day.gaps, unchecked = each(contract_ids, check)
    day.failures = [str(failed.error) for failed in (*unloaded, *unbuilt, *unchecked)]
    return day


def _point(context: Context, system: str) -> FixedPoint | None:
    try:
        return shared_point(context, system)
    except Exception:  # every load of the system meets it too, and records it under its own name
        return None


def _patient(attempts: int) -> Retrying:
    return Retrying(
        retry=retry_if_exception_type(TransientError),
        stop=stop_after_attempt(attempts),
        wait=wait_random_exponential(multiplier=0.5, max=10),
        reraise=True,
    )
