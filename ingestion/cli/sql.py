"""The command that queries the lake."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ingestion.cli.base import settings
from ingestion.cli.output import Output
from ingestion.cli.output.rows import Form, print_rows, with_rows

if TYPE_CHECKING:
    from typing import TextIO


@click.command()
@click.argument("query", required=False)
@click.option("-f", "--file", "script", type=click.File(encoding="utf-8-sig"), help="Read the query from a file.")
@with_rows
def sql(output: Output, form: Form, *, query: str | None, script: TextIO | None) -> None:
    """Query the lake: schemas bronze, silver, gold, ops, quarantine. Read-only.

    QUERY may be - for standard input. Without a query, on a terminal, it opens a shell. CSV and Parquet take any
    number of rows with constant memory.

    \b
    lakehouse sql "select * from gold.fact_sales limit 5"
    lakehouse sql -f month.sql --output month.csv
    """
    text = _text(query, script)
    if text is None and (form.file or form.format != "table" or not (sys.stdin.isatty() and sys.stdout.isatty())):
        raise click.UsageError("No query. Give one, - for standard input, or --file.")

    from ingestion.lake import duck
    from ingestion.runs.context import open_context

    context = open_context(settings())
    with duck.connect(context.lake, memory_limit=context.settings.memory_limit) as connection:
        if text is not None:
            print_rows(duck.query(connection, text, context.lake.root), form)
            return
        from ingestion.cli.shell import Shell

        Shell(connection, form, output.console, context.lake.root).run()


def _text(query: str | None, script: TextIO | None) -> str | None:
    """Return the text of the query from where the arguments say; None if they name none. Raises UsageError."""
    if query is not None and script is not None:
        raise click.UsageError("QUERY and --file are two queries; give one.")
    try:
        if query == "-":
            return sys.stdin.buffer.read().decode("utf-8-sig")
        return query if script is None else script.read()
    except UnicodeDecodeError:
        raise click.UsageError("The query is no text in UTF-8.") from None
