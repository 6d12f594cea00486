"""Compares rows that both sides sent, key by key. Pure; holds keys and hashes only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa

from ingestion.reconcile.sides import KEY_HASH, ROW_HASH


class Finding(StrEnum):
    """What is wrong with a key."""

    MISSING_IN_LAKE = "missing_in_lake"
    MISSING_IN_SOURCE = "missing_in_source"
    CHANGED = "changed"
    DUPLICATED = "duplicated"
    """The key comes more than once on a side, and the sides differ: no row of it can be called the changed one."""


@dataclass(slots=True)
class _Key:
    """Where a key was first seen on a side, and the hashes of its rows there."""

    at: int = -1
    hashes: Counter[str] = field(default_factory=Counter)


def compare(source: pa.Table, lake: pa.Table) -> dict[Finding, pa.Table]:
    """Return the key columns of the rows that differ, by kind, each key once. Keys are the side's that has them."""
    keys_there, keys_here = _keys(source), _keys(lake)
    found: dict[Finding, list[int]] = defaultdict(list)
    for key, there in keys_there.items():
        here = keys_here.get(key)
        if here is None:
            is_single = there.hashes.total() == 1
            found[Finding.MISSING_IN_LAKE if is_single else Finding.DUPLICATED].append(there.at)
        elif here.hashes != there.hashes:
            is_single = there.hashes.total() == here.hashes.total() == 1
            found[Finding.CHANGED if is_single else Finding.DUPLICATED].append(there.at)
    orphans = [here.at for key, here in keys_here.items() if key not in keys_there]
    kinds = {kind: _take(source, rows) for kind, rows in found.items()}
    return kinds | ({Finding.MISSING_IN_SOURCE: _take(lake, orphans)} if orphans else {})


def _keys(side: pa.Table) -> Mapping[str, _Key]:
    keys: dict[str, _Key] = defaultdict(_Key)
    hashes = zip(side.column(KEY_HASH).to_pylist(), side.column(ROW_HASH).to_pylist(), strict=True)
    for at, (key_hash, row_hash) in enumerate(hashes):
        key = keys[key_hash]
        key.hashes[row_hash] += 1
        if key.at < 0:
            key.at = at
    return keys


def _take(side: pa.Table, rows: list[int]) -> pa.Table:
    return side.drop_columns([KEY_HASH, ROW_HASH]).take(pa.array(rows, pa.int64()))
