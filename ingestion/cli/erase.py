"""The command that removes persons from the lake."""

from __future__ import annotations

from getpass import getuser
from typing import TYPE_CHECKING

import click

from ingestion.cli.base import settings, with_output
from ingestion.cli.output import Output, counted
from ingestion.cli.progress import steps
from ingestion.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from ingestion.erasure.plan import ErasurePlan


@click.command()
@click.argument("table_id", metavar="TABLE")
@click.option(
    "--key",
    "pairs",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="A column of a person's key; once per column, in turn.",
)
@click.option(
    "--keys-file",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="A CSV file of keys; its first line names the columns.",
)
@click.option("--yes", is_flag=True, help="Erase. Without it, only show what would be removed.")
@click.option("--reason", help="Why; kept in the ledger. Needed with --yes.")
@click.option("--by", default=getuser, help="Who erases; default: the user of this shell.")
@with_output
def erase(
    output: Output, *, table_id: str, pairs: tuple[str, ...], keys_file: str | None, yes: bool, reason: str, by: str
) -> None:
    """Remove persons from every layer and version of the lake, by their keys in TABLE.

    Shows what would be removed; --yes removes it. See docs/privacy.md for what else is to do.
    """
    from ingestion.erasure.erase import erase as erase_persons
    from ingestion.erasure.keys import keys_in, keys_of, merged
    from ingestion.erasure.plan import plan_erasure
    from ingestion.runs.context import open_context

    context = open_context(settings())
    contract = context.contract(table_id)
    given = [keys_of(contract, pairs)] if pairs else []
    keys = merged(contract, given + ([keys_in(contract, keys_file)] if keys_file else []))
    if not yes:
        plan = plan_erasure(context, keys)
        output.result(plan.as_dict(), lambda console: _print(console, plan, is_done=False))
        return
    if not (reason or "").strip():
        raise ConfigurationError(
            f"{table_id}: --yes needs --reason, which the ledger keeps, e.g. the number of the request. "
            "Nothing was erased."
        )
    with steps(output, "erase"):
        done = erase_persons(context, keys, by=by, reason=reason)
    output.result(done.as_dict(), lambda console: _print(console, done, is_done=True))


def _print(console: Console, plan: ErasurePlan, *, is_done: bool) -> None:
    from ingestion.cli.output.table import FittingTable

    columns = ("table", "rows", "versions", "files")
    rows = [(p.place, "built anew" if p.rows is None else f"{p.rows:,}", p.versions, p.files) for p in plan.places]
    console.print(FittingTable(columns, rows, numbers=columns[1:]))
    verb, beside = ("were", counted(plan.beside, "file")) if is_done else ("would be", counted(plan.beside, "file"))
    console.print(
        f"{plan.contract_id}: {counted(plan.persons, 'person')} {verb} erased, with all older versions of these tables "
        f"and {beside} beside them."
    )
    for note in plan.notes:
        console.print(f"- {note}")
    if not is_done:
        console.print("Nothing was erased. Run it again with --yes and --reason.")
