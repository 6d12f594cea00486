"""The pages: each function reads what its page shows and returns the values of its template."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from monitoring import facts, ledger_views, run_views, stream_views
from monitoring.advisor.gap_rules import advise
from monitoring.board import STRIP_DAYS, Board, TableState, severity_of
from monitoring.findings import Finding, Kind, Level, hours
from monitoring.incidents import alerting
from monitoring.run_views import Step
from monitoring.web import advisor_pages
from monitoring.web.site import Site

Query = Mapping[str, str]
RUNS_SHOWN = 30
TREND_DAYS = 90
TABS = ("completeness", "validity", "timeliness", "consistency")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the menu. `read` returns the template's values for a query; `text` is for its link."""

    name: str
    title: str
    read: Callable[[Site, Board, Query], dict[str, Any]]


def home(site: Site, board: Board, query: Query) -> dict[str, Any]:
    del query
    return {
        "verdict": verdict(board),
        "tiles": tiles(board),
        "cares": cares(board),
        "kpis": site.kpis(),
        "systems": systems(board),
        "last_day": board.read_at.date(),
        "strip_days": STRIP_DAYS,
        "engine": site.settings.engine,
    }


@dataclass(frozen=True, slots=True)
class Care:
    """The faults of one table or model that no other one explains, and how many follow from them."""

    findings: tuple[Finding, ...]
    followers: int

    @property
    def first(self) -> Finding:
        return self.findings[0]


def cares(board: Board) -> list[Care]:
    """Return what needs somebody, by subject, the worst first."""
    own: dict[str, list[Finding]] = defaultdict(list)
    for finding in board.roots:
        own[finding.subject].append(finding)
    behind = Counter(finding.behind for finding in board.findings)
    return [Care(tuple(found), sum(behind[f.key] for f in found)) for found in own.values()]


def verdict(board: Board) -> str:
    """Return the sentence that answers: is my data right and on time?"""
    count = len(board.tables)
    if not count:
        return "There is no contract yet."
    if board.last_step_at is None:
        return "Nothing has run on this lake yet."
    tables = counted(count, "table")
    if hurt := _subjects(board, Level.CRITICAL):
        return f"{hurt} you."
    unknown = sum(severity_of(table.gap) is Level.UNKNOWN for table in board.tables)
    open_ = f"{counted(unknown, 'table')} could not be compared with {'its' if unknown == 1 else 'their'} source"
    if look := _subjects(board, Level.WARNING):
        return f"{open_ if unknown else 'All data is in step with its sources'}; {look} a look."
    return f"{open_}." if unknown else f"All {tables} are right and on time."


def _subjects(board: Board, level: Level) -> str:
    """Return how many sources, tables and models have a fault of that level, with the verb; empty if none has."""
    subjects = {finding.subject for finding in board.roots if finding.level is level}
    groups = {
        "source": {table.contract.system for table in board.tables},
        "table": {table.id for table in board.tables},
        "model": {model.model for model in board.models},
    }
    told = [
        f"{len(subjects & names)} of {counted(len(names), what)}" for what, names in groups.items() if subjects & names
    ]
    others = sorted(subjects.difference(*groups.values()))
    if others:
        told.append("the lake" if others == ["lake"] else counted(len(others), "other part"))
    return f"{' and '.join(told)} need{'s' if len(subjects) == 1 else ''}" if told else ""


def counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the overview; `value` is None if it was not measured."""

    title: str
    value: str | None
    note: str
    level: Level


def tiles(board: Board) -> list[Tile]:
    gaps = [table.gap for table in board.tables if table.gap is not None]
    compared = [gap for gap in gaps if gap.source_count is not None]
    levels = [severity_of(table.gap) for table in board.tables]
    worst = max(levels, default=Level.UNKNOWN)
    in_step = f"{levels.count(Level.OK)} of {counted(len(levels), 'table')} in step with the source"
    held = sum(gap.quarantined_count or 0 for gap in compared)
    scores = [gap.data_quality_score for gap in compared if gap.data_quality_score is not None]
    whole = len(compared) == len(levels)
    some = "kept with their reason, not in Silver" if whole else f"in {len(compared)} of {len(levels)} tables compared"
    return [
        Tile(
            "Sync gap",
            f"{sum(abs(gap.sync_gap or 0) for gap in compared):,} rows" if compared else None,
            in_step,
            worst,
        ),
        _oldest(board.tables),
        Tile(
            "Quarantine",
            f"{held:,} rows" if compared else None,
            some if compared else "no gap check has counted it",
            Level.UNKNOWN if not compared else Level.WARNING if held else Level.OK,
        ),
        Tile(
            "Data quality",
            f"{min(scores):.2f} %" if scores else None,
            "worst table: rows without a fault",
            Level.UNKNOWN if not scores else Level.OK if min(scores) >= 99 else Level.WARNING,
        ),
    ]


def _oldest(tables: Sequence[TableState]) -> Tile:
    measured = [table for table in tables if table.lag_hours is not None]
    if not measured:
        return Tile("Oldest data", None, "no gap check has measured it", Level.UNKNOWN)
    worst = max(measured, key=lambda t: (t.lag_hours or 0) / (t.freshness_hours or 24))
    promised = f"of {worst.freshness_hours:g} h promised" if worst.freshness_hours else "no age is promised"
    late = worst.freshness_hours is not None and (worst.lag_hours or 0) > worst.freshness_hours
    age = hours(worst.lag_hours or 0.0)
    return Tile("Oldest data", age, f"{worst.id}, {promised}", Level.CRITICAL if late else Level.OK)


def systems(board: Board) -> list[tuple[str, Level]]:
    """Return each source system, with the level of its loads: CRITICAL if the newest load of every table failed."""
    failed = {f.subject for f in board.findings if f.kind in (Kind.LOAD_FAILED, Kind.DELETE_BRAKE)}
    names: dict[str, list[str]] = defaultdict(list)
    for table in board.tables:
        names[table.contract.system].append(table.id)
    return [
        (name, Level.CRITICAL if failed.issuperset(ids) else Level.WARNING if failed & {*ids} else Level.OK)
        for name, ids in sorted(names.items())
    ]


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run and its steps, in the order in which they ended."""

    run_id: str
    started_at: datetime
    finished_at: datetime
    steps: tuple[Step, ...]

    @property
    def seconds(self) -> float:
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def rows(self) -> int:
        return sum(step.rows_read or 0 for step in self.steps if step.step == "load")

    @property
    def level(self) -> Level:
        states = {step.status for step in self.steps}
        return Level.CRITICAL if "failed" in states else Level.WARNING if "warning" in states else Level.OK


def pipeline(site: Site, board: Board, query: Query) -> dict[str, Any]:
    steps: list[Step] = site.ask("steps", lambda journal: run_views.steps(journal, runs=RUNS_SHOWN)).value
    runs = run_lines(steps)
    chosen = next((run for run in runs if run.run_id == query.get("run")), runs[0] if runs else None)
    since = board.read_at - timedelta(days=1)
    minutes = site.ask("minutes", lambda journal: run_views.minutes(journal, since, board.read_at)).value
    advice = None
    if chosen is not None and chosen.level is Level.CRITICAL:
        advice = advisor_pages.explained(site, chosen.run_id)
    shown = {"runs": runs, "chosen": chosen, "advice": advice}
    return {**shown, "models": board.models, "minutes": minutes[-20:][::-1]}


def run_lines(steps: Sequence[Step]) -> list[RunLine]:
    """Return the runs of some steps, which come run by run."""
    runs: dict[str, list[Step]] = {}
    for step in steps:
        runs.setdefault(step.run_id, []).append(step)
    return [
        RunLine(run_id, min(s.started_at for s in own), max(s.finished_at for s in own), tuple(own))
        for run_id, own in runs.items()
    ]


def quality(site: Site, board: Board, query: Query) -> dict[str, Any]:
    tab = query.get("tab", "") if query.get("tab") in TABS else TABS[0]
    since = board.read_at - timedelta(days=STRIP_DAYS)
    rates = site.ask("rates", run_views.rates).value
    days = site.ask("rate_days", lambda journal: run_views.rate_days(journal, since)).value
    trend: dict[str, dict[date, float]] = defaultdict(dict)
    for day in days:
        if day.dimension == tab:
            trend[day.contract_id][day.day] = day.good
    calendar = [board.read_at.date() - timedelta(days=back) for back in range(STRIP_DAYS - 1, -1, -1)]
    own = sorted((rate for rate in rates if rate.dimension == tab), key=lambda rate: -rate.percent)
    broken = site.ask(("rate_trends", tab), lambda journal: run_views.rate_trends(journal, tab, since)).value
    by_rate = {
        (one.contract_id, one.column, one.measure): dict(zip(one.days, one.percents, strict=True)) for one in broken
    }
    listed = [(rate, by_rate.get((rate.contract_id, rate.column, rate.measure), {})) for rate in own]
    return {
        "tab": tab,
        "tabs": TABS,
        "rates": [(rate, [found.get(day) for day in calendar]) for rate, found in listed if rate.hits or found][:200],
        "measured": len(own),
        "faultless": sum(not (rate.hits or found) for rate, found in listed),
        "trends": {name: [found.get(day) for day in calendar] for name, found in sorted(trend.items())},
        "newest": {name: found[max(found)] for name, found in trend.items()},
        "calendar": calendar,
        "layers": layers(board, rates),
    }


@dataclass(frozen=True, slots=True)
class LayerQuality:
    """What was measured in a layer: how many checks, and how many of them found a fault."""

    layer: str
    what: str
    checks: int
    faulty: int


def layers(board: Board, rates: Sequence[run_views.Rate]) -> list[LayerQuality]:
    kinds = {node.name: node.kind for node in board.graph.nodes.values()}
    told = [LayerQuality("Bronze", "rates of columns and rules", len(rates), sum(bool(rate.hits) for rate in rates))]
    for layer in ("silver", "gold", "audit"):
        own = [test for test in board.tests if any(kinds.get(model) == layer for model in test.models.split(", "))]
        bad = sum(test.status in ("failed", "warning") for test in own)
        told.append(LayerQuality(layer.capitalize(), "dbt data tests", len(own), bad))
    return told


def gaps(site: Site, board: Board, query: Query) -> dict[str, Any]:
    chosen = board.table(query.get("table", "")) or (board.tables[0] if board.tables else None)
    if chosen is None:
        return {"chosen": None}
    ids = [chosen.id]
    since, quarter_ago = board.read_at - timedelta(days=365), board.read_at - timedelta(days=TREND_DAYS)
    history = site.ask(("history", chosen.id), lambda j: ledger_views.gap_history(j, ids, checks=TREND_DAYS)).value
    known = site.ask(("facts", chosen.id), lambda j: facts.gather(j, [chosen.contract])[0]).value
    return {
        "chosen": chosen,
        "history": history,
        "days": site.ask(("days", chosen.id), lambda j: run_views.strips(j, quarter_ago, ids)).value,
        "calendar_days": TREND_DAYS,
        "partitions": known.partitions,
        "differences": site.ask(("differences", chosen.id), lambda j: ledger_views.differences(j, ids)).value[:-51:-1],
        "advice": advise(known),
        "sla": months(site.ask("sla", lambda j: ledger_views.sla_compliance(j, since, board.read_at)).value, chosen.id),
    }


@dataclass(frozen=True, slots=True)
class SlaMonth:
    """The checks of a table in a month; `compliance` is a percentage of those that could be judged."""

    month: str
    checks: int
    met: int
    unknown: int

    @property
    def compliance(self) -> float | None:
        judged = self.checks - self.unknown
        return 100.0 * self.met / judged if judged else None


def months(days: Sequence[ledger_views.SlaDay], contract_id: str) -> list[SlaMonth]:
    """Return a table's months, newest first."""
    sums: dict[str, list[int]] = {}
    for day in days:
        if day.contract_id == contract_id:
            of = sums.setdefault(f"{day.day:%Y-%m}", [0, 0, 0])
            of[0], of[1], of[2] = of[0] + day.checks, of[1] + day.met, of[2] + day.unknown
    return [SlaMonth(month, *of) for month, of in sorted(sums.items(), reverse=True)]


def streams(site: Site, board: Board, query: Query) -> dict[str, Any]:
    since = board.read_at - timedelta(hours=1)
    noted = site.ask("stream minutes", lambda journal: stream_views.minutes(journal, since)).value
    chosen = next((s for s in board.streams if s.stream == query.get("name")), next(iter(board.streams), None))
    return {"chosen": chosen, "minutes": [m for m in noted if chosen is not None and m.stream == chosen.stream]}


def lineage(site: Site, board: Board, query: Query) -> dict[str, Any]:
    del site
    node = board.graph.find(query.get("node", ""))
    shown = board.graph.connected() if node is None else board.graph.around(node.id)
    levels = {table.id: table.level for table in board.tables}
    levels |= {m.model: {"ok": Level.OK, "warning": Level.WARNING}.get(m.status, Level.CRITICAL) for m in board.models}
    return {"node": node, "graph": shown, "levels": levels, "whole": board.graph}


def contracts(site: Site, board: Board, query: Query) -> dict[str, Any]:
    chosen = board.table(query.get("id", ""))
    drifts = site.ask("drifts", run_views.drifts).value
    own = [drift for drift in drifts if chosen is not None and drift.contract_id == chosen.id]
    return {"chosen": chosen, "drifts": own}


def incidents(site: Site, board: Board, query: Query) -> dict[str, Any]:
    del query
    known = site.ask("incidents", lambda journal: alerting.current(journal, ended=True)).value
    sent = site.ask("sent", alerting.sent_by_incident).value
    ended = sorted((one for one in known if one.is_ended), key=lambda one: one.state_at, reverse=True)
    return {
        "findings": board.findings,
        "advices": advisor_pages.of_findings(site, [each for each in board.findings if not each.behind]),
        "states": {one.key: one for one in known if not one.is_ended},
        "ended": [one for one in ended if one.told_level is not None][:50],
        "sent": sent,
    }


def runbooks(site: Site, board: Board, query: Query) -> dict[str, Any]:
    del site, board
    return {"kind": query.get("kind", "")}


PAGES = (
    Page("home", "Home", home),
    Page("pipeline", "Pipeline", pipeline),
    Page("quality", "Quality", quality),
    Page("gaps", "Gaps", gaps),
    Page("streams", "Streams", streams),
    Page("lineage", "Lineage", lineage),
    Page("contracts", "Contracts", contracts),
    Page("incidents", "Incidents", incidents),
    Page("runbooks", "Runbooks", runbooks),
    Page("ask", "Ask", advisor_pages.ask),
    Page("advisor", "Advisor", advisor_pages.log),
)
