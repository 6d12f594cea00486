from __future__ import annotations

import pytest

from ingestion.errors import DeleteBrakeError, SourceUnavailableError
from ingestion.pipelines.gaps import record_sync_gap
from ingestion.pipelines.load import load_table
from ingestion.pipelines.repair import repair_table
from ingestion.reconcile.gap import GapReport, PartitionGap
from tests.engines.conftest import Company

PEOPLE = "crm.people"


@pytest.fixture
def loaded(company: Company) -> Company:
    """The company with people loaded by window only: key sets are compared by the gap check alone."""
    company.amend("people", "deletes: keys\n", "deletes: none\n")
    company.amend("people", "      maxDeletePercent: 50\n", "")
    load_table(company.context(), PEOPLE)
    return company


def gap(company: Company) -> GapReport:
    return record_sync_gap(company.context(), PEOPLE)


def test_equal_sides_have_no_gap(loaded: Company) -> None:
    report = gap(loaded)

    assert (report.source_count, report.lake_count, report.sync_gap, report.severity) == (3, 3, 0, "OK")
    assert report.freshness_lag_hours == 0


def test_rows_behind_the_watermark_are_found_with_their_partition(loaded: Company) -> None:
    loaded.sql("insert into people values (4, 'Dee', 1, '2026-02-01 08:00:00'), (5, 'Eve', 1, '2026-02-01 09:00:00')")

    report = gap(loaded)

    assert (report.sync_gap, report.missing_keys, report.missing_partitions) == (2, 2, ("2026-02-01",))
    assert report.partitions == (PartitionGap("2026-02-01", 2, 0, 0),)
    assert report.severity == "CRITICAL"
    assert "\"changed_at\" >= date '2026-02-01' and \"changed_at\" < date '2026-02-02'" in report.runbook_sql


def test_a_repair_closes_the_gap_and_a_second_one_does_nothing(loaded: Company) -> None:
    loaded.sql("insert into people values (4, 'Dee', 1, '2026-02-01 08:00:00')", "delete from people where id = 2")
    assert (gap(loaded).missing_keys, gap(loaded).extra_keys) == (1, 1)

    first = repair_table(loaded.context(), PEOPLE, allow_deletes=True)
    second = repair_table(loaded.context(), PEOPLE)

    assert (first.fetched, first.deleted, first.batch) == (1, 1, 2)
    assert second.batch is None
    assert (gap(loaded).sync_gap, gap(loaded).severity) == (0, "OK")


def test_a_key_that_was_deleted_wrongly_comes_back_by_repair(loaded: Company) -> None:
    loaded.sql("create table saved as from people where id = 1", "delete from people where id = 1")
    repair_table(loaded.context(), PEOPLE, allow_deletes=True)
    loaded.sql("insert into people from saved")

    repair_table(loaded.context(), PEOPLE)

    assert loaded.lake("select _op, _eff::varchar from bronze.crm__people where id = 1 order by _eff") == [
        ("R", "2026-03-01 10:00:00+00"),
        ("D", "2026-03-01 12:00:00+00"),
        ("R", "2026-03-01 12:00:00.000001+00"),
    ]
    assert gap(loaded).severity == "OK"


def test_a_repair_obeys_the_brake_on_deletions(loaded: Company) -> None:
    loaded.sql("delete from people")

    with pytest.raises(DeleteBrakeError):
        repair_table(loaded.context(), PEOPLE)


def test_a_repair_does_not_move_the_watermark(loaded: Company) -> None:
    loaded.sql("insert into people values (4, 'Dee', 1, '2026-02-01 08:00:00')")
    repair_table(loaded.context(), PEOPLE)
    loaded.sql("insert into people values (5, 'Eve', 1, '2026-03-01 11:10:00')")

    assert load_table(loaded.context(), PEOPLE).appended == 1


def test_rows_in_flight_raise_no_alarm(loaded: Company) -> None:
    loaded.sql(
        "insert into people values (4, 'Dee', 1, '2026-03-01 11:59:00')",
        "update people set name = 'Ava', changed_at = '2026-03-01 11:58:00' where id = 1",
    )

    report = gap(loaded)

    assert (report.sync_gap, report.in_flight_count, report.severity) == (0, 2, "OK")
    assert (report.source_count, report.lake_count) == (2, 2)


def test_quarantined_rows_are_counted_apart_and_are_no_gap(loaded: Company) -> None:
    loaded.sql(
        "insert into people values (4, 'a name too long', 1, '2026-03-01 10:30:00'), (null, 'x', 1, '2026-03-01 10:30:00'), "
        "(5, 'Eve', 1, '2026-03-01 10:30:00'), (5, 'Eva', 1, '2026-03-01 10:30:00')"
    )
    load_table(loaded.context(), PEOPLE)

    report = gap(loaded)

    assert (report.source_count, report.lake_count, report.quarantined_count, report.sync_gap) == (7, 3, 4, 0)
    assert (report.missing_keys, report.severity) == (0, "OK")


def test_a_bad_row_that_changes_and_stays_bad_counts_once(loaded: Company) -> None:
    loaded.sql("insert into people values (4, 'a name too long', 1, '2026-03-01 10:30:00')")
    load_table(loaded.context(), PEOPLE)
    loaded.sql("update people set name = 'another name too long', changed_at = '2026-03-01 11:00:00' where id = 4")
    load_table(loaded.context(), PEOPLE)

    report = gap(loaded)

    assert (report.quarantined_count, report.sync_gap) == (1, 0)


def test_a_source_that_cannot_be_asked_is_unknown_not_zero(loaded: Company) -> None:
    loaded.file.rename(loaded.file.with_suffix(".away"))

    with pytest.raises(SourceUnavailableError):
        gap(loaded)

    assert loaded.lake("select severity, sync_gap, source_count from ops.gaps") == [("UNKNOWN", None, None)]


def test_a_stale_table_shows_its_lag_against_the_promise(loaded: Company) -> None:
    loaded.amend(
        "people",
        "customProperties:",
        "slaProperties:\n  - {property: freshness, value: 1, unit: h, element: people.changed_at}\ncustomProperties:",
    )
    loaded.sql("update people set changed_at = '2026-03-01 11:00:00' where id = 1")
    loaded.clock = "2026-03-01T20:00:00+00:00"
    loaded.sql("insert into people values (4, 'Dee', 1, '2026-03-01 15:00:00')")

    report = gap(loaded)

    assert report.freshness_lag_hours == pytest.approx(4, abs=0.001)
    assert report.severity == "CRITICAL"


def test_a_table_without_watermark_is_compared_as_it_is(company: Company) -> None:
    load_table(company.context(), "crm.cities")
    company.sql("insert into cities values ('C', 'Celle')")

    report = record_sync_gap(company.context(), "crm.cities")

    assert (report.bound, report.sync_gap, report.missing_keys) == (None, 1, 1)


def test_every_check_is_appended_to_the_ledger(loaded: Company) -> None:
    loaded.sql("insert into people values (4, 'Dee', 1, '2026-02-01 08:00:00')")
    gap(loaded)
    gap(loaded)

    rows = loaded.lake(
        'select "partition", sync_gap, missing_partitions from ops.gaps order by checked_at, 1 nulls first'
    )

    assert rows == [(None, 1, 1), ("2026-02-01", 1, 1)] * 2
