"""Converts bounds of watermarks and partitions to the digits of the compared type. Uses whole numbers only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta

SECOND = 10**9
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE

_ZONE = re.compile(r"(Z|\+00(:00)?)$")
_LABEL = re.compile(r"\d{4}(-\d{2}){0,2}")
SQLSERVER_DIGITS = 7
_UNITS = {"DATE": DAY, "SMALLDATETIME": MINUTE}
_CALENDARS = {
    "DATETIME": ("1753-01-01", "9999-12-31 23:59:59.999999"),
    "SMALLDATETIME": ("1900-01-01", "2079-06-06 23:59:00"),
}


def ceiling(text: str, unit: int) -> int:
    """
    Return the first whole `unit` (in nanoseconds) at or after a moment, in nanoseconds since the year 1.

    The text is a bound of `ingestion.contracts.window.Window`, with any number of digits.
    """
    plain = _ZONE.sub("", text.strip()).replace("T", " ")
    whole, _, fraction = (plain if len(plain) > 10 else f"{plain} 00:00:00").partition(".")
    since = datetime.fromisoformat(whole) - datetime.min
    exact = (since.days * 86_400 + since.seconds) * SECOND + int(fraction[:9].ljust(9, "0"))
    exact += bool(fraction[9:].strip("0"))
    return -(-exact // unit) * unit


def moment_text(moment: int, digits: int) -> str | None:
    """Return such a number as `YYYY-MM-DD HH:MM:SS[.f…]` with so many digits; None beyond the calendar."""
    seconds, fraction = divmod(moment, SECOND)
    try:
        whole = (datetime.min + timedelta(seconds=seconds)).isoformat(sep=" ")
    except OverflowError:
        return None
    return f"{whole}.{fraction // 10 ** (9 - digits):0{digits}d}" if digits else whole


def partition_start(partition: str) -> date | None:
    """Return the first day of a partition `YYYY[-MM[-DD]]`; None if the label is not of this form."""
    if _LABEL.fullmatch(partition) is None:
        return None
    try:
        return date.fromisoformat(f"{partition}-01-01"[:10])
    except ValueError:
        return None


def partition_bounds(partition: str) -> tuple[date, date] | None:
    """Return the first day of a partition and the first day after it; None if the calendar lacks one of them."""
    first = partition_start(partition)
    if first is None:
        return None
    try:
        if len(partition) == 4:
            return first, first.replace(year=first.year + 1)
        if len(partition) == 7:
            return first, (first + timedelta(days=31)).replace(day=1)
        return first, first + timedelta(days=1)
    except (ValueError, OverflowError):
        return None


def sqlserver_moment(text: str, base: str, arguments: Sequence[str]) -> str | None:
    """Return the first value of a SQL Server type at or after a bound; None beyond its calendar."""
    digits = sqlserver_digits(base, arguments)
    moment = ceiling(text, _UNITS.get(base, SECOND // 10**digits))
    if base == "DATETIME":  # its milliseconds end in 0, 3 or 7
        last_digit = moment // 10**6 % 10
        moment += 10**6 * {1: 2, 2: 1, 4: 3, 5: 2, 6: 1, 8: 2, 9: 1}.get(last_digit, 0)
    first, last = (ceiling(end, 1) for end in _CALENDARS.get(base, ("0001-01-01", "9999-12-31 23:59:59.9999999")))
    if moment > last:
        return None
    shown = moment_text(max(moment, first), digits)
    return shown[:10] if shown is not None and base == "DATE" else shown


def sqlserver_digits(base: str, arguments: Sequence[str]) -> int:
    """Return how many digits of a second a type of SQL Server has."""
    fixed = {"DATE": 0, "SMALLDATETIME": 0, "DATETIME": 3}
    return fixed[base] if base in fixed else int(arguments[0]) if arguments else SQLSERVER_DIGITS
