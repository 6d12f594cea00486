"""File statistics that never lose a row.

delta-rs writes decimal minima and maxima as JSON doubles: above 15 digits they are rounded, and
then a filter or a join skips the file that holds the row. Such columns get no statistics at all.
Floats are left out (NaN has no place in an order), as are booleans (Spark refuses tables that ask for them), long texts
and personal data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

MAX_EXACT_DECIMAL_DIGITS = 15
MAX_TEXT = 64


def indexed_columns(schema: pa.Schema, unindexed: Iterable[str] = ()) -> list[str]:
    """Return the columns that may carry statistics, in schema order."""
    excluded = set(unindexed)
    return [field.name for field in schema if field.name not in excluded and _may_carry(field.type)]


def _may_carry(type_: pa.DataType) -> bool:
    is_ = pa.types
    if is_.is_decimal(type_):
        return bool(type_.precision <= MAX_EXACT_DECIMAL_DIGITS)
    return bool(
        is_.is_integer(type_)
        or is_.is_date(type_)
        or is_.is_timestamp(type_)
        or is_.is_string(type_)
        or is_.is_large_string(type_)
    )


def file_statistics(metadata: pq.FileMetaData, columns: Sequence[str]) -> str:
    """
    Return Delta statistics (JSON) of a Parquet file from its footer.

    Moments are widened to whole milliseconds, the unit of the Delta protocol: the minimum down,
    the maximum up. A column whose footer lacks a bound in any row group gets none.
    """
    wanted = set(columns)
    lows: dict[str, Any] = {}
    highs: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    without: set[str] = set()
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for index in range(row_group.num_columns):
            chunk = row_group.column(index)
            name = chunk.path_in_schema
            statistics = chunk.statistics
            if name not in wanted or statistics is None or not statistics.has_null_count:
                continue
            nulls[name] = nulls.get(name, 0) + statistics.null_count
            if statistics.has_min_max:
                lows[name] = min(lows.get(name, statistics.min), statistics.min)
                highs[name] = max(highs.get(name, statistics.max), statistics.max)
            elif statistics.null_count < row_group.num_rows:
                without.add(name)
    bounded = [name for name in lows if name not in without and _is_short(lows[name]) and _is_short(highs[name])]
    return json.dumps(
        {
            "numRecords": metadata.num_rows,
            "minValues": {name: _to_json(lows[name], up=False) for name in bounded},
            "maxValues": {name: _to_json(highs[name], up=True) for name in bounded},
            "nullCount": nulls,
        }
    )


def _is_short(value: object) -> bool:
    return not isinstance(value, str) or len(value) <= MAX_TEXT


def _to_json(value: Any, *, up: bool) -> Any:
    if isinstance(value, datetime):
        return _milliseconds(value, up=up)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool | int | str):
        return value
    return float(value)  # decimals of at most 15 digits are exact enough as doubles


def _milliseconds(moment: datetime, *, up: bool) -> str:
    rest = timedelta(microseconds=moment.microsecond % 1000)
    with suppress(OverflowError):  # the last millisecond of year 9999 cannot be rounded up
        moment = moment - rest + (timedelta(milliseconds=1) if up and rest else timedelta(0))
    if moment.tzinfo is None:
        return moment.isoformat(sep=" ", timespec="milliseconds")
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
