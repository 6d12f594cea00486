"""Pure steps on the rows of a change that depend on what the target has: repeated events, newest rows, windows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts.streams import WindowRule
from ingestion.contracts.types import INSTANT

COUNT, START = "row_count", "window_start"
ORDER = ("lake_seq", "lake_offset")
"""What orders the rows of one key: the newest has the greatest."""
_ADDED = {"count": "sum"}
"""How measures of the same window are put together, where that is another function than theirs."""


def newest(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Return the newest row of each key, ordered by key."""
    if not rows.num_rows:
        return rows
    ordered = rows.sort_by([(name, "ascending") for name in (*keys, *ORDER, "lake_topic", "lake_partition")])
    return ordered.filter(pc.fill_null(_differs_from_next(ordered, keys), True))


def first_occurrences(rows: pa.Table, column: str, period: timedelta, seen: pa.Table) -> pa.Table:
    """
    Return the rows, without those whose value occurred before within `period` of event time, dropped ones included.

    Values are compared in log order, across partitions in the order of the rows. `seen` has the last occurrence of
    values in earlier batches: `value` and `lake_at`. Null never repeats.
    """
    earlier = pa.table([seen["value"].cast(rows[column].type), seen["lake_at"]], ["value", "at"])
    own = pa.table([rows[column], rows["lake_at"]], ["value", "at"])
    both = pa.concat_tables([earlier, own]).append_column("n", pa.arange(0, earlier.num_rows + own.num_rows))
    both = both.sort_by([("value", "ascending"), ("n", "ascending")]).combine_chunks()
    if not both.num_rows:
        return rows
    is_first = pc.fill_null(_differs_from_next(both, ["value"]), True)
    is_same = pc.invert(pa.concat_arrays([pa.array([True]), is_first.combine_chunks().slice(0, both.num_rows - 1)]))
    at = both["at"].combine_chunks().cast(pa.int64())
    before = pa.concat_arrays([at.slice(0, 1), at.slice(0, len(at) - 1)])
    near = pc.less_equal(pc.subtract(at, before), pa.scalar(period // timedelta(microseconds=1)))
    kept = pc.invert(pc.and_(is_same, near))
    place = pc.subtract(both["n"], earlier.num_rows)
    chosen = place.filter(pc.and_(kept, pc.greater_equal(place, 0)))
    return rows.take(chosen.take(pc.array_sort_indices(chosen.combine_chunks())))


def last_occurrences(rows: pa.Table, column: str) -> pa.Table:
    """Return each value of a column with its last event time in log order: `value`, `lake_at`."""
    present = rows.filter(pc.is_valid(rows[column])).select([column, "lake_at"])
    found = present.group_by(column, use_threads=False).aggregate([("lake_at", "last")])
    return pa.table([found[column].cast(pa.string()), found["lake_at_last"]], ["value", "lake_at"])


def window_deltas(rule: WindowRule, added: pa.Table, removed: pa.Table) -> pa.Table:
    """
    Return what rows change in the windows, ordered by window: start, group, count, measures (`sum_amount`).

    Both tables have the columns of the rule and `lake_at`. Removed rows count negatively; their measures are null
    where they have no value to take back.
    """
    deltas = [_aggregated(rule, rows, sign) for rows, sign in ((added, 1), (removed, -1)) if rows.num_rows]
    if not deltas:
        return pa.table({START: pa.array([], INSTANT)})
    names = [START, *rule.by]
    joined = pa.concat_tables(deltas)
    kinds = {COUNT: "sum"} | {measure_name(kind, column): _ADDED.get(kind, kind) for kind, column in rule.measures}
    found = joined.group_by(names).aggregate([*kinds.items()]).rename_columns([*names, *kinds])
    return found.sort_by([(name, "ascending") for name in names])


def measure_name(kind: str, column: str) -> str:
    return f"{kind}_{column}"


def _aggregated(rule: WindowRule, rows: pa.Table, sign: int) -> pa.Table:
    slide, size = rule.slide // timedelta(microseconds=1), rule.size // timedelta(microseconds=1)
    at = rows["lake_at"].combine_chunks().cast(pa.int64())
    newest_start = pc.multiply(_floor_divide(at, slide), slide)
    pieces = [
        rows.append_column(START, pc.subtract(newest_start, step).cast(INSTANT)) for step in range(0, size, slide)
    ]
    spread = pa.concat_tables(pieces)
    columns = {name: spread[name] for name in (START, *rule.by)} | {
        measure_name(kind, column): _summable(spread[column]) for kind, column in rule.measures
    }
    wanted = [(measure_name(kind, column), kind) for kind, column in rule.measures]
    found = pa.table(columns).group_by([START, *rule.by]).aggregate([([], "count_all"), *wanted])
    found = found.rename_columns([START, *rule.by, COUNT, *(name for name, _ in wanted)])
    for name, kind in [(COUNT, "count"), *wanted] if sign < 0 else ():
        at = found.schema.get_field_index(name)
        found = found.set_column(at, name, pc.negate(found[name]) if kind in ("sum", "count") else found[name])
    return found


def _summable(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return exact numbers in a type that their sums fit."""
    return values.cast(pa.decimal128(38, values.type.scale if pa.types.is_decimal(values.type) else 0))


def _floor_divide(values: pa.Array, by: int) -> pa.Array:
    """Divide and round down; the quotient of Arrow is rounded towards zero."""
    quotient = pc.divide(values, by)
    is_over = pc.greater(pc.multiply(quotient, by), values)
    return pc.if_else(is_over, pc.subtract(quotient, 1), quotient)


def _differs_from_next(ordered: pa.Table, names: Sequence[str]) -> pa.ChunkedArray:
    """Return whether each row has another value than the next in one of the columns; true for the last row."""
    differs = None
    for name in names:
        values = ordered[name].combine_chunks()
        own = pc.not_equal(values.slice(0, len(values) - 1), values.slice(1))
        differs = own if differs is None else pc.or_(differs, own)
    return pa.chunked_array([differs, pa.array([True])])
