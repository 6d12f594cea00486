from __future__ import annotations

import shutil

import duckdb
import pytest

from ingestion.errors import ApprovalNeededError, DeleteBrakeError, InvalidContractError, SourceUnavailableError
from ingestion.gaps.record import record_sync_gap
from ingestion.gaps.repair import repair_table
from ingestion.load.load_table import load_table
from ingestion.reconcile.gap import GapReport, PartitionGap
from ingestion.runs.context import initialise
from tests.engines.conftest import Company
from tests.examples import LONG_FORM

PEOPLE = "crm.people"


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


def test_sql_that_shows_a_gap_is_recorded_with_its_check_and_its_partition(loaded: Company) -> None:
    loaded.sql("insert into people values (4, 'Dee', 1, '2026-02-01 08:00:00'), (5, 'Eve', 1, '2026-02-01 09:00:00')")
    gap(loaded)

    recorded = loaded.context().journal.select("select distinct runbook_sql from ops.gaps where severity <> 'OK'")

    [source, lake] = recorded[0]["runbook_sql"].split("-- on the lake: lakehouse sql\n")
    assert len(recorded) == 1
    with duckdb.connect(str(loaded.file), read_only=True) as there:
        assert there.execute(source).fetchall() == [(2,)]
    assert lake.startswith('select count(*)\nfrom silver."stg_people"\nwhere is_current\n')


def test_a_repair_closes_the_gap_and_a_second_one_does_nothing(loaded: Company) -> None:
    loaded.sql("insert into people values (4, 'Dee', 1, '2026-02-01 08:00:00')", "delete from people where id = 2")
    assert (gap(loaded).missing_keys, gap(loaded).extra_keys) == (1, 1)

    first = repair_table(loaded.context(), PEOPLE, allow_deletes=True)
    second = repair_table(loaded.context(), PEOPLE)

    assert (first.fetched, first.deleted, first.batch) == (1, 1, 2)
    assert second.batch is None
    assert (gap(loaded).sync_gap, gap(loaded).severity) == (0, "OK")


def test_deletions_that_were_approved_pass_the_brake_and_more_of_them_do_not(loaded: Company) -> None:
    loaded.sql("delete from people where id in (1, 2)")

    loaded.amend("people", "maxRepairPercent: 100}", "maxRepairPercent: 20}")
    with pytest.raises(ApprovalNeededError) as asked:
        repair_table(loaded.context(), PEOPLE)
    assert asked.value.deletes == 2
    for approved in (0, 1):
        with pytest.raises(DeleteBrakeError, match=r"2 of 3 keys gone .* lakehouse repair --allow-deletes") as told:
            repair_table(loaded.context(), PEOPLE, yes=True, approved_deletes=approved)
        assert told.value.deletes == 2

    assert repair_table(loaded.context(), PEOPLE, yes=True, approved_deletes=2).deleted == 2


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


def test_rows_that_differ_are_found_where_counts_are_equal(loaded: Company) -> None:
    loaded.sql("update people set score = 7 where id = 2")

    report = gap(loaded)

    assert (report.sync_gap, report.missing_keys, report.extra_keys, report.differing_keys) == (0, 0, 0, 1)
    assert (report.outcome, report.rung, report.severity) == ("different", "leaves", "WARNING")
    assert report.data_quality_score == pytest.approx(100 * 2 / 3)


def test_equal_sides_cost_five_queries_and_no_row(loaded: Company) -> None:
    report = gap(loaded)

    assert (report.outcome, report.rung, report.queries) == ("equal", "checksums", 5)
    assert report.data_quality_score == 100
    assert report.sla_met is True
    [recorded] = loaded.lake(
        "select outcome, rung, queries, state, why, unverified_columns, sla_met, data_quality_score from ops.gaps"
    )
    assert recorded == ("equal", "checksums", 5, None, None, None, True, 100.0)


def test_budget_that_is_spent_gives_a_partial_answer_and_never_a_guess(loaded: Company) -> None:
    loaded.amend("people", "maxRepairPercent: 100}", "maxRepairPercent: 100, maxRows: 0}")
    loaded.sql("update people set score = 7 where id = 2")

    report = gap(loaded)

    assert (report.outcome, report.why) == ("partial", "the budget of 0 rows is spent")
    assert (report.differing_keys, report.missing_keys, report.severity, report.sla_met) == (0, 0, "WARNING", None)


def test_budget_that_ends_before_contents_are_seen_leaves_the_promise_unchecked(loaded: Company) -> None:
    loaded.amend("people", "maxRepairPercent: 100}", "maxRepairPercent: 100, maxQueries: 2}")
    loaded.sql("update people set score = 7 where id = 2")

    report = gap(loaded)

    assert (report.outcome, report.why) == ("partial", "the budget of 2 queries is spent")
    assert (report.sync_gap, report.severity, report.sla_met) == (0, "OK*", None)


def test_rows_that_a_budget_did_not_reach_are_still_counted(loaded: Company) -> None:
    loaded.amend("people", "maxRepairPercent: 100}", "maxRepairPercent: 100, maxRows: 0}")
    loaded.sql("insert into people values (4, 'Dee', 1, '2026-03-01 10:30:00'), (5, 'Eve', 1, '2026-02-01 09:00:00')")

    report = gap(loaded)

    assert (report.outcome, report.sync_gap, report.missing_keys) == ("partial", 2, 2)
    assert (report.missing_partitions, report.severity) == (("2026-02-01",), "CRITICAL")


def test_quarantined_rows_without_a_key_explain_no_lost_row(loaded: Company) -> None:
    loaded.sql("insert into people values (null, 'x', 1, '2026-03-01 10:30:00')")
    load_table(loaded.context(), PEOPLE)
    loaded.amend("people", "maxRepairPercent: 100}", "maxRepairPercent: 100, maxRows: 0}")
    loaded.sql("insert into people values (4, 'Dee', 1, '2026-03-01 10:40:00')")

    report = gap(loaded)

    assert (report.outcome, report.quarantined_count, report.missing_keys, report.sync_gap) == ("partial", 1, 1, 1)


def test_repair_finds_by_whole_key_sets_what_a_budget_did_not_reach(loaded: Company) -> None:
    loaded.amend("people", "maxRepairPercent: 100}", "maxRepairPercent: 100, maxRows: 0}")
    loaded.sql("insert into people values (4, 'Dee', 1, '2026-03-01 10:30:00')", "delete from people where id = 2")

    result = repair_table(loaded.context(), PEOPLE, allow_deletes=True)

    assert (result.fetched, result.deleted) == (1, 1)
    assert gap(loaded).outcome == "equal"


def test_row_that_went_bad_after_it_was_loaded_is_explained_by_its_quarantine(loaded: Company) -> None:
    loaded.sql(
        "update people set name = 'a name too long', changed_at = '2026-03-01 11:30:00' where id = 1",
        "update people set score = 4, changed_at = '2026-03-01 11:40:00' where id = 3",
    )
    load_table(loaded.context(), PEOPLE)

    report = gap(loaded)

    assert (report.differing_keys, report.sync_gap, report.severity) == (0, 0, "OK")
    assert report.data_quality_score == pytest.approx(100 * 2 / 3)


def test_row_that_changed_after_its_quarantine_was_left_behind_is_a_difference(loaded: Company) -> None:
    loaded.sql("update people set name = 'a name too long', changed_at = '2026-03-01 11:10:00' where id = 1")
    load_table(loaded.context(), PEOPLE)
    loaded.sql("update people set name = 'Ada', changed_at = '2026-03-01 11:20:00' where id = 1")
    load_table(loaded.context(), PEOPLE)
    loaded.sql("update people set name = 'Ava' where id = 1")

    assert gap(loaded).differing_keys == 1


def test_key_that_comes_twice_in_the_source_and_was_never_refused_is_named(loaded: Company) -> None:
    loaded.sql("insert into people values (1, 'Ada', 2, '2026-02-01 08:00:00')")

    report = gap(loaded)

    assert (report.sync_gap, report.quarantined_count, report.missing_keys, report.duplicated_keys) == (0, 1, 0, 1)
    assert report.partitions == ()
    assert loaded.lake("select kind, keys from ops.differences") == [("duplicated", 1)]


def test_key_that_comes_twice_behind_the_window_is_confirmed_at_first_sight(company: Company) -> None:
    company.sql("insert into people values (4, 'Dee', 1, '2026-01-01 08:00:00')")
    load_table(company.context(), PEOPLE)
    company.sql("insert into people values (4, 'Dee', 2, '2026-02-01 08:00:00')")

    report = gap(company)

    assert (report.duplicated_keys, report.state) == (1, "confirmed")


def test_table_that_was_never_loaded_lacks_everything(company: Company) -> None:
    report = gap(company)

    assert (report.source_count, report.lake_count, report.missing_keys) == (3, 0, 3)
    assert (report.severity, report.state) == ("CRITICAL", "confirmed")


def test_columns_that_a_full_load_does_not_track_are_not_compared(company: Company) -> None:
    company.amend("cities", "deletes: keys,", "tracked: [label], deletes: keys,")
    company.amend(
        "cities",
        "customProperties:",
        "      - {name: seen, physicalName: seen, logicalType: integer, physicalType: BIGINT, description: Noise.}\n"
        "customProperties:",
    )
    company.sql("alter table cities add column seen bigint")
    load_table(company.context(), "crm.cities")
    company.sql("update cities set seen = 1")
    load_table(company.context(), "crm.cities")

    report = record_sync_gap(company.context(), "crm.cities")

    assert (report.outcome, report.unverified_columns) == ("equal", "")


def test_column_that_the_contract_gained_after_the_load_is_not_compared_until_it_is_stored(loaded: Company) -> None:
    loaded.amend(
        "people",
        "customProperties:",
        "      - {name: town, physicalName: town, logicalType: string, physicalType: VARCHAR, description: New.}\n"
        "customProperties:",
    )
    loaded.sql("alter table people add column town varchar default 'Aachen'")

    report = gap(loaded)

    assert report.unverified_columns == "town: the lake does not store it yet"
    assert (report.severity, report.sla_met) == ("OK*", None)


def test_repair_heals_what_differs_in_content(loaded: Company) -> None:
    loaded.sql("update people set score = 7 where id = 2")

    first = repair_table(loaded.context(), PEOPLE)
    second = repair_table(loaded.context(), PEOPLE)

    assert (first.fetched, first.appended, first.deleted, second.batch) == (1, 1, 0, None)
    assert loaded.lake(
        "select _op, score::double, _eff::varchar from bronze.crm__people where id = 2 order by _eff"
    ) == [
        ("R", None, "2026-03-01 10:00:00+00"),
        ("R", 7.0, "2026-03-01 12:00:00+00"),
    ]
    assert gap(loaded).outcome == "equal"


def test_repair_above_the_limit_needs_approval_and_writes_nothing_without(loaded: Company) -> None:
    loaded.amend("people", "maxRepairPercent: 100}", "maxRepairPercent: 20}")
    loaded.sql("update people set score = 7 where id > 1")

    with pytest.raises(
        ApprovalNeededError, match=r"more than 20 % .* 2 of 3 to write .* lakehouse repair --yes crm.people"
    ):
        repair_table(loaded.context(), PEOPLE)

    assert loaded.versions() == 1
    assert repair_table(loaded.context(), PEOPLE, yes=True).fetched == 2


def test_repair_of_a_few_rows_of_a_small_table_needs_no_approval(loaded: Company) -> None:
    loaded.amend("people", "maxRepairPercent: 100}", "maxRepairPercent: 20}")
    loaded.sql("update people set score = 7 where id = 2")

    assert repair_table(loaded.context(), PEOPLE).fetched == 1


def test_a_repair_that_the_brake_stops_names_the_repair_that_lifts_it(loaded: Company) -> None:
    loaded.sql("delete from people where id > 1")

    with pytest.raises(DeleteBrakeError, match=r"2 of 3 keys gone .* lakehouse repair --allow-deletes crm\.people"):
        repair_table(loaded.context(), PEOPLE)

    assert repair_table(loaded.context(), PEOPLE, allow_deletes=True).deleted == 2


def test_repair_leaves_rows_in_flight_to_the_next_load(loaded: Company) -> None:
    loaded.sql("insert into people values (4, 'Dee', 1, '2026-03-01 11:59:00')")

    assert repair_table(loaded.context(), PEOPLE).batch is None


def test_repair_records_the_check_that_follows_it(loaded: Company) -> None:
    loaded.sql("insert into people values (4, 'Dee', 1, '2026-02-01 08:00:00')")

    repair_table(loaded.context(), PEOPLE)

    assert loaded.lake("select outcome, sync_gap, severity from ops.gaps") == [("equal", 0, "OK")]
    assert loaded.lake("select kind, state from ops.differences order by state_at") == [
        ("partition", "confirmed"),
        ("partition", "repaired"),
    ]


def test_every_check_is_appended_to_the_ledger(loaded: Company) -> None:
    loaded.sql("insert into people values (4, 'Dee', 1, '2026-02-01 08:00:00')")
    gap(loaded)
    gap(loaded)

    rows = loaded.lake(
        'select "partition", sync_gap, missing_partitions from ops.gaps order by checked_at, 1 nulls first'
    )

    assert rows == [(None, 1, 1), ("2026-02-01", 1, 1)] * 2


def test_key_that_its_type_cannot_hold_is_named_and_hides_no_difference(company: Company) -> None:
    company.amend("people", "logicalType: integer, physicalType: BIGINT", "logicalType: integer, physicalType: INTEGER")
    shutil.rmtree(company.folder / "lake")
    initialise(company.settings)
    load_table(company.context(), PEOPLE)
    company.sql(
        "insert into people values (3000000000, 'Max', 1, '2026-03-01 10:30:00')",
        "insert into people values (4, 'Dee', 1, '2026-03-01 10:30:00'), (null, 'Nil', 1, '2026-03-01 10:30:00')",
    )

    report = gap(company)

    assert (report.misfit_keys, report.quarantined_count, report.missing_keys, report.sync_gap) == (1, 0, 3, 3)
    assert (report.outcome, report.rung) == ("different", "leaves")
    assert report.why == "the source has keys that the contract's type cannot hold: id (INTEGER)"

    load_table(company.context(), PEOPLE)
    loaded = gap(company)
    company.sql("delete from people where id is null")
    alone = gap(company)

    assert (loaded.misfit_keys, loaded.quarantined_count, loaded.missing_keys, loaded.sync_gap) == (1, 2, 0, 0)

    assert (alone.severity, alone.outcome, alone.sync_gap, alone.sla_met) == ("OK", "equal", 0, True)
    assert company.lake("select why from ops.gaps order by checked_at desc limit 1") == [(report.why,)]


@pytest.mark.parametrize("budget", ["maxRows: 0", "maxRows: 1000"])
def test_quarantined_key_that_rounds_to_a_lost_one_does_not_explain_it(company: Company, budget: str) -> None:
    company.amend("people", "criticalGapPercent: 50}", f"criticalGapPercent: 50, {budget}}}")
    company.sql("alter table people alter id type decimal(20,2)")
    company.sql("insert into people values (4.25, 'Max', 1, '2026-03-01 10:30:00')")
    load_table(company.context(), PEOPLE)
    company.sql("insert into people values (4, 'Dee', 1, '2026-03-01 10:40:00')")

    report = gap(company)

    assert (report.quarantined_count, report.missing_keys, report.sync_gap) == (1, 1, 1)


def test_key_that_rounds_to_a_deleted_one_does_not_keep_it_alive(company: Company) -> None:
    company.sql("alter table people alter id type decimal(20,2)")
    load_table(company.context(), PEOPLE)
    company.sql("update people set id = 2.25, changed_at = '2026-03-01 11:30:00' where id = 2")

    result = load_table(company.context(), PEOPLE)

    assert (result.quarantined, result.deleted) == (1, 1)
    assert gap(company).sync_gap == 0


def test_table_whose_contract_is_broken_stands_as_unknown(loaded: Company) -> None:
    loaded.amend("people", "mode: incremental", "mode: sometimes")

    with pytest.raises(InvalidContractError):
        gap(loaded)

    assert loaded.lake("select severity from ops.gaps order by checked_at desc limit 1") == [("UNKNOWN",)]


@LONG_FORM
def test_a_million_keys_of_one_batch_are_compared(company: Company) -> None:
    company.sql(
        "insert into people select 10 + r, 'Ana', 1, timestamp '2026-02-01' + to_seconds(r % 80000) "
        "from range(1000000) as t(r)"
    )
    load_table(company.context(), PEOPLE)

    report = gap(company)

    assert (report.sync_gap, report.severity) == (0, "OK")
    assert report.lake_count > 1_000_000
