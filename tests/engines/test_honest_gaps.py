"""A comparison never says OK of rows that no load will bring: old rows are not in flight, a failed load is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingestion.errors import DeleteBrakeError, QuarantineLimitError
from ingestion.gaps.record import record_sync_gap
from ingestion.load.load_table import load_table
from ingestion.reconcile.gap import GapReport
from tests.engines.conftest import Company

PEOPLE, CITIES = "crm.people", "crm.cities"


def load_at(company: Company, hour: int, table: str = PEOPLE) -> None:
    load_table(replace(company, clock=f"2026-03-01T{hour}:00:00+00:00").context(), table)


def gap_at(company: Company, hour: int, table: str = PEOPLE) -> GapReport:
    return record_sync_gap(replace(company, clock=f"2026-03-01T{hour}:00:00+00:00").context(), table)


def test_rows_without_a_watermark_are_compared_and_not_in_flight(company: Company) -> None:
    company.sql("insert into people values (4, 'Dee', 1, null)")
    load_at(company, 12)
    company.sql("update people set changed_at = null where id = 1")
    load_at(company, 12)

    explained = gap_at(company, 12)
    company.sql("update people set name = 'other' where id = 1")
    changed = gap_at(company, 13)

    assert (explained.in_flight_count, explained.quarantined_count, explained.refused_updates) == (0, 2, 1)
    assert (explained.sync_gap, explained.severity) == (0, "OK")
    assert (changed.differing_keys, changed.quarantined_count, changed.severity) == (1, 1, "WARNING")


def test_rows_ahead_of_the_clock_are_compared_and_not_in_flight(company: Company) -> None:
    load_at(company, 12)
    company.sql("update people set name = 'Ahead', changed_at = '2099-01-01' where id = 1")

    unseen = gap_at(company, 12)
    load_at(company, 12)
    refused = gap_at(company, 13)

    assert (unseen.in_flight_count, unseen.differing_keys) == (0, 1)
    assert (refused.in_flight_count, refused.quarantined_count, refused.differing_keys) == (0, 1, 0)


def test_what_a_failed_load_should_have_brought_is_a_difference(company: Company) -> None:
    load_at(company, 12)
    company.amend("people", "failPercent: 60", "failPercent: 1")
    company.sql("update people set name = 'a name too long', changed_at = '2026-03-01 12:30:00'")
    for key in range(10, 40):
        company.sql(f"insert into people values ({key}, 'a name too long', 1, '2026-03-01 12:30:00')")
    before = gap_at(company, 13)
    with pytest.raises(QuarantineLimitError):
        load_at(company, 13)

    after = gap_at(company, 13)

    assert (before.in_flight_count, before.sync_gap, before.severity) == (33, 0, "OK")
    assert (after.in_flight_count, after.missing_keys, after.differing_keys) == (0, 30, 3)
    assert (after.failed_load, after.severity, after.sla_met) == ("QuarantineLimitError", "CRITICAL", False)
    assert after.freshness_lag_hours == pytest.approx(1.5, abs=0.01)


def test_a_load_that_the_brake_stopped_is_told_even_where_the_counts_agree(company: Company) -> None:
    company.amend("cities", "maxDeletePercent: 100", "maxDeletePercent: 10")
    load_at(company, 12, CITIES)
    company.sql("delete from cities")
    with pytest.raises(DeleteBrakeError):
        load_at(company, 13, CITIES)
    company.sql("insert into cities values ('A', 'Aachen'), ('B', 'Bonn')")

    stopped = gap_at(company, 14, CITIES)
    load_at(company, 15, CITIES)
    well = gap_at(company, 15, CITIES)

    assert (stopped.failed_load, stopped.sync_gap, stopped.severity, stopped.sla_met) == (
        "DeleteBrakeError", 0, "WARNING", False
    )  # fmt: skip
    assert (well.failed_load, well.severity, well.sla_met, well.state) == (None, "OK", True, None)
