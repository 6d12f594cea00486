"""Rows whose change time is null: loaded, quarantined or refused as the contract says, and exact where they are loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import duckdb
import pytest

from ingestion.errors import QuarantineLimitError
from ingestion.gaps.record import record_sync_gap
from ingestion.gaps.repair import repair_table
from ingestion.load.load_table import load_table
from ingestion.load.replay import replay_quarantine
from tests.engines.conftest import ON_BOTH_ENGINES_IN_THE_LONG_FORM, Company

PEOPLE = "crm.people"
At = Callable[[str], Company]
FIRST, SECOND, THIRD = ("2026-03-01T12:00:00+00:00", "2026-03-02T12:00:00+00:00", "2026-03-03T12:00:00+00:00")


def promise(company: Company, policy: str) -> None:
    company.amend("people", "physicalType: TIMESTAMP, required: true,", "physicalType: TIMESTAMP,")
    company.amend("people", "watermark: changed_at", f"watermark: changed_at\n      nullWatermark: {policy}")


def without_watermark(company: Company, policy: str) -> None:
    """Ada and Bea were never changed; Cyd was, at 11:00."""
    promise(company, policy)
    company.sql("update people set changed_at = null where id in (1, 2)")


def events(company: Company, *keys: int) -> list[tuple[object, ...]]:
    """Return id, name, watermark, op and effective time of the events of some or all keys, in their order."""
    chosen = f"where id in ({', '.join(map(str, keys))})" if keys else ""
    return company.lake(
        f"select id, name, changed_at::varchar, _op, _eff::varchar from bronze.crm__people {chosen} "
        "order by id, _eff, _seq"
    )


def live(company: Company) -> list[tuple[object, ...]]:
    return company.lake(
        "select id, name, changed_at from bronze.crm__people "
        "qualify row_number() over (partition by id order by _eff desc, _seq desc) = 1 and _op <> 'D' order by id"
    )


def assert_exact(company: Company) -> None:
    """The lake holds the source's rows, and a rerun commits nothing."""
    with duckdb.connect(str(company.file), read_only=True) as connection:
        rows = connection.execute("select id, name, changed_at from people order by id").fetchall()
    assert live(company) == rows
    assert load_table(company.context(), PEOPLE).batch is None


@pytest.fixture
def undated(company: Company) -> Company:
    """The company loaded at FIRST with Ada and Bea undated."""
    without_watermark(company, "include")
    load_table(company.context(), PEOPLE)
    return company


@ON_BOTH_ENGINES_IN_THE_LONG_FORM
def test_rows_without_a_watermark_are_loaded_and_their_changes_dated_by_what_is_known(company: Company) -> None:
    without_watermark(company, "include")
    company.sql("insert into people values (4, 'Dee', 1, null), (5, 'Eve', 1, null)")
    first = load_table(company.context(), PEOPLE)
    again = load_table(company.context(), PEOPLE)
    company.sql(
        "update people set name = 'Ava' where id = 1",
        "update people set changed_at = '2026-03-02 09:00:00' where id = 2",
        "update people set changed_at = null where id = 3",
        "update people set name = 'Deb', changed_at = '2025-01-01' where id = 4",
        "delete from people where id = 5",
        "insert into people values (6, 'Fay', 1, null)",
    )
    later = replace(company, clock=SECOND)

    second = load_table(later.context(), PEOPLE)

    assert (first.appended, again.batch, again.read, again.known) == (5, None, 5, 5)
    assert (second.read, second.appended, second.fetched, second.deleted) == (5, 5, 1, 1)
    assert events(company) == [
        (1, "Ada", None, "R", "2026-03-01 12:00:00+00"),
        (1, "Ava", None, "U", "2026-03-02 12:00:00+00"),
        (2, "Bea", None, "R", "2026-03-01 12:00:00+00"),
        (2, "Bea", "2026-03-02 09:00:00", "U", "2026-03-02 09:00:00+00"),
        (3, "Cyd", "2026-03-01 11:00:00", "R", "2026-03-01 11:00:00+00"),
        (3, "Cyd", None, "U", "2026-03-02 12:00:00+00"),
        (4, "Dee", None, "R", "2026-03-01 12:00:00+00"),
        (4, "Deb", "2025-01-01 00:00:00", "R", "2026-03-02 12:00:00+00"),
        (5, "Eve", None, "R", "2026-03-01 12:00:00+00"),
        (5, None, None, "D", "2026-03-02 12:00:00+00"),
        (6, "Fay", None, "U", "2026-03-02 12:00:00+00"),
    ]
    assert_exact(later)


def test_a_row_that_is_again_as_it_was_before_its_first_watermark_is_news(undated: Company, at: At) -> None:
    undated.sql("update people set changed_at = '2026-03-01 12:30:00' where id = 1")
    load_table(at("2026-03-01T13:00:00+00:00").context(), PEOPLE)
    undated.sql("update people set changed_at = '2026-03-02 11:30:00' where id = 3")
    load_table(at(SECOND).context(), PEOPLE)
    undated.sql("update people set changed_at = null where id = 1")

    third = load_table(at(THIRD).context(), PEOPLE)

    assert (third.read, third.appended) == (3, 1)
    assert [event[2:] for event in events(undated, 1)] == [
        (None, "R", "2026-03-01 12:00:00+00"),
        ("2026-03-01 12:30:00", "U", "2026-03-01 12:30:00+00"),
        (None, "U", "2026-03-03 12:00:00+00"),
    ]
    assert_exact(at(THIRD))


def test_one_that_is_deleted_gets_a_tombstone_and_one_that_comes_back_is_loaded(undated: Company, at: At) -> None:
    undated.sql("delete from people where id = 1")
    load_table(at(SECOND).context(), PEOPLE)
    undated.sql("insert into people values (1, 'Ada', 1.10, null)")

    load_table(at(THIRD).context(), PEOPLE)

    assert [event[3:] for event in events(undated, 1)] == [
        ("R", "2026-03-01 12:00:00+00"),
        ("D", "2026-03-02 12:00:00+00"),
        ("U", "2026-03-03 12:00:00+00"),
    ]
    assert_exact(at(THIRD))


def test_a_table_in_which_no_row_was_ever_changed_is_loaded_and_goes_on(company: Company, at: At) -> None:
    without_watermark(company, "include")
    company.sql("update people set changed_at = null")
    first = load_table(company.context(), PEOPLE)
    assert (first.appended, first.watermark) == (3, None)
    assert_exact(company)
    company.sql("update people set name = 'Ava', changed_at = '2026-03-02 09:00:00' where id = 1")

    second = load_table(at(SECOND).context(), PEOPLE)

    assert (second.appended, second.watermark) == (1, "2026-03-02 09:00:00.000001")
    assert_exact(at(SECOND))


def test_mode_full_dates_them_by_the_fixed_point(company: Company, at: At) -> None:
    company.amend("people", "mode: incremental", "mode: full")
    company.amend("people", "      overlap: PT2H\n", "")
    without_watermark(company, "include")
    load_table(company.context(), PEOPLE)
    company.sql("update people set name = 'Ava' where id = 1")

    load_table(at(SECOND).context(), PEOPLE)

    assert [event[3:] for event in events(company, 1)] == [
        ("R", "2026-03-01 12:00:00+00"),
        ("U", "2026-03-02 12:00:00+00"),
    ]
    assert_exact(at(SECOND))


def test_a_full_load_finds_what_changed_without_its_watermark(undated: Company, at: At) -> None:
    undated.sql("update people set name = 'Ava' where id = 1", "update people set name = 'Cid' where id = 3")

    load_table(at(SECOND).context(), PEOPLE, full=True)

    assert [event for event in events(undated) if event[1] in ("Ava", "Cid")] == [
        (1, "Ava", None, "R", "2026-03-02 12:00:00+00"),
        (3, "Cid", "2026-03-01 11:00:00", "R", "2026-03-02 12:00:00+00"),
    ]
    assert_exact(at(SECOND))


def test_a_check_finds_one_that_changed_since_the_load_and_a_repair_closes_it(undated: Company, at: At) -> None:
    undated.sql("update people set name = 'Ava' where id = 1")
    undated.amend("people", "criticalGapPercent: 50}", "criticalGapPercent: 50, maxRepairPercent: 100}")

    report = record_sync_gap(at(SECOND).context(), PEOPLE)
    repair_table(at(SECOND).context(), PEOPLE)
    healed = record_sync_gap(at(SECOND).context(), PEOPLE)

    assert (report.outcome, report.source_count, report.lake_count, report.differing_keys) == ("different", 3, 3, 1)
    assert healed.outcome == "equal"
    assert events(undated, 1)[1:] == [(1, "Ava", None, "R", "2026-03-02 12:00:00+00")]
    assert_exact(at(SECOND))


def test_they_are_quarantined_once_without_a_time_and_loaded_when_the_contract_includes_them(
    company: Company, at: At
) -> None:
    without_watermark(company, "quarantine")
    company.amend("people", "failPercent: 60", "failPercent: 100")
    first, again = (load_table(company.context(), PEOPLE) for _ in range(2))
    assert (first.appended, first.quarantined, again.known_bad) == (1, 2, 2)
    assert company.lake("select id, _breaks, _eff from quarantine.crm__people order by id") == [
        ("1", "changed_at:null_watermark", None),
        ("2", "changed_at:null_watermark", None),
    ]
    company.amend("people", "nullWatermark: quarantine", "nullWatermark: include")

    second = load_table(at(SECOND).context(), PEOPLE)

    assert second.appended == 2
    assert events(company, 1) == [(1, "Ada", None, "U", "2026-03-02 12:00:00+00")]
    assert_exact(at(SECOND))


def test_replayed_they_are_in_force_from_when_they_were_read(company: Company) -> None:
    without_watermark(company, "quarantine")
    company.amend("people", "failPercent: 60", "failPercent: 100")
    company.sql("insert into people values (4, 'a name too long', 1, '2020-01-01')")
    load_table(company.context(), PEOPLE)
    company.amend("people", "nullWatermark: quarantine", "nullWatermark: include")

    result = replay_quarantine(company.context(), PEOPLE)

    assert result.appended == 2
    assert company.lake(
        "select id, _eff >= '2026-03-01 12:00:00+00' from bronze.crm__people where _batch = 2 order by 1"
    ) == [
        (1, True),
        (2, True),
    ]


def test_a_load_that_may_not_have_them_stops_and_says_how_many(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    without_watermark(company, "fail")
    before = company.versions(), company.versions("quarantine")

    with pytest.raises(QuarantineLimitError, match=r"nullWatermark: fail\), found 2 of 3 rows read without one"):
        load_table(company.context(), PEOPLE)

    assert (company.versions(), company.versions("quarantine")) == before


def test_a_load_over_its_limit_by_them_names_the_key_that_lets_them_pass(company: Company) -> None:
    company.sql(
        "insert into people select 10 + i, 'Eve', 1, null from range(30) r(i)",
    )

    with pytest.raises(QuarantineLimitError, match="rows without changed_at are loaded where it says nullWatermark"):
        load_table(company.context(), PEOPLE)


def test_a_load_over_its_limit_by_other_rows_does_not(company: Company) -> None:
    company.sql("insert into people select 10 + i, 'Eve', -1, '2026-03-01 10:00:00' from range(30) r(i)")

    with pytest.raises(QuarantineLimitError, match=r"requires less\.$"):
        load_table(company.context(), PEOPLE)


def test_a_repair_that_would_write_one_that_may_not_be_stops(undated: Company) -> None:
    undated.amend("people", "nullWatermark: include", "nullWatermark: fail")
    undated.sql("update people set name = 'Ava' where id = 1")

    with pytest.raises(QuarantineLimitError, match=r"found 1 of 1 rows read without one"):
        repair_table(undated.context(), PEOPLE, yes=True)
