"""Faults around the tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest

from monitoring import upkeep
from monitoring.findings import Finding, Level
from monitoring.run_views import DayOfRows

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def weeks(rows: Sequence[int]) -> list[DayOfRows]:
    """Return the same weekday of as many weeks, the newest last."""
    days = [date(2026, 3, 2) - timedelta(weeks=back) for back in range(len(rows) - 1, -1, -1)]
    return [DayOfRows("crm.people", day, n, NOW, day == days[-1]) for day, n in zip(days, rows, strict=True)]


@pytest.mark.parametrize(
    ("rows", "is_unusual"),
    [
        ([100, 104, 98, 101, 99, 103, 100, 97, 5], True),
        ([100, 104, 98, 101, 99, 103, 100, 97, 400], True),
        ([100, 104, 98, 101, 99, 103, 100, 97, 130], False),  # unlike the others, but not by half
        ([10, 400, 90, 800, 30, 500, 200, 60, 900], False),  # no two days are alike
        ([100, 104, 98, 101, 99, 103, 100, 5], False),  # seven earlier days: not judged
        ([0, 0, 0, 0, 0, 0, 0, 0, 0], False),
        ([0, 0, 0, 0, 0, 0, 0, 0, 12], True),
    ],
)
def test_rows_are_unusual_far_from_the_median_of_eight_equal_weekdays(rows: list[int], is_unusual: bool) -> None:
    assert [finding.kind for finding in upkeep.unusual_volumes(weeks(rows))] == ["volume"] * is_unusual


def kinds(*findings: Finding) -> list[tuple[str, Level]]:
    return [(finding.kind, finding.level) for finding in findings]


def test_a_lake_that_is_not_maintained_says_since_when() -> None:
    assert kinds(*upkeep.overdue_maintenance(None, NOW - 13 * DAY, NOW)) == []
    assert kinds(*upkeep.overdue_maintenance(NOW - 13 * DAY, NOW - 99 * DAY, NOW)) == []
    assert kinds(*upkeep.overdue_maintenance(None, None, NOW)) == []
    [late] = upkeep.overdue_maintenance(NOW - 20 * DAY, NOW - 99 * DAY, NOW)
    assert late.since == NOW - 6 * DAY
    assert "last maintained on 2026-02-10" in late.text


def test_a_monitor_is_silent_if_loads_go_on_without_it() -> None:
    assert kinds(*upkeep.silent_monitor(NOW - 3 * DAY, NOW, 2 * DAY)) == [("monitor_silent", Level.CRITICAL)]
    assert kinds(*upkeep.silent_monitor(NOW - 3 * DAY, NOW - 2 * DAY, 2 * DAY)) == []
    assert kinds(*upkeep.silent_monitor(None, NOW, 2 * DAY)) == []


@pytest.mark.parametrize(
    ("free", "expected"), [(20, []), (9, [("disk_filling", Level.WARNING)]), (4, [("disk_filling", Level.CRITICAL)])]
)
def test_a_disk_is_full_before_it_is(
    free: int, expected: list[tuple[str, Level]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitoring.upkeep.shutil.disk_usage", lambda _: SimpleNamespace(free=free, total=100))

    assert kinds(*upkeep.filling_disk("/", NOW)) == expected
    assert kinds(*upkeep.filling_disk("s3://bucket/lake", NOW)) == []
