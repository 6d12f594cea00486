"""The demo command."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click

from ingestion.cli.base import settings, with_output
from ingestion.cli.output import Output
from ingestion.cli.progress import steps
from ingestion.settings import ENGINES


@click.command()
@click.option("--scale", type=click.FloatRange(min=0.05), default=1.0, show_default=True, help="1 is 20,000 orders.")
@click.option("--seed", type=int, default=7, show_default=True, help="The seed of the generated data.")
@click.option(
    "--sources",
    type=click.Choice(["files", "wire"]),
    default="files",
    show_default=True,
    help="wire: use the servers of AIRFLOW_CONN_ERP (Oracle) and AIRFLOW_CONN_SHOP (SQL Server).",
)
@click.option("--engine", type=click.Choice(ENGINES), help="Loads and builds; default: LAKEHOUSE_ENGINE, or embedded.")
@click.option("--env", is_flag=True, help="Only print shell lines that set the environment for the demo.")
@with_output
def demo(output: Output, *, scale: float, seed: int, sources: str, engine: str | None, env: bool) -> None:
    """Run the product on two days of a retail company, including typical faults.

    In an empty folder outside of a project, the company's project (contracts, dbt models) is written first.
    """
    from ingestion.cli.demo_tables import print_story
    from ingestion.demo import show
    from ingestion.demo.project import write_example

    if not env:
        write_example(Path.cwd(), os.environ)
    here = settings()
    here = replace(here, engine=engine or here.engine)
    if env:
        for line in show.exports(here):
            click.echo(line)
        return
    with steps(output, "demo") as current:
        story = show.run_demo(here, seed=seed, scale=scale, wire=sources == "wire", progress=current.begin)
    output.result(story.as_dict(), lambda console: print_story(console, story))
