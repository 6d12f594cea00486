"""The one module that reads the ledger for people: typed answers for the command line, an API, a dashboard, alerts.

Every function reads only the ledger, no source and no table. Moments are UTC; a day is a UTC day. None means not known,
never zero. No result holds a row value. `tables` has contract ids; None means all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from ingestion.ledger import queries
from ingestion.ledger.vocabulary import UNENDED

if TYPE_CHECKING:
    from ingestion.ledger.journal import Journal

_WHOLE = '"partition" is null'


@dataclass(frozen=True, slots=True)
class Row:
    """Base of all results that are read from the ledger."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


_Answer = TypeVar("_Answer", bound=Row)


@dataclass(frozen=True, slots=True)
class TableGap(Row):
    """
    One check of a table: counts up to `bound`, what differed, how it was judged and what it cost.

    `gap_percentage` and `data_quality_score` go from 0 to 100. `missing_keys`, `extra_keys` and `differing_keys` are
    counts. `severity` is UNKNOWN, and the counts None, if the source could not be read. It is OK* if no difference was
    found but not everything promised was compared: see `unverified_columns`, and `why` for a `partial` outcome.
    `sla_met` is None in both cases.
    """

    contract_id: str
    run_id: str
    checked_at: datetime
    bound: str | None
    batch: int | None
    source_count: int | None
    lake_count: int | None
    quarantined_count: int | None
    in_flight_count: int | None
    sync_gap: int | None
    gap_percentage: float | None
    missing_keys: int | None
    extra_keys: int | None
    differing_keys: int | None
    missing_partitions: int | None
    freshness_lag_hours: float | None
    data_quality_score: float | None
    severity: str
    state: str | None
    sla_met: bool | None
    outcome: str | None
    rung: str | None
    why: str | None
    unverified_columns: str | None
    queries: int | None
    rows_compared: int | None
    seconds: float | None
    runbook_sql: str | None


@dataclass(frozen=True, slots=True)
class PartitionGap(Row):
    """A partition that differed in a check. `missing_partitions` is 1 if the lake has no row of it."""

    contract_id: str
    partition: str
    source_count: int
    lake_count: int
    quarantined_count: int | None
    sync_gap: int
    missing_partitions: int
    runbook_sql: str | None


@dataclass(frozen=True, slots=True)
class Difference(Row):
    """A difference in its newest state. `keys` counts its keys; `by`, `why` and `until` are those of a waiver."""

    difference_id: str
    contract_id: str
    kind: str
    partition: str | None
    state: str
    keys: int | None
    state_at: datetime
    first_seen_at: datetime
    run_id: str
    batch: int | None
    bound: str | None
    by: str | None
    why: str | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class SlaDay(Row):
    """How many checks of a table on a day met its service level. `unknown` ones do not count in `compliance`."""

    contract_id: str
    day: date
    checks: int
    met: int
    unknown: int
    compliance: float | None


@dataclass(frozen=True, slots=True)
class TimeToRepair(Row):
    """How long a difference existed, from when it was first seen until it was repaired."""

    difference_id: str
    contract_id: str
    kind: str
    first_seen_at: datetime
    repaired_at: datetime
    hours: float


@dataclass(frozen=True, slots=True)
class Run(Row):
    """One step of a run, on one subject (a contract or dbt). `error` is the class of the error that ended it."""

    run_id: str
    step: str
    subject: str
    status: str
    started_at: datetime
    finished_at: datetime
    batch: int | None
    rows_read: int | None
    rows_quarantined: int | None
    rows_appended: int | None
    rows_deleted: int | None
    error: str | None
    message: str | None

    @property
    def is_good(self) -> bool:
        return self.status != "failed"


def current_gaps(journal: Journal, tables: Sequence[str] | None = None) -> list[TableGap]:
    """Return the newest check of each table that was ever checked, ordered by contract."""
    return read(journal, TableGap, f"{queries.newest_gaps(_IN)} order by contract_id", [tables])


def gap_history(journal: Journal, tables: Sequence[str] | None = None, *, checks: int = 100) -> list[TableGap]:
    """Return the newest `checks` checks of each table, by contract, newest first."""
    newest = queries.newest_gaps(_IN, each="$2")
    return read(journal, TableGap, f"{newest} order by contract_id, checked_at desc", [tables, checks])


def partition_gaps(journal: Journal, tables: Sequence[str] | None = None) -> list[PartitionGap]:
    """Return the partitions that differed in the newest check of each table, the largest gap first."""
    rest = (
        f"(select part.* from ops.gaps part join {queries.newest_gaps()} whole on part.contract_id = whole.contract_id "
        f'and part.checked_at >= whole.checked_at where part."partition" is not null) where {_IN} '
        'order by contract_id, abs(sync_gap) desc, "partition"'
    )
    return read(journal, PartitionGap, rest, [tables])


def open_differences(
    journal: Journal, tables: Sequence[str] | None = None, *, now: datetime | None = None
) -> list[Difference]:
    """Return differences whose newest state is open, the oldest first, including those whose waiver has ended."""
    return list(unended_differences(journal, tables, now=now)[0])


def unended_differences(
    journal: Journal, tables: Sequence[str] | None = None, *, now: datetime | None = None
) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
    """Return the open differences, and those waived until a future moment; both the oldest first."""
    found, at = differences(journal, tables, states=UNENDED), now or datetime.now(UTC)

    def is_waived(difference: Difference) -> bool:
        return difference.state == "waived" and difference.until is not None and difference.until > at

    return tuple(d for d in found if not is_waived(d)), tuple(d for d in found if is_waived(d))


def differences(
    journal: Journal, tables: Sequence[str] | None = None, *, states: Sequence[str] | None = None
) -> list[Difference]:
    """Return differences in their newest state, by contract, the oldest first; only those in `states` if given."""
    return read(
        journal,
        Difference,
        f"{queries.newest_differences(_IN)} where ($2::varchar[] is null or list_contains($2::varchar[], state)) "
        "order by contract_id, first_seen_at, difference_id",
        [tables, states],
    )


def sla_compliance(
    journal: Journal, since: datetime, until: datetime, tables: Sequence[str] | None = None
) -> list[SlaDay]:
    """Return per table and day the share of checks that met the service level, `since <= checked_at < until`."""
    days = (
        '(select contract_id, checked_at::date as "day", count(*) as checks, count(*) filter (where sla_met) as met, '
        "count(*) filter (where sla_met is null) as unknown, "
        "100.0 * count(*) filter (where sla_met) / nullif(count(sla_met), 0) as compliance "
        f"from ops.gaps where {_WHOLE} and {_IN} and checked_at >= $2::timestamptz and checked_at < $3::timestamptz "
        'group by all) order by contract_id, "day"'
    )
    return read(journal, SlaDay, days, [tables, since, until])


def times_to_repair(
    journal: Journal, since: datetime, until: datetime, tables: Sequence[str] | None = None
) -> list[TimeToRepair]:
    """Return how long each difference repaired in the period had existed, `since <= repaired < until`."""
    repaired = (
        "(select *, state_at as repaired_at, (epoch_us(state_at) - epoch_us(first_seen_at)) / 3600e6 as hours "
        f"from {queries.newest_differences(_IN)} where state = 'repaired') where repaired_at >= $2::timestamptz "
        "and repaired_at < $3::timestamptz order by contract_id, repaired_at"
    )
    return read(journal, TimeToRepair, repaired, [tables, since, until])


def newest_runs(
    journal: Journal, subjects: Sequence[str] | None = None, *, step: str | None = None, each: int = 1
) -> list[Run]:
    """Return the newest `each` runs per step and subject, newest first; only of one step if given."""
    which = "($1::varchar[] is null or list_contains($1::varchar[], subject)) and ($2::varchar is null or step = $2)"
    newest = queries.newest_runs(which, each="$3")
    return read(journal, Run, f"{newest} order by finished_at desc", [subjects, step, each])


_IN = "($1::varchar[] is null or list_contains($1::varchar[], contract_id))"


def read(journal: Journal, answer: type[_Answer], rest: str, binds: Sequence[object]) -> list[_Answer]:
    """Return the rows of a relation as results: each field is the column of its name."""
    names = ", ".join(f'"{field.name}"' for field in fields(answer))
    plain = [list(bind) if isinstance(bind, list | tuple) else bind for bind in binds]
    return [answer(**row) for row in journal.select(f"select {names} from {rest}", plain)]


@dataclass(frozen=True, slots=True)
class TableSize(Row):
    """A table of the ledger: its rows, and the bytes of its newest version's files."""

    table: str
    rows: int
    size: int


def table_sizes(journal: Journal) -> list[TableSize]:
    """Return every table of the ledger, by name."""
    return [TableSize(name, rows, size) for name, rows, size in journal.sizes()]
