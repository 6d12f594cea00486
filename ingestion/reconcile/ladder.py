"""The ladder: counts, partition counts, checksums, bisection by GROUP BY, rows. Pure but for the two sides.

It stops at the first rung that proves the sides equal, and goes down only into what differs. Every step is one query on
each side. Checksums count their rows, so partitions are counted by themselves only where no more is wanted. Both sides
must show one state throughout: a side that moves makes the outcome partial, as does a budget.
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
"""Rows that a group should have: small enough to be fetched, many enough that groups stay few."""
_MOST_BITS = 14
MOST_GROUPS = 1 << _MOST_BITS
LEAF_ROWS = 50_000
"""Rows of one side that are fetched rather than cut once more."""
FEW_GROUPS = 8
_DEPTHS = 12  # a guard; keys that lie wildly apart take one level per factor of MOST_GROUPS
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

    `deepest` is the last rung to climb to. Hand in less than CHECKSUMS where the plan cannot prove (a key is
    unverified). What a side raises goes through.
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
    Rows that hold all differences: a scope, and how many rows each side has there.

    `sizes` are those of its groups; `low` and `high` are the ends of the first key.
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
    """One group of the last cut holds most rows: keys lie far apart, and the next cut must go as deep as it can."""
    is_futile: bool = False
    """Most groups of the last cut differ: to cut again would cost more than it saves."""
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
        """Return the partitions that differ: by their checksums, or where those are not wanted by their rows."""
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
        """Cut what differs into ever smaller groups until the rest can be fetched."""
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
        """Return a finer cut of a region, None where there is none. Its groups lie whole in groups of the last cut."""
        current = region.scope.split
        # partitions lie anywhere among the keys: groups are as wide as the whole table's would be
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
        """Fetch the rows of a region, or of as many of its groups as the budget allows, and compare them."""
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
        """Return the region, or the smallest of its groups that the budget of rows still pays for."""
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
        """Return the checksums of a region's groups. Ends where they do not add up: it was another state they saw."""
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
        """Ask both sides. Raises _EndedError before a rung that is not wanted or that the budget does not reach."""
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
    """Return the groups that differ, with their rows on both sides."""
    differing = [name for name in {*there, *here} if there.get(name) != here.get(name)]
    return {name: (_rows(there, name), _rows(here, name)) for name in differing}


def _rows(side: _Checksums, name: str | None) -> int:
    found = side.get(name)
    return found.rows if found is not None else 0


def _total(side: _Checksums) -> int:
    return sum(group.rows for group in side.values())


def _ends(*groups: Summary | Checksum) -> tuple[int | None, int | None]:
    """Return the lowest and the highest first key."""
    lows = [group.low for group in groups if group.low is not None]
    highs = [group.high for group in groups if group.high is not None]
    return min(lows, default=None), max(highs, default=None)


def _counts(sizes: _Sizes) -> tuple[PartitionCounts, ...]:
    counted = [PartitionCounts(name, *size) for name, size in sizes.items()]
    return tuple(sorted(counted, key=lambda c: (-abs(c.source_rows - c.lake_rows), c.partition or "")))
