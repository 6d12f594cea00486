"""Runs a whole day in one process, in the order of the daily DAG: loads, Silver, Gold, gap checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from ingestion.build.dbt import BuildResult, build_layer
from ingestion.contracts.window import FixedPoint
from ingestion.errors import TransientError
from ingestion.gaps.record import record_sync_gap, record_unread
from ingestion.load.load_table import load_table
from ingestion.load.result import LoadResult
from ingestion.reconcile.gap import GapReport
from ingestion.runs.context import Context
from ingestion.runs.each import Failed, each, raise_failed
from ingestion.runs.fixed_points import shared_point
from ingestion.runs.reach import reach

Progress = Callable[[str, str], None]
"""Called when a step begins, with the step's name and its subject."""


@dataclass(slots=True)
class DayResult:
    """
    What a day did. `failures` has one text per failed step; empty if all succeeded.

    `unread` are the tables whose system could not be reached; none of their steps was started.
    """

    run_id: str
    loads: list[LoadResult] = field(default_factory=list)
    builds: list[BuildResult] = field(default_factory=list)
    gaps: list[GapReport] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    unread: list[Failed] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "loads": [load.as_dict() for load in self.loads],
            "builds": [build.as_dict() for build in self.builds],
            "gaps": [gap.as_dict() for gap in self.gaps],
            "failures": self.failures,
            "unread": [failed.subject for failed in self.unread],
        }


def run_day(context: Context, *, attempts: int = 3, progress: Progress | None = None) -> DayResult:
    """
    Load every table (the tables of a system at one fixed point, if it can be shared), build Silver and Gold, and record
    every gap. Raises ConfigurationError if there is no contract.

    If a step fails, the others still run: the build leaves out the models that depend on a failed load, and the gap of
    its table is recorded. Transient errors are retried after a short, growing pause, up to `attempts` attempts in
    total. The pauses are shorter than Airflow's, because a person is waiting.

    The tables of a system that cannot be reached are left out of all of this; if none can be reached, its error is
    raised, or TablesFailedError for several systems, and nothing is built. The ledger has them if the database did not
    answer.
    """
    tell = progress or (lambda _step, _subject: None)
    day = DayResult(context.run_id)
    planned = context.contract_ids()
    contract_ids, day.unread = reach(context.settings, planned, _patient(attempts))
    context.note_unread("load", day.unread)
    record_unread(context, day.unread)
    if not contract_ids:
        raise_failed(day.unread, of=len(planned))
    points = {system: _point(context, system) for system in sorted({i.partition(".")[0] for i in contract_ids})}

    def load(contract_id: str) -> LoadResult:
        tell("load", contract_id)
        at = points[contract_id.partition(".")[0]]
        return _patient(attempts)(load_table, context, contract_id, at=at)

    def build(_: str) -> BuildResult:
        tell("build", "silver and gold")
        without = [failed.subject for failed in (*day.unread, *unloaded)]
        return _patient(attempts)(build_layer, context, "all", without=without)

    def check(contract_id: str) -> GapReport:
        tell("gaps", contract_id)
        return _patient(attempts)(record_sync_gap, context, contract_id)

    # a database that is lost from here on fails each of its tables, in the ledger too
    day.loads, unloaded = context.each_table(contract_ids, load, probe=None)
    day.builds, unbuilt = each(["dbt"], build)
    day.gaps, unchecked = context.each_table(contract_ids, check, probe=None)
    failed = (*day.unread, *unloaded, *unbuilt, *unchecked)
    day.failures = list(dict.fromkeys(str(failure.error) for failure in failed))
    return day


def _point(context: Context, system: str) -> FixedPoint | None:
    try:
        return shared_point(context, system)
    except Exception:  # each load of the system meets the same error and records it
        return None


def _patient(attempts: int) -> Retrying:
    return Retrying(
        retry=retry_if_exception_type(TransientError),
        stop=stop_after_attempt(attempts),
        wait=wait_random_exponential(multiplier=0.5, max=10),
        reraise=True,
    )
