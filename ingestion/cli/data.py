"""Commands that move or show data: plan, load, build, run, gaps, repair, sql, quarantine."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from ingestion.cli.base import Group, Output, settings, table, with_output
from ingestion.errors import ConfigurationError
from ingestion.lake import duck
from ingestion.pipelines.as_of import build_as_of
from ingestion.pipelines.build import build_layer
from ingestion.pipelines.context import Context, open_context
from ingestion.pipelines.day import DayResult, raise_if_red, run_day, verdict
from ingestion.pipelines.gaps import record_sync_gap
from ingestion.pipelines.load import load_table
from ingestion.pipelines.plan import LoadPlan, plan_load
from ingestion.pipelines.repair import repair_table, replay_quarantine
from ingestion.pipelines.steps import LoadResult
from ingestion.reconcile.gap import GapReport

LOAD_COLUMNS = ("table", "batch", "read", "good", "quarantined", "appended", "deleted", "known", "watermark")
GAP_COLUMNS = (
    "table",
    "source",
    "lake",
    "quarantined",
    "gap",
    "gap %",
    "missing keys",
    "extra keys",
    "lag (h)",
    "severity",
)


def _chosen(context: Context, tables: Sequence[str]) -> list[str]:
    return list(tables) or context.contract_ids()


@click.command()
@click.argument("tables", nargs=-1)
@click.option("--full", is_flag=True, help="Plan a load from the start.")
@with_output
def plan(output: Output, tables: tuple[str, ...], full: bool) -> None:
    """Show drift, window, rows and what a load would do. Writes nothing."""
    context = open_context(settings())
    plans = [plan_load(context, contract_id, full=full) for contract_id in _chosen(context, tables)]
    output.result([p.as_dict() for p in plans], lambda console: _print_plans(console, plans))


def _print_plans(console: Console, plans: Sequence[LoadPlan]) -> None:
    columns = ("table", "mode", "batch", "from", "up to", "rows", "chunks", "compares keys")
    rows = [(p.contract_id, p.mode, p.next_batch, p.low, p.next_low, p.rows, p.chunks, p.compares_keys) for p in plans]
    console.print(table(None, columns, rows, numbers=("batch", "rows", "chunks")))
    for p in plans:
        for note in filter(None, (p.degraded, *(f"no {right}" for right in p.missing_rights))):
            console.print(f"{p.contract_id}: {note}", markup=False)
        for drift in p.drift:
            console.print(f"{p.contract_id}: drift: {drift}", markup=False)
        for blocker in p.blockers:
            console.print(f"{p.contract_id}: a load would stop: {blocker}", markup=False)


@click.command()
@click.argument("tables", nargs=-1)
@click.option("--full", is_flag=True, help="Read the tables from the start; append what differs from the lake.")
@click.option("--allow-deletes", is_flag=True, help="Lift the brake on deletions for this load.")
@with_output
def load(output: Output, tables: tuple[str, ...], full: bool, allow_deletes: bool) -> None:
    """Load the next window of TABLES (default: all) into Bronze."""
    context = open_context(settings())
    if (full or allow_deletes) and not tables:
        raise ConfigurationError("load: --full and --allow-deletes promise care: name the tables. Nothing was loaded.")
    results = [
        load_table(context, contract_id, full=full, allow_deletes=allow_deletes)
        for contract_id in _chosen(context, tables)
    ]
    output.result([r.as_dict() for r in results], lambda console: print_loads(console, results))


def print_loads(console: Console, results: Sequence[LoadResult]) -> None:
    """Print load results as one table, warnings below it."""
    rows = [
        (r.contract_id, r.batch, r.read, r.good, r.quarantined, r.appended, r.deleted, r.known, r.watermark)
        for r in results
    ]
    console.print(table(None, LOAD_COLUMNS, rows, numbers=LOAD_COLUMNS[1:8]))
    for result in results:
        for note in (*result.warnings, *(f"drift: {d}" for d in result.drift)):
            console.print(f"{result.contract_id}: {note}", markup=False)


@click.command()
@click.argument("layer", type=click.Choice(["silver", "gold", "all"]), default="all")
@click.option("--full-refresh", is_flag=True, help="Rebuild the tables from Bronze; history comes out the same.")
@click.option("--unit-tests", is_flag=True, help="Run dbt's unit tests too.")
@click.option(
    "--as-of",
    multiple=True,
    metavar="WHEN",
    help="Rebuild what was known at a moment (UTC), after a run, or at TABLE=BATCH (repeatable). Needs --into.",
)
@click.option("--into", metavar="FOLDER", help="Where --as-of builds: a lake of its own. This one is only read.")
@with_output
def build(
    output: Output, *, layer: str, full_refresh: bool, unit_tests: bool, as_of: tuple[str, ...], into: str | None
) -> None:
    """Build Silver, Gold or both with dbt, tests included.

    \b
    lakehouse build --as-of 2026-03-02T06:00 --into ./as-of
    """
    if bool(as_of) != bool(into):
        raise ConfigurationError("build: --as-of and --into promise a rebuild together: give both. Nothing was built.")
    if as_of and into:
        _build_as_of(output, layer, unit_tests, as_of, into)
        return
    result = build_layer(open_context(settings()), layer, full_refresh=full_refresh, unit_tests=unit_tests)
    output.result(
        result.as_dict(),
        lambda console: console.print(
            f"{layer}: {len(result.models)} models built, {result.tests} tests passed in {result.seconds:.1f} s."
        ),
    )


def _build_as_of(output: Output, layer: str, unit_tests: bool, as_of: Sequence[str], into: str) -> None:
    rebuilt = build_as_of(open_context(settings()), as_of, into, layer=layer, unit_tests=unit_tests)

    def render(console: Console) -> None:
        columns = ("table", "known up to batch")
        console.print(table(None, columns, list(rebuilt.batches.items()), numbers=columns[1:]))
        result = rebuilt.build
        console.print(
            f"{layer}: {len(result.models)} models built, {result.tests} tests passed in {result.seconds:.1f} s.\n"
            f'Query it: LAKEHOUSE_ROOT="{rebuilt.root}" lakehouse sql "..."',
            soft_wrap=True,
            markup=False,
        )

    output.result({**rebuilt.build.as_dict(), "root": rebuilt.root, "batches": dict(rebuilt.batches)}, render)


@click.command()
@with_output
def run(output: Output) -> None:
    """Do the whole day: load, Silver, Gold, sync gaps, verdict."""
    context = open_context(settings())
    day = run_day(context, progress=lambda step, subject: output.line(f"{step}: {subject}"))
    output.result(day.as_dict(), lambda console: print_day(console, day))
    raise_if_red(day.run_id, verdict(context, day.run_id, context.contract_ids()))


def print_day(console: Console, day: DayResult) -> None:
    """Print a day's loads and gaps."""
    print_loads(console, day.loads)
    console.print(gap_table(day.gaps))


@click.command()
@click.argument("tables", nargs=-1)
@click.option("--watch", type=click.IntRange(min=1), metavar="SECONDS", help="Check again every so many seconds.")
@click.option("--last", is_flag=True, help="Show the last recorded check; ask no source.")
@with_output
def gaps(output: Output, tables: tuple[str, ...], watch: int | None, last: bool) -> None:
    """Compare TABLES (default: all) with their sources and record the gaps."""
    context = open_context(settings())
    chosen = _chosen(context, tables)
    if last:
        _print_last(output, context, chosen)
        return
    if watch is not None:
        _watch(context, chosen, watch)
        return
    reports = [record_sync_gap(context, contract_id) for contract_id in chosen]
    output.result([r.as_dict() for r in reports], lambda console: _print_gaps(console, reports))


def _print_last(output: Output, context: Context, chosen: Sequence[str]) -> None:
    rows = context.journal.select(
        'select * from ops.gaps where "partition" is null '
        "qualify row_number() over (partition by contract_id order by checked_at desc) = 1 order by contract_id"
    )
    rows = [row for row in rows if row["contract_id"] in chosen]
    names = ("contract_id", "checked_at", "source_count", "lake_count", "quarantined_count", "sync_gap", "severity")
    output.result(rows, lambda console: console.print(table(None, names, [[r[n] for n in names] for r in rows])))


def _watch(context: Context, chosen: Sequence[str], seconds: int) -> None:
    with Live(refresh_per_second=1) as live:
        while True:
            live.update(gap_table([record_sync_gap(context, contract_id) for contract_id in chosen]))
            time.sleep(seconds)


def gap_table(reports: Sequence[GapReport]) -> Table:
    """Return gap reports as a table, one line per contracted table."""
    colours = {"OK": "green", "WARNING": "yellow", "CRITICAL": "red", "UNKNOWN": "magenta"}
    rows = [
        (
            r.contract_id, r.source_count, r.lake_count, r.quarantined_count, r.sync_gap, r.gap_percentage,
            r.missing_keys, r.extra_keys, r.freshness_lag_hours, f"[{colours[r.severity]}]{r.severity}[/]",
        )
        for r in reports
    ]  # fmt: skip
    return table(None, GAP_COLUMNS, rows, numbers=GAP_COLUMNS[1:9])


def _print_gaps(console: Console, reports: Sequence[GapReport]) -> None:
    console.print(gap_table(reports))
    for report in reports:
        for part in report.partitions[:10]:
            state = "missing" if part.is_missing else f"gap {part.sync_gap:,}"
            console.print(
                f"{report.contract_id} {part.partition or '(no partition)'}: {state} "
                f"(source {part.source_count:,}, lake {part.lake_count:,}, quarantined {part.quarantined_count:,})",
                markup=False,
            )
        if report.severity != "OK":
            console.print(report.runbook_sql, style="dim", markup=False)


@click.command()
@click.argument("tables", nargs=-1, required=True)
@click.option("--allow-deletes", is_flag=True, help="Lift the brake on deletions for this repair.")
@with_output
def repair(output: Output, tables: tuple[str, ...], allow_deletes: bool) -> None:
    """Re-extract what TABLES lack, tombstone what their sources no longer have."""
    context = open_context(settings())
    results = [repair_table(context, contract_id, allow_deletes=allow_deletes) for contract_id in tables]
    output.result([r.as_dict() for r in results], lambda console: print_loads(console, results))
    output.line("Silver and Gold follow with the next build: lakehouse build")


@click.command()
@click.argument("query")
@with_output
def sql(output: Output, query: str) -> None:
    """Query the lake: schemas bronze, silver, gold, ops, quarantine. Read-only.

    \b
    lakehouse sql "select * from gold.fact_sales limit 5"
    """
    context = open_context(settings())
    with duck.connect(context.lake, memory_limit=context.settings.memory_limit) as connection:
        names, rows = duck.select(connection, query)
    output.result(
        [dict(zip(names, row, strict=True)) for row in rows],
        lambda console: console.print(table(None, names, rows)),
    )


@click.group(cls=Group)
def quarantine() -> None:
    """Rows that broke their contract: list them, replay them."""


@quarantine.command("list")
@click.argument("tables", nargs=-1)
@with_output
def quarantine_list(output: Output, tables: tuple[str, ...]) -> None:
    """Count the open quarantined rows per table, column and rule. Shows no values."""
    context = open_context(settings())
    rows = []
    with duck.connect(context.lake) as connection:
        for contract_id in _chosen(context, tables):
            view = context.contract(contract_id).bronze_view
            found = connection.execute(
                "select split_part(mark, ':', 1), split_part(mark, ':', 2), count(*), min(_batch), max(_batch) "
                "from (select unnest(string_split(_breaks, '; ')) as mark, _batch "
                f"from quarantine.{duck.identifier(view)} where _replayed_in is null) group by 1, 2 order by 1, 2"
            ).fetchall()
            rows += [(contract_id, *row) for row in found]
    names = ("table", "column", "rule", "rows", "first batch", "last batch")
    output.result(
        [dict(zip(names, row, strict=True)) for row in rows],
        lambda console: console.print(table(None, names, rows, numbers=names[3:])),
    )


@quarantine.command("replay")
@click.argument("tables", nargs=-1, required=True)
@with_output
def quarantine_replay(output: Output, tables: tuple[str, ...]) -> None:
    """Judge quarantined rows by today's contracts; append those that keep them."""
    context = open_context(settings())
    results = [replay_quarantine(context, contract_id) for contract_id in tables]
    output.result([r.as_dict() for r in results], lambda console: print_loads(console, results))
