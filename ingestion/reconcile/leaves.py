"""Compares rows that both sides sent, key by key. Pure; holds keys and hashes only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa

from ingestion.reconcile.sides import KEY_HASH, PARTITION, ROW_HASH

SOURCE_HASH, LAKE_HASH, SOURCE_ROWS, LAKE_ROWS = "_source_hash", "_lake_hash", "_source_rows", "_lake_rows"
LAKE_PARTITION = "_lake_partition"
DETAILS = (PARTITION, LAKE_PARTITION, KEY_HASH, SOURCE_HASH, LAKE_HASH, SOURCE_ROWS, LAKE_ROWS)
"""The columns beside the keys of a finding. On a side without the key, the hash is empty and the row count 0."""


class Finding(StrEnum):
    """What is wrong with a key."""

    MISSING_IN_LAKE = "missing_in_lake"
    MISSING_IN_SOURCE = "missing_in_source"
    CHANGED = "changed"
    DUPLICATED = "duplicated"
    """The key has several rows on a side and the sides differ, so no single row can be named as the changed one."""


@dataclass(slots=True)
class _Key:
    """The position of a key's first row on a side, and the hashes of its rows there."""

    at: int = -1
    hashes: Counter[str] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        return self.hashes.total()

    @property
    def text(self) -> str:
        return ",".join(sorted(self.hashes.elements()))


_NOWHERE = _Key()
_Pair = tuple[str, _Key, _Key]


def compare(source: pa.Table, lake: pa.Table) -> dict[Finding, pa.Table]:
    """
    Return the keys whose rows differ, by kind, each key once: its columns, then `DETAILS`.

    Columns and partition are those of the side that has the key, the source's where both have it; the lake's partition
    is there too.
    """
    keys_there, keys_here = _keys(source), _keys(lake)
    found: dict[Finding, list[_Pair]] = defaultdict(list)
    for key, there in keys_there.items():
        here = keys_here.get(key, _NOWHERE)
        if here.hashes != there.hashes:
            found[_kind(there, here)].append((key, there, here))
    orphans = [(key, _NOWHERE, here) for key, here in keys_here.items() if key not in keys_there]
    kinds = {kind: _take(source, pairs, [there.at for _, there, _ in pairs], lake) for kind, pairs in found.items()}
    if orphans:
        kinds[Finding.MISSING_IN_SOURCE] = _take(lake, orphans, [here.at for *_, here in orphans], lake)
    return kinds


def _kind(there: _Key, here: _Key) -> Finding:
    if max(there.rows, here.rows) > 1:
        return Finding.DUPLICATED
    return Finding.CHANGED if here.rows else Finding.MISSING_IN_LAKE


def _keys(side: pa.Table) -> Mapping[str, _Key]:
    keys: dict[str, _Key] = defaultdict(_Key)
    hashes = zip(side.column(KEY_HASH).to_pylist(), side.column(ROW_HASH).to_pylist(), strict=True)
    for at, (key_hash, row_hash) in enumerate(hashes):
        key = keys[key_hash]
        key.hashes[row_hash] += 1
        if key.at < 0:
            key.at = at
    return keys


def _take(side: pa.Table, pairs: Sequence[_Pair], rows: Sequence[int], lake: pa.Table) -> pa.Table:
    """Return these rows of a side, one per pair, with what is known of both sides."""
    taken = side.take(pa.array(rows, pa.int64()))
    columns = (
        taken.column(PARTITION),
        lake.column(PARTITION).take(pa.array([here.at if here.rows else None for *_, here in pairs], pa.int64())),
        pa.array([key for key, *_ in pairs], pa.string()),
        pa.array([there.text for _, there, _ in pairs], pa.string()),
        pa.array([here.text for *_, here in pairs], pa.string()),
        pa.array([there.rows for _, there, _ in pairs], pa.int64()),
        pa.array([here.rows for *_, here in pairs], pa.int64()),
    )
    keys = taken.drop_columns([KEY_HASH, ROW_HASH, PARTITION])
    for name, column in zip(DETAILS, columns, strict=True):
        keys = keys.append_column(name, column)
    return keys
