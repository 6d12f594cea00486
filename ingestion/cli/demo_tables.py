"""Prints what the demo did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from rich.console import Console
from rich.text import Text

from ingestion.cli.output.states import state
from ingestion.cli.output.table import FittingTable
from ingestion.demo.show import Story
from ingestion.demo.streams import StreamStory
from ingestion.reconcile.gap import GapReport
from ingestion.shipped import COMMAND

_LOADED = ("read", "good", "quarantined", "known bad", "appended", "deleted")
_STREAMED = ("read", "merged", "superseded", "filtered", "dead", "seconds")
_HEALED = ("gap before", "repaired", "gap after", "versions")


def print_story(console: Console, story: Story) -> None:
    """Print the results of both days as tables."""
    for table in (_planted(story), _loaded(story), _healed(story), _revenue(story)):
        console.print(table)
    console.print(f"The lake is {story.lake}, its two source systems are {story.world}.", soft_wrap=True)
    console.print(
        "Try next, in a shell that knows the demo's systems:\n"
        f'  eval "$({COMMAND} demo --env)"\n'
        f"  {COMMAND} status\n"
        f'  {COMMAND} sql "select * from gold.fact_sales limit 5"\n'
        f"  {COMMAND} quarantine list\n"
        f"  {COMMAND} run\n"
        f"  {COMMAND} serve      (shows it all in a browser)",
        soft_wrap=True,
    )


def _planted(story: Story) -> FittingTable:
    rows = [(t.table, t.what, t.rows) for t in story.troubles]
    title = "What went wrong on day 2, on purpose"
    return FittingTable(("table", "what", "rows"), rows, title=title, numbers=("rows",))


def _loaded(story: Story) -> FittingTable:
    rows = [
        (day, contract_id, r.read, r.good, r.quarantined, r.known_bad, r.appended, r.deleted)
        for day, loads in story.loads.items()
        for contract_id, r in loads.items()
    ]
    return FittingTable(("day", "table", *_LOADED), rows, title="What each load did", numbers=_LOADED)


def _healed(story: Story) -> FittingTable:
    rows = []
    for contract_id, before in story.before.items():
        repaired = story.repaired.get(contract_id)
        fetched = None if repaired is None else repaired.appended + repaired.deleted
        gaps = (_gap(before), fetched, _gap(story.after[contract_id]))
        rows.append((contract_id, *gaps, story.versions[contract_id]))
    title = "The sync gap after day 2, and its repair"
    return FittingTable(("table", *_HEALED), rows, title=title, numbers=_HEALED)


def _gap(report: GapReport) -> Text:
    return Text.assemble(f"{report.sync_gap:,} ", state(report.severity) or "")


def _revenue(story: Story) -> FittingTable:
    segments = sorted({str(row["segment"]) for row in story.revenue})
    rows: list[Sequence[object]] = []
    for month in sorted({str(row["month"]) for row in story.revenue}):
        by_segment = {str(row["segment"]): row for row in story.revenue if row["month"] == month}
        revenue = sum((row["net_revenue"] for row in by_segment.values()), Decimal(0))
        profit = sum((row["gross_profit"] or Decimal(0) for row in by_segment.values()), Decimal(0))
        cells = [_thousands(by_segment[s]["net_revenue"]) if s in by_segment else "-" for s in segments]
        rows.append((month, *cells, _thousands(revenue), _thousands(profit)))
    title = "Net revenue by month and segment, and gross profit, from Gold (thousand BRL)"
    numbers = (*segments, "all", "profit")
    return FittingTable(("month", *numbers), rows, title=title, numbers=numbers)


def _thousands(amount: Decimal) -> str:
    return f"{amount / 1000:,.0f}"


def print_streams(console: Console, story: StreamStory) -> None:
    """Print what each stream did, its dead letters, and what a window table holds."""
    runs = [(run["stream"], *(run[name] for name in _STREAMED)) for run in story.runs]
    for title, columns, rows, numbers in (
        ("What became of the messages", ("stream", *_STREAMED), runs, _STREAMED),
        ("Dead letters, by what they break", *_columns(story.letters), ("messages",)),
        ("The newest hours of orders_stream", *_columns(story.hours), ("orders", "turnover_eur")),
    ):
        console.print(FittingTable(columns, rows, title=title, numbers=numbers))
    console.print(
        f"The project is {story.project}. Try next, there:\n"
        "  lakehouse stream status\n"
        "  lakehouse stream replay orders_stream      (after you changed its contract)\n"
        "  lakehouse stream plan orders_stream",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def _columns(rows: Sequence[Mapping[str, object]]) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    return tuple(rows[0]) if rows else ("none",), [tuple(row.values()) for row in rows]
