"""
File statistics that never lose a row.

A reader skips a file by its bounds, so DuckDB, delta-rs, pyarrow and Spark must all read each bound as the same value.
A column that the table's properties name must have bounds in all files or in none: for a single file without them,
delta-rs reports to pyarrow that it holds nothing.

- Texts are written without escapes, because arrow's JSON reader (delta-rs, DuckDB's delta extension) decodes the
  surrogate pair of U+20BB7 as U+10BB7. Long texts are shortened; the maximum is rounded up.
- Decimals are doubles in JSON. Above 15 digits they are rounded; with more than 4 digits after the point they may
  be written with an exponent (1e-05), which delta-rs does not read as a decimal. Such columns get no statistics.
- Floats get no statistics, because readers order NaN differently.

Booleans are left out (Spark refuses tables that request them), as is personal data. Spark's and delta-rs's own writers
use the same columns, because the table's properties name them.
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
MAX_DECIMAL_SCALE = 4
MAX_TEXT = 64
LAST_CHARACTER = "\U0010ffff"
ANY_TEXT = ("", LAST_CHARACTER * MAX_TEXT)
"""Bounds for texts so long that the footer has none: before and after all valid texts."""


def indexed_columns(schema: pa.Schema, unindexed: Iterable[str] = ()) -> list[str]:
    """Return the columns that may carry statistics, in schema order."""
    excluded = set(unindexed)
    return [field.name for field in schema if field.name not in excluded and _may_carry(field.type)]


def _may_carry(type_: pa.DataType) -> bool:
    is_ = pa.types
    if is_.is_decimal(type_):
        return bool(type_.precision <= MAX_EXACT_DECIMAL_DIGITS and type_.scale <= MAX_DECIMAL_SCALE)
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

    Moments are widened to whole milliseconds, the unit of the Delta protocol, and texts to 64 characters: the minimum
    down, the maximum up. A column gets no bounds if the footer lacks one in any row group, or has a day outside the
    years 1 to 9999.
    """
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks: dict[str, list[Any]] = {name: [] for name in columns}
    for group in groups:
        for index in range(group.num_columns):
            chunk = group.column(index)
            if chunk.path_in_schema in chunks:
                chunks[chunk.path_in_schema].append(chunk.statistics)
    rows = [group.num_rows for group in groups]
    known = {name: found for name, found in chunks.items() if found and all(s and s.has_null_count for s in found)}
    bounds = {name: bound for name, found in known.items() if (bound := _bounds(found, rows))}
    return json.dumps(
        {
            "numRecords": metadata.num_rows,
            "minValues": {name: _to_json(low, up=False) for name, (low, _) in bounds.items()},
            "maxValues": {name: _to_json(high, up=True) for name, (_, high) in bounds.items()},
            "nullCount": {name: sum(s.null_count for s in found) for name, found in known.items()},
        },
        ensure_ascii=False,
    )


def _bounds(chunks: Sequence[Any], rows: Sequence[int]) -> tuple[Any, Any] | None:
    """Return the minimum and maximum of a column's chunks; None if they are not known."""
    filled = [s for s, count in zip(chunks, rows, strict=True) if s.null_count < count]
    if not filled:
        return None
    if not all(s.has_min_max for s in filled):
        return ANY_TEXT if filled[0].physical_type == "BYTE_ARRAY" else None
    with suppress(OverflowError):  # Python has no such day
        return min(s.min for s in filled), max(s.max for s in filled)
    return None


def _to_json(value: Any, *, up: bool) -> Any:
    if isinstance(value, datetime):
        return _milliseconds(value, up=up)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return _cut_upwards(value) if up else value[:MAX_TEXT]
    if isinstance(value, int):
        return value
    return float(value)  # a decimal; see above


def _cut_upwards(text: str) -> str:
    """Return the text, or a shorter one that sorts after it and after all texts with the same beginning."""
    start = text[:MAX_TEXT].rstrip(LAST_CHARACTER)
    if len(text) <= MAX_TEXT or not start:
        return text
    last = ord(start[-1]) + 1
    return start[:-1] + chr(0xE000 if last == 0xD800 else last)  # the surrogate range has no characters


def _milliseconds(moment: datetime, *, up: bool) -> str:
    rest = timedelta(microseconds=moment.microsecond % 1000)
    with suppress(OverflowError):  # the last millisecond of year 9999 cannot be rounded up
        moment = moment - rest + (timedelta(milliseconds=1) if up and rest else timedelta(0))
    if moment.tzinfo is None:
        return moment.isoformat(sep=" ", timespec="milliseconds")
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
