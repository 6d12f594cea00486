"""dim_date against calendars that are counted off day by day, in Python."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import duckdb
import pytest

from tests.dbt.gold import render

FIRST, LAST = date(2000, 1, 1), date(2036, 12, 31)


def calendar(**variables: Any) -> dict[date, dict[str, Any]]:
    """Return the model's days by date, made for sales on the first and last day."""
    with duckdb.connect() as connection:
        connection.execute(
            f"create table stg_order_items as select unnest([date '{FIRST}', date '{LAST}']) as order_date"
        )
        connection.execute("create table stg_orders (valid_from timestamptz, status varchar)")
        rows = connection.execute(
            f"select * from ({render('dim_date', variables)}) where date_key > 0"
        ).to_arrow_table()
    return {row["date_day"]: row for row in rows.to_pylist()}


def every_day() -> list[date]:
    return [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]


def counted_off(start: int, first_weekday: int, pattern: list[int]) -> dict[date, tuple[int, int, int, int]]:
    """Return year, quarter, period and week of each day: every year begins on the right weekday nearest its first day."""
    days = {}
    for year in range(FIRST.year - 1, LAST.year + 3):
        name = year if start == 1 else year + 1
        begin, end = (nearest(date(y, start, 1), first_weekday) for y in (year, year + 1))
        weeks = (end - begin).days // 7
        lengths = pattern * 4
        lengths[-1] += weeks - 52
        week = 0
        for period, length in enumerate(lengths, 1):
            for _ in range(length):
                for number in range(7):
                    days[begin + timedelta(days=7 * week + number)] = (name, (period - 1) // 3 + 1, period, week + 1)
                week += 1
    return days


def nearest(day: date, weekday: int) -> date:
    around = [day + timedelta(days=number) for number in range(-3, 4)]
    return next(near for near in around if near.isoweekday() == weekday)


@pytest.mark.parametrize(
    ("start", "first_weekday", "pattern"), [(1, 1, [4, 4, 5]), (2, 7, [4, 5, 4]), (10, 1, [5, 4, 4]), (7, 6, [4, 4, 5])]
)
def test_the_retail_calendar_is_the_one_counted_off(start: int, first_weekday: int, pattern: list[int]) -> None:
    found = calendar(
        fiscal_year_start_month=start, retail_week_starts_on=first_weekday, retail_weeks_per_period=pattern
    )
    expected = counted_off(start, first_weekday, pattern)

    names = ("retail_year", "retail_quarter", "retail_period", "retail_week")
    assert {day: tuple(row[name] for name in names) for day, row in found.items()} == {
        day: expected[day] for day in every_day()
    }
    assert any(row["retail_week"] == 53 for row in found.values())


def test_iso_weeks_are_those_of_python_and_the_retail_weeks_of_january() -> None:
    for day, row in calendar().items():
        assert (row["iso_year"], row["iso_week"], row["iso_day_of_week"]) == tuple(day.isocalendar())
        assert (row["retail_year"], row["retail_week"]) == day.isocalendar()[:2]


@pytest.mark.parametrize("start", [1, 4, 12])
def test_a_fiscal_year_is_named_after_the_year_it_ends_in(start: int) -> None:
    for day, row in calendar(fiscal_year_start_month=start).items():
        last_month = (start + 10) % 12 + 1
        ends_in = day.year if day.month <= last_month else day.year + 1
        assert row["fiscal_year"] == ends_in
        assert row["fiscal_period"] == [(start - 1 + n) % 12 + 1 for n in range(12)].index(day.month) + 1


def test_every_day_of_the_years_is_there_once_and_carries_its_key() -> None:
    found = calendar()

    assert sorted(found) == every_day()
    assert all(row["date_key"] == int(f"{day:%Y%m%d}") for day, row in found.items())


def test_weeks_that_do_not_make_a_quarter_are_refused() -> None:
    with pytest.raises(ValueError, match="numbers of weeks that make 13"):
        render("dim_date", {"retail_weeks_per_period": [4, 4, 4]})
