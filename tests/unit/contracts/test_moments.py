"""Bounds as a type shows them: the first moment at or after, and none beyond its calendar."""

from __future__ import annotations

from datetime import date

import pytest

from ingestion.contracts.declared import split_declaration
from ingestion.runbook.moments import SECOND, ceiling, moment_text, partition_bounds, sqlserver_moment


@pytest.mark.parametrize(
    ("declared", "bound", "shown"),
    [
        ("date", "2026-03-01", "2026-03-01"),
        ("date", "2026-03-01 00:00:00.0000001", "2026-03-02"),
        ("smalldatetime", "2026-03-01 10:00:00.000001", "2026-03-01 10:01:00"),
        ("smalldatetime", "2080-01-01", None),
        ("datetime", "2026-03-01 10:00:00.000001", "2026-03-01 10:00:00.003"),
        ("datetime", "2026-12-31 23:59:59.9990001", "2027-01-01 00:00:00.000"),
        ("datetime", "0001-01-01", "1753-01-01 00:00:00.000"),
        ("datetime", "9999-12-31 23:59:59.998", None),
        ("datetime2(0)", "2026-03-01 10:00:00.5", "2026-03-01 10:00:01"),
        ("datetime2(3)", "2026-03-01 10:00:00.1234567", "2026-03-01 10:00:00.124"),
        ("datetime2", "2026-03-01 10:00:00.1234567", "2026-03-01 10:00:00.1234567"),
        ("datetimeoffset(7)", "2026-03-01T10:00:00.12345671Z", "2026-03-01 10:00:00.1234568"),
        ("datetime2(6)", "9999-12-31 23:59:59.9999999", None),
    ],
)
def test_bound_is_shown_in_the_digits_of_its_type(declared: str, bound: str, shown: str | None) -> None:
    assert sqlserver_moment(bound, *split_declaration(declared)) == shown


@pytest.mark.parametrize("zone", ["", "Z", "+00", "+00:00"])
def test_nine_digits_and_more_are_kept_or_rounded_up(zone: str) -> None:
    assert moment_text(ceiling(f"2026-03-01 10:00:00.123456789{zone}", 1), 9) == "2026-03-01 10:00:00.123456789"
    assert moment_text(ceiling(f"2026-03-01 10:00:00.1234567891{zone}", 1), 9) == "2026-03-01 10:00:00.123456790"
    assert moment_text(ceiling(f"2026-03-01{zone}", SECOND), 0) == "2026-03-01 00:00:00"


@pytest.mark.parametrize(
    ("label", "bounds"),
    [
        ("2026", (date(2026, 1, 1), date(2027, 1, 1))),
        ("2026-12", (date(2026, 12, 1), date(2027, 1, 1))),
        ("2024-02-29", (date(2024, 2, 29), date(2024, 3, 1))),
        *((label, None) for label in ("9999", "9999-12", "9999-12-31", "10000-01", "0000", "-044-03", "(none)")),
    ],
)
def test_partition_has_bounds_while_the_calendar_has_them(label: str, bounds: tuple[date, date] | None) -> None:
    assert partition_bounds(label) == bounds
