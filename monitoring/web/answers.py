"""
The answers of the API. Moments are UTC, percentages 0 to 100. null means not measured, never zero. No row value.

Names of the fields are part of the interface; a test compares them with the recorded schema.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["OK", "UNKNOWN", "WARNING", "CRITICAL"]
Health = Literal["healthy", "degraded", "unhealthy"]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class TableMetrics(_Answer):
    """A table at its newest gap check. `oracle_count` is `source_count` if the source is Oracle, else null."""

    table: str
    owner: str | None
    oracle_count: int | None
    source_count: int | None
    lake_count: int | None
    sync_gap: int | None
    gap_percentage: float | None
    missing_partitions: list[str] | None
    freshness_lag_hours: float | None
    data_quality_score: float | None
    quarantined_count: int | None
    severity: Severity
    state: str | None
    sla_met: bool | None
    checked_at: datetime | None


class Metrics(_Answer):
    """
    `read_at` is when the ledger was read; `fault` says why it could not be read anew, if it is an older answer. `world`
    is `demo` if all data is made up; every response then has the header `Lakehouse-World: demo` too.
    """

    world: Literal["demo"] | None
    read_at: datetime
    fault: str | None
    severity: Severity
    verdict: str
    tables: list[TableMetrics]


class Check(_Answer):
    checked_at: datetime
    source_count: int | None
    lake_count: int | None
    sync_gap: int | None
    gap_percentage: float | None
    freshness_lag_hours: float | None
    severity: str
    outcome: str | None


class TableHistory(_Answer):
    """The newest check, and the newest 90 ones before and including it, newest first."""

    metrics: TableMetrics
    history: list[Check]


class GapState(_Answer):
    """A difference between source and lake that is not closed."""

    contract_id: str
    kind: str
    state: str
    keys: int | None
    partition: str | None
    first_seen_at: datetime
    state_at: datetime
    until: datetime | None


class Recommendation(_Answer):
    """A likely cause and the commands that close it. Nothing here acts: a person runs the command."""

    contract_id: str
    cause: str
    finding: str
    commands: list[str]
    prevention: str
    sql: str
    advisor: str
    requires_human_approval: Literal[True] = True


class KpiValue(_Answer):
    name: str
    unit: str
    day: date
    value: float
    before: float | None
    change_percent: float | None


class RunSummary(_Answer):
    run_id: str
    started_at: datetime
    finished_at: datetime
    seconds: float
    rows_read: int
    severity: Severity
    steps: int
    failed: list[str]


class LatencyMinute(_Answer):
    """`avg_ingestion_lag`: seconds from the start of the run to the end of a load; `events_processed`: rows read."""

    minute: datetime
    avg_ingestion_lag: float
    events_processed: int
    latency_status: Literal["excellent", "good", "warning", "critical"]


class Latency(_Answer):
    minutes: list[LatencyMinute]
    total_events: int
    average_throughput: float | None


class Completeness(_Answer):
    null_rate: float | None
    empty_rate: float | None


class Timeliness(_Answer):
    freshness_hours: float | None
    tables_late: int
    tables_measured: int


class Consistency(_Answer):
    duplicate_rate: float | None
    schema_compliance: float | None


class QualityStatus(_Answer):
    """Rates are percentages of the values or rows of each table's newest load; `validity` has one per rule."""

    completeness: Completeness
    validity: dict[str, float]
    timeliness: Timeliness
    consistency: Consistency


class Alert(_Answer):
    type: str
    table: str
    severity: Severity
    message: str
    timestamp: datetime
    command: str | None
    owner: str | None
    value: float | None
    threshold: float | None
    runbook: str


class Alerts(_Answer):
    active_alerts: int
    alerts: list[Alert]
    timestamp: datetime


class CacheStats(_Answer):
    hits: int
    misses: int
    kept: int


class Alive(_Answer):
    status: Health
    timestamp: datetime
    uptime: float
    cache_stats: CacheStats
    memory_usage: int
    active_connections: int


class Checks(_Answer):
    database: Health
    data_freshness: Health
    cache_performance: Health


class DetailedHealth(_Answer):
    status: Health
    timestamp: datetime
    checks: Checks
    systems: dict[str, Health]
    fault: str | None


class Probe(_Answer):
    status: Literal["ok", "unavailable"]
    reason: str | None = None


class SystemMetrics(_Answer):
    """Of the machine that serves the page. Bytes, and percentages."""

    cpu_percent: float
    memory_used: int
    memory_total: int
    disk_used: int | None
    disk_total: int | None
    network_sent: int
    network_received: int


class LedgerTable(_Answer):
    table: str
    rows: int
    size: int


class DatabaseMetrics(_Answer):
    """`query_seconds`: how long the newest reading of the ledger took."""

    query_seconds: float
    table_statistics: list[LedgerTable]
