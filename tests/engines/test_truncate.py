"""Moments of more digits than the lake keeps, cut to microseconds: nothing is lost at a boundary, nothing differs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ingestion.contracts.drift import find_drift
from ingestion.gaps.record import record_sync_gap
from ingestion.load.load_table import load_table
from ingestion.sources import open_source
from tests.engines.conftest import Company

PEOPLE = "crm.people"


@pytest.fixture
def nanoseconds(company: Company) -> Company:
    """Ada, Bea and Cyd with nine digits: the last two changed within one microsecond, Ada before 1970."""
    company.sql(
        "alter table people alter changed_at type timestamp_ns",
        "update people set changed_at = timestamp_ns '1969-12-31 23:59:59.123456789' where id = 1",
        "update people set changed_at = timestamp_ns '2026-03-01 11:00:00.123456100' where id = 2",
        "update people set changed_at = timestamp_ns '2026-03-01 11:00:00.123456200' where id = 3",
    )
    company.amend("people", "physicalType: TIMESTAMP,", "physicalType: TIMESTAMP_NS,")
    return company


@pytest.fixture
def cut(nanoseconds: Company) -> Company:
    block = "customProperties: [{property: lake, value: {truncate: true}}]"
    nanoseconds.amend("people", "required: true, description: Watermark.", f"required: true, {block}, description: W.")
    return nanoseconds


def watermarks(company: Company) -> list[tuple[object, ...]]:
    return company.lake("select id, name, changed_at::varchar from bronze.crm__people order by all")


def test_moments_are_cut_and_never_rounded(cut: Company) -> None:
    outcome = load_table(cut.context(), PEOPLE)

    assert (outcome.good, outcome.quarantined) == (3, 0)
    assert watermarks(cut) == [
        (1, "Ada", "1969-12-31 23:59:59.123456"),
        (2, "Bea", "2026-03-01 11:00:00.123456"),
        (3, "Cyd", "2026-03-01 11:00:00.123456"),
    ]


def test_without_the_word_more_digits_are_misfits(nanoseconds: Company) -> None:
    nanoseconds.amend("people", "failPercent: 60", "failPercent: 100")

    outcome = load_table(nanoseconds.context(), PEOPLE)

    assert (outcome.good, outcome.quarantined) == (0, 3)


@pytest.mark.parametrize("digits", ["123456000", "123456150", "123456999"])
def test_a_row_that_comes_late_in_the_last_microsecond_is_loaded(
    digits: str, cut: Company, at: Callable[[str], Company]
) -> None:
    load_table(cut.context(), PEOPLE)
    cut.sql(f"insert into people values (4, 'Dee', 1, timestamp_ns '2026-03-01 11:00:00.{digits}')")
    cut.sql(f"update people set name = 'Bee', changed_at = timestamp_ns '2026-03-01 11:00:00.{digits}' where id = 2")
    later = at("2026-03-01T13:00:00+00:00")

    before = record_sync_gap(later.context("run-2"), PEOPLE)
    load_table(later.context("run-3"), PEOPLE)
    after = record_sync_gap(later.context("run-4"), PEOPLE)

    assert (before.missing_keys, before.differing_keys) == (1, 1)
    assert (after.missing_keys, after.extra_keys, after.differing_keys, after.source_count) == (0, 0, 0, 4)
    assert (4, "Dee", "2026-03-01 11:00:00.123456") in watermarks(later)
    assert load_table(later.context("run-5"), PEOPLE).batch is None


def test_source_and_lake_are_compared_alike_and_no_drift_is_told(cut: Company) -> None:
    load_table(cut.context(), PEOPLE)

    gap = record_sync_gap(cut.context("run-2"), PEOPLE)

    assert (gap.missing_keys, gap.extra_keys, gap.differing_keys, gap.source_count) == (0, 0, 0, 3)
    assert gap.not_compared == ()
    contract = cut.context().contract(PEOPLE)
    with open_source("crm", cut.settings.connection("crm")).snapshot() as snapshot:
        assert find_drift(contract, snapshot.catalog(contract)) == []
