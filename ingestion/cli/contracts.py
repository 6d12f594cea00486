"""Commands on contract files: lint, diff, sources, accept."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from ingestion.cli.base import Group, Output, settings, with_output
from ingestion.contracts.compare import find_drift
from ingestion.contracts.dbt_sources import write_facts, write_sources
from ingestion.contracts.next_version import next_version
from ingestion.contracts.odcs import SUFFIX, read_contract, read_contracts
from ingestion.contracts.odcs import lint as lint_folder
from ingestion.contracts.versions import compare_versions
from ingestion.errors import ConfigurationError, InvalidContractError
from ingestion.pipelines.context import open_context
from ingestion.pipelines.importing import import_contracts


@click.group(cls=Group)
def contract() -> None:
    """Contract files: check them, compare them, make dbt sources of them."""


@contract.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@with_output
def lint(output: Output, folder: Path | None) -> None:
    """Check every contract; list every fault with file and line."""
    faults = lint_folder(folder or settings().contracts)
    errors = [fault for fault in faults if fault.severity == "error"]

    def render(console: Console) -> None:
        for fault in faults:
            console.print(f"{fault.severity}: {fault}", markup=False, soft_wrap=True)
        if not errors:
            console.print("Every contract is in order.")

    output.result(
        [{"path": f.path, "line": f.line, "severity": f.severity, "message": f.message} for f in faults], render
    )
    if errors:
        raise InvalidContractError(errors)


@contract.command()
@click.argument("old", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("new", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--allow-announced", is_flag=True, help="End with 0 if the major version announces the break.")
@click.pass_context
@with_output
def diff(output: Output, ctx: click.Context, old: Path, new: Path, allow_announced: bool) -> None:
    """Compare two versions of a contract. Ends with 1 if the change breaks its readers."""
    changes = compare_versions(read_contract(old), read_contract(new))

    def render(console: Console) -> None:
        for change in changes:
            console.print(
                f"{'BREAKING' if change.breaking else 'ok':8}  {change.sentence}", markup=False, soft_wrap=True
            )
        if not changes:
            console.print("No difference that anything depends on.")

    document = [{"column": c.column, "breaking": c.breaking, "sentence": c.sentence} for c in changes]
    output.result(document, render)
    breaking = [change for change in changes if change.breaking]
    if breaking and not (allow_announced and all(change.kind != "version" for change in breaking)):
        ctx.exit(1)


@contract.command()
@click.option("--check", is_flag=True, help="Write nothing; end with 1 if a file is not as the contracts say.")
@click.pass_context
@with_output
def sources(output: Output, ctx: click.Context, check: bool) -> None:
    """Write dbt's source files from the contracts."""
    here = settings()
    contracts = read_contracts(here.contracts)
    changed = [
        *write_sources(contracts, here.dbt_project / "models" / "bronze", check=check),
        *write_facts(contracts, here.dbt_project / "macros" / "scd2" / "lake_facts.sql", check=check),
    ]
    names = [str(path.relative_to(here.project)) for path in changed]

    def render(console: Console) -> None:
        verb = "is not as the contracts say" if check else "written"
        for name in names:
            console.print(f"{name}: {verb}")
        if not names:
            console.print("dbt's sources are as the contracts say.")

    output.result({"changed": names}, render)
    if check and names:
        ctx.exit(1)


@contract.command()
@click.argument("table")
@with_output
def accept(output: Output, table: str) -> None:
    """Write the next version of TABLE's contract from what its source shows now."""
    context = open_context(settings())
    current = context.contract(table)
    path = context.settings.contracts / current.system / f"{current.entity}{SUFFIX}"
    with context.source(current).snapshot() as snapshot:
        drifts = find_drift(current, snapshot.catalog(current))
    if not drifts:
        raise ConfigurationError(f"{table}: promised a drift to accept, found none. The contract is unchanged.")
    path.write_text(next_version(path.read_text(encoding="utf-8"), current, drifts), encoding="utf-8")
    accepted = read_contract(path)
    output.result(
        {"table": table, "version": accepted.version, "path": str(path)},
        lambda console: console.print(
            f"{table}: version {current.version} -> {accepted.version}, {len(drifts)} drifts accepted. "
            "Describe the new columns, then: lakehouse contract sources",
            soft_wrap=True,
        ),
    )


@contract.command(name="import")
@click.argument("system")
@click.argument("name", metavar="SCHEMA[.TABLE]")
@click.option("--timezone", help="Zone of the system's wall clocks, e.g. Europe/Berlin; known if it has a contract.")
@click.option("--key", help="Columns of the key, by comma, where the catalog knows no primary key.")
@with_output
def import_(output: Output, system: str, name: str, timezone: str | None, key: str | None) -> None:
    """Write a contract per table from the catalog of SYSTEM: types, keys, comments, a proposed watermark."""
    result = import_contracts(settings(), system, name, timezone=timezone, key=tuple(key.split(",")) if key else ())

    def render(console: Console) -> None:
        for written in result.written:
            console.print(f"{written.path}: written", markup=False, soft_wrap=True)
            for note in written.notes:
                console.print(f"  {note}", markup=False, soft_wrap=True)
        for left in result.left_out:
            console.print(left, markup=False, soft_wrap=True)
        if result.written:
            console.print("Read them through, then: lakehouse contract lint && lakehouse contract sources")

    output.result(result.as_dict(), render)
