"""Commands about sync gaps: gaps (check, advise, waive) and repair."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from getpass import getuser
from time import sleep
from typing import TYPE_CHECKING

import click

from ingestion.cli.base import Group, settings, told_world, with_output, with_world
from ingestion.cli.data import chosen_tables, print_loads, tables_verdict
from ingestion.cli.output import Output
from ingestion.cli.output.rows import Form, print_rows, with_rows
from ingestion.cli.output.streams import say
from ingestion.cli.progress import steps
from ingestion.errors import CriticalGapError

if TYPE_CHECKING:
    from ingestion.cli.gap_tables import Standing
    from ingestion.lake.layout import Lake


class GapsGroup(Group):
    """
    `gaps [TABLES]` means `gaps check [TABLES]`, and `gaps TABLE --keys` means `gaps keys TABLE`.

    Table names have a dot, commands have none.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_named = bool(args) and args[0] in {*self.commands, *ctx.help_option_names}
        if is_named:
            return super().parse_args(ctx, args)
        if "--keys" in args:
            return super().parse_args(ctx, ["keys", *(argument for argument in args if argument != "--keys")])
        return super().parse_args(ctx, ["check", *args])


@click.group(cls=GapsGroup)
def gaps() -> None:
    """Compare tables with their sources.

    `lakehouse gaps [TABLES]` is short for `lakehouse gaps check [TABLES]`, with the same options; `lakehouse gaps TABLE
    --keys` for `lakehouse gaps keys TABLE`.
    """


@gaps.command()
@click.argument("tables", nargs=-1)
@click.option("--watch", type=click.IntRange(min=1), metavar="SECONDS", help="Check again every SECONDS.")
@click.option("--last", is_flag=True, help="Show the last recorded check without reading a source.")
@click.option("--history", is_flag=True, help="Show the recorded checks, newest first, without reading a source.")
@click.option("--checks", type=click.IntRange(min=1), default=20, show_default=True, help="How many --history shows.")
@click.option("--exit-zero", is_flag=True, help="End with 0 even if a critical gap is confirmed.")
@with_output
def check(
    output: Output,
    *,
    tables: tuple[str, ...],
    watch: int | None,
    last: bool,
    history: bool,
    checks: int,
    exit_zero: bool,
) -> None:
    """Compare TABLES (default: all) with their sources and record the findings.

    Rows in flight are left out, quarantined rows are counted separately. A difference is suspected until a later check
    confirms it. Ends with exit code 30 if a critical gap is confirmed.
    """
    from ingestion.cli.gap_rounds import check_all, standing_of
    from ingestion.cli.gap_tables import print_history
    from ingestion.runs.context import open_context
    from ingestion.runs.each import raise_failed
    from monitoring import ledger_views

    context = open_context(settings())
    chosen = chosen_tables(context, tables)
    told_world(output, context.lake)
    if history:
        past = ledger_views.gap_history(context.journal, chosen, checks=checks)
        documents = with_world(context.lake, [gap.as_dict() for gap in past])
        output.result(documents, lambda console: print_history(console, past))
    elif watch is not None and not last:
        _watch(output, context.lake, chosen, watch)
    else:
        failures = []
        if not last:
            with steps(output, "gaps", of=len(chosen)) as current:
                failures = check_all(context, chosen, current.over("gaps"))
        standing = standing_of(context, chosen, failures)
        _show(output, context.lake, standing)
        raise_failed(failures, of=len(chosen))
        if not exit_zero:
            _raise_alarm(standing)


def _show(output: Output, lake: Lake, standing: Standing) -> None:
    from ingestion.cli.gap_tables import print_standing

    output.result(with_world(lake, standing.as_list()), lambda console: print_standing(console, standing))


def _raise_alarm(standing: Standing) -> None:
    """Raise CriticalGapError that names the tables whose critical gap is confirmed."""
    from ingestion.reconcile.gap import is_alarm

    red = [gap.contract_id for gap in standing.gaps if is_alarm(gap.severity, gap.state)]
    if red:
        raise CriticalGapError(
            f"{', '.join(red)}: a critical gap to the source is confirmed. It is "
            "recorded; nothing was changed. See why, and what closes it: lakehouse gaps advise"
        )


def _watch(output: Output, lake: Lake, chosen: Sequence[str], seconds: int) -> None:
    """Check repeatedly until interrupted. A table that cannot be compared is shown as UNKNOWN."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from ingestion.cli.gap_rounds import rounds
    from ingestion.cli.gap_tables import standing_tables

    with closing(rounds(settings(), chosen)) as standings:
        if output.as_json:
            for standing in standings:
                _show(output, lake, standing)
                sleep(seconds)
        with Live(console=output.console, refresh_per_second=1) as live:
            for standing in standings:
                live.update(Group(standing_tables(standing), *map(Text, standing.unread)))
                sleep(seconds)


@gaps.command()
@click.argument("table_id", metavar="TABLE")
@with_rows
def keys(output: Output, form: Form, *, table_id: str) -> None:
    """List the keys of TABLE that differ from its source now: what is wrong and where. Records nothing.

    Shows keys only, never other values; personal keys read (personal), or as their mask says. Also: lakehouse gaps
    TABLE --keys. A key is `in quarantine` if an entry explains it, `next load` if the next load reads it, else `open`.
    """
    from ingestion.gaps.compare import compare_table
    from ingestion.gaps.keys import keys_query
    from ingestion.lake import duck
    from ingestion.runs.context import open_context

    context = open_context(settings())
    table = context.table(context.contract(table_id))
    with steps(output, f"gaps {table_id}"):
        compared = compare_table(context, table, table.state())
    with duck.connect(memory_limit=context.settings.memory_limit) as connection:
        print_rows(duck.query(connection, keys_query(connection, compared)), form)
    if not compared.is_complete:
        say(f"{table_id}: not all keys were found: {compared.comparison.why}", logging.WARNING)


@gaps.command()
@click.argument("tables", nargs=-1)
@with_output
def advise(output: Output, tables: tuple[str, ...]) -> None:
    """Show the likely causes of the gaps of TABLES (default: all), SQL that shows them, and commands that close them.

    Reads the ledger and no source. The cause that explains most comes first. SQL for the lake was tested on it.
    """
    from ingestion.cli.gap_tables import print_advice
    from ingestion.runs.context import open_context
    from monitoring.advisor.gap_rules import advise as causes_of
    from monitoring.facts import gather
    from monitoring.trial import tried

    context = open_context(settings())
    contracts = [context.told(context.contract(contract_id)) for contract_id in chosen_tables(context, tables)]
    found = [advice for facts in gather(context.journal, contracts) for advice in causes_of(facts)]
    advices = tried(context.lake, found)
    output.result([advice.as_dict() for advice in advices], lambda console: print_advice(console, advices))


@gaps.command()
@click.argument("difference")
@click.option("--why", required=True, help="Why the difference is accepted; kept in the ledger.")
@click.option("--until", required=True, metavar="WHEN", help="A date or moment (UTC), or a number of days such as 14d.")
@click.option("--by", default=getuser, help="Who accepts it; default: the user of this shell.")
@with_output
def waive(output: Output, *, difference: str, why: str, until: str, by: str) -> None:
    """Accept a DIFFERENCE until a date. It raises no alarm until then and counts again afterwards.

    \b
    lakehouse gaps waive 3f9c2a71 --why "purge of 2019, ticket 4711" --until 2026-04-01
    """
    from ingestion.gaps.waivers import waive as waive_difference
    from ingestion.runs.context import open_context
    from monitoring import ledger_views

    context = open_context(settings())
    waive_difference(context, difference, by=by, why=why, until=until_moment(until))
    [waived] = [d for d in ledger_views.differences(context.journal) if d.difference_id == difference]
    output.result(
        waived.as_dict(),
        lambda console: console.print(f"{difference} is waived until {waived.until:%Y-%m-%d %H:%M} UTC by {by}."),
    )


def until_moment(text: str) -> datetime:
    """Return the moment of a text. Raises BadParameter."""
    try:
        if text.endswith("d") and text[:-1].isdecimal():
            return datetime.now(UTC) + timedelta(days=int(text[:-1]))
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text} is no date, no moment and no number of days.", param_hint="--until") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.command()
@click.argument("tables", nargs=-1, required=True)
@click.option("--allow-deletes", is_flag=True, help="Ignore the contract's limit on deletions for this repair.")
@click.option("--yes", is_flag=True, help="Approve a repair above the contract's limits.")
@with_output
def repair(output: Output, *, tables: tuple[str, ...], allow_deletes: bool, yes: bool) -> None:
    """Read missing and changed rows of TABLES again, and write tombstones for rows that their sources no longer have.

    Above the contract's limits it stops and says how much it would write; --yes approves it.
    """
    from ingestion.gaps.repair import repair_table
    from ingestion.runs.context import open_context
    from ingestion.runs.each import as_list, raise_failed

    context = open_context(settings())
    with steps(output, "repair", of=len(tables)) as current:
        results, failed = context.each_table(
            tables,
            lambda contract_id: repair_table(context, contract_id, allow_deletes=allow_deletes, yes=yes),
            over=current.over("repair"),
        )
    output.result(as_list(results, failed), lambda console: print_loads(console, results))
    tables_verdict(output, "repaired", results, failed)
    if results:
        output.line("Silver and Gold follow with the next build: lakehouse build")
    raise_failed(failed, of=len(tables))
