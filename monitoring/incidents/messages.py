"""
What a message says, and when it may be sent. No row value, no address of a channel.

Quiet hours hold back what is not CRITICAL until they end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ingestion.errors import ConfigurationError
from ingestion.printable import shown
from ingestion.privacy.gate import leaks
from monitoring.findings import Level, hours, runbook_of
from monitoring.incidents.states import Event, Incident
from monitoring.ledger_views import Row

QUIET = "LAKEHOUSE_QUIET_HOURS"


@dataclass(frozen=True, slots=True)
class Message(Row):
    """A row of `ops.messages`; see `ingestion.ledger.tables`."""

    message_id: str
    channel: str
    incident_id: str | None
    event: str
    state: str
    at: datetime
    tries: int
    next_try_at: datetime | None
    title: str
    body: str
    error: str | None = None

    @property
    def document(self) -> dict[str, Any]:
        """What a webhook gets."""
        named = ("message_id", "incident_id", "event", "title", "body")
        return {name: getattr(self, name) for name in named}


def title_of(incident: Incident, event: Event) -> str:
    level = Level(incident.level).label
    told = {Event.OPENED: level, Event.WORSE: f"Now {level}", Event.RECOVERED: "Over"}[event]
    return f"{told}: {incident.subject}: {incident.kind.replace('_', ' ')}"


WITHHELD = "The text is withheld: it looks as if it held a personal value. See `lakehouse incidents`."


def body_of(incident: Incident, event: Event, *, last_good: datetime | None, link: str, now: datetime) -> str:
    """Return the lines of a message: what, since when, who is hit, last good data, next step, runbook, link."""
    told = _told(incident.text)
    if event is Event.RECOVERED:
        lines = [f"It lasted {_span(now - incident.since)}.", f"It was: {told}"]
        return "\n".join([*lines, *([link] if link else [])])
    lines = [
        told,
        f"Since {incident.since:%Y-%m-%d %H:%M} UTC.",
        f"Read by {incident.downstream}." if incident.downstream else "",
        f"Last good data: {last_good:%Y-%m-%d %H:%M} UTC." if last_good else "",
        f"Owner: {incident.owner}." if incident.owner else "",
        f"Next step: {incident.command}" if incident.command else "",
        f"Runbook: {_runbook(incident.kind, link)}",
        link,
    ]
    return "\n".join(filter(None, lines))


def _runbook(kind: str, link: str) -> str:
    return f"{link.rstrip('/')}/runbooks?kind={kind}" if link else runbook_of(kind)


def _told(text: str) -> str:
    return WITHHELD if leaks(text) else shown(text)


def digest_of(owner: str, incidents: Sequence[Incident], now: datetime) -> tuple[str, str]:
    """Return title and body of the digest of an owner's open incidents, the worst first."""
    chosen = sorted(incidents, key=lambda incident: (-incident.level, incident.since, incident.subject))
    lines = [
        f"{Level(one.level).label} {one.subject}: {_told(one.text)} ({one.state}, since {_span(now - one.since)})"
        + (f" Next step: {one.command}" if one.command else "")
        for one in chosen
    ]
    count = f"{len(chosen)} open incident{'' if len(chosen) == 1 else 's'}"
    return f"{count} of {owner or 'nobody'}", "\n".join(lines)


def _span(span: timedelta) -> str:
    return hours(span.total_seconds() / 3600)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `begin` until before `end`, on the wall clock of a time zone; over midnight if `end` is earlier."""

    begin: time
    end: time
    zone: ZoneInfo

    def over_at(self, now: datetime) -> datetime:
        """Return when a message may be sent: now, or the end of the quiet hours that it is in."""
        local = now.astimezone(self.zone)
        at = local.time()
        is_quiet = self.begin <= at < self.end if self.begin < self.end else at >= self.begin or at < self.end
        if not is_quiet:
            return now
        day = local.date() + timedelta(days=int(at >= self.end))
        return datetime.combine(day, self.end, self.zone).astimezone(UTC)


def read_quiet_hours(text: str) -> QuietHours | None:
    """Read `22:00-07:00 Europe/Berlin` (UTC without a zone); None for an empty text. Raises ConfigurationError."""
    if not text.strip():
        return None
    try:
        span, _, zone = text.strip().partition(" ")
        begin, end = span.split("-")
        return QuietHours(time.fromisoformat(begin), time.fromisoformat(end), ZoneInfo(zone.strip() or "UTC"))
    except (ValueError, ZoneInfoNotFoundError):
        raise ConfigurationError(
            f"{QUIET}: is {text!r}, which is no span of hours. No message was sent. Write it as 22:00-07:00 "
            "Europe/Berlin."
        ) from None
