"""The API: the values that the pages show, as JSON. Every route only reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Literal

import psutil
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse

from ingestion.errors import LakehouseError
from monitoring import facts, ledger_views, run_views
from monitoring.advisor.gap_rules import advise
from monitoring.advisor.values import RULES
from monitoring.board import Board, TableState, severity_of
from monitoring.findings import Kind, Level, runbook_of
from monitoring.run_views import Rate
from monitoring.web import answers, prometheus
from monitoring.web.pages import TREND_DAYS, run_lines, systems, verdict
from monitoring.web.site import Answer, Site

_LAGS: tuple[tuple[int, Literal["excellent", "good", "warning"]], ...] = (
    (60, "excellent"),
    (300, "good"),
    (1800, "warning"),
)
_STARTED = time.time()


class Api:
    """The handlers, on one site. Each is a route of ROUTES."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def metrics(self) -> answers.Metrics:
        answer, board = _board(self._site)
        missing = self._site.ask("partitions", _missing_partitions).value
        return answers.Metrics(
            world="demo" if self._site.is_demo else None,
            read_at=answer.read_at,
            fault=answer.fault,
            severity=board.level.label,
            verdict=verdict(board),
            tables=[_metrics(table, missing) for table in board.tables],
        )

    def table_metrics(self, table: str) -> answers.TableHistory:
        state = _table(self._site, table)
        missing = self._site.ask("partitions", _missing_partitions).value
        history = self._site.ask(
            ("history", table), lambda j: ledger_views.gap_history(j, [table], checks=TREND_DAYS)
        ).value
        checks = [answers.Check.model_validate(check) for check in history]
        return answers.TableHistory(metrics=_metrics(state, missing), history=checks)

    def gaps(self) -> list[answers.GapState]:
        return [answers.GapState.model_validate(d) for d in self._site.ask("open", ledger_views.open_differences).value]

    def recommendations(self) -> list[answers.Recommendation]:
        contracts = self._site.promises().contracts
        known = self._site.ask("facts", lambda journal: facts.gather(journal, contracts)).value
        return [answers.Recommendation(**one.as_dict(), advisor=RULES) for each in known for one in advise(each)]

    def kpis(self) -> list[answers.KpiValue]:
        return [answers.KpiValue.model_validate(kpi) for kpi in self._site.kpis()]

    def runs(self, limit: int = Query(30, ge=1, le=200)) -> list[answers.RunSummary]:
        steps = self._site.ask(("steps", limit), lambda journal: run_views.steps(journal, runs=limit)).value
        return [_run(run) for run in run_lines(steps)]

    def latency(self, hours: int = Query(24, ge=1, le=24 * 31)) -> answers.Latency:
        now = self._site.now()
        since = now - timedelta(hours=hours)
        return _latency(
            self._site.ask(("minutes", hours), lambda journal: run_views.minutes(journal, since, now)).value
        )

    def quality(self) -> answers.QualityStatus:
        return _quality(_board(self._site)[1], self._site.ask("rates", run_views.rates).value)

    def alerts(self) -> answers.Alerts:
        found = _board(self._site)[1].roots
        told = [
            answers.Alert(
                type=finding.kind,
                table=finding.subject,
                severity=finding.level.label,
                message=finding.text,
                timestamp=finding.since,
                command=finding.command,
                owner=finding.owner,
                value=finding.value,
                threshold=finding.threshold,
                runbook=runbook_of(finding.kind),
            )
            for finding in found
        ]
        return answers.Alerts(active_alerts=len(told), alerts=told, timestamp=self._site.now())

    def health(self) -> answers.Alive:
        status: answers.Health = "healthy" if self._site.is_readable() is None else "unhealthy"
        return answers.Alive(
            status=status,
            timestamp=self._site.now(),
            uptime=time.time() - _STARTED,
            cache_stats=answers.CacheStats(hits=self._site.hits, misses=self._site.misses, kept=self._site.kept),
            memory_usage=psutil.Process().memory_info().rss,
            active_connections=self._site.reading,
        )

    def detailed(self) -> answers.DetailedHealth:
        return _detailed(self._site)

    def alive(self) -> answers.Probe:
        return answers.Probe(status="ok")

    def ready(self) -> Any:
        if self._site.is_readable() is None:
            return answers.Probe(status="ok")
        refused = answers.Probe(status="unavailable", reason="the lake cannot be read; see the log of this server")
        return JSONResponse(refused.model_dump(), 503)

    def machine(self) -> answers.SystemMetrics:
        return _machine(self._site)

    def database(self) -> answers.DatabaseMetrics:
        started = time.perf_counter()
        found = self._site.ask("sizes", ledger_views.table_sizes).value
        tables = [answers.LedgerTable.model_validate(table) for table in found]
        return answers.DatabaseMetrics(query_seconds=time.perf_counter() - started, table_statistics=tables)

    def for_prometheus(self, request: Request) -> Response:
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse([kpi.model_dump(mode="json") for kpi in self.kpis()])
        text, kind = prometheus.exposition(_board(self._site)[1])
        return Response(text, media_type=kind)


ROUTES: tuple[tuple[str, Callable[..., Any], Any, tuple[str, ...]], ...] = (
    ("/metrics", Api.metrics, answers.Metrics, ("/api/metrics",)),
    ("/metrics/{table}", Api.table_metrics, answers.TableHistory, ("/api/metrics/{table}",)),
    ("/gaps", Api.gaps, list[answers.GapState], ("/api/gaps",)),
    ("/recommendations", Api.recommendations, list[answers.Recommendation], ("/api/recommendations",)),
    ("/kpis", Api.kpis, list[answers.KpiValue], ("/api/kpis",)),
    ("/runs", Api.runs, list[answers.RunSummary], ("/api/runs",)),
    (
        "/latency",
        Api.latency,
        answers.Latency,
        (
            "/latency",
            "/api/latency",
        ),
    ),
    ("/dq/status", Api.quality, answers.QualityStatus, ("/dq/status",)),
    ("/alerts/current", Api.alerts, answers.Alerts, ("/alerts/current",)),
    ("/health", Api.health, answers.Alive, ("/health",)),
    ("/health/detailed", Api.detailed, answers.DetailedHealth, ("/health/detailed",)),
    ("/healthz", Api.alive, answers.Probe, ("/healthz",)),
    ("/readyz", Api.ready, answers.Probe, ("/readyz",)),
    ("/metrics-of-system", Api.machine, answers.SystemMetrics, ("/metrics/system",)),
    ("/metrics-of-database", Api.database, answers.DatabaseMetrics, ("/metrics/database",)),
)
"""Path below /api/v1, handler, its answer, and the paths by which older tools ask for it."""
_FAILS: dict[str, dict[int | str, dict[str, Any]]] = {
    "/metrics/{table}": {404: {"description": "No contract has this id."}},
    "/readyz": {503: {"model": answers.Probe}},
}


def add_routes(app: FastAPI, site: Site) -> None:
    """Add every route as `/api/v1/…`, and under the paths that older tools ask for."""
    api = Api(site)
    unreadable: dict[int | str, dict[str, Any]] = {503: {"description": "The lake cannot be read."}}
    for path, handler, answer, others in ROUTES:
        for index, at in enumerate((f"/api/v1{path}", *others)):
            app.add_api_route(
                at,
                getattr(api, handler.__name__),
                response_model=answer,
                responses=unreadable | _FAILS.get(path, {}),
                include_in_schema=not index,
            )
    app.add_api_route("/metrics", api.for_prometheus, include_in_schema=False)


def _board(site: Site) -> tuple[Answer, Board]:
    answer = site.board()
    return answer, answer.value


def _table(site: Site, name: str) -> TableState:
    found = _board(site)[1].table(name)
    if found is None:
        raise HTTPException(404, "No contract has this id. See /api/v1/metrics for all of them.")
    return found


def _missing_partitions(journal: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in ledger_views.partition_gaps(journal):
        if part.missing_partitions:
            found.setdefault(part.contract_id, []).append(part.partition)
    return found


def _metrics(table: TableState, missing: dict[str, list[str]]) -> answers.TableMetrics:
    gap = table.gap
    counted = gap.source_count if gap is not None else None
    return answers.TableMetrics(
        table=table.id,
        owner=table.contract.owner or None,
        oracle_count=counted if table.contract.dialect == "oracle" else None,
        source_count=counted,
        lake_count=gap.lake_count if gap is not None else None,
        sync_gap=gap.sync_gap if gap is not None else None,
        gap_percentage=gap.gap_percentage if gap is not None else None,
        missing_partitions=None if gap is None or gap.missing_partitions is None else missing.get(table.id, []),
        freshness_lag_hours=table.lag_hours,
        data_quality_score=table.quality,
        quarantined_count=gap.quarantined_count if gap is not None else None,
        severity=severity_of(gap).label,
        state=gap.state if gap is not None else None,
        sla_met=gap.sla_met if gap is not None else None,
        checked_at=gap.checked_at if gap is not None else None,
    )


def _run(run: Any) -> answers.RunSummary:
    return answers.RunSummary(
        run_id=run.run_id,
        started_at=run.started_at,
        finished_at=run.finished_at,
        seconds=run.seconds,
        rows_read=run.rows,
        severity=run.level.label,
        steps=len(run.steps),
        failed=[f"{step.step} {step.subject}" for step in run.steps if step.status == "failed"],
    )


def _latency(minutes: Sequence[run_views.Minute]) -> answers.Latency:
    told = [
        answers.LatencyMinute(
            minute=of.minute,
            avg_ingestion_lag=of.lag_seconds,
            events_processed=of.rows,
            latency_status=next((name for limit, name in _LAGS if of.lag_seconds < limit), "critical"),
        )
        for of in minutes
    ]
    total, busy = sum(of.rows for of in minutes), sum(of.seconds for of in minutes)
    return answers.Latency(minutes=told, total_events=total, average_throughput=total / busy if busy else None)


def _quality(board: Board, rates: Sequence[Rate]) -> answers.QualityStatus:
    def share(measure: str) -> float | None:
        own = [rate for rate in rates if rate.measure == measure]
        rows = sum(rate.rows for rate in own)
        return 100.0 * sum(rate.hits for rate in own) / rows if rows else None

    rules = sorted({rate.measure for rate in rates if rate.dimension == "validity"})
    misfits = share("type")
    measured = [table for table in board.tables if table.lag_hours is not None]
    late = [t for t in measured if t.freshness_hours is not None and (t.lag_hours or 0) > t.freshness_hours]
    return answers.QualityStatus(
        completeness=answers.Completeness(null_rate=share("null"), empty_rate=share("empty")),
        validity={rule: found for rule in rules if (found := share(rule)) is not None},
        timeliness=answers.Timeliness(
            freshness_hours=max((table.lag_hours or 0.0 for table in measured), default=None),
            tables_late=len(late),
            tables_measured=len(measured),
        ),
        consistency=answers.Consistency(
            duplicate_rate=share("duplicate_key"), schema_compliance=None if misfits is None else 100.0 - misfits
        ),
    )


_HEALTH: dict[Level, answers.Health] = {
    Level.CRITICAL: "unhealthy",
    Level.WARNING: "degraded",
    Level.UNKNOWN: "degraded",
}


def _detailed(site: Site) -> answers.DetailedHealth:
    try:
        answer, board = _board(site)
    except LakehouseError as exc:
        checks = answers.Checks(database="unhealthy", data_freshness="degraded", cache_performance="healthy")
        return answers.DetailedHealth(
            status="unhealthy", timestamp=site.now(), checks=checks, systems={}, fault=str(exc)
        )
    late = any(finding.kind == Kind.STALE for finding in board.findings) or board.is_overdue
    checks = answers.Checks(
        database="healthy" if answer.fault is None else "unhealthy",
        data_freshness="unhealthy" if late else "healthy",
        cache_performance="healthy" if site.hits >= site.misses or site.misses < 20 else "degraded",
    )
    found: dict[str, answers.Health] = {name: _HEALTH.get(level, "healthy") for name, level in systems(board)}
    worst = {checks.database, checks.data_freshness, *found.values()}
    status: answers.Health = "unhealthy" if "unhealthy" in worst else "degraded" if "degraded" in worst else "healthy"
    return answers.DetailedHealth(status=status, timestamp=site.now(), checks=checks, systems=found, fault=answer.fault)


def _machine(site: Site) -> answers.SystemMetrics:
    memory, network = psutil.virtual_memory(), psutil.net_io_counters()
    try:
        disk = psutil.disk_usage(site.settings.lake_root)
    except OSError:  # a bucket
        disk = None
    return answers.SystemMetrics(
        cpu_percent=psutil.cpu_percent(),
        memory_used=memory.used,
        memory_total=memory.total,
        disk_used=disk.used if disk else None,
        disk_total=disk.total if disk else None,
        network_sent=network.bytes_sent,
        network_received=network.bytes_recv,
    )
