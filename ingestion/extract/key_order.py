"""Proves that the keys of a read are distinct if they arrive in ascending order: cheaper than counting them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion.contracts.model import Contract


class KeyOrder:
    """Whether the keys of one read ascend strictly, from row to row and from batch to batch."""

    def __init__(self, contract: Contract) -> None:
        self._names = contract.key_names
        self._last: list[pa.Array] | None = None
        self.ascends = all(_is_ordered(contract.column(name).arrow_type) for name in self._names)
        """False proves nothing: the keys may be distinct or not."""

    def add(self, rows: pa.RecordBatch) -> None:
        """Check the next rows of the read."""
        if not self.ascends or not rows.num_rows:
            return
        keys = [rows.column(name) for name in self._names]
        if self._last is not None:
            seam = [pa.concat_arrays([last, key.slice(0, 1)]) for last, key in zip(self._last, keys, strict=True)]
            self.ascends = _ascend(seam)
        self.ascends = self.ascends and _ascend(keys)
        self._last = [key.slice(rows.num_rows - 1) for key in keys]


def lie_apart(footers: Sequence[pq.FileMetaData], name: str) -> bool:
    """Return whether no two files can have the same value in a column, by the minimum and maximum in their footers."""
    bounds = [_bounds(footer, name) for footer in footers if footer.num_rows]
    if len(bounds) < 2:
        return True
    known = sorted((bound for bound in bounds if bound is not None), key=lambda bound: bound[0])
    return len(known) == len(bounds) and all(below[1] < above[0] for below, above in pairwise(known))


def _bounds(footer: pq.FileMetaData, name: str) -> tuple[Any, Any] | None:
    column = footer.schema.names.index(name)
    found = [footer.row_group(at).column(column).statistics for at in range(footer.num_row_groups)]
    if not all(statistics is not None and statistics.has_min_max for statistics in found):
        return None
    with suppress(OverflowError):  # a date that Python cannot represent
        return min(statistics.min for statistics in found), max(statistics.max for statistics in found)
    return None


def _is_ordered(type_: pa.DataType) -> bool:
    is_ = pa.types
    return bool(is_.is_integer(type_) or is_.is_date(type_) or is_.is_timestamp(type_) or is_.is_string(type_))


def _ascend(keys: Sequence[pa.Array]) -> bool:
    """Return whether each row's key is greater than the key of the row before; its columns are compared in order."""
    rows = len(keys[0])
    ascends: pa.Array = None
    for key in reversed(keys):
        low, high = key.slice(0, rows - 1), key.slice(1)
        greater = pc.greater(high, low)
        ascends = greater if ascends is None else pc.or_(greater, pc.and_(pc.equal(high, low), ascends))
    return bool(ascends.null_count == 0 and ascends.false_count == 0)
