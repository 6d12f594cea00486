"""Commands on a project of one's own: new, add, upgrade-project, dbt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingestion.cli.base import settings, with_output
from ingestion.cli.output import Output, counted
from ingestion.cli.progress import steps
from ingestion.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ingestion.admin.add_table import Added, Decision
    from ingestion.admin.project_files import FileChange


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@with_output
def new(output: Output, folder: Path) -> None:
    """Write an empty project into DIR: folders for contracts, dbt and Airflow, settings, a CI workflow.

    DIR must be new or empty (a .git may be there).
    """
    from ingestion.admin.project_files import write_project

    written = write_project(folder)

    def render(console: Console) -> None:
        lines = [
            f"{folder}: {counted(len(written), 'file')} written. Next:",
            f"  cd {folder}",
            "  export AIRFLOW_CONN_ERP='oracle://user:password@host:1521/service'",
            "      (or mssql://user:password@host:1433/database, duckdb:///path/to/file)",
            "  lakehouse add erp.SCHEMA.TABLE --timezone Europe/Berlin",
            "  lakehouse run",
        ]
        console.print("\n".join(lines), soft_wrap=True)

    output.result({"folder": str(folder), "files": written}, render)


@click.command()
@click.argument("table", metavar="SYSTEM.SCHEMA[.TABLE]")
@click.option("--timezone", help="Time zone of the system, e.g. Europe/Berlin; default: that of its contracts.")
@click.option("--key", help="Key columns, separated by commas, if the catalog has no primary key.")
@click.option("--entity", help="Our name for a single table; default: derived from the table's name.")
@click.option("--dimension", is_flag=True, help="Also write a first Gold model: a dimension with the table's history.")
@with_output
def add(
    output: Output, table: str, *, timezone: str | None, key: str | None, entity: str | None, dimension: bool
) -> None:
    """Add a source's table (or a whole schema): its contract, Silver model and tests, and its empty tables in the lake.

    What exists is kept as it is. At the end it lists what a person should still decide, with file and line.

    \b
    lakehouse add erp.SALES.CUSTOMERS --timezone Europe/Berlin
    """
    from ingestion.admin.add_table import add_tables

    system, _, name = table.partition(".")
    if not name:
        raise ConfigurationError(
            f"{table}: a table is named as SYSTEM.SCHEMA.TABLE; the schema is missing. Nothing was written. "
            "Name it, e.g. erp.SALES.CUSTOMERS, where AIRFLOW_CONN_ERP is the connection."
        )
    with steps(output, f"add {table}"):
        added = add_tables(
            settings(),
            system,
            name,
            timezone=timezone,
            key=tuple(key.split(",")) if key else (),
            entity=entity,
            dimension=dimension,
        )
    output.result(added.as_dict(), lambda console: _print_added(console, added))


def _print_added(console: Console, added: Added) -> None:
    from ingestion.lake.mask_salt import MAKE_SALT

    told = [f"{contract_id}: added" for contract_id in added.new]
    told += [f"{contract_id}: was there" for contract_id in added.existing]
    told += [f"  {path}" for path in added.files]
    told += [f"left out {sentence}" for sentence in added.left_out]
    console.print("\n".join(told), soft_wrap=True)
    if added.decisions:
        _print_decisions(console, added.decisions)
    if added.needs_salt:
        salted = "Gold hashes personal columns under a secret salt, LAKEHOUSE_MASK_SALT. Make one, and keep it:"
        console.print(salted)
        console.print(f"  {MAKE_SALT}", soft_wrap=True)
    console.print(f"Next: lakehouse plan {' '.join((*added.new, *added.existing)[:3])}, then lakehouse run")


def _print_decisions(console: Console, decisions: Sequence[Decision]) -> None:
    from ingestion.cli.output.table import FittingTable

    for path in dict.fromkeys(decision.path for decision in decisions):
        rows = [(decision.line or None, decision.text) for decision in decisions if decision.path == path]
        console.print(f"\nTo decide in {path}", soft_wrap=True)
        console.print(FittingTable(("line", "what"), rows, numbers=("line",)))


@click.command(name="upgrade-project")
@click.option("--apply", is_flag=True, help="Write the files that nobody edited.")
@with_output
def upgrade_project(output: Output, *, apply: bool) -> None:
    """Show what this version of the package would write differently than the one that wrote the project.

    Files that a person edited are shown and never written.
    """
    from ingestion.admin.project_files import apply_changes, find_changes

    project = settings().project
    changes = find_changes(project)
    if apply:
        apply_changes(project, changes)
    output.result(
        {"applied": apply, "files": [change.as_dict() for change in changes]},
        lambda console: _print_changes(console, changes, applied=apply),
    )


def _print_changes(console: Console, changes: Sequence[FileChange], *, applied: bool) -> None:
    from ingestion.admin.project_files import TAKEN, State

    done = {State.NEW: "written", State.CHANGED: "written", State.OBSOLETE: "deleted"}
    planned = {
        State.NEW: "new; --apply writes it",
        State.CHANGED: "changed; --apply writes it",
        State.OBSOLETE: "no longer needed; --apply deletes it",
    }
    for change in changes:
        told = (done if applied else planned).get(change.state)
        if told is None:
            told = "you deleted it; it stays so" if change.state is State.DELETED else "you edited it; it stays so"
        console.print(f"{change.path}: {told}", style="bold", soft_wrap=True)
        if not (applied and change.state in TAKEN):
            console.print(change.diff, soft_wrap=True)
    if not changes:
        console.print("Every file of the project is as this version of the package writes it, or as you edited it.")


@click.command(
    name="dbt",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def dbt(ctx: click.Context, arguments: tuple[str, ...]) -> None:
    """Run dbt on the project with the settings of a build, e.g. lakehouse dbt build -s dim_customer."""
    from ingestion.build.dbt import run_dbt

    ctx.exit(run_dbt(settings(), arguments))
