"""Everything that the overview shows, read from the ledger in one go and judged: tables and findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingestion.contracts.model import Contract
from ingestion.ledger.journal import Journal
from monitoring import facts, findings, lineage, run_views, stream_views, upkeep
from monitoring.findings import SEVERITIES, Evidence, Finding, Level
from monitoring.ledger_views import TableGap
from monitoring.lineage import Graph
from monitoring.promises import Promises
from monitoring.run_views import BuiltModel, Step, StripDay, TestOutcome
from monitoring.stream_views import StreamState

STRIP_DAYS = 30
VOLUME_DAYS = timedelta(weeks=12)
OVERDUE_AFTER = 2.0
"""The ledger is overdue when no step has ended for so many times the shortest freshness that a contract promises."""
DAILY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class TableState:
    """
    A table now. `level` is that of its worst finding; `lag_hours` see `findings.lag_hours`; `days` are those of the
    last STRIP_DAYS on which it was checked or loaded. `quality` is the newest check's score.
    """

    contract: Contract
    level: Level
    gap: TableGap | None
    load: Step | None
    lag_hours: float | None
    days: tuple[StripDay, ...]

    @property
    def id(self) -> str:
        return self.contract.id

    @property
    def freshness_hours(self) -> float | None:
        promised = self.contract.reconcile.freshness
        return None if promised is None else promised.total_seconds() / 3600

    @property
    def quality(self) -> float | None:
        return self.gap.data_quality_score if self.gap is not None else None


@dataclass(frozen=True, slots=True)
class Board:
    """
    The lake at `read_at`. `last_step_at` is when the newest step of any run ended; None: the ledger is empty.

    `is_overdue`: no step has ended for OVERDUE_AFTER times the shortest promised freshness, so all of it may be out of
    date.
    """

    read_at: datetime
    tables: tuple[TableState, ...]
    findings: tuple[Finding, ...]
    models: tuple[BuiltModel, ...]
    tests: tuple[TestOutcome, ...]
    streams: tuple[StreamState, ...]
    graph: Graph
    last_step_at: datetime | None
    is_overdue: bool

    @property
    def level(self) -> Level:
        return max((finding.level for finding in self.findings), default=Level.OK)

    @property
    def roots(self) -> tuple[Finding, ...]:
        """The findings that no other one explains."""
        return tuple(finding for finding in self.findings if finding.behind is None)

    def table(self, contract_id: str) -> TableState | None:
        return next((table for table in self.tables if table.id == contract_id), None)


def read_board(journal: Journal, promises: Promises, *, now: datetime, root: str = "") -> Board:
    """Read the ledger once and judge it. `root` is the lake's, whose disk is looked at."""
    contracts = promises.contracts
    now = now.astimezone(UTC)
    loads = {step.subject: step for step in run_views.newest_good_loads(journal)}
    models = run_views.built_models(journal)
    known = facts.gather(journal, contracts)
    graph = lineage.graph(contracts, models, promises.exposures)
    evidence = Evidence(
        known,
        run_views.failing(journal),
        loads,
        models,
        run_views.drifts(journal),
        {contract.id: contract.owner for contract in contracts if contract.owner},
        {name: graph.downstream(name) for name in [*(c.id for c in contracts), *(m.model for m in models)]},
    )
    steps, streams = run_views.milestones(journal), stream_views.states(journal, now)
    checked = max((each.gap.checked_at for each in known if each.gap is not None), default=None)
    limit = OVERDUE_AFTER * _shortest(contracts)
    found = [
        *promises.invalid,
        *findings.find(evidence, now),
        *upkeep.unusual_volumes(run_views.rows_by_day(journal, now - VOLUME_DAYS)),
        *upkeep.overdue_maintenance(steps.maintained, steps.first, now),
        *upkeep.silent_monitor(checked, steps.newest, limit),
        *upkeep.filling_disk(root, now),
        *stream_views.find(streams, now),
    ]
    found.sort(key=findings.urgency)
    days: dict[str, list[StripDay]] = defaultdict(list)
    for day in run_views.strips(journal, now - timedelta(days=STRIP_DAYS)):
        days[day.contract_id].append(day)
    tables = tuple(
        TableState(
            each.contract,
            max((f.level for f in found if f.subject == each.contract.id), default=Level.OK),
            each.gap,
            loads.get(each.contract.id),
            findings.lag_hours(each, loads.get(each.contract.id), now),
            tuple(days[each.contract.id]),
        )
        for each in known
    )
    return Board(
        now,
        tuple(sorted(tables, key=lambda table: (-table.level, table.id))),
        tuple(found),
        tuple(models),
        tuple(run_views.test_outcomes(journal)),
        tuple(streams),
        graph,
        steps.newest,
        steps.newest is not None and now - steps.newest > limit,
    )


def _shortest(contracts: Sequence[Contract]) -> timedelta:
    promised = [contract.reconcile.freshness for contract in contracts if contract.reconcile.freshness]
    return max(min(promised, default=DAILY), timedelta(hours=1))


def severity_of(gap: TableGap | None) -> Level:
    return Level.UNKNOWN if gap is None else SEVERITIES.get(gap.severity, Level.UNKNOWN)
