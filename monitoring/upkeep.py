"""Faults of the house around the tables: unusual numbers of rows, maintenance, the monitor, the disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

from monitoring.findings import Finding, Kind, Level
from monitoring.run_views import DayOfRows

LAKE = "lake"
LEAST_DAYS = 8
"""Earlier days of the same weekday that are needed to judge a number of rows; with fewer it is not judged."""
MOST_DEVIATIONS = 6.0
LEAST_CHANGE = 0.5
"""A number of rows is unusual if it is this many robust deviations (MAD) and this share away from the median."""
MAINTENANCE = timedelta(days=14)
FULL, NEARLY_FULL = 0.05, 0.10
"""Shares of a disk that are free when it is CRITICAL and WARNING."""


def unusual_volumes(days: Sequence[DayOfRows]) -> Iterator[Finding]:
    """Yield each table whose newest day of loads read unusually many or few rows for its weekday (UTC)."""
    for newest in (day for day in days if day.is_newest):
        earlier = [
            day.rows
            for day in days
            if day.contract_id == newest.contract_id
            and day.day < newest.day
            and day.day.weekday() == newest.day.weekday()
        ]
        if len(earlier) < LEAST_DAYS:
            continue
        middle = median(earlier)
        spread = 1.4826 * median(abs(rows - middle) for rows in earlier)
        away = abs(newest.rows - middle)
        if away > MOST_DEVIATIONS * spread and away > LEAST_CHANGE * middle:
            yield Finding(
                Kind.VOLUME,
                newest.contract_id,
                Level.WARNING,
                newest.finished_at,
                f"The loads of {newest.day:%A} {newest.day} read {newest.rows:,} rows; on that weekday {middle:,.0f} "
                "are usual.",
                f"lakehouse plan {newest.contract_id}",
                value=float(newest.rows),
                threshold=float(middle),
            )


def overdue_maintenance(maintained: datetime | None, first: datetime | None, now: datetime) -> Iterator[Finding]:
    """Yield a finding if the lake was not maintained for MAINTENANCE; `first` is when its first step ended."""
    since = maintained or first
    if since is not None and now - since > MAINTENANCE:
        told = "was never maintained" if maintained is None else f"was last maintained on {maintained:%Y-%m-%d}"
        text = f"The lake {told}: small files and old versions pile up."
        yield Finding(Kind.MAINTENANCE_OVERDUE, LAKE, Level.WARNING, since + MAINTENANCE, text, "lakehouse maintain")


def silent_monitor(checked: datetime | None, ended: datetime | None, limit: timedelta) -> Iterator[Finding]:
    """Yield a finding if steps go on and no table was compared for so long before the newest of them."""
    if checked is not None and ended is not None and ended - checked > limit:
        text = f"Loads go on, and no table was compared with its source since {checked:%Y-%m-%d %H:%M} UTC."
        yield Finding(Kind.MONITOR_SILENT, LAKE, Level.CRITICAL, checked + limit, text, "lakehouse gaps")


def filling_disk(root: str, now: datetime) -> Iterator[Finding]:
    """Yield a finding if the disk of a local lake is nearly full; none for a bucket."""
    if "://" in root or not Path(root).is_dir():
        return
    usage = shutil.disk_usage(root)
    free = usage.free / usage.total
    if free < NEARLY_FULL:
        level = Level.CRITICAL if free < FULL else Level.WARNING
        text = f"The lake's disk has {usage.free / 2**30:.1f} GiB free, {100 * free:.0f} % of it."
        yield Finding(
            Kind.DISK_FILLING,
            LAKE,
            level,
            now,
            text,
            "lakehouse maintain",
            value=100 * free,
            threshold=100 * NEARLY_FULL,
        )
