"""Commands about conversations: init, check, run, status, gaps, replay, purge, backup, demo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from ingestion.cli.base import Group, settings, with_output
from ingestion.cli.output import Output, counted
from ingestion.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from ingestion.cdc.run import Cdc
    from ingestion.runs.context import Context


@click.group(cls=Group)
def cdc() -> None:
    """Calls from Oracle to SQS as conversations, and their results back: init, check, run, status, gaps, replay, purge,
    backup, demo."""


def _context() -> Context:
    from ingestion.runs.context import open_context

    return open_context(settings())


@contextmanager
def _opened() -> Iterator[Cdc]:
    from ingestion.cdc.run import open_cdc

    with open_cdc(_context()) as opened:
        yield opened


@cdc.command("init")
@click.option("--print", "only_print", is_flag=True, help="Print the statements; run none.")
@with_output
def cdc_init(output: Output, *, only_print: bool) -> None:
    """Create the tables that are missing. What exists is left as it is."""
    with _opened() as opened:
        statements = opened.plan()
        if only_print:
            output.told(statements, ";\n".join(statements) + ";")
            return
        opened.init()
        output.told({"tables": len(statements)}, "The tables are ready.")


@cdc.command("check")
@click.option("--explain", is_flag=True, help="Also count the calls of the last day at each stage.")
@with_output
def cdc_check(output: Output, *, explain: bool) -> None:
    """Check the database, tables, rights and both queues. Changes nothing; ends with 10 if something is not well."""
    from ingestion.cdc.check import check
    from ingestion.cdc.check import explain as explained
    from ingestion.cli.output.table import FittingTable

    with _opened() as opened:
        found = check(opened)
        wrong = [each for each in found if not each.is_ok]
        stages, verdict = explained(opened) if explain and not wrong else ([], "")

    def render(console: Console) -> None:
        rows = [(each.what, "ok" if each.is_ok else "wrong", each.finding) for each in found]
        console.print(FittingTable(("checked", "is", "finding"), rows))
        if stages:
            console.print(FittingTable(("stage", "calls"), [(s.name, s.count) for s in stages], numbers=("calls",)))
            console.print(verdict)

    document = {
        "checks": [{"what": f.what, "ok": f.is_ok, "finding": f.finding, "next_step": f.next_step} for f in found],
        "stages": {stage.name: stage.count for stage in stages},
        "verdict": verdict,
    }
    output.result(document, render)
    if wrong:
        first = wrong[0]
        raise ConfigurationError(
            f"{first.what}: {first.finding.rstrip('.')}. Calls are neither read nor sent. {first.next_step}".rstrip()
        )


@cdc.command("run")
@click.option("--until-idle", is_flag=True, help="End when all calls are judged and every conversation has its result.")
@with_output
def cdc_run(output: Output, *, until_idle: bool) -> None:
    """Read calls, send conversations, and write results, until stopped.

    SIGTERM and Ctrl+C end it after the open step.
    """
    from ingestion.cdc.run import run_cdc

    done = run_cdc(_context(), until_idle=until_idle)
    output.result(done, lambda console: _print_statistics(console, done))


@cdc.command("status")
@with_output
def cdc_status(output: Output) -> None:
    """Show modes, statistics since the tables exist, and conversations by state."""
    from ingestion.cli.output.table import FittingTable

    with _opened() as opened:
        document = opened.status()

    def render(console: Console) -> None:
        rows = [
            (row["mode"], row["is_enabled"], _second(row["watermark_at"]), row["health"]) for row in document["modes"]
        ]
        console.print(FittingTable(("mode", "enabled", "read up to (UTC)", "health"), rows))
        _print_statistics(console, document["statistics"])
        states = [*document["states"].items()]
        console.print(FittingTable(("conversations", "count"), states, numbers=("count",)))

    output.result(document, render)


@cdc.command("gaps")
@click.option("--days", type=click.IntRange(1), default=1, show_default=True, help="How far back.")
@click.option("--repair", is_flag=True, help="Enter what is missing anew; `cdc run` sends it.")
@click.option("--exit-zero", is_flag=True, help="End with 0 although calls are missing.")
@with_output
def cdc_gaps(output: Output, *, days: int, repair: bool, exit_zero: bool) -> None:
    """Compare the source's calls with what was sent and answered. A difference counts if it is found twice.

    Ends with 30 if calls are missing and were not entered anew.
    """
    from ingestion.cdc.gaps import check_calls, missing

    with _opened() as opened:
        opened.init()
        found = check_calls(opened, window=timedelta(days=days), repair=repair)
    lines = [
        f"{counted(found.calls, 'call')} of {counted(days, 'day')}:",
        f"  {len(found.unsent):,} with segments that were not sent",
        f"  {len(found.unanswered):,} without an answer",
        f"  {len(found.lost):,} whose result is lost",
    ]
    if found.repaired:
        lines.append(f"{counted(found.repaired, 'conversation')} entered anew.")
    elif found.total:
        lines.append("`lakehouse cdc gaps --repair` enters them anew.")
    output.told(found.as_dict(), "\n".join(lines))
    if found.total and not repair and not exit_zero:
        raise missing(found)


@cdc.command("replay")
@click.argument("what", type=click.Choice(["conversations", "results"]))
@with_output
def cdc_replay(output: Output, *, what: str) -> None:
    """Send again what failed or got no result, or write the results again that are dead letters or orphans."""
    with _opened() as opened:
        opened.init()
        if what == "conversations":
            count = opened.sender.send_again()
            output.told({"again": count}, f"{counted(count, 'conversation')} to be sent again by lakehouse cdc run.")
            return
        done = opened.receiver.replay()
    told = (
        f"{counted(done.read, 'result')}: {done.merged:,} written, {done.superseded:,} superseded, {done.dead:,} dead"
    )
    output.told({"read": done.read, "written": done.merged, "dead": done.dead}, f"{told}, {done.filtered:,} orphans.")


@cdc.command("purge")
@click.option("--older-than", "days", type=click.IntRange(1), default=90, show_default=True, help="Days.")
@with_output
def cdc_purge(output: Output, *, days: int) -> None:
    """Delete old rows of the log, of errors, and of conversations that have their result."""
    from ingestion.cdc.upkeep import purge

    with _opened() as opened:
        counts = purge(opened, timedelta(days=days))
    output.told(counts, ", ".join(f"{counted(count, 'row')} of {table}" for table, count in counts.items()))


@cdc.command("backup")
@click.option("--to", "folder", required=True, type=click.Path(path_type=None), help="The folder of all backups.")
@with_output
def cdc_backup(output: Output, *, folder: str) -> None:
    """Write the tables as Parquet, without the texts of calls."""
    from pathlib import Path

    from ingestion.cdc.upkeep import backup

    with _opened() as opened:
        opened.init()
        counts = backup(opened, Path(folder))
    output.told(counts, f"{counted(sum(counts.values()), 'row')} of {counted(len(counts), 'table')} written.")


@cdc.command("demo")
@click.option("--seed", type=int, default=7, show_default=True, help="The seed of the generated data.")
@with_output
def cdc_demo(output: Output, *, seed: int) -> None:
    """Send some hundred calls to a program that answers; needs no database, no queue server and no Java.

    It writes a project of its own beside the lake, with the contracts, the calls and the queues.
    """
    from ingestion.cli.output.table import FittingTable
    from ingestion.cli.progress import steps
    from ingestion.demo.calls import run_call_demo

    with steps(output, "cdc demo") as current:
        story = run_call_demo(settings(), seed=seed, progress=current.begin)

    def render(console: Console) -> None:
        console.print(FittingTable(("what happened", "count"), story.steps, numbers=("count",)))
        columns = [*story.results[0]]
        rows = [tuple(row.values()) for row in story.results]
        console.print(FittingTable(columns, rows, title="DICTA_CALL_SUMMARY", numbers=("calls", "newest_revision")))
        _print_statistics(console, story.statistics)
        console.print(
            f"The project is {story.project}. Try next, there:\n  lakehouse cdc status\n"
            "  lakehouse cdc check --explain\n  lakehouse cdc gaps --days 7",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )

    output.result(story.as_dict(), render)


def _print_statistics(console: Console, numbers: dict[str, Any]) -> None:
    from ingestion.cdc.run import STATISTICS

    for key, title in STATISTICS.items():
        if key in numbers:
            console.print(f"{title + ':':<22}{numbers[key]:>20,}", highlight=False)
    if "last_cycle" in numbers:
        console.print(f"{'Last cycle:':<22}{_second(numbers['last_cycle']):>20}", highlight=False)


def _second(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "-"
