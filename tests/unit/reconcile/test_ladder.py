"""The ladder finds exactly what was planted, proves equality where it is, and never guesses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.reconcile import ladder
from ingestion.reconcile.comparison import Budget, Outcome, Rung
from ingestion.reconcile.ladder import compare_sides
from ingestion.reconcile.leaves import Finding
from tests.examples import examples
from tests.unit.reconcile.worlds import World, contract, keys_of, row

MISSING, ORPHAN, CHANGED, DUPLICATED = Finding


def rows(count: int) -> list[dict[str, Any]]:
    return [row(id=number) for number in range(1, count + 1)]


def test_equal_sides_are_proved_equal_without_fetching_a_row() -> None:
    with World(contract()) as world:
        world.fill(rows(3_000), reversed(rows(3_000)))

        found = compare_sides(*world.sides())

        assert (found.outcome, found.rung, found.cost.queries) == (Outcome.EQUAL, Rung.CHECKSUMS, 4)
        assert not found.found
        assert not any("_row_hash" in query for query in world.queries)


def test_two_empty_sides_are_equal_by_their_counts() -> None:
    with World(contract()) as world:
        assert compare_sides(*world.sides()).outcome is Outcome.EQUAL


@pytest.mark.parametrize("partition", [None, "day"])
def test_each_kind_of_difference_is_found_and_named(partition: str | None) -> None:
    with World(contract(partition=partition)) as world:
        here = [r for r in rows(5_000) if r["id"] not in (17, 4_000)]
        here[100] |= {"note": "another"}
        here[200] |= {"amount": None}
        world.fill(rows(5_000), [*here, row(id=9_000)])

        found = compare_sides(*world.sides())

        assert found.outcome is Outcome.DIFFERENT
        assert keys_of(found) == {
            MISSING: {(17,), (4_000,)},
            ORPHAN: {(9_000,)},
            CHANGED: {(here[100]["id"],), (here[200]["id"],)},
        }
        assert found.cost.queries <= 10


def test_contents_swapped_between_two_keys_are_two_changes() -> None:
    with World(contract()) as world:
        here = rows(100)
        here[3]["note"], here[4]["note"] = here[4]["note"], here[3]["note"]
        world.fill(rows(100), here)

        assert keys_of(compare_sides(*world.sides())) == {CHANGED: {(4,), (5,)}}


def test_a_row_that_moved_to_another_partition_is_changed_not_missing() -> None:
    with World(contract(partition="day")) as world:
        here = rows(1_000)
        here[7] |= {"day": date(2026, 3, 31)}
        world.fill(rows(1_000), here)

        found = compare_sides(*world.sides())

        assert keys_of(found) == {CHANGED: {(8,)}}
        assert {p.partition for p in found.partitions} == {"2026-01", "2026-03"}


def test_rows_without_a_partition_are_compared_too() -> None:
    with World(contract(partition="day")) as world:
        there, here = rows(10), rows(10)
        there[0] |= {"day": None}
        here[0] |= {"day": None, "note": "x"}
        there[1] |= {"day": None}
        world.fill(there, here)

        assert keys_of(compare_sides(*world.sides())) == {CHANGED: {(1,), (2,)}}


def test_a_key_that_comes_twice_is_duplicated_not_changed() -> None:
    with World(contract()) as world:
        world.fill([*rows(50), row(id=5, note="again"), row(id=6), row(id=60), row(id=60)], rows(50))

        assert keys_of(compare_sides(*world.sides())) == {DUPLICATED: {(5,), (6,), (60,)}}


def test_rows_without_a_key_are_counted_apart() -> None:
    with World(contract()) as world:
        world.fill([*rows(5), row() | {"id": None}], rows(5))

        found = compare_sides(*world.sides())

        assert (found.outcome, found.source.unkeyed, found.source.rows) == (Outcome.EQUAL, 1, 5)


def test_keys_in_flight_are_left_out_on_both_sides() -> None:
    with World(contract()) as world:
        there = rows(2_000)
        there[10] |= {"note": "newer", "changed_at": there[-1]["changed_at"]}
        world.fill(there, rows(1_999))
        bound = str(there[-1]["changed_at"])
        world.lake.execute("create table in_flight as select unnest([11, 2000]) as id")

        found = compare_sides(*world.sides(where=f"changed_at < timestamp '{bound}'", in_flight="in_flight"))

        assert (found.outcome, found.source.rows, found.lake.rows) == (Outcome.EQUAL, 1_998, 1_998)


def test_keys_wildly_apart_are_still_cut_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "LEAF_ROWS", 100)
    with World(contract()) as world:
        there = [*rows(3_000), row() | {"id": 2**62}]
        world.fill(there, [r for r in there if r["id"] != 1_234])

        found = compare_sides(*world.sides())

        assert keys_of(found) == {MISSING: {(1_234,)}}
        assert found.cost.rows < 1_500


@pytest.mark.parametrize(
    ("budget", "why"),
    [
        (Budget(queries=1), "1 queries"),
        (Budget(queries=5), "5 queries"),
        (Budget(rows=20), "20 rows"),
        (Budget(seconds=2.5), "2.5 seconds"),
    ],
)
def test_a_spent_budget_gives_partial_and_no_guess(budget: Budget, why: str) -> None:
    with World(contract()) as world:
        world.fill(rows(3_000), rows(2_999))
        ticks = iter(range(100))

        found = compare_sides(*world.sides(), budget=budget, clock=lambda: float(next(ticks)))

        assert (found.outcome, dict(found.found)) == (Outcome.PARTIAL, {})
        assert why in found.why
        assert found.cost.queries <= budget.queries


def test_what_the_budget_of_rows_still_pays_for_is_found_and_the_rest_is_counted() -> None:
    with World(contract()) as world:
        world.fill(rows(5_000), [r for r in rows(5_000) if r["id"] % 2])

        found = compare_sides(*world.sides(), budget=Budget(rows=1_500))

        assert (found.outcome, found.why) == (Outcome.PARTIAL, "the budget of 1500 rows is spent")
        assert 0 < found.found[MISSING].num_rows < 2_500
        assert keys_of(found)[MISSING] < {(number,) for number in range(2, 5_001, 2)}
        assert found.unresolved_rows > 3_500
        assert found.cost.rows <= 1_500


def test_counts_that_agree_prove_nothing() -> None:
    with World(contract(partition="day")) as world:
        world.fill(rows(10), rows(10))

        found = compare_sides(*world.sides(), deepest=Rung.PARTITIONS)

        assert (found.outcome, found.rung) == (Outcome.PARTIAL, Rung.PARTITIONS)
        assert found.why == "asked to stop before checksums"
        assert found.partitions == ()


def test_counts_that_differ_name_their_partitions() -> None:
    with World(contract(partition="day")) as world:
        world.fill(rows(100), [r for r in rows(100) if r["day"].month != 2])

        found = compare_sides(*world.sides(), deepest=Rung.PARTITIONS)

        assert [(p.partition, p.source_rows, p.lake_rows) for p in found.partitions] == [("2026-02", 28, 0)]


def test_a_side_that_moves_makes_the_outcome_partial() -> None:
    with World(contract()) as world:
        world.fill(rows(3_000), rows(3_000)[1:])
        there, here = world.sides()
        counted = there.checksums

        def checksums(*arguments: Any) -> Any:
            world.source.execute("delete from sales where id = 2")
            return counted(*arguments)

        there.checksums = checksums  # type: ignore[assignment, method-assign]

        found = compare_sides(there, here)

        assert (found.outcome, found.why, dict(found.found)) == (
            Outcome.PARTIAL,
            "a side changed while it was compared",
            {},
        )


NUMBERS = st.integers(-(2**62), 2**62) | st.integers(-20, 400)
TEXTS = st.text(st.sampled_from("aAb|~: é😀'\\"), max_size=4)
KEYS = {
    ("id",): st.tuples(NUMBERS),
    ("code",): st.tuples(TEXTS),
    ("id", "line"): st.tuples(st.integers(0, 60), st.integers(0, 9)),
    ("code", "id"): st.tuples(TEXTS, st.integers(-3, 3)),
}
CONTENT = st.fixed_dictionaries(
    {
        "note": st.none() | TEXTS,
        "amount": st.none() | st.decimals(-10, 10, places=2),
        "day": st.none() | st.dates(date(1, 1, 1), date(9999, 12, 31)) | st.dates(date(2026, 1, 1), date(2026, 3, 1)),
    }
)


@st.composite
def planted(draw: st.DrawFn) -> tuple[tuple[str, ...], Mapping[tuple[Any, ...], tuple[str, Any, Any]]]:
    """Draw keys with what stands under them on both sides: same, missing, orphan or changed."""
    names = draw(st.sampled_from(sorted(KEYS)))
    fates = st.sampled_from(["same"] * 6 + ["missing", "orphan", "changed"])
    rows_ = draw(st.dictionaries(KEYS[names], st.tuples(fates, CONTENT, CONTENT), max_size=60))
    return names, rows_


@examples(40)
@given(planted(), st.sampled_from([None, "day"]), st.sampled_from(["day", "month", "year"]), st.integers(1, 40))
def test_what_is_found_is_exactly_what_was_planted(
    drawn: tuple[tuple[str, ...], Mapping[tuple[Any, ...], tuple[str, Any, Any]]],
    partition: str | None,
    grain: str,
    leaf_rows: int,
) -> None:
    names, rows_ = drawn
    there: list[dict[str, Any]] = []
    here: list[dict[str, Any]] = []
    expected: dict[str, set[tuple[Any, ...]]] = {}
    for key, (fate, content, other) in rows_.items():
        keyed = dict(zip(names, key, strict=True))
        base = {"changed_at": None} | keyed
        if fate != "orphan":
            there.append(base | content)
        if fate != "missing":
            here.append(base | (other if fate == "changed" else content))
        kind = {"missing": MISSING, "orphan": ORPHAN, "changed": CHANGED}.get(fate)
        if kind is not None and not (fate == "changed" and content == other):
            expected.setdefault(kind, set()).add(key)
    with pytest.MonkeyPatch.context() as patch, World(contract(names, partition=partition, grain=grain)) as world:
        patch.setattr(ladder, "GROUP_ROWS", 2)
        patch.setattr(ladder, "LEAF_ROWS", leaf_rows)
        world.fill(there, here)

        found = compare_sides(*world.sides())

    assert keys_of(found) == expected
    assert found.outcome is (Outcome.DIFFERENT if expected else Outcome.EQUAL), found.why


def test_numbers_that_differ_only_in_spelling_are_equal() -> None:
    with World(contract()) as world:
        world.fill([row(id=1, amount=Decimal("1.5"))], [row(id=1, amount=Decimal("1.50"))])

        assert compare_sides(*world.sides()).outcome is Outcome.EQUAL
