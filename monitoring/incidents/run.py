"""Evaluates a lake with its settings: for the command line, the daily run and the DAGs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ingestion.errors import LakehouseError
from ingestion.lake.layout import open_lake
from ingestion.lake.storage.errors import reaching
from ingestion.ledger import queries
from ingestion.ledger.journal import Journal, open_journal
from ingestion.privacy.logs import logger
from ingestion.secrets import Secrets
from ingestion.settings import Settings
from monitoring.board import read_board
from monitoring.incidents import alerting
from monitoring.incidents.channels import Channel, channels
from monitoring.incidents.messages import QUIET, Message, QuietHours, read_quiet_hours
from monitoring.promises import read_promises

LINK = "LAKEHOUSE_WEB_URL"
"""The address of the page, which messages end with."""


@dataclass(frozen=True, slots=True)
class Alerts:
    """What the settings say about messages."""

    channels: tuple[Channel, ...]
    quiet: QuietHours | None
    link: str

    @classmethod
    def of(cls, settings: Settings, environ: Mapping[str, str]) -> Alerts:
        """Read the settings. Raises ConfigurationError, which never repeats an address of a channel."""
        quiet = read_quiet_hours(environ.get(QUIET, ""))
        return cls(tuple(channels(settings.secrets)), quiet, environ.get(LINK, "").strip())


def evaluate_lake(settings: Settings, environ: Mapping[str, str] = os.environ) -> alerting.Outcome:
    """Find faults, record them, and send the messages that are due. Raises a LakehouseError."""
    alerts, now = Alerts.of(settings, environ), datetime.now(UTC)
    promises = read_promises(settings.contracts, settings.dbt_project)
    journal = _journal(settings)
    with reaching(settings.lake_root), journal.gathering():
        board = read_board(journal, promises, now=now, root=settings.lake_root)
        return alerting.evaluate(journal, board, alerts.channels, now=now, quiet=alerts.quiet, link=alerts.link)


def evaluate_at_end(settings: Settings, environ: Mapping[str, str] = os.environ) -> None:
    """Do what `evaluate_lake` does at the end of a run, which does not fail if that fails: the log has a warning."""
    try:
        outcome = evaluate_lake(settings, environ)
    except LakehouseError as exc:
        logger.warning("incidents were not evaluated: %s", exc)
        return
    except Exception as exc:
        logger.warning("incidents were not evaluated (%s)", type(exc).__name__)
        return
    if outcome.changed or outcome.waiting:
        logger.info(
            "incidents: %d changed, %d messages sent, %d waiting", len(outcome.changed), outcome.sent, outcome.waiting
        )


def send_digest(settings: Settings, environ: Mapping[str, str] = os.environ) -> alerting.Outcome:
    """Send each owner's open incidents. Raises a LakehouseError."""
    alerts = Alerts.of(settings, environ)
    journal = _journal(settings)
    with reaching(settings.lake_root):
        return alerting.digest(journal, alerts.channels, now=datetime.now(UTC), quiet=alerts.quiet)


def channel_states(journal: Journal, secrets: Secrets, *, is_test: bool) -> list[dict[str, Any]]:
    """Return each channel with what it was sent; with `is_test` a message that says so is sent to each now."""
    counts = journal.select(
        "select channel, count(*) filter (where state = 'sent') as sent, count(*) filter (where state <> 'sent') as "
        f'waiting, arg_max(error, "at") as error from {queries.newest_messages()} group by channel'
    )
    known = {row["channel"]: row for row in counts}
    return [
        {
            "channel": channel.name,
            "sent": known.get(channel.name, {}).get("sent", 0),
            "waiting": known.get(channel.name, {}).get("waiting", 0),
            "error": known.get(channel.name, {}).get("error"),
            "test": _try(channel) if is_test else None,
        }
        for channel in channels(secrets)
    ]


def _try(channel: Channel) -> str:
    now = datetime.now(UTC)
    body = "This is a test of the channel. Nothing is wrong."
    message = Message(f"test-{now:%Y%m%dT%H%M%S}", channel.name, None, "test", "waiting", now, 0, now, "Test", body)
    try:
        channel.send(message)
    except Exception as exc:
        return f"failed ({type(exc).__name__})"
    return "ok"


def _journal(settings: Settings) -> Journal:
    return open_journal(open_lake(settings.lake_root), settings.load_memory)
