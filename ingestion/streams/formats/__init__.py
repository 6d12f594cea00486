"""Reads the values of messages into columns, by the format in which they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts.model import Column
from ingestion.contracts.streams import Encoding, Format

SHAPE = "(message):decode"
"""What a message breaks that is not written in its format; in JSON also one that is no object or holds a key twice."""
NO_MOMENT = "(message):timestamp"
"""What a message breaks whose own timestamp is outside of the calendar."""
UNKNOWN_SCHEMA = "(message):schema"
"""What a message breaks that names a schema which the contract does not have."""
_CALENDAR = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)  # pc.year counts in 16 bits


class Reader(Protocol):
    """Reads values of one encoding. Raises ArrowInvalid for values of which one cannot be read."""

    def read(self, columns: Sequence[Column], values: pa.Array) -> dict[str, pa.Array]:
        """Return the values at the columns' paths, in the columns' types."""
        ...

    def fault(self, value: bytes) -> str | None:
        """Return what a value breaks as a whole, whatever is read of it."""
        ...

    def fields(self, value: bytes) -> set[str]:
        """Return the names of the fields at the top of a value."""
        ...


@lru_cache(maxsize=16)
def reader_of(encoding: Encoding) -> Reader:
    if encoding.format is Format.AVRO:
        from ingestion.streams.formats.avro import AvroReader  # noqa: PLC0415 - each needs a package of its own

        return AvroReader(encoding)
    if encoding.format is Format.PROTOBUF:
        from ingestion.streams.formats.protobuf import ProtobufReader  # noqa: PLC0415

        return ProtobufReader(encoding)
    from ingestion.streams.formats.json import JsonReader  # noqa: PLC0415 - it imports this module

    return JsonReader()


def fields_of(types: Mapping[tuple[str, ...], pa.DataType]) -> list[pa.Field]:
    """Return fields that hold values of these types at these paths."""
    tree: dict[str, dict[tuple[str, ...], pa.DataType]] = {}
    for (first, *rest), type_ in types.items():
        tree.setdefault(first, {})[tuple(rest)] = type_
    return [pa.field(name, below[()] if () in below else pa.struct(fields_of(below))) for name, below in tree.items()]


def value_at(values: pa.Array, path: Sequence[str]) -> pa.Array:
    """Return the values at a path below structs; null where a part of it is."""
    for step in path:
        values = pc.struct_field(values, step)
    return values


def as_column(column: Column, values: pa.Array) -> pa.Array:
    """Return values in a column's type. Raises ArrowInvalid for one that it does not hold exactly."""
    if column.truncate and pa.types.is_string(values.type):
        values = pc.replace_substring_regex(values, r"([.]\d{6})\d+", r"\1")
    elif column.truncate and pa.types.is_timestamp(values.type):
        values = pc.floor_temporal(values, unit="microsecond")
    if pa.types.is_integer(values.type) and pa.types.is_decimal(column.arrow_type):
        values = values.cast(pa.decimal128(20, 0))  # holds all of them; Arrow judges the type else, not the values
    values = values if values.type == column.arrow_type else values.cast(column.arrow_type)
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        check_calendar(values)
    return values


def check_calendar(moments: pa.Array) -> None:
    """Raise ArrowInvalid for a moment outside of the years 1 to 9999, which targets and their drivers do not have."""
    ends = pc.min_max(moments)
    if pc.any(is_beyond(pa.array([ends["min"], ends["max"]], moments.type))).as_py():
        raise pa.ArrowInvalid("a moment of a year that targets do not have")


def is_beyond(moments: pa.Array) -> pa.Array:
    """Return which moments are outside of the years 1 to 9999; null for null."""
    first, last = (pa.scalar(end, moments.type) for end in _CALENDAR)
    return pc.or_(pc.less(moments, first), pc.greater(moments, last))
