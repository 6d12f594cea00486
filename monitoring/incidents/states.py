"""
Turns the findings of an evaluation into incidents with a state. Pure.

A fault that facts confirm opens at once; any other one when a second evaluation finds it. An incident is resolved when
two evaluations did not find it. A person can acknowledge it, or waive it until a moment. It is told once when it opens,
again when it gets worse, and once when it is over; not while another incident explains it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from monitoring.findings import Finding, Kind, Level
from monitoring.ledger_views import Row


class State(StrEnum):
    """SEEN: found once. CLEARING: not found by the last evaluation. After RESOLVED a fault is a new incident."""

    SEEN = "seen"
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    WAIVED = "waived"
    CLEARING = "clearing"
    RESOLVED = "resolved"


class Event(StrEnum):
    """What a message tells."""

    OPENED = "opened"
    WORSE = "worse"
    RECOVERED = "recovered"
    DIGEST = "digest"


CONFIRMED_KINDS = frozenset(
    {
        *(Kind.SOURCE_UNAVAILABLE, Kind.LOAD_FAILED, Kind.DELETE_BRAKE, Kind.GAP),
        *(Kind.MODEL_FAILED, Kind.DAG_FAILED, Kind.CONTRACT_INVALID, Kind.CHANNEL_DEAD),
        *(Kind.STREAM_FAILED, Kind.STREAM_STUCK),
    }
)
"""Faults that open at once, because tries, checks or tests have confirmed them already."""


@dataclass(frozen=True, slots=True)
class Incident(Row):
    """A row of `ops.incidents`; see `ingestion.ledger.tables`."""

    incident_id: str
    kind: str
    subject: str
    state: str
    level: int
    told_level: int | None
    opened_at: datetime
    state_at: datetime
    since: datetime
    text: str
    command: str | None
    owner: str | None
    downstream: str | None
    behind: str | None
    by: str | None = None
    why: str | None = None
    until: datetime | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.subject

    @property
    def is_ended(self) -> bool:
        return self.state == State.RESOLVED


def transitions(
    found: Sequence[Finding], current: Sequence[Incident], now: datetime, new_id: Callable[[], str]
) -> list[Incident]:
    """Return the incidents that an evaluation opens or changes, as their new rows, without what is told."""
    known = {incident.key: incident for incident in current if not incident.is_ended}
    changed = [_found(finding, known.get(finding.key), now, new_id) for finding in _worst(found)]
    keys = {finding.key for finding in found}
    changed += [_missed(incident, now) for incident in known.values() if incident.key not in keys]
    before = {incident.incident_id: incident for incident in current}
    return [after for after in changed if not _is_same(before.get(after.incident_id), after)]


def tell(incidents: Sequence[Incident]) -> Iterator[tuple[Incident, Event | None]]:
    """Yield each incident with what is to be told of it now; its `told_level` then says that it is told."""
    for incident in incidents:
        event = _event(incident)
        level = incident.told_level if event in (None, Event.RECOVERED) else incident.level
        yield replace(incident, told_level=level), event


def _event(incident: Incident) -> Event | None:
    if incident.state == State.RESOLVED:
        return None if incident.told_level is None else Event.RECOVERED
    if incident.state not in (State.OPEN, State.ACKNOWLEDGED) or incident.behind is not None:
        return None
    if incident.told_level is None:
        return Event.OPENED if incident.state == State.OPEN else None
    return Event.WORSE if incident.level > incident.told_level else None


def _worst(found: Sequence[Finding]) -> list[Finding]:
    """Return one finding per key, the worst."""
    worst: dict[tuple[str, str], Finding] = {}
    for finding in found:
        if finding.key not in worst or finding.level > worst[finding.key].level:
            worst[finding.key] = finding
    return list(worst.values())


def _found(finding: Finding, known: Incident | None, now: datetime, new_id: Callable[[], str]) -> Incident:
    about = {
        "level": int(finding.level),
        "text": finding.text,
        "command": finding.command,
        "owner": finding.owner,
        "downstream": ", ".join(finding.downstream) or None,
        "behind": " ".join(finding.behind) if finding.behind else None,
    }
    if known is None:
        state = State.OPEN if finding.kind in CONFIRMED_KINDS else State.SEEN
        return Incident(
            new_id(), finding.kind, finding.subject, state, told_level=None, opened_at=now, state_at=now,
            since=finding.since, **about,  # type: ignore[arg-type]
        )  # fmt: skip
    return replace(known, state=_still(known, finding.level, now), state_at=now, **about)  # type: ignore[arg-type]


def _still(known: Incident, level: Level, now: datetime) -> State:
    """Return the state of an incident whose fault is found again."""
    if known.state == State.WAIVED and known.until is not None and known.until > now:
        return State.WAIVED
    if known.state == State.ACKNOWLEDGED and level <= known.level:
        return State.ACKNOWLEDGED
    if known.state == State.CLEARING and known.by is not None and known.until is None:
        return State.ACKNOWLEDGED
    return State.OPEN


def _missed(incident: Incident, now: datetime) -> Incident:
    """Return an incident whose fault is not found any more."""
    is_over = incident.state in (State.SEEN, State.CLEARING, State.WAIVED)
    return replace(incident, state=State.RESOLVED if is_over else State.CLEARING, state_at=now)


def _is_same(before: Incident | None, after: Incident) -> bool:
    return before is not None and replace(after, state_at=before.state_at) == before
