"""Typed answers about runs, builds and quality rates, read from the ledger like those of `ledger_views`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from ingestion.ledger import queries
from ingestion.ledger.journal import Journal
from ingestion.ledger.vocabulary import DAG
from monitoring.ledger_views import Row, read


@dataclass(frozen=True, slots=True)
class Step(Row):
    """
    One step of a run on one subject: a contract, or a layer of dbt. `typical_seconds` is the median of its last 20;
    `log_url` is where Airflow shows the log of its task, None for a command.
    """

    run_id: str
    step: str
    subject: str
    status: str
    started_at: datetime
    finished_at: datetime
    seconds: float
    typical_seconds: float | None
    rows_read: int | None
    rows_appended: int | None
    rows_quarantined: int | None
    error: str | None
    message: str | None
    log_url: str | None


@dataclass(frozen=True, slots=True)
class Failing(Row):
    """A step on a subject whose newest runs failed: since when, how often, and the newest error."""

    step: str
    subject: str
    since: datetime
    failures: int
    finished_at: datetime
    last_good_at: datetime | None
    error: str | None
    message: str | None
    log_url: str | None


@dataclass(frozen=True, slots=True)
class Minute(Row):
    """
    What the loads that ended in a minute did. `lag_seconds` is from the start of their run, when the state of the
    sources is fixed, to the end of each load, averaged over the loads; `seconds` sums the time that they took.
    """

    minute: datetime
    loads: int
    rows: int
    seconds: float
    lag_seconds: float


@dataclass(frozen=True, slots=True)
class BuiltModel(Row):
    """The newest outcome of a dbt model. `reads` has the contracts and models that it is built from."""

    model: str
    run_id: str
    step: str
    status: str
    finished_at: datetime
    seconds: float | None
    tests: int | None
    reads: str | None
    message: str | None
    since: datetime
    """When the outcome began to be what it is."""


@dataclass(frozen=True, slots=True)
class TestOutcome(Row):
    """The newest outcome of a dbt data test that ran. `models` are those that it reads, `failures` rows break it."""

    test: str
    models: str
    run_id: str
    status: str
    failures: int | None
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Rate(Row):
    """How many `rows` of a table's newest load that read any have a property that makes them worse: `hits`."""

    contract_id: str
    checked_at: datetime
    batch: int | None
    dimension: str
    column: str | None
    measure: str
    rows: int
    hits: int

    @property
    def percent(self) -> float:
        return 100.0 * self.hits / self.rows


@dataclass(frozen=True, slots=True)
class RateDay(Row):
    """A dimension of quality on a day: `good` is the percentage of the measured values without a fault."""

    contract_id: str
    day: date
    dimension: str
    good: float


@dataclass(frozen=True, slots=True)
class RateTrend(Row):
    """A rate of a table by UTC day, ascending: on each, the percentage of the rows read that have the fault."""

    contract_id: str
    dimension: str
    column: str | None
    measure: str
    days: list[date]
    percents: list[float]


@dataclass(frozen=True, slots=True)
class StripDay(Row):
    """A table on a day: the rank of the worst severity of its checks, see `findings.LEVELS`, and of its loads."""

    contract_id: str
    day: date
    checks: int
    worst: int | None
    gap: int | None
    lag_hours: float | None
    loads: int
    failed_loads: int
    rows: int


@dataclass(frozen=True, slots=True)
class DriftFound(Row):
    """A difference between a contract and the source's catalog, as the newest load that found it recorded it."""

    contract_id: str
    column: str
    kind: str
    promised: str | None
    found: str | None
    action: str
    found_at: datetime
    first_found_at: datetime


_SECONDS = "(epoch_us(finished_at) - epoch_us(started_at)) / 1e6"


def steps(journal: Journal, *, runs: int) -> list[Step]:
    """Return every step of the newest `runs` runs, the newest run first, in the order in which they ended."""
    rest = (
        f"(select *, {_SECONDS} as seconds from ops.runs left join (select step, subject, median({_SECONDS}) as "
        f"typical_seconds from {queries.newest_runs(each='20')} group by all) using (step, subject) where run_id in "
        "(select run_id from ops.runs group by run_id order by max(finished_at) desc limit $1)) "
        "order by max(finished_at) over (partition by run_id) desc, finished_at, subject"
    )
    return read(journal, Step, rest, [runs])


def failing(journal: Journal) -> list[Failing]:
    """Return the steps whose newest run failed, the longest failing first."""
    rest = (
        "(select step, subject, min(started_at) as since, count(*) as failures, max(finished_at) as finished_at, "
        "any_value(good_at) as last_good_at, arg_max(error, finished_at) as error, "
        "arg_max(message, finished_at) as message, arg_max_null(log_url, finished_at) as log_url from "
        "(select *, max(finished_at) filter (where status <> 'failed') over (partition by step, subject) as good_at "
        "from ops.runs) "
        "where status = 'failed' and (good_at is null or finished_at > good_at) group by step, subject) order by since"
    )
    return read(journal, Failing, rest, [])


def newest_good_loads(journal: Journal) -> list[Step]:
    """Return the newest load of each table that did not fail."""
    newest = queries.newest_runs("step = 'load' and status <> 'failed'")
    return read(
        journal, Step, f"(select *, {_SECONDS} as seconds, null as typical_seconds from {newest}) order by subject", []
    )


def minutes(journal: Journal, since: datetime, until: datetime) -> list[Minute]:
    """Return the minutes in which a load ended, `since <= finished < until`, ascending."""
    rest = (
        "(select date_trunc('minute', finished_at) as minute, count(*) as loads, "
        "coalesce(sum(rows_read), 0)::bigint as rows, "
        f"sum({_SECONDS}) as seconds, avg((epoch_us(finished_at) - epoch_us(begun_at)) / 1e6) as lag_seconds from "
        "(select *, min(started_at) over (partition by run_id) as begun_at from ops.runs where step = 'load') "
        "where status <> 'failed' and finished_at >= $1::timestamptz and finished_at < $2::timestamptz group by all) "
        "order by minute"
    )
    return read(journal, Minute, rest, [since, until])


def built_models(journal: Journal) -> list[BuiltModel]:
    """Return the newest outcome of every model, by name. Models that a newer build no longer has stay."""
    rest = (
        "(select n.*, (select min(h.finished_at) from ops.models h where h.model = n.model and h.finished_at > "
        "coalesce((select max(o.finished_at) from ops.models o where o.model = n.model and o.status <> n.status), "
        "'epoch'::timestamptz)) as since from (select * from ops.models "
        "qualify row_number() over (partition by model order by finished_at desc) = 1) n) order by model"
    )
    return read(journal, BuiltModel, rest, [])


def test_outcomes(journal: Journal) -> list[TestOutcome]:
    """Return the newest outcome of every data test that ran, failed ones first."""
    rest = (
        "(select * from ops.tests where status <> 'skipped' qualify row_number() over "
        "(partition by test, models order by finished_at desc) = 1) "
        "order by array_position(['failed', 'warning', 'ok'], status), test"
    )
    return read(journal, TestOutcome, rest, [])


def rates(journal: Journal) -> list[Rate]:
    """Return the quality rates of each table's newest load that read a row, by contract, in contract order."""
    rest = (
        "(select * from ops.quality_rates qualify dense_rank() over "
        "(partition by contract_id order by checked_at desc) = 1) order by contract_id"
    )
    return read(journal, Rate, rest, [])


def rate_days(journal: Journal, since: datetime) -> list[RateDay]:
    """Return each dimension of quality per table and UTC day since then, ascending."""
    rest = (
        '(select contract_id, checked_at::date as "day", dimension, '
        '100.0 - 100.0 * sum(hits) / sum("rows") as good from ops.quality_rates '
        "where checked_at >= $1::timestamptz group by all) order by contract_id, dimension, day"
    )
    return read(journal, RateDay, rest, [since])


def rate_trends(journal: Journal, dimension: str, since: datetime) -> list[RateTrend]:
    """Return the days since then of each rate of a dimension that any row broke in that time."""
    rest = (
        '(select contract_id, dimension, "column", measure, list("day" order by "day") as days, '
        'list(percent order by "day") as percents from (select contract_id, dimension, "column", measure, '
        'checked_at::date as "day", 100.0 * sum(hits) / sum("rows") as percent from ops.quality_rates '
        "where dimension = $1 and checked_at >= $2::timestamptz group by all) group by all having max(percent) > 0)"
    )
    return read(journal, RateTrend, rest, [dimension, since])


def strips(journal: Journal, since: datetime, tables: Sequence[str] | None = None) -> list[StripDay]:
    """Return each table's days since then on which it was checked or loaded, ascending; `tables` None means all."""
    rest = (
        "(select contract_id, day, coalesce(checks, 0) as checks, worst, gap, lag_hours, coalesce(loads, 0) as loads, "
        "coalesce(failed_loads, 0) as failed_loads, coalesce(rows, 0) as rows from "
        "(select contract_id, checked_at::date as day, count(*) as checks, "
        "max(case severity when 'CRITICAL' then 3 when 'WARNING' then 2 when 'UNKNOWN' then 1 else 0 end) as worst, "
        "arg_max(abs(sync_gap), checked_at) as gap, arg_max(freshness_lag_hours, checked_at) as lag_hours "
        'from ops.gaps where "partition" is null and checked_at >= $1::timestamptz and '
        "($2::varchar[] is null or list_contains($2::varchar[], contract_id)) group by all) "
        "full join (select subject as contract_id, finished_at::date as day, count(*) as loads, "
        "count(*) filter (where status = 'failed') as failed_loads, coalesce(sum(rows_read), 0)::bigint as rows "
        "from ops.runs where step = 'load' and finished_at >= $1::timestamptz and "
        "($2::varchar[] is null or list_contains($2::varchar[], subject)) group by all) "
        "using (contract_id, day)) order by contract_id, day"
    )
    return read(journal, StripDay, rest, [since, tables])


def drifts(journal: Journal) -> list[DriftFound]:
    """Return what each table's newest load that found any drift recorded, by contract and column."""
    rest = (
        "(select d.*, (select min(f.found_at) from ops.drift f where f.contract_id = d.contract_id "
        'and f."column" = d."column" and f.kind = d.kind) as first_found_at from ops.drift d '
        "qualify dense_rank() over (partition by contract_id order by found_at desc) = 1) "
        'order by contract_id, "column"'
    )
    return read(journal, DriftFound, rest, [])


@dataclass(frozen=True, slots=True)
class DayOfRows(Row):
    """How many rows the good loads of a table read on a UTC day; `is_newest` marks the newest day with loads."""

    contract_id: str
    day: date
    rows: int
    finished_at: datetime
    is_newest: bool


@dataclass(frozen=True, slots=True)
class Milestones(Row):
    """When the first and the newest step ended, and the newest maintenance; None: never."""

    first: datetime | None
    newest: datetime | None
    maintained: datetime | None


def rows_by_day(journal: Journal, since: datetime) -> list[DayOfRows]:
    """Return the rows read by each table's loads since then, by day, ascending; first loads of a table are left out."""
    rest = (
        "(select subject as contract_id, finished_at::date as day, sum(rows_read)::bigint as rows, "
        "max(finished_at) as finished_at, row_number() over (partition by subject order by finished_at::date desc) = 1 "
        "as is_newest from ops.runs where step = 'load' and status <> 'failed' and not coalesce(is_full, false) "
        "and rows_read is not null and finished_at >= $1::timestamptz group by subject, finished_at::date) "
        "order by contract_id, day"
    )
    return read(journal, DayOfRows, rest, [since])


def milestones(journal: Journal) -> Milestones:
    """Return when steps ended; DAGs of others do not count."""
    rest = (
        "(select min(finished_at) as first, max(finished_at) as newest, "
        "max(finished_at) filter (where step = 'maintain' and status <> 'failed') as maintained from ops.runs "
        f"where step <> '{DAG}')"
    )
    return read(journal, Milestones, rest, [])[0]
