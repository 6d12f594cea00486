"""Commands that move data: plan, load, build, run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingestion.cli.base import settings, told_world, with_output, with_world
from ingestion.cli.output import Output, counted
from ingestion.cli.progress import steps
from ingestion.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from ingestion.build.dbt import BuildResult
    from ingestion.contracts.window import FixedPoint
    from ingestion.daily import DayResult
    from ingestion.load.plan import LoadPlan
    from ingestion.load.result import LoadResult
    from ingestion.runs.context import Context
    from monitoring.ledger_views import TableGap

IN_RUN = click.option("--run-id", metavar="ID", help="The id of the run, e.g. Airflow's. Default: a new one.")
LOAD_COLUMNS = (
    *("table", "batch", "read", "good", "quarantined", "known bad", "known", "appended", "deleted"),
    "watermark",
)


def chosen_tables(context: Context, tables: Sequence[str]) -> list[str]:
    return list(tables) or context.contract_ids()


@click.command()
@click.argument("tables", nargs=-1)
@click.option("--full", is_flag=True, help="Plan a load from the start.")
@with_output
def plan(output: Output, tables: tuple[str, ...], full: bool) -> None:
    """Show what a load would do: drift, window and rows. Writes nothing."""
    from ingestion.load.plan import plan_load
    from ingestion.runs.context import open_context
    from ingestion.runs.each import as_list, raise_failed

    context = open_context(settings())
    chosen = chosen_tables(context, tables)
    with steps(output, "plan", of=len(chosen)) as current:
        plans, failed = context.each_table(
            chosen, lambda contract_id: plan_load(context, contract_id, full=full), over=current.over("plan")
        )
    plans = _with_lacks(context, plans)
    output.result(as_list(plans, failed), lambda console: _print_plans(console, plans))
    raise_failed(failed, of=len(chosen))


def _with_lacks(context: Context, plans: Sequence[LoadPlan]) -> list[LoadPlan]:
    """Return the plans with what the Silver models of their tables lack."""
    from ingestion.contracts.lacks import find_lacks
    from ingestion.contracts.model import BronzeMode

    lacks = find_lacks({plan.contract_id: BronzeMode(plan.bronze) for plan in plans}, context.settings.dbt_project)
    return [
        replace(plan, lacking=tuple(str(lack) for lack in lacks if lack.subject == plan.contract_id)) for plan in plans
    ]


def _print_plans(console: Console, plans: Sequence[LoadPlan]) -> None:
    from ingestion.cli.output.table import FittingTable
    from ingestion.cli.output.terminal import print_step

    columns = ("table", "mode", "batch", "from", "up to", "rows", "chunks", "compares keys")
    rows = [(p.contract_id, p.mode, p.next_batch, p.low, p.next_low, p.rows, p.chunks, p.compares_keys) for p in plans]
    console.print(FittingTable(columns, rows, numbers=("batch", "rows", "chunks")))
    for p in plans:
        for note in filter(None, (p.degraded, *(f"no {right}" for right in p.missing_rights))):
            console.print(f"{p.contract_id}: {note}")
        for lack in p.lacking:
            finding, _, command = lack.rpartition(": ")
            print_step(console, f"{p.contract_id}: {finding}", command)
        for drift in p.drift:
            console.print(f"{p.contract_id}: drift: {drift}")
        for blocker in p.blockers:
            console.print(f"{p.contract_id}: a load would stop: {blocker}")


@click.command()
@click.argument("tables", nargs=-1)
@click.option("--full", is_flag=True, help="Read the tables from the start; append what differs from the lake.")
@click.option("--allow-deletes", is_flag=True, help="Ignore the contract's limit on deletions for this load.")
@click.option("--at", "point", metavar="JSON", help="Read at this fixed point, to share it in a run.")
@IN_RUN
@with_output
def load(
    output: Output,
    *,
    tables: tuple[str, ...],
    full: bool,
    allow_deletes: bool,
    point: str | None,
    run_id: str | None,
) -> None:
    """Load the next window of TABLES (default: all) into Bronze. A failed table does not stop the others."""
    from ingestion.load.load_table import load_table
    from ingestion.runs.context import open_context
    from ingestion.runs.each import as_list, raise_failed

    context = open_context(settings(), run_id)
    if (full or allow_deletes) and not tables:
        raise ConfigurationError("load: --full and --allow-deletes need the names of the tables. Nothing was loaded.")
    at = _fixed_point(point, tables)
    chosen = chosen_tables(context, tables)
    with steps(output, "load", of=len(chosen)) as current:
        results, failed = context.each_table(
            chosen,
            lambda contract_id: load_table(
                replace(context, observe=current.observe), contract_id, full=full, allow_deletes=allow_deletes, at=at
            ),
            over=current.over("load"),
        )
    context.note_unread("load", failed, is_scheduled=run_id is not None)  # whoever named the run reads the ledger
    output.result(as_list(results, failed), lambda console: print_loads(console, results))
    tables_verdict(output, "loaded", results, failed)
    raise_failed(failed, of=len(chosen))


def tables_verdict(output: Output, done: str, results: Sequence[object], failed: Sequence[object]) -> None:
    """Print a command's closing line on the tables it worked on: `4 tables loaded, 1 failed, in 12 s`."""
    output.verdict(f"{counted(len(results), 'table')} {done}", failed=f"{len(failed):,} failed" if failed else "")


def _fixed_point(text: str | None, tables: Sequence[str]) -> FixedPoint | None:
    """Read a fixed point in the form of `FixedPoint.as_dict`. Raises ConfigurationError."""
    from ingestion.contracts.window import FixedPoint

    if not text:
        return None
    if len({contract_id.partition(".")[0] for contract_id in tables}) != 1:
        raise ConfigurationError(
            "load: --at is a fixed point of one system: name tables of that system only. Nothing was loaded."
        )
    try:
        return FixedPoint.from_dict(json.loads(text))
    except (ValueError, TypeError, KeyError):
        raise ConfigurationError(
            "load: --at must be a JSON object with kind, value, moment and sequence. "
            "Nothing was loaded. Leave it out: the load then takes a fixed point of its own."
        ) from None


def print_loads(console: Console, results: Sequence[LoadResult]) -> None:
    """
    Print load results as one table with warnings below it; nothing if there are no results.

    On each line read = good + quarantined + known bad.
    """
    from ingestion.cli.output.table import FittingTable

    if not results:
        return
    rows = [
        (
            r.contract_id,
            r.batch,
            r.read,
            r.good,
            r.quarantined,
            r.known_bad,
            r.known,
            r.appended,
            r.deleted,
            r.watermark,
        )
        for r in results
    ]
    console.print(FittingTable(LOAD_COLUMNS, rows, numbers=LOAD_COLUMNS[1:9]))
    for result in results:
        if result.in_quarantine or result.settled:
            held = f"{counted(result.in_quarantine, 'row')} in quarantine, {result.quarantined:,} of them new"
            console.print(f"{result.contract_id}: {held}; {result.settled:,} settled")
        for note in (*result.warnings, *(f"drift: {d}" for d in result.drift)):
            console.print(f"{result.contract_id}: {note}")


@click.command()
@click.argument("layer", type=click.Choice(["silver", "gold", "audit", "all"]), default="all")
@click.option("--full-refresh", is_flag=True, help="Rebuild the tables from Bronze; the history stays the same.")
@click.option("--new-salt", is_flag=True, help="Use the current salt and rewrite all hashes of personal values.")
@click.option("--unit-tests", is_flag=True, help="Run dbt's unit tests too.")
@click.option(
    "--as-of",
    multiple=True,
    metavar="WHEN",
    help="Rebuild the state of a moment (UTC), of a run's end, or of TABLE=BATCH (repeatable). Needs --into.",
)
@click.option("--into", metavar="FOLDER", help="The lake that --as-of builds; this one is only read.")
@click.option("--keep", type=click.Path(path_type=Path), help="Write dbt's run_results.json, without messages, there.")
@click.option(
    "--without", multiple=True, metavar="TABLE", help="Leave out all models that depend on this table (repeatable)."
)
@IN_RUN
@with_output
def build(
    output: Output,
    *,
    layer: str,
    full_refresh: bool,
    new_salt: bool,
    unit_tests: bool,
    as_of: tuple[str, ...],
    into: str | None,
    keep: Path | None,
    without: tuple[str, ...],
    run_id: str | None,
) -> None:
    """Build Silver, Gold, the audit tables of the ledger, or all of them with dbt, including data tests.

    \b
    lakehouse build --as-of 2026-03-02T06:00 --into ./as-of
    """
    from ingestion.build.dbt import build_layer
    from ingestion.runs.context import open_context

    if bool(as_of) != bool(into):
        raise ConfigurationError("build: --as-of and --into belong together: give both. Nothing was built.")
    if as_of and (without or run_id or new_salt or keep):
        raise ConfigurationError(
            "build: --without, --run-id, --new-salt and --keep belong to a build of this lake. Nothing was built."
        )
    if new_salt and (layer not in ("gold", "all") or without):
        raise ConfigurationError(
            "build: --new-salt rewrites all of Gold: build gold or all, without --without. Nothing was built."
        )
    if as_of and into:
        _build_as_of(output, layer, unit_tests, as_of, into)
        return
    context = open_context(settings(), run_id)
    unknown = sorted({*without} - {*(context.contract_ids() if without else ())})
    if unknown:
        raise ConfigurationError(
            f"build: --without names tables without a contract: {', '.join(unknown)}. Nothing was built. "
            "See the names: lakehouse contract lint"
        )
    with steps(output, f"build {layer}"):
        result = build_layer(
            context,
            layer,
            full_refresh=full_refresh,
            unit_tests=unit_tests,
            without=without,
            new_salt=new_salt,
            keep=keep,
        )
    output.result(result.as_dict(), lambda _: output.verdict(*_built(result)))


def _built(result: BuildResult) -> tuple[str, str]:
    return f"{counted(len(result.models), 'model')} built", f"{counted(result.tests, 'test')} passed"


def _build_as_of(output: Output, layer: str, unit_tests: bool, as_of: Sequence[str], into: str) -> None:
    from ingestion.build.as_of import build_as_of
    from ingestion.cli.output.table import FittingTable
    from ingestion.runs.context import open_context

    with steps(output, f"build {layer} as of {', '.join(as_of)}"):
        rebuilt = build_as_of(open_context(settings()), as_of, into, layer=layer, unit_tests=unit_tests)

    def render(console: Console) -> None:
        columns = ("table", "known up to batch")
        console.print(FittingTable(columns, list(rebuilt.batches.items()), numbers=columns[1:]))
        console.print(f'Query it: LAKEHOUSE_ROOT="{rebuilt.root}" lakehouse sql "..."', soft_wrap=True)
        output.verdict(*_built(rebuilt.build))

    output.result({**rebuilt.build.as_dict(), "root": rebuilt.root, "batches": dict(rebuilt.batches)}, render)


@click.command()
@with_output
def run(output: Output) -> None:
    """Run the whole day: load, Silver, Gold, sync gaps, verdict."""
    from ingestion.daily import run_day
    from ingestion.runs.context import open_context
    from ingestion.runs.verdict import raise_if_red, verdict
    from monitoring import ledger_views
    from monitoring.incidents.run import evaluate_at_end

    context = open_context(settings())
    with steps(output, "run", of=2 * len(context.contract_ids()) + 1, keep=True) as current:
        observed = replace(context, observe=current.observe)
        day = run_day(observed, progress=lambda step, subject: current.begin(f"{step} {subject}"))
    gaps = [gap for gap in ledger_views.current_gaps(context.journal) if gap.run_id == day.run_id]
    told_world(output, context.lake)
    [document] = with_world(context.lake, [day.as_dict()])
    output.result(document, lambda console: print_day(console, day, gaps))
    output.verdict(
        f"{counted(len(day.loads), 'table')} loaded",
        *(f"{counted(len(built.models), 'model')} built" for built in day.builds),
        f"{counted(len(day.gaps), 'table')} compared",
        failed=f"{counted(len(day.failures), 'step')} failed" if day.failures else "",
    )
    evaluate_at_end(context.settings)
    unread = {failed.subject: str(failed.error) for failed in day.unread}
    red = verdict(context, day.run_id, [i for i in context.contract_ids() if i not in unread])
    raise_if_red(day.run_id, [*dict.fromkeys(unread.values()), *red])


def print_day(console: Console, day: DayResult, gaps: Sequence[TableGap]) -> None:
    """Print a day's loads and gaps."""
    from ingestion.cli.gap_tables import gap_table

    print_loads(console, day.loads)
    console.print(gap_table(gaps))
