"""Turns the findings of a check into differences with a state: suspected, confirmed, resolved, repaired, waived. Pure.

A key that differs once may be in flight: a long transaction, or a row that changed between two reads. A difference is
`confirmed` if it is still the same (same key, same contents on both sides) after a later load that could have cured it.
It is confirmed at once if no load will ever read the row again. A difference that is no longer found ends as `repaired`
if a repair ran, else as `resolved_in_flight`. A person can have it `waived` until a moment.

A difference stores its keys as salted digests (`fingerprints`), which do not reveal the keys.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from ingestion.ledger.vocabulary import UNENDED, State

PARTITION, STALE, FAILED_LOAD = "partition", "stale", "failed_load"


class Cure(StrEnum):
    """Whether a later load can cure a finding. `UNKNOWN`: both sides change, so even a load proves nothing."""

    NONE = "none"
    LOAD = "load"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one kind with the same `Cure`. `keys` counts them; `fingerprints` may be one for all of them."""

    kind: str
    partition: str | None
    cure: Cure
    keys: int
    fingerprints: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Difference:
    """
    A difference in its newest state.

    `first_seen_at` and `last_seen_at` are by this program's clock. `source_moment` is by the source's clock, at the
    fixed point where the difference was first seen. `by`, `why` and `until` belong to a waiver.
    """

    difference_id: str
    kind: str
    partition: str | None
    state: State
    keys: int
    first_seen_at: datetime
    last_seen_at: datetime
    source_moment: datetime
    fingerprints: frozenset[bytes] = frozenset()
    by: str | None = None
    why: str | None = None
    until: datetime | None = None

    def is_waived(self, now: datetime) -> bool:
        return self.state is State.WAIVED and self.until is not None and self.until > now


@dataclass(frozen=True, slots=True)
class PastRun:
    """A successful load or repair. `moment` is the source's clock at its fixed point."""

    started_at: datetime
    moment: datetime | None
    is_load: bool
    heals: bool  # a repair, or a load of the whole table on request


@dataclass(frozen=True, slots=True)
class Check:
    """
    One check: when it ended, the source's clock at its fixed point, and whether it found all differences.

    `is_repaired` says that a repair ran between the check before and this one.
    """

    now: datetime
    source_moment: datetime
    is_complete: bool
    runs: Sequence[PastRun] = ()
    is_repaired: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """The differences after a check (`open`, waived ones included), and those to record in the ledger."""

    open: tuple[Difference, ...] = ()
    changes: tuple[Difference, ...] = ()

    @property
    def gravest(self) -> State | None:
        """Return confirmed if any difference is, else suspected if any is, else None."""
        states = {difference.state for difference in self.open}
        return next((state for state in (State.CONFIRMED, State.SUSPECTED) if state in states), None)

    def waived(self, now: datetime) -> frozenset[bytes]:
        """Return the fingerprints that count as explained."""
        return frozenset().union(*(d.fingerprints for d in self.open if d.is_waived(now)))


def settle(groups: Iterable[Group], known: Iterable[Difference], check: Check) -> Settled:
    """Return the differences after a check, given its findings and the differences known before it."""
    unclaimed = {mark: group for group in groups for mark in group.fingerprints}
    still_open, changes = [], []
    for before in known:
        again = {mark: unclaimed.pop(mark) for mark in before.fingerprints if mark in unclaimed}
        after = _found_again(before, again, check) if again or not check.is_complete else _ended(before, check)
        if after.state in UNENDED:
            still_open.append(after)
        if (after.state, after.keys) != (before.state, before.keys):
            changes.append(after)
    new = _new(unclaimed, check)
    return Settled((*still_open, *new), (*changes, *new))


def _found_again(before: Difference, again: dict[bytes, Group], check: Check) -> Difference:
    if not again:  # the check ended before it compared this one
        return before
    fingerprints = frozenset(again) if check.is_complete else before.fingerprints
    state = _state(before, again.values(), check)
    keys = _count(again) if check.is_complete else max(before.keys, _count(again))
    after = replace(before, state=state, keys=keys, fingerprints=fingerprints, last_seen_at=check.now)
    return after if state is State.WAIVED else replace(after, by=None, why=None, until=None)


def _state(before: Difference, groups: Iterable[Group], check: Check) -> State:
    if before.is_waived(check.now):
        return State.WAIVED
    cures = {group.cure for group in groups}
    may_last = Cure.UNKNOWN not in cures and any(_could_cure(before, run) for run in check.runs)
    if before.state is State.CONFIRMED or cures == {Cure.NONE} or may_last:
        return State.CONFIRMED
    return State.SUSPECTED


def _could_cure(before: Difference, run: PastRun) -> bool:
    """Return whether a load began after the difference was seen, at a source state that is not older."""
    is_newer = run.moment is None or run.moment >= before.source_moment
    return run.is_load and run.started_at > before.first_seen_at and is_newer


def _ended(before: Difference, check: Check) -> Difference:
    heals = [run for run in check.runs if run.started_at > before.last_seen_at]
    is_healed = check.is_repaired or any(run.heals or before.kind in (STALE, FAILED_LOAD) for run in heals)
    state = State.REPAIRED if is_healed else State.RESOLVED_IN_FLIGHT
    return replace(before, state=state, by=None, why=None, until=None)


def _new(unclaimed: dict[bytes, Group], check: Check) -> tuple[Difference, ...]:
    """Return one difference per kind and `Cure`; each partition is a difference of its own."""
    alike: dict[tuple[str, str | None, bool], dict[bytes, Group]] = defaultdict(dict)
    for mark, group in unclaimed.items():
        own = group.partition if group.kind == PARTITION else None
        alike[group.kind, own, group.cure is Cure.NONE][mark] = group
    return tuple(_first_seen(found, check) for found in alike.values())


def _first_seen(found: dict[bytes, Group], check: Check) -> Difference:
    groups = list(found.values())
    partitions = {group.partition for group in groups}
    return Difference(
        difference_id=uuid.uuid4().hex[:12],
        kind=groups[0].kind,
        partition=partitions.pop() if len(partitions) == 1 else None,
        state=State.CONFIRMED if groups[0].cure is Cure.NONE else State.SUSPECTED,
        keys=_count(found),
        first_seen_at=check.now,
        last_seen_at=check.now,
        source_moment=check.source_moment,
        fingerprints=frozenset(found),
    )


def _count(found: dict[bytes, Group]) -> int:
    """Count keys: one per fingerprint, unless one fingerprint represents its whole group."""
    return sum(group.keys if len(group.fingerprints) == 1 else 1 for group in found.values())
