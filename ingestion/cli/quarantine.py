"""Commands about rows that broke their contract: list, show, replay and waive them."""

from __future__ import annotations

from getpass import getuser
from typing import Any

import click

from ingestion.cli.base import Group, settings, with_output
from ingestion.cli.data import chosen_tables, print_loads, tables_verdict
from ingestion.cli.gaps import until_moment
from ingestion.cli.output import Output
from ingestion.cli.output.rows import Form, print_rows, with_rows
from ingestion.cli.progress import steps


@click.group(cls=Group)
def quarantine() -> None:
    """Rows that broke their contract: list, show, replay or waive them."""


@quarantine.command("list")
@click.argument("tables", nargs=-1)
@with_output
def quarantine_list(output: Output, tables: tuple[str, ...]) -> None:
    """Count the quarantined rows per table, state, column and rule. Shows no row values.

    \b
    open      the source still had the row when it was last read
    waived    open, and accepted by a person until a moment
    settled   a later load no longer found the row in the source
    replayed  a replay appended it
    """
    from ingestion.cli.output.states import state
    from ingestion.cli.output.table import FittingTable
    from ingestion.lake import duck
    from ingestion.runs.context import open_context
    from ingestion.runs.each import each, raise_failed

    context = open_context(settings())
    names = ("table", "state", "column", "rule", "rows", "first batch", "last batch")

    def entries(contract_id: str) -> list[tuple[Any, ...]]:
        bronze = context.table(context.contract(contract_id))
        with duck.session(bronze.uri) as connection:
            found = connection.execute(bronze.entries_by_rule(connection, bronze.state())).fetchall()
        return [(contract_id, *row) for row in found]

    chosen = chosen_tables(context, tables)
    done, failed = each(chosen, entries)
    rows = [row for of_table in done for row in of_table]
    output.result(
        [*(dict(zip(names, row, strict=True)) for row in rows), *(each.as_dict() for each in failed)],
        lambda console: console.print(
            FittingTable(
                names, [(table, state(word), *rest) for table, word, *rest in rows], numbers=("rows", *names[5:])
            )
        ),
    )
    raise_failed(failed, of=len(chosen))


@quarantine.command("show")
@click.argument("table_id", metavar="TABLE")
@click.option("--batch", type=int, help="Only the rows of this batch.")
@click.option("--all", "is_all", is_flag=True, help="Settled and replayed rows, too.")
@click.option("--raw", is_flag=True, help="Show personal values; else they are masked as the contract says.")
@with_rows
def quarantine_show(_: Output, form: Form, *, table_id: str, batch: int | None, is_all: bool, raw: bool) -> None:
    """Show the rows of TABLE in quarantine, as the source spelled them, with the rules that they break.

    A break is `column:rule`. Personal columns read (personal), or as their mask in the contract says.
    """
    from ingestion.lake import duck
    from ingestion.runs.context import open_context

    context = open_context(settings())
    bronze = context.table(context.contract(table_id))
    with duck.session(bronze.uri, memory_limit=context.settings.memory_limit) as connection:
        query = bronze.entries(connection, bronze.state(), batch=batch, is_all=is_all, masked=not raw)
        print_rows(duck.query(connection, query, bronze.quarantine_uri), form)


@quarantine.command("replay")
@click.argument("tables", nargs=-1, required=True)
@with_output
def quarantine_replay(output: Output, tables: tuple[str, ...]) -> None:
    """Check open quarantined rows against the current contracts; append those that are valid now."""
    from ingestion.load.replay import replay_quarantine
    from ingestion.runs.context import open_context
    from ingestion.runs.each import as_list, raise_failed

    context = open_context(settings())
    with steps(output, "replay", of=len(tables)) as current:
        results, failed = context.each_table(
            tables,
            lambda contract_id: replay_quarantine(context, contract_id),
            over=current.over("replay"),
            probe=None,
        )
    output.result(as_list(results, failed), lambda console: print_loads(console, results))
    tables_verdict(output, "replayed", results, failed)
    raise_failed(failed, of=len(tables))


@quarantine.command("waive")
@click.argument("table_id", metavar="TABLE")
@click.option("--why", required=True, help="Why the rows are accepted; kept in the ledger.")
@click.option("--until", required=True, metavar="WHEN", help="A date or moment (UTC), or a number of days such as 14d.")
@click.option("--by", default=getuser, help="Who accepts them; default: the user of this shell.")
@click.option("--batch", type=int, help="Only the rows of this batch.")
@with_output
def quarantine_waive(output: Output, *, table_id: str, why: str, until: str, by: str, batch: int | None) -> None:
    """Accept the open quarantined rows of TABLE until a date. Rows quarantined later are open."""
    from ingestion.gaps.waivers import waive_entries
    from ingestion.runs.context import open_context

    end = until_moment(until)
    count = waive_entries(open_context(settings()), table_id, by=by, why=why, until=end, batch=batch)
    output.result(
        {"table": table_id, "waived": count},
        lambda console: console.print(f"{table_id}: {count} rows are waived until {end:%Y-%m-%d %H:%M} UTC by {by}."),
    )
