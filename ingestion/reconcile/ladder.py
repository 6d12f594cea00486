"""Compares two sides from cheap to expensive questions: counts, partitions, checksums, bisection, single rows.

The comparison stops at the first rung that proves the sides equal. Each deeper rung looks only at the groups that
differed on the rung before. Every step runs one query on each side; nothing else here does I/O. Checksums include row
counts, so partition counts are queried separately only if the comparison must stop there. Both sides must show the same
state throughout. The outcome is partial if a side changes meanwhile or the budget is spent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa

from ingestion.reconcile.comparison import Budget, Comparison, Cost, Outcome, PartitionCounts, Rung
from ingestion.reconcile.leaves import Finding, compare
from ingestion.reconcile.sides import BY_PARTITION, EVERYTHING, Checksum, Cut, Scope, Side, Split, Summary

GROUP_ROWS = 512
"""Target rows per group: few enough to fetch, and enough to keep the number of groups small."""
_MOST_BITS = 14
MOST_GROUPS = 1 << _MOST_BITS
LEAF_ROWS = 50_000
"""A region with at most this many rows on one side is fetched, not split again."""
FEW_GROUPS = 8
_DEPTHS = 12  # limits the loop; very sparse keys need one level per factor of MOST_GROUPS
_MOVED = "a side changed while it was compared"

_Answer = TypeVar("_Answer")
_Checksums = Mapping[str | None, Checksum]
_Sizes = Mapping[str | None, tuple[int, int]]


class _EndedError(Exception):
    """The comparison cannot go on; the message is `why`."""


def compare_sides(
    source: Side,
    lake: Side,
    *,
    budget: Budget | None = None,
    deepest: Rung = Rung.LEAVES,
    clock: Callable[[], float] = time.monotonic,
) -> Comparison:
    """
    Compare two sides and return what is certain.

    `deepest` is the last rung to use. Pass a rung before CHECKSUMS if the plan cannot prove equality (a key column is
    unverified). Errors that a side raises are not caught.
    """
    climb = _Climb(source, lake, budget or Budget(), deepest, clock)
    try:
        climb.run()
    except _EndedError as ended:
        climb.end(Outcome.PARTIAL, str(ended))
    return climb.result()


@dataclass(frozen=True, slots=True)
class _Region:
    """
    The rows that contain all differences: a scope, and each side's row count in it.

    `sizes` has the row counts (source, lake) of its groups. `low` and `high` bound the first key column
    (inclusive).
    """

    scope: Scope
    source_rows: int
    lake_rows: int
    sizes: _Sizes = field(default_factory=dict)
    low: int | None = None
    high: int | None = None

    @property
    def rows(self) -> int:
        return max(self.source_rows, self.lake_rows)

    @property
    def is_whole(self) -> bool:
        return self.scope == EVERYTHING


@dataclass(slots=True)
class _Climb:
    source: Side
    lake: Side
    budget: Budget
    deepest: Rung
    clock: Callable[[], float]
    started: float = 0.0
    queries: int = 0
    rows_read: int = 0
    is_uneven: bool = False
    """One group of the last split holds most rows (sparse keys), so the next split uses the most groups allowed."""
    is_futile: bool = False
    """Most groups of the last split differ, so another split would cost more than it saves."""
    rung: Rung = Rung.COUNTS
    summaries: tuple[Summary, Summary] = (Summary(0), Summary(0))
    outcome: Outcome = Outcome.PARTIAL
    why: str = ""
    partitions: tuple[PartitionCounts, ...] = ()
    found: dict[Finding, pa.Table] = field(default_factory=dict)
    unresolved: int = 0

    def run(self) -> None:
        self.started = self.clock()
        there, here = self.summaries = self.ask(lambda side: side.summary(), Rung.COUNTS)
        self.rows_read += 2
        if not there.rows and not here.rows:
            return self.end(Outcome.EQUAL, "")
        low, high = _ends(there, here)
        region = _Region(EVERYTHING, there.rows, here.rows, low=low, high=high)
        if self.source.partitioned:
            region = self.into_partitions(region)
        return self.bisect(region)

    def into_partitions(self, region: _Region) -> _Region:
        """Return the partitions that differ, by checksum; by row count if `deepest` stops before checksums."""
        if self.deepest is Rung.PARTITIONS:
            counts = self.ask(lambda side: side.partitions(), Rung.PARTITIONS)
            self.rows_read += sum(len(count) for count in counts)
            names = {name for count in counts for name in count}
            rows = {name: (counts[0].get(name, 0), counts[1].get(name, 0)) for name in names}
            self.partitions = _counts({name: size for name, size in rows.items() if size[0] != size[1]})
        there, here = self.sums(BY_PARTITION, region, Rung.CHECKSUMS)
        found = _differing(there, here)
        self.partitions = _counts(found)
        low, high = _ends(*(side[name] for side in (there, here) for name in found if name in side))
        return self.narrowed(Scope(partitions=frozenset(found)), found, low, high)

    def bisect(self, region: _Region) -> None:
        """Split the groups that differ into smaller groups until few enough rows remain to fetch."""
        for _ in range(_DEPTHS):
            split = self.next_split(region)
            if split is None or (not region.is_whole and region.rows <= self.leaf_rows):
                break
            if 2 * region.rows // GROUP_ROWS >= self.rows_left:
                break
            found = _differing(*self.sums(split, region, Rung.CHECKSUMS if region.is_whole else Rung.BISECT))
            names = frozenset(name for name in found if name is not None)
            region = self.narrowed(Scope(region.scope.partitions, split, names), found, region.low, region.high)
            if self.is_futile:
                break
        return self.fetch(region) if region.rows else self.end(Outcome.EQUAL, "")

    def next_split(self, region: _Region) -> Split | None:
        """Return a finer split of a region, or None. Each new group lies within one group of the last split."""
        current = region.scope.split
        # partitions can contain any keys, so the group width is computed from the whole table
        rows = region.rows if current is not None else max(summary.rows for summary in self.summaries)
        bits = min(-(-rows // GROUP_ROWS), MOST_GROUPS).bit_length()
        if self.source.whole_keys and region.low is not None and region.high is not None:
            if current is None:
                width_bits = max(0, (region.high - region.low + 1).bit_length() - bits)
                return Split(Cut.RANGE, region.low, 1 << width_bits)
            finer = _MOST_BITS if self.is_uneven else max(1, bits - len(region.scope.groups or ()).bit_length())
            width = max(1, current.width >> finer)
            return Split(Cut.RANGE, current.low, width) if width < current.width else None
        digits = max(1, bits // 4) if current is None else current.digits + 2
        return Split(Cut.DIGITS, digits=digits) if digits <= 32 else None

    def fetch(self, region: _Region) -> None:
        """Fetch and compare the rows of a region, or of as many of its groups as the budget allows."""
        affordable = self.affordable(region)
        there, here = self.ask(lambda side: side.leaves(affordable.scope), Rung.LEAVES)
        self.rows_read += there.num_rows + here.num_rows
        found = compare(there, here)
        if (there.num_rows, here.num_rows) != (affordable.source_rows, affordable.lake_rows) or not found:
            raise _EndedError(_MOVED)
        self.found = found
        self.unresolved = region.rows - affordable.rows
        if affordable is not region:
            raise _EndedError(f"the budget of {self.budget.rows} rows is spent")
        self.end(Outcome.DIFFERENT, "")

    def affordable(self, region: _Region) -> _Region:
        """Return the region, or as many of its groups, smallest first, as the row budget still allows."""
        if region.source_rows + region.lake_rows <= self.rows_left:
            return region
        chosen: dict[str | None, tuple[int, int]] = {}
        left = self.rows_left
        for name, size in sorted(region.sizes.items(), key=lambda item: (sum(item[1]), item[0] or "")):
            left -= sum(size)
            if left < 0:
                break
            chosen[name] = size
        if not chosen or region.scope.split is None:
            raise _EndedError(f"the budget of {self.budget.rows} rows is spent")
        names = frozenset(name for name in chosen if name is not None)
        return _region(Scope(region.scope.partitions, region.scope.split, names), chosen, region.low, region.high)

    def narrowed(self, scope: Scope, sizes: _Sizes, low: int | None, high: int | None) -> _Region:
        region = _region(scope, sizes, low, high)
        self.unresolved = region.rows
        return region

    def sums(self, split: Split, region: _Region, rung: Rung) -> tuple[_Checksums, _Checksums]:
        """
        Return the checksums of a region's groups.

        Raises _EndedError if their row counts do not add up to the region's: the side changed meanwhile.
        """
        there, here = self.ask(lambda side: side.checksums(split, region.scope), rung)
        self.rows_read += len(there) + len(here)
        if (_total(there), _total(here)) != (region.source_rows, region.lake_rows):
            raise _EndedError(_MOVED)
        names = {*there, *here}
        largest = max((_rows(side, name) for side in (there, here) for name in names), default=0)
        self.is_uneven = 2 * largest > region.rows
        self.is_futile = (
            not self.is_uneven and len(names) >= FEW_GROUPS and 2 * len(_differing(there, here)) > len(names)
        )
        return there, here

    def ask(self, question: Callable[[Side], _Answer], rung: Rung) -> tuple[_Answer, _Answer]:
        """Query both sides. Raises _EndedError if the rung is deeper than `deepest` or the budget is spent."""
        if rung > self.deepest:
            raise _EndedError(f"asked to stop before {rung.name.lower()}")
        if self.queries + 2 > self.budget.queries:
            raise _EndedError(f"the budget of {self.budget.queries} queries is spent")
        if self.clock() - self.started > self.budget.seconds:
            raise _EndedError(f"the budget of {self.budget.seconds:g} seconds is spent")
        self.queries += 2
        answers = question(self.source), question(self.lake)
        self.rung = rung
        return answers

    def end(self, outcome: Outcome, why: str) -> None:
        self.outcome, self.why = outcome, why
        if outcome is not Outcome.PARTIAL:
            self.unresolved = 0

    def result(self) -> Comparison:
        cost = Cost(self.queries, self.rows_read, self.clock() - self.started)
        return Comparison(
            outcome=self.outcome,
            rung=self.rung,
            source=self.summaries[0],
            lake=self.summaries[1],
            partitions=self.partitions,
            found=self.found,
            unresolved_rows=self.unresolved,
            why=self.why,
            cost=cost,
        )

    @property
    def rows_left(self) -> int:
        return self.budget.rows - self.rows_read

    @property
    def leaf_rows(self) -> int:
        return min(LEAF_ROWS, self.rows_left // 2)


def _region(scope: Scope, sizes: _Sizes, low: int | None, high: int | None) -> _Region:
    there, here = (sum(size[side] for size in sizes.values()) for side in (0, 1))
    return _Region(scope, there, here, sizes, low, high)


def _differing(there: _Checksums, here: _Checksums) -> _Sizes:
    """Return the groups that differ, with their row counts on both sides."""
    differing = [name for name in {*there, *here} if there.get(name) != here.get(name)]
    return {name: (_rows(there, name), _rows(here, name)) for name in differing}


def _rows(side: _Checksums, name: str | None) -> int:
    found = side.get(name)
    return found.rows if found is not None else 0


def _total(side: _Checksums) -> int:
    return sum(group.rows for group in side.values())


def _ends(*groups: Summary | Checksum) -> tuple[int | None, int | None]:
    """Return the lowest and the highest value of the first key column; None if no group has one."""
    lows = [group.low for group in groups if group.low is not None]
    highs = [group.high for group in groups if group.high is not None]
    return min(lows, default=None), max(highs, default=None)


def _counts(sizes: _Sizes) -> tuple[PartitionCounts, ...]:
    counted = [PartitionCounts(name, *size) for name, size in sizes.items()]
    return tuple(sorted(counted, key=lambda c: (-abs(c.source_rows - c.lake_rows), c.partition or "")))
