"""The commands about incidents: what is wrong, who knows of it, and who is told."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from getpass import getuser
from typing import TYPE_CHECKING

import click

from ingestion.cli.base import Group, settings, with_output
from ingestion.cli.output import Output, counted

if TYPE_CHECKING:
    from ingestion.ledger.journal import Journal
    from monitoring.incidents.states import Incident

BY = click.option("--by", metavar="NAME", help="Who decides; default: the user of this process.")


class IncidentsGroup(Group):
    """`incidents` alone means `incidents list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_named = bool(args) and args[0] in {*self.commands, *ctx.help_option_names}
        return super().parse_args(ctx, args if is_named else ["list", *args])


@click.group(cls=IncidentsGroup)
def incidents() -> None:
    """Faults with a state, and the messages about them.

    `lakehouse incidents` alone lists them. NAME is an incident's id (or its first 6 characters), its subject, or
    KIND:SUBJECT.
    """


@incidents.command("list")
@click.option("--all", "ended", is_flag=True, help="Also those that are resolved.")
@with_output
def list_(output: Output, *, ended: bool) -> None:
    """List incidents, the worst first."""
    from monitoring.incidents.alerting import current

    _show(output, current(_journal(), ended=ended))


@incidents.command()
@with_output
def check(output: Output) -> None:
    """Look for faults in the ledger, record them, and send the messages that are due.

    The DAGs and `lakehouse run` do so at their end.
    """
    from monitoring.incidents.run import evaluate_lake

    outcome = evaluate_lake(settings(), os.environ)
    told = f"{counted(len(outcome.changed), 'incident')} changed, {counted(outcome.sent, 'message')} sent"
    later = f", {outcome.waiting} to be tried again" if outcome.waiting else ""
    document = {"changed": [one.as_dict() for one in outcome.changed], "sent": outcome.sent, "waiting": outcome.waiting}
    output.result(document, lambda console: console.print(told + later))


@incidents.command()
@with_output
def digest(output: Output) -> None:
    """Send each owner's open incidents in one message, at most once a day."""
    from monitoring.incidents.run import send_digest

    outcome = send_digest(settings(), os.environ)
    output.result(
        {"sent": outcome.sent, "waiting": outcome.waiting},
        lambda console: console.print(f"{counted(outcome.sent, 'message')} sent, {outcome.waiting} waiting"),
    )


@incidents.command()
@click.argument("name")
@click.option("--why", default="", help="What is being done about it.")
@BY
@with_output
def ack(output: Output, *, name: str, why: str, by: str | None) -> None:
    """Note that somebody works on it: it is told again only when it gets worse or is over."""
    from monitoring.incidents.alerting import acknowledge

    _show(output, acknowledge(_journal(), name, by=by or getuser(), why=why, now=datetime.now(UTC)))


@incidents.command()
@click.argument("name")
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The day on which the waiver ends, UTC."
)
@click.option("--why", required=True, help="Why nobody need be told.")
@BY
@with_output
def waive(output: Output, *, name: str, until: datetime, why: str, by: str | None) -> None:
    """Tell nobody of it until a day."""
    from monitoring.incidents.alerting import waive as note

    ends, now = until.replace(tzinfo=UTC), datetime.now(UTC)
    _show(output, note(_journal(), name, by=by or getuser(), why=why, until=ends, now=now))


@incidents.command()
@click.option("--test", "is_test", is_flag=True, help="Send a message that says it is a test.")
@with_output
def channels(output: Output, *, is_test: bool) -> None:
    """List the channels that the settings name, by name and never by address."""
    from ingestion.cli.output.states import state
    from ingestion.cli.output.table import FittingTable
    from monitoring.incidents.run import channel_states

    found = channel_states(_journal(), settings().secrets, is_test=is_test)
    rows = [(one["channel"], one["sent"], one["waiting"], state(one["test"]), one["error"]) for one in found]
    columns = ("channel", "sent", "waiting", "test", "last error")
    table = FittingTable(columns, rows, title="Channels", numbers=("sent", "waiting"))
    output.result(found, lambda console: console.print(table if found else "No channel is set; see docs/alerts.md."))


def _show(output: Output, found: Sequence[Incident]) -> None:
    from ingestion.cli.output.states import state
    from ingestion.cli.output.table import FittingTable
    from monitoring.findings import Level

    rows = [
        (
            one.incident_id[:6],
            state(Level(one.level).label),
            one.state,
            one.subject,
            one.kind,
            f"{one.since:%m-%d %H:%M}",
            one.text,
        )
        for one in found
    ]
    columns = ("id", "level", "state", "subject", "kind", "since (UTC)", "what")
    table = FittingTable(columns, rows, title="Incidents")
    output.result(
        [one.as_dict() for one in found], lambda console: console.print(table if found else "No incident is open.")
    )


def _journal() -> Journal:
    from ingestion.runs.context import open_context

    return open_context(settings()).journal
