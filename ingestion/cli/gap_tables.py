"""Prints gaps, differences and advice on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from ingestion.cli.output.states import state, urgency
from ingestion.cli.output.table import FittingTable
from ingestion.reconcile.gap import OK, OK_IN_PART
from monitoring.advisor.gap_advice import GapAdvice
from monitoring.ledger_views import Difference, PartitionGap, TableGap

COLUMNS = {
    "source": "source_count",
    "lake": "lake_count",
    "in quarantine": "quarantined_count",
    "gap": "sync_gap",
    "gap %": "gap_percentage",
    "missing": "missing_keys",
    "extra": "extra_keys",
    "changed": "differing_keys",
    "lag (h)": "freshness_lag_hours",
    "score": "data_quality_score",
}
"""Heading -> field of a check."""
_CALM = (OK, OK_IN_PART)
PARTITIONS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Standing:
    """
    The newest check of each table, the open differences, and the waived ones.

    `unread` has one message per system that could not be reached; its tables are UNKNOWN.
    """

    gaps: tuple[TableGap, ...]
    partitions: tuple[PartitionGap, ...]
    differences: tuple[Difference, ...]
    waived: tuple[Difference, ...]
    unread: tuple[str, ...] = ()

    @property
    def compared(self) -> list[TableGap]:
        """The checks without those of `unread`: people read its messages, and not a line per table."""
        return [gap for gap in self.gaps if gap.why not in self.unread]

    def as_list(self) -> list[dict[str, Any]]:
        """Return one document per table, with its partitions, open and waived differences."""
        return [
            gap.as_dict()
            | {
                "partitions": [p.as_dict() for p in self.partitions if p.contract_id == gap.contract_id],
                "differences": [d.as_dict() for d in self.differences if d.contract_id == gap.contract_id],
                "waived": [d.as_dict() for d in self.waived if d.contract_id == gap.contract_id],
            }
            for gap in self.gaps
        ]


def print_standing(console: Console, standing: Standing) -> None:
    """Print the tables, then the partitions that differ, then a hint on how to examine a gap."""
    if standing.compared or not standing.unread:
        console.print(standing_tables(standing))
    for gap in standing.gaps:
        parts = [part for part in standing.partitions if part.contract_id == gap.contract_id]
        for part in parts[:PARTITIONS_SHOWN]:
            console.print(_line(part))
        if len(parts) > PARTITIONS_SHOWN:
            console.print(f"{gap.contract_id}: {len(parts) - PARTITIONS_SHOWN} more partitions differ")
        if gap.severity not in _CALM and gap.runbook_sql:
            console.print(gap.runbook_sql, style="dim")
    if any(gap.severity not in _CALM and gap.runbook_sql for gap in standing.gaps):
        console.print("Why, and what to do: lakehouse gaps advise")


def standing_tables(standing: Standing) -> Group:
    """Return the newest checks, and the open and the waived differences if there are any, as tables."""
    shown: list[RenderableType] = [gap_table(standing.compared)]
    if unseen := _not_compared(standing.gaps):
        shown.append(Text("\n".join(["* was not compared:", *unseen])))
    if standing.differences:
        rows = [(*_difference(d), _state(d), f"{d.first_seen_at:%Y-%m-%d %H:%M}") for d in standing.differences]
        columns = [*_DIFFERENCE, "state", "first seen"]
        shown.append(FittingTable(columns, rows, title="Open differences", numbers=("keys",)))
    if standing.waived:
        why = [(*_difference(d), _moment(d), d.by, d.why) for d in standing.waived]
        columns = [*_DIFFERENCE, "until (UTC)", "by", "why"]
        shown.append(FittingTable(columns, why, title="Waived differences", numbers=("keys",)))
    return Group(*shown)


def gap_table(gaps: Sequence[TableGap], *, when: bool = False) -> FittingTable:
    """Return checks as a table, one line each, the worst first; `when` adds their time and keeps their order."""
    first = ("checked at (UTC)", "table") if when else ("table",)
    rows = [
        (
            *([f"{gap.checked_at:%Y-%m-%d %H:%M:%S}"] if when else []),
            gap.contract_id,
            *(getattr(gap, name) for name in COLUMNS.values()),
            state(gap.severity),
            state(gap.state),
        )
        for gap in (gaps if when else sorted(gaps, key=lambda gap: urgency(gap.severity)))
    ]
    return FittingTable((*first, *COLUMNS, "severity", "state"), rows, numbers=COLUMNS)


def print_history(console: Console, gaps: Sequence[TableGap]) -> None:
    console.print(gap_table(gaps, when=True))


def _not_compared(gaps: Sequence[TableGap]) -> list[str]:
    """Return one line per table and reason why something was not compared."""
    unseen = []
    for gap in gaps:
        ended = gap.why if gap.outcome == "partial" else None
        unseen += [f"  {gap.contract_id}: {part}" for part in (gap.unverified_columns, ended) if part]
    return unseen


def print_advice(console: Console, advices: Sequence[GapAdvice]) -> None:
    """Print each cause with its finding, the SQL that shows it and the commands that close it."""
    if not advices:
        console.print("Nothing to do: no table has a gap that the ledger knows of.")
    for number, advice in enumerate(advices, start=1):
        console.print(f"{number}. {advice.contract_id}: {advice.cause}", style="bold")
        console.print(_indented(advice.finding))
        for command in advice.commands:
            console.print(f"   $ {command}", style="green", soft_wrap=True)
        if advice.prevention:
            console.print(_indented(f"So that it does not come back: {advice.prevention}"))
        if sql := str(advice.runbook):
            console.print(sql, style="dim", soft_wrap=True)


def _indented(text: str) -> Padding:
    return Padding(Text(text), (0, 0, 0, 3))


_DIFFERENCE = ("difference", "table", "kind", "partition", "keys")


def _difference(difference: Difference) -> tuple[object, ...]:
    d = difference
    return (d.difference_id, d.contract_id, d.kind, d.partition, d.keys)


def _state(difference: Difference) -> Text | str | None:
    """Return an open difference's state; for one still recorded as waived, that the waiver has ended."""
    return state(difference.state) if difference.until is None else f"waived until {_moment(difference)}: ended"


def _moment(difference: Difference) -> str | None:
    return None if difference.until is None else f"{difference.until:%Y-%m-%d %H:%M}"


def _line(part: PartitionGap) -> str:
    found = "missing" if part.missing_partitions else f"gap {part.sync_gap:,}"
    return (
        f"{part.contract_id} {part.partition}: {found} (source {part.source_count:,}, lake {part.lake_count:,}, "
        f"in quarantine {part.quarantined_count or 0:,})"
    )
