"""Commands on contract files: lint, diff, sources, accept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingestion.cli.base import Group, settings, with_output
from ingestion.cli.output import Output
from ingestion.cli.progress import steps
from ingestion.errors import ConfigurationError, Fault, InvalidContractError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ingestion.contracts.drift import Drift
    from ingestion.contracts.model import Contract
    from ingestion.load.accept_contract import Accepted


@click.group(cls=Group)
def contract() -> None:
    """Contract files: check, compare and import them, and generate dbt sources from them."""


@contract.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--strict", is_flag=True, help="Also fail on warnings and on a missing description, owner or freshness; for CI."
)
@with_output
def lint(output: Output, folder: Path | None, *, strict: bool) -> None:
    """Check every contract; list every fault with file and line.

    Without FOLDER also the project around them: warns of a contract without a Silver model, a model without its tests,
    and a system without a connection (which never fails, because it is this machine's).
    """
    from ingestion.contracts.odcs import examine_folder

    contracts, faults = examine_folder(folder or settings().contracts, strict=strict)
    if strict:
        faults = [replace(fault, severity="error") for fault in faults]
    if folder is None:
        faults += _faults_around(contracts, strict=strict)
    errors = [fault for fault in faults if fault.severity == "error"]

    def render(console: Console) -> None:
        for fault in faults:
            place = f"{fault.path}:{fault.line}" if fault.line else fault.path
            console.print(f"{fault.severity}: {place}: {fault.message}", soft_wrap=True)
        if not errors:
            console.print("Every contract is in order.")

    output.result(
        [{"path": f.path, "line": f.line, "severity": f.severity, "message": f.message} for f in faults], render
    )
    if errors:
        raise InvalidContractError(errors)


def _faults_around(contracts: Sequence[Contract], *, strict: bool) -> list[Fault]:
    """Return what the contracts lack in the project around them."""
    from ingestion.contracts.lacks import find_lacks, find_unconnected

    here, tables = settings(), {contract.id: contract.bronze for contract in contracts}
    paths = {contract.id: contract.path for contract in contracts}
    missing = [
        Fault(paths[lack.subject], 0, str(lack), "error" if strict else "warning")
        for lack in find_lacks(tables, here.dbt_project)
    ]
    if here.secrets.reaches_out:  # connections may be there, and no file is worth a question to it
        return missing
    return missing + [
        Fault(lack.subject, 0, str(lack), "warning") for lack in find_unconnected(tables, here.connections)
    ]


@contract.command()
@click.argument("old")
@click.argument("new")
@click.option("--allow-announced", is_flag=True, help="End with 0 if the major version announces the break.")
@click.pass_context
@with_output
def diff(output: Output, ctx: click.Context, old: str, new: str, allow_announced: bool) -> None:
    """Compare two versions of a contract. Ends with exit code 1 if the change is breaking.

    OLD and NEW are any two files, texts in git (REVISION:PATH), or one of them a REVISION of the other file.

    \b
    lakehouse contract diff origin/main data_contracts/erp/customers.odcs.yaml
    """
    from ingestion.contracts.odcs import read_version
    from ingestion.contracts.versions import compare_versions

    before, after = read_version(old, new), read_version(new, old)
    if before.id != after.id:
        raise ConfigurationError(
            f"{before.id} and {after.id} are two contracts, not two versions of one. "
            "Nothing was compared. Name two files with the same id."
        )
    changes = compare_versions(before, after)

    def render(console: Console) -> None:
        for change in changes:
            console.print(f"{change.level:18}  {change.sentence}", soft_wrap=True)
        if not changes:
            console.print("No difference that anything depends on.")

    document = [
        {"column": c.column, "breaking": c.breaking, "level": c.level, "sentence": c.sentence, "note": c.note}
        for c in changes
    ]
    output.result(document, render)
    breaking = [change for change in changes if change.breaking]
    if breaking and not (allow_announced and all(change.kind != "version" for change in breaking)):
        ctx.exit(1)


@contract.command()
@click.argument("against")
@click.option("--manifest", type=click.Path(path_type=Path), help="dbt's manifest.json: who is built from the tables.")
@click.option("--output", "file", type=click.Path(path_type=Path), help="Write the report into this file too.")
@click.pass_context
@with_output
def report(output: Output, ctx: click.Context, against: str, manifest: Path | None, file: Path | None) -> None:
    """Report in Markdown what this branch does to contracts since it left AGAINST, for a pull request.

    Ends with exit code 1 if a break is not announced: by the major version, of a removal by `status: deprecated` in
    the version before.

    \b
    lakehouse contract report origin/main --manifest dbt_project/target/manifest.json
    """
    import json

    from ingestion.contracts.change_report import markdown
    from ingestion.contracts.changes import changes_since
    from ingestion.contracts.writing.files import write_whole

    if manifest is not None and not manifest.is_file():
        raise ConfigurationError(
            f"{manifest}: there is no such file. No contract was compared. Write it: lakehouse dbt parse"
        )
    base, changes = changes_since(against, settings().contracts)
    text = markdown(base, changes, json.loads(manifest.read_text()) if manifest else None)
    if file is not None:
        write_whole(file, text)
    document = [
        {
            "contract": each.contract.id,
            "path": each.path,
            "breaks": each.breaks,
            "announced": each.announced,
            "changes": [change.sentence for change in each.changes],
        }
        for each in changes
    ]
    output.result(document, lambda _: click.echo(text, nl=False))
    if any(change.breaks and not change.announced for change in changes):
        ctx.exit(1)


@contract.command()
@click.option("--check", is_flag=True, help="Write nothing; end with 1 if a generated file is not up to date.")
@click.pass_context
@with_output
def sources(output: Output, ctx: click.Context, check: bool) -> None:
    """Generate dbt's source files from the contracts, and missing Silver models with their tests."""
    from ingestion.contracts.odcs import read_contracts
    from ingestion.contracts.writing.dbt_sources import write_dbt_files

    here = settings()
    changed = write_dbt_files(read_contracts(here.contracts), here.dbt_project, check=check)
    names = [str(path.relative_to(here.project)) for path in changed]

    def render(console: Console) -> None:
        verb = "is not as the contracts say" if check else "written"
        for name in names:
            console.print(f"{name}: {verb}")
        if not names:
            console.print("dbt's sources and models are as the contracts say.")

    output.result({"changed": names}, render)
    if check and names:
        ctx.exit(1)


@contract.command()
@click.argument("table")
@click.option("--column", "columns", multiple=True, metavar="NAME", help="Accept only this column (repeatable).")
@with_output
def accept(output: Output, table: str, columns: tuple[str, ...]) -> None:
    """Write the next version of TABLE's contract from its source's current catalog.

    Accepts the differences that stop a load, or the only difference there is. If there are several that do not stop a
    load (new columns, wider types), choose them with --column.

    \b
    lakehouse contract accept crm.people --column tier
    """
    from ingestion.load.accept_contract import accept_drift
    from ingestion.runs.context import open_context

    context = open_context(settings())
    accepted = accept_drift(context, table, columns)
    output.result(
        {
            "table": table,
            "version": accepted.contract.version,
            "path": str(context.settings.contracts / accepted.contract.path),
            "accepted": [drift.column for drift in accepted.taken],
            "left": [drift.column for drift in accepted.left],
        },
        lambda console: _print_accepted(console, accepted),
    )


def _print_accepted(console: Console, accepted: Accepted) -> None:
    from ingestion.cli.output.terminal import print_step
    from ingestion.contracts.drift import DriftKind

    before, after = accepted.before, accepted.contract
    lines = [f"{after.id}: version {before.version} -> {after.version}"]
    lines += [f"  {drift.column}: {_consequence(accepted, drift)}" for drift in accepted.taken]
    lines += [
        f"  {d.column}: left as it is ({d.found} in the source); --column {d.column} takes it" for d in accepted.left
    ]
    gone = [d.column for d in accepted.taken if d.kind is DriftKind.REMOVED_COLUMN]
    new = [d.column for d in (*accepted.taken, *accepted.left) if d.kind is DriftKind.NEW_COLUMN]
    if gone and new:
        lines.append(
            f"  If {gone[0]} only has another name there, undo this and write `physicalName: {new[0]}` at it instead."
        )
    console.print("\n".join(lines), soft_wrap=True)
    print_step(
        console, "Read the file through, then", "lakehouse contract sources && lakehouse load && lakehouse build"
    )


def _consequence(accepted: Accepted, drift: Drift) -> str:
    from ingestion.contracts.drift import DriftKind

    before, after = accepted.before, accepted.contract
    if drift.kind is DriftKind.NEW_COLUMN:
        return f"new. Rows loaded before stay null in it until they change, or: lakehouse load --full {after.id}"
    if drift.kind is DriftKind.REMOVED_COLUMN:
        return "removed. Bronze keeps its values, Silver loses the column"
    text = f"{drift.promised} -> {after.column(drift.column).physical_type}"
    if before.column(drift.column).arrow_type == after.column(drift.column).arrow_type:
        return f"{text}. The lake's type stays"
    return f"{text}. The next load retypes Bronze; rows in quarantine: lakehouse quarantine replay {after.id}"


@contract.command(name="import")
@click.argument("system")
@click.argument("name", metavar="SCHEMA[.TABLE]")
@click.option("--timezone", help="Time zone of the system, e.g. Europe/Berlin; default: that of its contracts.")
@click.option("--key", help="Key columns, separated by commas, if the catalog has no primary key.")
@click.option("--entity", help="Our name for a single table; default: derived from the table's name.")
@with_output
def import_(output: Output, system: str, name: str, **options: str | None) -> None:
    """Write a contract per table from the catalog of SYSTEM: types, keys, comments, a proposed watermark.

    Values are read only where a declaration leaves its type open. Existing contracts are not changed.
    """
    from ingestion.admin.import_contracts import import_contracts

    key = tuple((options["key"] or "").split(",")) if options["key"] else ()
    with steps(output, f"import {system}.{name}"):
        result = import_contracts(
            settings(), system, name, timezone=options["timezone"], key=key, entity=options["entity"]
        )

    def render(console: Console) -> None:
        from ingestion.cli.output.terminal import print_step

        for written in result.written:
            console.print(f"{written.path}: written", soft_wrap=True)
            for note in written.notes:
                console.print(f"  {note}", soft_wrap=True)
        for left in result.left_out:
            console.print(f"left out {left}", soft_wrap=True)
        if any("in the contract" in note for written in result.written for note in written.notes):
            console.print("A value that does not fit the contract's type is quarantined, never changed.")
        if result.written:
            print_step(console, "Read them through, then", "lakehouse contract lint && lakehouse contract sources")

    output.result(result.as_dict(), render)
