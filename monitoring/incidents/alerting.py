"""
One evaluation: findings become incidents, incidents messages, and messages are sent.

Rows of messages are written before they are sent, so a killed process sends them the next time: at least once, with
the same key. A message that is not accepted is tried again with growing pauses; a channel that refuses three times is
an incident itself, told on the others.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ingestion.errors import ConfigurationError
from ingestion.ledger import queries
from ingestion.ledger.journal import Journal
from monitoring.board import Board
from monitoring.findings import Finding, Kind, Level
from monitoring.incidents.channels import Channel
from monitoring.incidents.messages import Message, QuietHours, body_of, digest_of, title_of
from monitoring.incidents.states import Event, Incident, State, tell, transitions
from monitoring.ledger_views import read

PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
DEAD_AFTER = 3
MOST_TRIES = 20
MOST_AT_ONCE = 50
"""Messages that one evaluation sends per channel at most; the rest follow with the next one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation changed and sent."""

    changed: tuple[Incident, ...]
    sent: int
    failed: int
    waiting: int


def current(journal: Journal, *, ended: bool = False) -> list[Incident]:
    """Return the incidents in their newest state, the worst first; resolved ones only if asked for."""
    condition = "" if ended else f"where state <> '{State.RESOLVED}'"
    return read(
        journal, Incident, f"{queries.newest_incidents()} {condition} order by level desc, opened_at, subject", []
    )


def evaluate(
    journal: Journal,
    board: Board,
    channels: Sequence[Channel],
    *,
    now: datetime,
    quiet: QuietHours | None = None,
    link: str = "",
) -> Outcome:
    """Record what the board's findings change, and send what is to be told. Idempotent while the findings stay."""
    waiting = unsent(journal)
    found = [*board.findings, *_dead_channels(waiting, now)]
    rows = [
        (incident, event)
        for incident, event in tell(transitions(found, current(journal), now, lambda: uuid.uuid4().hex))
    ]
    good: dict[str, datetime] = {}
    for table in board.tables:
        for name in (table.id, table.contract.system):
            if table.load is not None:
                good[name] = min(good.get(name, table.load.finished_at), table.load.finished_at)
    new = [
        Message(
            f"{incident.incident_id}-{event}-{incident.level}",
            channel.name,
            incident.incident_id,
            event,
            "waiting",
            now,
            0,
            now if quiet is None or incident.level == Level.CRITICAL else quiet.over_at(now),
            title_of(incident, event),
            body_of(incident, event, last_good=good.get(incident.subject), link=link, now=now),
        )
        for incident, event in rows
        if event is not None
        for channel in channels
        if incident.kind != Kind.CHANNEL_DEAD or incident.subject != channel.name
    ]
    journal.append("messages", [message.as_dict() for message in new])
    journal.append("incidents", [incident.as_dict() for incident, _ in rows])
    sent, failed = deliver(journal, channels, [*waiting, *new], now=now)
    return Outcome(tuple(incident for incident, _ in rows), sent, failed, len(waiting) + len(new) - sent)


def sent_by_incident(journal: Journal) -> dict[str, int]:
    """Return how many messages were sent of each incident."""
    rows = journal.select(
        f"select incident_id, count(*) as sent from {queries.newest_messages()} "
        "where state = 'sent' and incident_id is not null group by incident_id"
    )
    return {row["incident_id"]: row["sent"] for row in rows}


def unsent(journal: Journal) -> list[Message]:
    """Return the messages that are not sent and may be tried again, the oldest first."""
    return read(
        journal,
        Message,
        f"{queries.newest_messages()} where state <> 'sent' and tries < {MOST_TRIES} order by \"at\", message_id",
        [],
    )


def deliver(
    journal: Journal, channels: Sequence[Channel], messages: Sequence[Message], *, now: datetime
) -> tuple[int, int]:
    """Send the messages that are due; return how many were accepted, and how many were not."""
    results: list[Message] = []
    for channel in channels:
        own = [message for message in messages if message.channel == channel.name]
        if any(message.state == "failed" and not _is_due(message, now) for message in own):
            continue  # it refused, and its pause is not over
        due = [message for message in own if _is_due(message, now)]
        for message in due[:MOST_AT_ONCE]:
            results.append(_send(channel, message, now))
            if results[-1].state == "failed":
                break  # the channel does not answer: the others wait for the next evaluation
    journal.append("messages", [message.as_dict() for message in results])
    sent = sum(message.state == "sent" for message in results)
    return sent, len(results) - sent


def _is_due(message: Message, now: datetime) -> bool:
    return message.next_try_at is None or message.next_try_at <= now


def _send(channel: Channel, message: Message, now: datetime) -> Message:
    tries = message.tries + 1
    try:
        channel.send(message)
    except Exception as exc:
        pause = min(PAUSE * 2 ** (tries - 1), LONGEST_PAUSE)
        return replace(message, state="failed", at=now, tries=tries, next_try_at=now + pause, error=type(exc).__name__)
    return replace(message, state="sent", at=now, tries=tries, next_try_at=None, error=None)


def _dead_channels(waiting: Sequence[Message], now: datetime) -> list[Finding]:
    tries: dict[str, Message] = {}
    for message in waiting:
        if message.tries >= DEAD_AFTER:
            tries.setdefault(message.channel, message)
    return [
        Finding(
            Kind.CHANNEL_DEAD,
            name,
            Level.CRITICAL,
            now,
            f"The channel {name} did not accept {message.tries} tries of a message ({message.error}).",
            "lakehouse incidents channels",
        )
        for name, message in tries.items()
    ]


def digest(journal: Journal, channels: Sequence[Channel], *, now: datetime, quiet: QuietHours | None = None) -> Outcome:
    """Send each owner's open incidents in one message, at most once a day (UTC)."""
    by_owner: dict[str, list[Incident]] = {}
    for incident in current(journal):
        if incident.state in (State.OPEN, State.ACKNOWLEDGED) and incident.behind is None:
            by_owner.setdefault(incident.owner or "", []).append(incident)
    known = {
        (row["message_id"], row["channel"])
        for row in journal.select("select message_id, channel from ops.messages where event = 'digest'")
    }
    new = []
    for owner, incidents in sorted(by_owner.items()):
        title, body = digest_of(owner, incidents, now)
        key = f"digest-{now:%Y%m%d}-{owner or 'nobody'}"
        due = now if quiet is None else quiet.over_at(now)
        new += [
            Message(key, channel.name, None, Event.DIGEST, "waiting", now, 0, due, title, body)
            for channel in channels
            if (key, channel.name) not in known
        ]
    journal.append("messages", [message.as_dict() for message in new])
    sent, failed = deliver(journal, channels, new, now=now)
    return Outcome((), sent, failed, len(new) - sent)


def acknowledge(journal: Journal, name: str, *, by: str, why: str, now: datetime) -> list[Incident]:
    """Note that somebody works on incidents; see `_chosen`. They are told again only when they get worse, or end."""
    return _note(journal, name, now, state=State.ACKNOWLEDGED, by=by, why=why or None, until=None)


def waive(journal: Journal, name: str, *, by: str, why: str, until: datetime, now: datetime) -> list[Incident]:
    """Tell nothing of incidents until a moment; see `_chosen`. Raises ConfigurationError."""
    if until <= now:
        raise ConfigurationError(f"incidents: a waiver ends in the future, not {until:%Y-%m-%d}. Nothing was noted.")
    if not why.strip():
        raise ConfigurationError("incidents: a waiver needs a reason. Nothing was noted. Give it with --why.")
    return _note(journal, name, now, state=State.WAIVED, by=by, why=why, until=until)


def _note(journal: Journal, name: str, now: datetime, **changes: object) -> list[Incident]:
    changed = [replace(incident, state_at=now, **changes) for incident in _chosen(journal, name)]  # type: ignore[arg-type]
    journal.append("incidents", [incident.as_dict() for incident in changed])
    return changed


def _chosen(journal: Journal, name: str) -> list[Incident]:
    """Return the unended incidents of a name: an id or its beginning, a subject, or `<kind>:<subject>`."""
    found = [
        incident
        for incident in current(journal)
        if name in (incident.subject, f"{incident.kind}:{incident.subject}")
        or (len(name) >= 6 and incident.incident_id.startswith(name))
    ]
    if not found:
        raise ConfigurationError(
            f"incidents: none that is open is named {name}. Nothing was noted. See `lakehouse incidents`."
        )
    return found
