"""Commands around the data: init, doctor, status, maintain."""

from __future__ import annotations

from datetime import timedelta

import click
from rich.console import Console

from ingestion.cli.base import Output, settings, table, with_output
from ingestion.pipelines.context import initialise, open_context
from ingestion.pipelines.maintenance import KEEP
from ingestion.pipelines.maintenance import maintain as maintain_tables
from ingestion.pipelines.status import examine, table_statuses
from ingestion.reconcile.gap import OK_IN_PART


@click.command()
@with_output
def init(output: Output) -> None:
    """Create the lake: its marker, and an empty table per contract."""
    context = initialise(settings())
    tables = context.lake.tables()
    output.result(
        {"root": context.lake.root, "tables": [f"{t.schema}.{t.name}" for t in tables]},
        lambda console: console.print(f"The lake is {context.lake.root}: {len(tables)} tables."),
    )


@click.command()
@click.pass_context
@with_output
def doctor(output: Output, ctx: click.Context) -> None:
    """Check packages, contracts, lake, connections and clocks; say what is missing."""
    findings = examine(settings())
    colours = {"ok": "green", "warning": "yellow", "missing": "red"}

    def render(console: Console) -> None:
        rows = [(f.subject, f"[{colours[f.outcome]}]{f.outcome}[/]", f.finding, f.advice) for f in findings]
        console.print(table(None, ("subject", "outcome", "finding", "what to do"), rows))

    output.result([finding.as_dict() for finding in findings], render)
    if any(finding.outcome == "missing" for finding in findings):
        ctx.exit(10)


@click.command()
@with_output
def status(output: Output) -> None:
    """Show each table's last batch, watermark, age and gap."""
    statuses = table_statuses(open_context(settings()))

    def render(console: Console) -> None:
        columns = ("table", "last load", "batch", "watermark", "age (h)", "quarantined", "gap", "severity")
        rows = [
            (s.contract_id, s.last_status, s.batch, s.watermark, s.age_hours, s.open_quarantine, s.sync_gap, s.severity)
            for s in statuses
        ]
        console.print(table(None, columns, rows, numbers=("batch", "age (h)", "quarantined", "gap")))
        if any(s.severity == OK_IN_PART for s in statuses):
            console.print(f"{OK_IN_PART}: not all was compared; lakehouse gaps --last names what")

    output.result([s.as_dict() for s in statuses], render)


@click.command()
@click.argument("tables", nargs=-1)
@click.option(
    "--keep-days", type=float, default=KEEP.days, show_default=True, help="Files that versions of these days name stay."
)
@with_output
def maintain(output: Output, tables: tuple[str, ...], keep_days: float) -> None:
    """Compact small files of TABLES (e.g. bronze.erp__customers; default: all), delete what no version needs."""
    done = maintain_tables(open_context(settings()), tables, keep=timedelta(days=keep_days))

    def render(console: Console) -> None:
        rows = [(m.table, m.compacted, m.deleted, "busy, left as it is" if m.busy else "") for m in done]
        names = ("table", "files compacted", "files deleted", "")
        console.print(table(None, names, rows, numbers=names[1:3]))

    output.result([m.as_dict() for m in done], render)
