"""What becomes of a difference from one check to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ingestion.ledger.vocabulary import State
from ingestion.reconcile.states import STALE, Check, Cure, Difference, Group, PastRun, Settled, settle

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
A, B, C = b"a", b"b", b"c"


def changed(*fingerprints: bytes, cure: Cure = Cure.LOAD, partition: str | None = None) -> Group:
    return Group("changed", partition, cure, len(fingerprints), frozenset(fingerprints))


def check(hours: int, *runs: PastRun, is_complete: bool = True, is_repaired: bool = False) -> Check:
    at = NOON + hours * HOUR
    return Check(at, source_moment=at, is_complete=is_complete, runs=runs, is_repaired=is_repaired)


def load(hours: float, moment: float | None = None, *, is_full: bool = False) -> PastRun:
    """A load that began then, at a fixed point of the source's clock then, if no other is said."""
    return PastRun(NOON + hours * HOUR, NOON + (hours if moment is None else moment) * HOUR, True, is_full)


def repair(hours: float) -> PastRun:
    return PastRun(NOON + hours * HOUR, NOON + hours * HOUR, is_load=False, heals=True)


def seen(*fingerprints: bytes, state: State = State.SUSPECTED, until: datetime | None = None) -> Difference:
    """A difference that was first seen at noon."""
    waiver = ("ada", "known", until) if state is State.WAIVED else (None, None, None)
    return Difference(
        "d1", "changed", None, state, len(fingerprints), NOON, NOON, NOON, frozenset(fingerprints), *waiver
    )


def states(settled: Settled) -> list[tuple[str, int]]:
    return [(str(change.state), change.keys) for change in settled.changes]


def test_what_is_found_first_is_suspected() -> None:
    settled = settle([changed(A, B)], [], check(0))

    assert states(settled) == [("suspected", 2)]
    assert settled.open == settled.changes
    assert settled.gravest is State.SUSPECTED


def test_what_no_load_can_cure_is_confirmed_at_once_and_apart_from_the_rest() -> None:
    settled = settle([changed(A), changed(B, C, cure=Cure.NONE)], [], check(0))

    assert sorted(states(settled)) == [("confirmed", 2), ("suspected", 1)]
    assert settled.gravest is State.CONFIRMED


@pytest.mark.parametrize(
    ("runs", "state"),
    [
        ((), State.SUSPECTED),
        ((load(0.5),), State.CONFIRMED),
        ((load(-0.5),), State.SUSPECTED),
        ((load(-0.5, moment=0.5),), State.SUSPECTED),  # began before it was seen, whatever the source's clock says
        ((load(0.5, moment=-0.5),), State.SUSPECTED),  # read a state of the source from before it was seen
        ((repair(0.5),), State.SUSPECTED),  # says nothing about what a load does
    ],
)
def test_difference_is_confirmed_by_a_load_that_could_have_cured_it(runs: Sequence[PastRun], state: State) -> None:
    settled = settle([changed(A)], [seen(A)], check(1, *runs))

    assert [d.state for d in settled.open] == [state]
    assert len(settled.changes) == (state is State.CONFIRMED)


def test_load_that_was_still_running_at_a_check_confirms_at_the_next() -> None:
    busy = settle([changed(A)], [seen(A)], check(1))

    done = settle([changed(A)], busy.open, check(2, load(0.5)))

    assert ([d.state for d in busy.open], states(done)) == ([State.SUSPECTED], [("confirmed", 1)])


def test_other_contents_of_the_same_key_are_another_difference() -> None:
    settled = settle([changed(B)], [seen(A)], check(1, load(0.5)))

    assert states(settled) == [("resolved_in_flight", 1), ("suspected", 1)]


def test_where_both_sides_move_a_load_confirms_nothing() -> None:
    settled = settle([changed(A, cure=Cure.UNKNOWN)], [seen(A)], check(1, load(0.5)))

    assert [d.state for d in settled.open] == [State.SUSPECTED]


@pytest.mark.parametrize(
    ("at", "ended"),
    [
        (check(1), State.RESOLVED_IN_FLIGHT),
        (check(1, load(0.5)), State.RESOLVED_IN_FLIGHT),
        (check(1, load(0.5, is_full=True)), State.REPAIRED),
        (check(1, repair(0.5)), State.REPAIRED),
        (check(1, repair(-0.5)), State.RESOLVED_IN_FLIGHT),
        (check(1, is_repaired=True), State.REPAIRED),
    ],
)
def test_what_is_not_found_again_ends_as_repaired_only_where_somebody_repaired(at: Check, ended: State) -> None:
    settled = settle([], [seen(A, state=State.CONFIRMED)], at)

    assert (states(settled), settled.open) == ([(str(ended), 1)], ())


def test_repair_before_it_was_last_seen_did_not_heal_it() -> None:
    again = replace(seen(A), last_seen_at=NOON + HOUR)

    assert states(settle([], [again], check(2, repair(0.5)))) == [("resolved_in_flight", 1)]


def test_stale_table_is_healed_by_any_load() -> None:
    stale = replace(seen(A, state=State.CONFIRMED), kind=STALE)

    assert states(settle([], [stale], check(1, load(0.5)))) == [("repaired", 1)]


def test_difference_that_shrinks_keeps_its_name_and_its_state() -> None:
    settled = settle([changed(A)], [seen(A, B, state=State.CONFIRMED)], check(1))

    assert states(settled) == [("confirmed", 1)]
    assert settled.open[0].fingerprints == {A}
    assert settled.open[0].difference_id == "d1"


def test_check_that_ended_early_ends_nothing() -> None:
    known = [seen(A, B, state=State.CONFIRMED), replace(seen(C), difference_id="d2")]

    settled = settle([changed(A)], known, check(1, load(0.5), is_complete=False))

    assert settled.changes == ()
    assert [(d.state, d.fingerprints) for d in settled.open] == [
        (State.CONFIRMED, frozenset((A, B))),
        (State.SUSPECTED, frozenset((C,))),
    ]


def test_waived_difference_is_explained_until_its_end() -> None:
    waived = seen(A, state=State.WAIVED, until=NOON + 2 * HOUR)

    before = settle([changed(A)], [waived], check(1, load(0.5)))
    after = settle([changed(A)], [waived], check(3, load(0.5)))

    assert (before.changes, before.gravest, before.waived(NOON + HOUR)) == ((), None, frozenset((A,)))
    assert (states(after), after.waived(NOON + 3 * HOUR)) == ([("confirmed", 1)], frozenset())
    assert (after.open[0].by, after.open[0].why, after.open[0].until) == (None, None, None)


def test_waiver_does_not_hold_at_the_moment_it_names() -> None:
    waived = seen(A, state=State.WAIVED, until=NOON + HOUR)

    assert (waived.is_waived(NOON + HOUR - timedelta(microseconds=1)), waived.is_waived(NOON + HOUR)) == (True, False)


def test_keys_of_one_kind_are_one_difference_and_each_whole_partition_another() -> None:
    days = [Group("partition", day, Cure.NONE, 10, frozenset([day.encode()])) for day in ("2026-01-01", "2026-01-02")]
    groups = [changed(A, partition="2026-01-03"), changed(B, partition="2026-01-04"), *days]

    settled = settle(groups, [], check(0))

    assert sorted((d.kind, d.partition, d.keys) for d in settled.open if d.partition) == [
        ("partition", "2026-01-01", 10),
        ("partition", "2026-01-02", 10),
    ]
    assert [(d.kind, d.keys) for d in settled.open if d.partition is None] == [("changed", 2)]
