"""The command line: `lakehouse …`. With `--json` every command prints the same information as JSON."""

from __future__ import annotations

from ingestion.cli.advisor import ask, docs, explain
from ingestion.cli.around import doctor, init, maintain, status
from ingestion.cli.base import cli
from ingestion.cli.cdc import cdc
from ingestion.cli.contracts import contract
from ingestion.cli.data import build, load, plan, run
from ingestion.cli.demo import demo
from ingestion.cli.drill import drill
from ingestion.cli.erase import erase
from ingestion.cli.gaps import gaps, repair
from ingestion.cli.grants import grants
from ingestion.cli.incidents import incidents
from ingestion.cli.output.streams import end_in_order
from ingestion.cli.project import add, dbt, new, upgrade_project
from ingestion.cli.quarantine import quarantine
from ingestion.cli.settings import show_settings
from ingestion.cli.sql import sql
from ingestion.cli.stream import stream
from ingestion.cli.web import report, serve
from ingestion.no_pandas import hide_pandas

for command in (
    new,
    add,
    upgrade_project,
    init,
    show_settings,
    doctor,
    status,
    maintain,
    plan,
    load,
    build,
    dbt,
    run,
    gaps,
    repair,
    incidents,
    explain,
    ask,
    docs,
    sql,
    serve,
    report,
    contract,
    quarantine,
    stream,
    cdc,
    erase,
    grants,
    demo,
    drill,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line. Ends the process with an exit code by error class (see `ingestion.errors`)."""
    end_in_order()
    hide_pandas()
    cli(prog_name="lakehouse")


__all__ = ["cli", "main"]
