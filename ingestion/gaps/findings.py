"""What a comparison found: groups of keys, each of which becomes one difference, and counts per partition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from ingestion.gaps.fingerprints import Fingerprints
from ingestion.gaps.result import Compared
from ingestion.reconcile.gap import PartitionGap, is_stale
from ingestion.reconcile.leaves import Finding
from ingestion.reconcile.states import FAILED_LOAD, PARTITION, STALE, Cure, Group


class Key(NamedTuple):
    """A key that differs, identified by the digest `mark`. `there` and `here` count its rows in source and lake."""

    kind: Finding
    mark: bytes
    partition: str | None
    lake_partition: str | None
    is_explained: bool
    cure: Cure
    there: int
    here: int

    @property
    def explained(self) -> int:
        """Rows of the source that cannot be in the lake: quarantined rows, and further rows of the same key."""
        if self.kind in (Finding.MISSING_IN_SOURCE, Finding.CHANGED):
            return 0
        return self.there - self.here if self.is_explained else max(0, self.there - 1)

    @property
    def gap(self) -> int:
        """Unexplained rows that the lake lacks; negative if it has too many."""
        return self.there - self.here - self.explained


class Findings:
    """
    The keys that differ, and counts of rows whose keys are not known.

    A partition of which the lake has no row is one finding. If not all of its keys were found, only its count is known.
    All other rows that the budget left unresolved are one finding too. `single` has the unexplained keys, without those
    of partitions that are known by their count.
    """

    def __init__(self, compared: Compared, keys: Sequence[Key], fingerprints: Fingerprints) -> None:
        self._compared = compared
        self._keys = keys
        self._fingerprints = fingerprints
        self._lacking: dict[str | None, int] = defaultdict(int)
        self._explained: dict[str | None, int] = defaultdict(int)
        self._moved: dict[str | None, int] = defaultdict(int)
        for key in keys:
            if key.there and key.here and key.partition != key.lake_partition:
                self._moved[key.partition] += key.here
                self._moved[key.lake_partition] -= key.here
            self._explained[key.partition] += key.explained
            self._lacking[key.partition] += max(0, key.gap)
        for partition, rows in compared.refused.items():
            self._explained[partition] += rows
        gaps = self.partitions()
        self._missing = {gap.partition: gap for gap in gaps if gap.is_missing and gap.partition is not None}
        self._counted = {name: gap for name, gap in self._missing.items() if self._lacking[name] != gap.sync_gap}
        self.single = [k for k in keys if not k.is_explained and not (k.gap > 0 and k.partition in self._counted)]

    def groups(self) -> Iterator[Group]:
        """Yield the unexplained findings, including waived ones."""
        alike: dict[tuple[str, str | None, Cure], set[bytes]] = defaultdict(set)
        lasting = {key.partition for key in self._keys if key.gap > 0 and key.cure is Cure.NONE}
        for key in self.single:
            if key.gap > 0 and key.partition in self._missing:
                cure = Cure.NONE if key.partition in lasting else Cure.LOAD
                alike[PARTITION, key.partition, cure].add(key.mark)
            else:
                alike[str(key.kind), key.partition, key.cure].add(key.mark)
        for (kind, partition, cure), found in alike.items():
            yield Group(kind, partition, cure, len(found), frozenset(found))
        for partition, gap in self._counted.items():
            yield Group(PARTITION, partition, self._by_count, gap.sync_gap, frozenset([self._mark_of(partition)]))
        if rows := self._unresolved:
            yield Group(
                _kind_of(rows), None, self._by_count, abs(rows), frozenset([self._fingerprints.digest(_kind_of(rows))])
            )
        if unkeyed := self._unkeyed:
            yield Group(
                str(Finding.MISSING_IN_LAKE),
                None,
                Cure.LOAD,
                unkeyed,
                frozenset([self._fingerprints.digest("unkeyed")]),
            )
        if self._compared.failed_load is not None:
            yield Group(FAILED_LOAD, None, Cure.NONE, 0, frozenset([self._fingerprints.digest(FAILED_LOAD)]))
        if is_stale(self._compared.contract, self._compared.lag_hours):
            yield Group(STALE, None, Cure.NONE, 0, frozenset([self._fingerprints.digest(STALE)]))

    def partitions(self, waived: Collection[bytes] = ()) -> tuple[PartitionGap, ...]:
        """Return the partitions whose counts differ by more than is explained, largest gap first, then by name."""
        excused: dict[str | None, int] = defaultdict(int)
        for key in self._keys if waived else ():
            excused[key.partition] += key.gap if key.mark in waived else 0
        gaps = []
        for name, there, here in self._counts():
            explained = self._explained[name]
            is_waived = bool(waived) and self._mark_of(name) in waived
            moved = self._moved[name]
            waived_rows = there - here - explained - moved if is_waived else excused[name]
            gaps.append(PartitionGap(name, there, here, explained, waived_rows, moved))
        return tuple(sorted((g for g in gaps if g.sync_gap), key=lambda g: (-abs(g.sync_gap), g.partition or "")))

    def waived_rows(self, waived: Collection[bytes]) -> int:
        """Count the waived rows that the lake lacks, minus the waived rows that it has too many."""
        rows = sum(key.gap for key in self.single if key.mark in waived)
        rows += sum(gap.sync_gap for name, gap in self._counted.items() if self._mark_of(name) in waived)
        rows += self._unkeyed if self._fingerprints.digest("unkeyed") in waived else 0
        unresolved = self._unresolved
        return rows + (unresolved if self._fingerprints.digest(_kind_of(unresolved)) in waived else 0)

    @property
    def explained(self) -> int:
        """Rows with a complete key that cannot be in the lake: quarantined rows, and further rows of the same key."""
        return sum(self._explained.values())

    @property
    def refused_updates(self) -> int:
        """Quarantined rows of the source of whose key the lake has an older state."""
        return sum(key.here for key in self._keys if key.is_explained)

    @property
    def explained_unkeyed(self) -> int:
        """Rows of the source without a complete key that are in the quarantine."""
        return min(self._compared.comparison.source.unkeyed, self._compared.refused_unkeyed)

    @property
    def _unkeyed(self) -> int:
        return self._compared.comparison.source.unkeyed - self.explained_unkeyed

    def counted_rows(self, waived: Collection[bytes] = ()) -> int:
        """Count the missing rows whose keys are not known; negative if the lake has too many."""
        rows = sum(gap.sync_gap for name, gap in self._counted.items() if self._mark_of(name) not in waived)
        rows += 0 if self._fingerprints.digest("unkeyed") in waived else self._unkeyed
        unresolved = self._unresolved
        return rows + (0 if self._fingerprints.digest(_kind_of(unresolved)) in waived else unresolved)

    def _counts(self) -> list[tuple[str | None, int, int]]:
        comparison = self._compared.comparison
        counts = [(p.partition, p.source_rows, p.lake_rows) for p in comparison.partitions]
        if not counts and comparison.source.rows != comparison.lake.rows:
            return [(None, comparison.source.rows, comparison.lake.rows)]
        return counts

    @property
    def _unresolved(self) -> int:
        """Rows of the gap that belong to no other finding and that the quarantine does not explain."""
        if self._compared.is_complete:
            return 0
        counts = self._compared.comparison
        known = sum(self._explained.values()) + sum(key.gap for key in self.single)
        return counts.source.rows - counts.lake.rows - known - sum(gap.sync_gap for gap in self._counted.values())

    @property
    def _by_count(self) -> Cure:
        bound = self._compared.bound
        if bound.is_never_loaded:  # no row can be in flight
            return Cure.NONE
        return Cure.LOAD if bound.is_exact else Cure.UNKNOWN

    def _mark_of(self, partition: str | None) -> bytes:
        return self._fingerprints.digest(PARTITION, partition or "")


def _kind_of(rows: int) -> str:
    return str(Finding.MISSING_IN_LAKE if rows > 0 else Finding.MISSING_IN_SOURCE)
