"""A gap check whose lake side runs on Spark says what the embedded one says, of every type and kind of difference."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import pytest

from ingestion.bronze.workbench.spark import DIALECT
from ingestion.gaps import lake_side
from ingestion.gaps.lake_side import SparkRows
from ingestion.gaps.record import record_sync_gap
from ingestion.gaps.repair import repair_table
from ingestion.load.load_table import load_table
from ingestion.reconcile.dialects import DIALECTS
from ingestion.reconcile.gap import GapReport
from ingestion.reconcile.vectors import TypeThere, verify_vectors
from ingestion.runs.context import initialise
from tests.engines.conftest import HEAD, Company, company
from tests.engines.test_gaps_fetched import unable
from tests.examples import LONG, LONG_FORM
from tests.golden.vectors import TYPES
from tests.spark.session import NEEDS_SPARK

__all__ = ["company"]
pytestmark = NEEDS_SPARK

FURTHER_DECIMALS = {f"decimal({digits})" for digits in ("38,0", "12,2", "38,37", "1,0", "19,4")}
HASHED = [TypeThere(type_) for name, type_ in TYPES.items() if LONG or name not in FURTHER_DECIMALS]
PEOPLE, CITIES, THINGS = "crm.people", "crm.cities", "crm.things"
OF_EVERY_TYPE = (
    HEAD.format(entity="things", table="things")
    + """
      - {name: code, physicalName: code, logicalType: string, physicalType: VARCHAR, primaryKey: true, primaryKeyPosition: 1, required: true, description: Key.}
      - {name: line, physicalName: line, logicalType: integer, physicalType: INTEGER, primaryKey: true, primaryKeyPosition: 2, required: true, description: Key.}
      - {name: amount, physicalName: amount, logicalType: number, physicalType: "DECIMAL(38,10)", description: A.}
      - {name: share, physicalName: share, logicalType: number, physicalType: "DECIMAL(5,5)", description: S.}
      - {name: ratio, physicalName: ratio, logicalType: number, physicalType: DOUBLE, description: R.}
      - {name: is_good, physicalName: is_good, logicalType: boolean, physicalType: BOOLEAN, description: G.}
      - {name: day, physicalName: day, logicalType: date, physicalType: DATE, description: D.}
      - {name: seen_at, physicalName: seen_at, logicalType: timestamp, physicalType: TIMESTAMPTZ, description: S.}
      - {name: raw, physicalName: raw, logicalType: string, physicalType: BLOB, description: R.}
      - {name: changed_at, physicalName: changed_at, logicalType: timestamp, physicalType: TIMESTAMP, required: true, description: Watermark.}
customProperties:
  - property: lake
    value:
      timezone: UTC
      mode: incremental
      watermark: changed_at
      deletes: none
      silver: stg_things
      reconcile: {partition: day, grain: month, warningGapPercent: 0, criticalGapPercent: 50, maxRepairPercent: 100}
"""
)
MADE = """
create table things as select
    case when n % 3 = 0 then 'é' when n % 3 = 1 then 'O''Neill \\' else 'ß😀' end || n as code, (n % 2)::integer as line,
    (n * 12345678901.0123456789)::decimal(38,10) * case when n % 5 = 0 then -1 else 1 end as amount,
    (n / 100000)::decimal(5,5) as share,
    case when n % 11 = 0 then null else n / 7 end as ratio, n % 4 = 0 as is_good,
    date '2026-01-15' + (n::integer % 60) as day,
    case when n % 10 = 0 then null else '2026-03-08 02:30:00+00'::timestamptz + n * interval 1000001 microsecond end as seen_at,
    case when n % 13 = 0 then null else encode('raw' || n) end as raw,
    '2026-03-01 08:00:00'::timestamp + n * interval 1 second + case when n % 2 = 0 then 0 else n end * interval 1 microsecond as changed_at
from range(1, 120) t(n)
"""


def twin(company: Company) -> Company:
    """Return a copy of the project, its source and its lake, whose engine is Spark."""
    folder = company.folder.with_name(f"{company.folder.name}-spark")
    shutil.copytree(company.folder, folder)
    return replace(company, folder=folder, engine="spark")


def same(report: GapReport) -> dict[str, Any]:
    return {name: value for name, value in report.as_dict().items() if name != "seconds"}


def recorded(company: Company) -> list[tuple[Any, ...]]:
    """Return what a check left in the ledger, without names and times."""
    gaps = "select columns(* exclude (run_id, checked_at, seconds)) from ops.gaps order by all"
    differences = 'select contract_id, kind, "partition", state, keys, batch, bound from ops.differences order by all'
    return [*company.lake(gaps), *company.lake(differences)]


@pytest.fixture
def on_spark(monkeypatch: pytest.MonkeyPatch, spark: Any) -> list[SparkRows]:
    """Note the lake sides that ran on Spark."""
    noted: list[SparkRows] = []
    real = SparkRows.side

    def note(self: SparkRows, *given: Any, **named: Any) -> Any:
        noted.append(self)
        return real(self, *given, **named)

    monkeypatch.setattr(lake_side.SparkRows, "side", note)
    return noted


def check_twice(company: Company, contract_id: str, on_spark: list[SparkRows]) -> GapReport:
    """Check both twins, and return what Spark's found."""
    there = twin(company)
    reports = [record_sync_gap(one.context(), contract_id) for one in (company, there)]

    assert same(reports[1]) == same(reports[0])
    assert recorded(there) == recorded(company)
    assert len(on_spark) == 1
    return reports[1]


def test_values_of_every_type_are_equal_and_every_kind_of_difference_is_found(
    company: Company, on_spark: list[SparkRows]
) -> None:
    company.contract("things", OF_EVERY_TYPE)
    company.sql(MADE)
    initialise(company.settings)
    load_table(company.context(), THINGS)

    assert check_twice(company, THINGS, on_spark).outcome == "equal"

    company.sql(
        "update things set amount = amount + 0.0000000001 where code like '%😀2'",
        "update things set ratio = 0.30000000000000004 where code like '%Neill _7'",
        "update things set seen_at = seen_at + interval 1 microsecond where code = 'é9'",
        "delete from things where code = 'é33'",
        "insert into things by name select 'lost' as code, 1::integer as line, date '2025-07-01' as day, "
        "'2026-03-01 08:00:30'::timestamp as changed_at",
        "insert into things by name select 'flies' as code, 1::integer as line, date '2026-01-15' as day, "
        "'2026-03-01 11:00:00'::timestamp as changed_at",
        "update things set changed_at = '2026-03-01 11:00:00' where code = 'é12'",
    )
    shutil.rmtree(company.folder.with_name(f"{company.folder.name}-spark"))
    on_spark.clear()

    report = check_twice(company, THINGS, on_spark)

    assert (report.differing_keys, report.extra_keys, report.missing_keys, report.in_flight_count) == (3, 1, 1, 2)
    assert (report.missing_partitions, report.rung) == (("2025-07",), "leaves")


def test_quarantined_rows_are_told_apart_and_a_repair_closes_what_is_left(
    company: Company, on_spark: list[SparkRows]
) -> None:
    company.amend("people", "deletes: keys\n", "deletes: none\n")
    company.amend("people", "      maxDeletePercent: 50\n", "")
    company.amend("people", "criticalGapPercent: 50}", "criticalGapPercent: 50, maxRepairPercent: 100}")
    company.sql("insert into people values (4, 'a name that is too long', 1, '2026-03-01 10:30:00')")
    load_table(company.context(), PEOPLE)
    company.sql(
        "insert into people values (5, 'Eve', 1, '2026-02-01 08:00:00'), (2, 'Bea', null, '2026-03-01 10:00:00')",
        "update people set score = 7 where id = 3",
    )

    report = check_twice(company, PEOPLE, on_spark)
    there = replace(company, folder=company.folder.with_name(f"{company.folder.name}-spark"), engine="spark")
    repaired = repair_table(there.context(), PEOPLE)

    assert (report.quarantined_count, report.missing_keys, report.differing_keys) == (2, 1, 1)
    assert (repaired.fetched, record_sync_gap(there.context(), PEOPLE).differing_keys) == (2, 0)


def test_table_that_was_never_loaded_is_missing_whole(company: Company, on_spark: list[SparkRows]) -> None:
    report = check_twice(company, CITIES, on_spark)

    assert (report.source_count, report.lake_count, report.missing_keys) == (2, 0, 2)


@LONG_FORM
def test_session_of_a_check_hashes_every_type_as_defined(spark: Any) -> None:
    session = spark.newSession()
    for name, value in DIALECT.items():
        session.conf.set(name, value)

    def run(query: str) -> list[Any]:
        return [tuple(answer) for answer in session.sql(query).collect()]

    assert verify_vectors(run, DIALECTS["spark"], HASHED) == frozenset()


def test_rows_that_the_source_cannot_hash_are_fetched_and_compared(
    company: Company, on_spark: list[SparkRows], monkeypatch: pytest.MonkeyPatch
) -> None:
    company.amend("people", "deletes: keys\n", "deletes: none\n")
    company.amend("people", "      maxDeletePercent: 50\n", "")
    load_table(company.context(), PEOPLE)
    unable(monkeypatch, "decimal", "text")
    company.sql(
        "update people set score = 7 where id = 3",
        "update people set name = 'Bça😀' where id = 2",
        "insert into people values (5, 'Eve', 1, '2026-03-01 11:30:00')",
    )

    report = check_twice(company, PEOPLE, on_spark)

    assert (report.differing_keys, report.in_flight_count, report.unverified_columns) == (2, 1, "")
