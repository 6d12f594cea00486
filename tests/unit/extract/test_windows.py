from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.contracts.model import Column, Contract, Mode
from ingestion.contracts.window import FixedPoint, Window
from ingestion.extract.windows import future_limit, hours_between, minus, order, plan_window, successor

NOON = FixedPoint("transaction", "1", datetime(2026, 3, 1, 12, tzinfo=UTC))
Maker = Callable[..., Contract]


def by(type_: pa.DataType, **changes: object) -> Contract:
    columns = (
        Column("id", "id", "integer", "BIGINT", pa.int64(), True, 1),
        Column("w", "w", "timestamp", "", type_, True),
    )
    given: dict[str, Any] = {"timezone": "UTC", "overlap": timedelta(hours=2), **changes}
    return Contract(
        "s.t",
        "1.0.0",
        "s",
        "t",
        "duckdb",
        ("t",),
        columns,
        mode=Mode.INCREMENTAL,
        watermark="w",
        silver_model="x",
        **given,
    )


WALL = by(pa.timestamp("us"))
DATE = by(pa.date32())
NUMBER = by(pa.int64())


def test_the_first_window_is_open_below() -> None:
    plan = plan_window(WALL, committed=None, highest="2026-03-01 10:00:00", fixed_point=NOON)

    assert plan.window == Window(low=None, high=None)
    assert plan.next_low == "2026-03-01 10:00:00.000001"


def test_the_next_window_reaches_back_by_the_overlap() -> None:
    plan = plan_window(WALL, committed="2026-03-01 10:00:00.000001", highest="2026-03-01 11:00:00", fixed_point=NOON)

    assert plan.window.low == "2026-03-01 08:00:00.000001"


def test_the_watermark_never_moves_back() -> None:
    plan = plan_window(WALL, committed="2026-03-01 10:00:00.000001", highest="2026-03-01 09:00:00", fixed_point=NOON)

    assert plan.next_low == "2026-03-01 10:00:00.000001"


def test_the_watermark_never_passes_the_clock_of_the_source() -> None:
    plan = plan_window(WALL, committed=None, highest="2026-03-01 12:04:00", fixed_point=NOON)

    assert plan.next_low == "2026-03-01 12:00:00.000000"
    assert plan.future == "2026-03-01 12:05:00.000000"


def test_the_clock_is_told_in_the_systems_own_wall_clock() -> None:
    plan = plan_window(
        by(pa.timestamp("us"), timezone="America/Sao_Paulo"), committed=None, highest=None, fixed_point=NOON
    )

    assert plan.future == "2026-03-01 09:05:00.000000"


def test_zoned_watermarks_are_compared_in_utc_whatever_the_systems_zone() -> None:
    zoned = by(pa.timestamp("us", "UTC"), timezone="America/Sao_Paulo")

    assert plan_window(zoned, committed=None, highest=None, fixed_point=NOON).future == "2026-03-01 12:05:00.000000"


def test_an_empty_source_leaves_the_watermark_where_it_was() -> None:
    assert plan_window(WALL, committed=None, highest=None, fixed_point=NOON).next_low is None


def test_digits_beyond_microseconds_are_kept() -> None:
    assert successor(WALL, "2026-03-01 10:00:00.1234567") == "2026-03-01 10:00:00.1234568"
    assert successor(WALL, "2026-03-01 10:00:00.9999999") == "2026-03-01 10:00:01.0000000"
    assert minus(WALL, "2026-03-01 10:00:00.1234567", timedelta(0)) == "2026-03-01 10:00:00.123456"


def test_a_date_watermark_overlaps_by_whole_days_rounded_up() -> None:
    assert minus(DATE, "2026-03-01", timedelta(hours=2)) == "2026-02-28"
    assert successor(DATE, "2026-02-28") == "2026-03-01"


def test_a_number_has_no_overlap_in_time() -> None:
    assert minus(NUMBER, "41", timedelta(hours=2)) == "41"
    assert successor(NUMBER, "41") == "42"
    assert plan_window(NUMBER, committed="5", highest="41", fixed_point=NOON).next_low == "42"


def test_the_beginning_of_time_has_nothing_before_it() -> None:
    assert minus(WALL, "0001-01-01 00:00:00", timedelta(hours=2)) == "0001-01-01 00:00:00.000000"


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(0, 9))
def test_nothing_lies_between_a_watermark_and_its_successor(moment: datetime, seventh: int) -> None:
    text = moment.isoformat(sep=" ", timespec="microseconds") + str(seventh)
    after = successor(WALL, text)

    assert order(WALL, text) < order(WALL, after)
    first, second = (order(WALL, t) for t in (text, after))
    in_tenths = [((d * 86400 + s) * 10**6 + us) * 10 + beyond // 10**5 for d, s, us, beyond in (first, second)]
    assert in_tenths[1] - in_tenths[0] == 1


@given(st.datetimes(min_value=datetime(2, 1, 1)), st.timedeltas(timedelta(0), timedelta(days=300)))
def test_the_overlap_never_starts_later_than_asked(moment: datetime, overlap: timedelta) -> None:
    text = moment.isoformat(sep=" ", timespec="microseconds") + "9"

    assert order(WALL, minus(WALL, text, overlap)) <= order(WALL, text)


@given(st.dates(min_value=date(2, 1, 1), max_value=date(9998, 1, 1)))
def test_dates_sort_as_dates(day: date) -> None:
    assert order(DATE, day.isoformat()) < order(DATE, successor(DATE, day.isoformat()))


@pytest.mark.parametrize("text", ["2026-03-01T10:00:00Z", "2026-03-01 10:00:00+00", "2026-03-01 10:00:00.000+00:00"])
def test_all_spellings_of_utc_are_one_moment(text: str) -> None:
    assert hours_between(WALL, text, "2026-03-01 11:30:00") == 1.5


CHANGES = {  # the clock goes forward, and back
    "America/New_York": ("2026-03-08T07:00", "2026-11-01T06:00"),
    "Europe/Berlin": ("2026-03-29T01:00", "2026-10-25T01:00"),
    "Australia/Lord_Howe": ("2026-10-03T15:30", "2026-04-04T15:00"),
    "Asia/Tokyo": ("2026-03-08T07:00", "2026-11-01T06:00"),
}


@given(
    zone=st.sampled_from(sorted(CHANGES)),
    which=st.sampled_from([0, 1]),
    seconds=st.integers(-7200, 7200),
    other=st.integers(-10800, 10800),
)
def test_a_wall_clock_is_ahead_of_its_time_only_if_its_earlier_instant_is(
    zone: str, which: int, seconds: int, other: int
) -> None:
    contract = by(pa.timestamp("us"), timezone=zone)
    change = datetime.fromisoformat(CHANGES[zone][which]).replace(tzinfo=UTC)
    now = change + timedelta(seconds=seconds)
    limit = future_limit(contract, FixedPoint("transaction", "1", now)) or ""
    stamped = (change + timedelta(seconds=other)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    earlier = stamped.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)

    is_ahead = order(contract, stamped.isoformat(sep=" ")) >= order(contract, limit)

    assert is_ahead == (earlier >= now + contract.future_tolerance)


def test_rows_of_the_first_of_two_equal_hours_are_not_ahead_in_the_second() -> None:
    contract = by(pa.timestamp("us"), timezone="America/New_York")
    second = FixedPoint("transaction", "1", datetime(2026, 11, 1, 6, 10, tzinfo=UTC))  # 01:10 for the second time

    assert future_limit(contract, second) == "2026-11-01 02:00:00.000000"
