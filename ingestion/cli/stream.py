"""Commands about streams: run, status, stop, wait, replay, plan, init, demo."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ingestion.cli.base import Group, settings, with_output
from ingestion.cli.output import Output, counted
from ingestion.errors import ConfigurationError, RunFailedError
from ingestion.settings import ENGINES

if TYPE_CHECKING:
    from rich.console import Console

    from ingestion.runs.context import Context


@click.group(cls=Group)
def stream() -> None:
    """Kafka's topics into Oracle or Bronze, exactly once: run, status, stop, wait, replay, plan, init, demo."""


def _context(engine: str | None = None) -> Context:
    from ingestion.runs.context import open_context

    here = settings()
    return open_context(replace(here, engine=engine or here.engine))


@stream.command("run")
@click.argument("name")
@click.option("--until-caught-up", is_flag=True, help="End when all messages are read; without it, run until stopped.")
@click.option("--engine", type=click.Choice(ENGINES), help="Reads Kafka; default: LAKEHOUSE_ENGINE, or embedded.")
@with_output
def stream_run(output: Output, *, name: str, until_caught_up: bool, engine: str | None) -> None:
    """Read the messages of stream NAME and write them to its target.

    SIGTERM and Ctrl+C end it after the open batch.
    """
    from ingestion.stream_jobs.run import run_stream

    done = run_stream(_context(engine), name, until_caught_up=until_caught_up)
    output.result(
        done,
        lambda console: console.print(
            f"{name}: {done['state']}. {counted(done['read'], 'message')} read: {done['merged']:,} merged, "
            f"{done['superseded']:,} superseded, {done['filtered']:,} filtered, {done['dead']:,} dead letters."
        ),
    )


@stream.command("status")
@click.argument("names", nargs=-1)
@with_output
def stream_status(output: Output, *, names: tuple[str, ...]) -> None:
    """Show each stream's state, lag and the numbers of the last hour. NAMES: default all."""
    from ingestion.cli.output.table import FittingTable
    from ingestion.stream_jobs.run import chosen_streams, statuses

    context = _context()
    rows = statuses(context, chosen_streams(context, names))

    def render(console: Console) -> None:
        numbers = ("lag", "read", "merged", "superseded", "filtered", "dead")
        columns = ("stream", "state", "noted_at", *numbers)
        console.print(FittingTable(columns, [tuple(row[name] for name in columns) for row in rows], numbers=numbers))
        for row in rows:
            if row["message"]:
                console.print(f"{row['stream']}: {row['message']}")

    output.result(rows, render)


@stream.command("stop")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All streams of the project.")
@with_output
def stream_stop(output: Output, *, names: tuple[str, ...], everything: bool) -> None:
    """Ask the runs of streams to end, on whatever machine they are; each finishes its open batch.

    The name of conversations ends `lakehouse cdc run`.
    """
    from ingestion.stream_jobs.run import ask_to_stop, stoppable_streams

    if bool(names) == everything:
        raise ConfigurationError("stream stop: name streams, or write --all. Nothing was stopped.")
    context = _context()
    chosen = stoppable_streams(context, names)
    ask_to_stop(context, chosen)
    output.told({"asked": chosen}, f"Asked to stop: {', '.join(chosen)}. `lakehouse stream wait` waits for it.")


@stream.command("wait")
@click.argument("names", nargs=-1)
@click.option("--seconds", type=float, default=300.0, show_default=True, help="How long at most.")
@with_output
def stream_wait(output: Output, *, names: tuple[str, ...], seconds: float) -> None:
    """Wait until no run of these streams is under way. NAMES: default all."""
    from ingestion.stream_jobs.run import chosen_streams, wait_for

    context = _context()
    running = wait_for(context, chosen_streams(context, names), seconds=seconds)
    if running:
        raise RunFailedError(
            f"{', '.join(running)}: still running after {seconds:g} seconds by the ledger. Nothing was changed. Look "
            "at `lakehouse stream status`; a killed process leaves this state until the stream runs again."
        )
    output.told({"running": []}, "No run is under way.")


@stream.command("replay")
@click.argument("name")
@click.option("--rule", help="Only dead letters that break this, e.g. amount:minimum.")
@with_output
def stream_replay(output: Output, *, name: str, rule: str | None) -> None:
    """Send the dead letters of stream NAME through it again; those that keep the contract now become rows."""
    from ingestion.stream_jobs.replay import replay_stream

    done = replay_stream(_context(), name, rule=rule)
    told = ", ".join(f"{count:,} {word}" for word, count in done.items())
    output.told({"stream": name, **done}, f"{name}: {told}. Those that are dead stay dead letters.")


@stream.command("plan")
@click.argument("name")
@with_output
def stream_plan(output: Output, *, name: str) -> None:
    """Print the statements that create the tables of stream NAME in its target; run none."""
    from ingestion.contracts.odcs import find_stream
    from ingestion.stream_jobs.open import open_sink

    context = _context()
    sink = open_sink(context, find_stream(context.settings.contracts, name))
    statements = sink.plan()
    output.told(statements, ";\n".join(statements) + ";" if statements else f"{name}: Bronze needs no statements.")


@stream.command("init")
@click.argument("name")
@click.option("--restart", is_flag=True, help="Begin partitions anew whose committed position the topic no longer has.")
@with_output
def stream_init(output: Output, *, name: str, restart: bool) -> None:
    """Create what the target of stream NAME lacks. What exists is left as it is."""
    from ingestion.stream_jobs.run import init_stream

    anew = init_stream(_context(), name, restart=restart)
    output.told({"stream": name, "restarted": anew}, "\n".join([f"{name}: the target is ready.", *anew]))


@stream.command("demo")
@click.option("--seed", type=int, default=7, show_default=True, help="The seed of the generated data.")
@with_output
def stream_demo(output: Output, *, seed: int) -> None:
    """Run ten example streams over the orders of a retail company; needs no broker and no server.

    It writes a project of its own beside the lake, with the contracts, the messages and the target.
    """
    from ingestion.cli.demo_tables import print_streams
    from ingestion.cli.progress import steps
    from ingestion.demo.streams import run_stream_demo

    with steps(output, "stream demo") as current:
        story = run_stream_demo(settings(), seed=seed, progress=current.begin)
    output.result(story.as_dict(), lambda console: print_streams(console, story))
