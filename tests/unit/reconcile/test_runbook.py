"""The SQL that a person is given to see a gap can be run where the table is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingestion.reconcile.gap import runbook_sql
from tests.unit.reconcile.worlds import contract


@pytest.mark.parametrize(
    ("dialect", "bound", "partition", "condition"),
    [
        ("oracle", "2026-03-01 11:00:00", None, "\"changed_at\" < timestamp '2026-03-01 11:00:00'"),
        ("duckdb", "2026-03-01 11:00:00", None, "\"changed_at\" < timestamp '2026-03-01 11:00:00'"),
        ("sqlserver", "2026-03-01 11:00:00", None, "\"changed_at\" < '2026-03-01 11:00:00'"),
        ("oracle", "4711", None, "\"changed_at\" < '4711'"),
        ("oracle", None, "2026-12", "\"day\" >= date '2026-12-01' and \"day\" < date '2027-01-01'"),
        ("sqlserver", None, "2026-12-31", "\"day\" >= '2026-12-31' and \"day\" < '2027-01-01'"),
    ],
)
def test_moments_and_days_are_spelled_as_the_source_reads_them(
    dialect: str, bound: str | None, partition: str | None, condition: str
) -> None:
    table = replace(contract(partition="day"), dialect=dialect)

    on_source = runbook_sql(table, bound, partition).splitlines()[1]

    assert on_source == f'select count(*) from "sales" where 1 = 1 and {condition};'
