"""The moments of the retail world. All are constants, so its rows do not depend on the date.

Day 1 ends at midnight in Brazil; the ERP writes that wall clock, the shop writes UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

DAY_1 = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
DAY_2 = DAY_1 + timedelta(days=1)

FIRST_ORDER_DATE = date(2025, 9, 1)
FIRST_CUSTOMER_DATE = date(2022, 3, 1)
LOST_DAY = date(2026, 2, 10)
BROKEN_CLOCK = datetime(2099, 1, 1, 0, 0, 17)

# The time between the newest change of a day and its end, in both systems.
LAST_TICK = timedelta(seconds=97, microseconds=250_000)
# A transaction that commits late has a change time that is this much before the newest change of day 1.
LATE_BY = timedelta(hours=1)
# Brazil has had no summer time since 2019.
ERP_OFFSET = timedelta(hours=-3)


def sql_moment(moment: datetime) -> str:
    """Return a DuckDB literal of the UTC wall clock, without zone."""
    naive = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return f"timestamp '{naive.isoformat(sep=' ')}'"
