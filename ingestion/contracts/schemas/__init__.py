"""What schemas of messages say: the Arrow type of the value at a path, and which column types can hold it exactly."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import pyarrow as pa


class SchemaError(ValueError):
    """A schema is none, or has nothing at a path that a column can read; the message says what."""


def fits(read: pa.DataType, column: pa.DataType) -> bool:
    """Return whether values of a schema's type become values of a column's type, or an error, but never others."""
    is_ = pa.types
    holds: bool
    if is_.is_integer(read) or is_.is_decimal(read):
        holds = is_.is_integer(column) or is_.is_decimal(column)
    elif is_.is_floating(read):
        holds = is_.is_floating(column) and read.bit_width <= column.bit_width
    elif is_.is_timestamp(read):
        holds = is_.is_timestamp(column) and (read.tz is None) == (column.tz is None)
    elif is_.is_string(read):  # as in JSON
        holds = is_.is_string(column) or is_.is_decimal(column) or is_.is_timestamp(column) or is_.is_date(column)
    elif is_.is_date(read):
        holds = is_.is_date(column) or (is_.is_timestamp(column) and column.tz is None)
    elif is_.is_time(read):
        holds = is_.is_string(column)
    else:
        holds = read == column or (is_.is_fixed_size_binary(read) and is_.is_binary(column))
    return holds


def check(schema: bytes, type_: str) -> None:
    """Raise SchemaError unless it is a schema of records, or a set of descriptors with the message `type_`."""
    if type_:
        _protobuf().message_class(schema, type_)
    else:
        _avro().check(schema)


def wire_type(schema: bytes, type_: str, path: Sequence[str]) -> pa.DataType:
    """Return the type of the values at a path of fields. Raises SchemaError."""
    return _protobuf().wire_type(schema, type_, path) if type_ else _avro().wire_type(schema, path)


def _avro() -> ModuleType:
    from ingestion.contracts.schemas import avro  # noqa: PLC0415 - needs a package that few projects have

    return avro


def _protobuf() -> ModuleType:
    from ingestion.contracts.schemas import protobuf  # noqa: PLC0415 - as in `_avro`

    return protobuf
