"""
Business figures: the result of the project's own query `dbt_project/analyses/kpi_daily.sql` on its Gold tables.

Its columns are `day`, `kpi`, `unit` and `value`, one row per day and figure. A project without the file has no figures.
The SQL is DuckDB's; of dbt it may use `{{ ref('model') }}` and comments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ingestion.lake import duck
from ingestion.lake.layout import Lake
from ingestion.sql.quoting import quote_standard

FILE = Path("analyses", "kpi_daily.sql")
WEEK = 7
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_REF = re.compile(r"\{\{\s*ref\(\s*['\"](\w+)['\"]\s*\)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Kpi:
    """A figure of `day`, and of the same weekday `before`; `history` has its values by day, ascending."""

    name: str
    unit: str
    day: date
    value: float
    before: float | None
    history: tuple[float, ...]

    @property
    def change_percent(self) -> float | None:
        return None if not self.before else 100.0 * (self.value - self.before) / abs(self.before)


def read_kpis(lake: Lake, dbt_project: Path) -> list[Kpi]:
    """Return the figures in the order of the query; none without the file, or if a table that it reads is missing."""
    file = dbt_project / FILE
    if not file.is_file():
        return []
    text = _COMMENT.sub("", file.read_text(encoding="utf-8"))
    tables = {table.name: table for table in lake.tables() if table.schema in ("gold", "silver")}
    wanted = {*_REF.findall(text)}
    if not wanted <= {*tables}:
        return []
    with duck.session(lake.root) as connection:
        connection.execute("create schema kpi")
        for name in sorted(wanted):
            duck.register(connection, "kpi", name, tables[name].uri)
        query = _REF.sub(lambda found: f"kpi.{quote_standard(found[1])}", text)
        rows = connection.execute(
            'select kpi, unit, "day"::date, "value"::double from '
            f'(select *, row_number() over () as position from ({query}) where "value" is not null) '
            'order by min(position) over (partition by kpi), "day"'
        ).fetchall()
    figures: dict[tuple[str, str], list[tuple[date, float]]] = {}
    for name, unit, day, value in rows:
        figures.setdefault((name, unit or ""), []).append((day, value))
    return [_figure(name, unit, found) for (name, unit), found in figures.items()]


def _figure(name: str, unit: str, found: list[tuple[date, float]]) -> Kpi:
    values = dict(found)
    day, value = found[-1]
    before = [values[other] for other in values if (day - other).days == WEEK]
    return Kpi(name, unit, day, value, before[0] if before else None, tuple(values.values()))
