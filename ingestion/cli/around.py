"""Commands that set up, examine and maintain the lake: init, doctor, status, maintain."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ingestion.cli.base import settings, told_world, with_output, with_world
from ingestion.cli.output import Output, counted
from ingestion.cli.progress import steps
from ingestion.errors import ConfigurationError, LakeError
from ingestion.settings import DAYS_KEPT

if TYPE_CHECKING:
    from rich.console import Console

    from ingestion.admin.mending import TableMended
    from ingestion.admin.retention import Expired


@click.command()
@with_output
def init(output: Output) -> None:
    """Create the lake: its marker, and an empty table per contract."""
    from ingestion.runs.context import initialise

    context = initialise(settings())
    tables = context.lake.tables()
    output.result(
        {"root": context.lake.root, "tables": [f"{t.schema}.{t.name}" for t in tables]},
        lambda console: console.print(f"The lake is {context.lake.root}: {counted(len(tables), 'table')}."),
    )


@click.command()
@click.option("--mend", is_flag=True, help="Repair torn Delta logs first; files taken out are kept in _set_aside.")
@click.option("--deployment", is_flag=True, help="Also write and delete a small table, and look at the schedules.")
@click.pass_context
@with_output
def doctor(output: Output, ctx: click.Context, *, mend: bool, deployment: bool) -> None:
    """Check packages, contracts, lake, table files, connections and clocks; report what is missing or damaged."""
    from ingestion.admin.deployment import examine_deployment
    from ingestion.admin.doctor import examine
    from ingestion.admin.mending import mend_lake
    from ingestion.cli.output.states import state
    from ingestion.cli.output.table import FittingTable

    with steps(output, "doctor"):
        mended = mend_lake(settings()) if mend else []
        findings = examine(settings())
        findings += examine_deployment(settings(), os.environ) if deployment else []

    def render(console: Console) -> None:
        if mend:
            _print_mended(console, mended)
        rows = [(f.subject, state(f.outcome), f.finding, f.advice) for f in findings]
        console.print(FittingTable(("subject", "outcome", "finding", "what to do"), rows))

    told = [finding.as_dict() for finding in findings]
    output.result({"mended": [m.as_dict() for m in mended], "findings": told} if mend else told, render)
    outcomes = {finding.outcome for finding in findings}
    if outcomes & {"damaged", "missing"}:
        ctx.exit(LakeError.exit_code if "damaged" in outcomes else ConfigurationError.exit_code)


def _print_mended(console: Console, mended: Sequence[TableMended]) -> None:
    for m in mended:
        if m.fault:
            console.print(f"{m.table}: left as it is. {m.fault}")
            continue
        kept = "its log cannot be read and is set aside whole" if m.rows is None else f"{m.rows:,} rows, all kept"
        told = "" if m.rows_aside is None else f" ({m.rows_aside:,} rows)"
        console.print(f"{m.table}: {kept}.")
        console.print(f"  set aside: {len(m.files_aside)} files{told}, in")
        console.print(f"  {m.folder}", soft_wrap=True)
        console.print(f"  next: {m.next_step}")
    if not mended:
        console.print("No table had a torn log.")


@click.command()
@with_output
def status(output: Output) -> None:
    """Show each table's last batch, watermark, age and gap; tables with a fault first."""
    from ingestion.admin.status import table_statuses
    from ingestion.cli.output.states import state, urgency
    from ingestion.cli.output.table import FittingTable
    from ingestion.reconcile.gap import OK_IN_PART
    from ingestion.runs.context import open_context

    context = open_context(settings())
    statuses = table_statuses(context)

    def render(console: Console) -> None:
        columns = ("table", "last load", "batch", "watermark", "age (h)", "in quarantine", "gap", "severity")
        rows = [
            (
                s.contract_id,
                "see below" if s.fault else state(s.last_status),
                None if s.fault else s.batch,
                s.watermark,
                s.age_hours,
                s.in_quarantine,
                s.sync_gap,
                state(s.severity),
            )
            for s in sorted(statuses, key=lambda s: -1 if s.fault else urgency(s.last_status, s.severity))
        ]
        console.print(FittingTable(columns, rows, numbers=("batch", "age (h)", "in quarantine", "gap")))
        if any(s.severity == OK_IN_PART for s in statuses):
            console.print(f"{OK_IN_PART}: not all was compared; lakehouse gaps --last names what")
        for s in statuses:
            if s.fault:
                console.print(f"{s.contract_id}: {s.fault}")

    told_world(output, context.lake)
    output.result(with_world(context.lake, [s.as_dict() for s in statuses]), render)


@click.command()
@click.argument("tables", nargs=-1)
@click.option(
    "--keep-days", type=float, default=DAYS_KEPT, show_default=True, help="Keep the files of versions of so many days."
)
@click.option("--dry-run", is_flag=True, help="Only show the rows that contracts no longer keep.")
@with_output
def maintain(output: Output, tables: tuple[str, ...], keep_days: float, dry_run: bool) -> None:
    """Remove history that contracts no longer keep and expired prompts, compact small files, delete unneeded ones.

    TABLES are named as e.g. bronze.erp__customers; default: all.
    """
    from datetime import timedelta

    from ingestion.admin.maintenance import maintain as maintain_tables
    from ingestion.admin.maintenance import plan_expiry
    from ingestion.cli.output.table import FittingTable
    from ingestion.runs.context import open_context
    from ingestion.runs.each import as_list, raise_failed

    if dry_run:
        plan, failed = plan_expiry(open_context(settings()), tables)
        output.result(as_list(plan, failed), lambda console: _print_expiry(console, plan))
        raise_failed(failed, of=len(plan) + len(failed))
        return
    with steps(output, "maintain"):
        done = maintain_tables(open_context(settings()), tables, keep=timedelta(days=keep_days))

    def render(console: Console) -> None:
        rows = [(m.table, m.expired, m.compacted, m.deleted, "busy, left as it is" if m.busy else "") for m in done]
        names = ("table", "rows expired", "files compacted", "files deleted", "")
        console.print(FittingTable(names, rows, numbers=names[1:4]))

    output.result([m.as_dict() for m in done], render)


def _print_expiry(console: Console, plan: Sequence[Expired]) -> None:
    from ingestion.cli.output.table import FittingTable

    names = ("table", "rows", "files", "oldest kept", "")
    rows = [(e.table, f"{e.rows:,}", e.files, e.oldest and f"{e.oldest:%Y-%m-%d}", e.note) for e in plan]
    console.print(FittingTable(names, rows, numbers=names[1:3]))
    if not plan:
        console.print("No contract has a retention, or the lake has none of their tables; no prompt is kept.")
    console.print("Nothing was removed. `lakehouse maintain` removes these rows.")
