"""Values in the binary form of Protobuf. Each is read whole by its library, and then column by column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter, methodcaller
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from ingestion.contracts.model import Column
from ingestion.contracts.schemas.protobuf import MOMENT, fields_at, message_class, wire_type
from ingestion.contracts.streams import Encoding, Framing
from ingestion.streams.formats import SHAPE, UNKNOWN_SCHEMA, as_column

_ID = 5
"""Bytes of the id of a schema, with the zero before it."""


class ProtobufReader:
    """Implements `ingestion.streams.formats.Reader`."""

    def __init__(self, encoding: Encoding) -> None:
        self._schema, self._type = encoding.schema, encoding.type
        self._class = message_class(encoding.schema, encoding.type)
        self._heads = _places(self._class.DESCRIPTOR) if encoding.framing is Framing.CONFLUENT else ()

    def read(self, columns: Sequence[Column], values: pa.Array) -> dict[str, pa.Array]:
        messages = [self._message(value) for value in values.to_pylist()]
        return {column.name: self._column(column, messages) for column in columns}

    def fault(self, value: bytes) -> str | None:
        try:
            self._message(value)
        except pa.ArrowInvalid as exc:
            return UNKNOWN_SCHEMA if exc.args[0] == UNKNOWN_SCHEMA else SHAPE
        return None

    def fields(self, value: bytes) -> set[str]:
        message = self._message(value)
        return {field.name for field, _ in message.ListFields()} | {
            f"#{field.field_number}" for field in UnknownFieldSet(message)
        }

    def _message(self, value: bytes) -> Any:
        """Read a value. In a registry's framing it begins with the id of a schema, which is not needed, and a place."""
        if self._heads:
            head = next((head for head in self._heads if value.startswith(head, _ID)), None)
            if head is None or value[:1] != b"\0":
                raise pa.ArrowInvalid(UNKNOWN_SCHEMA)
            value = value[_ID + len(head) :]
        try:
            return self._class.FromString(value)
        except DecodeError:
            raise pa.ArrowInvalid(SHAPE) from None

    def _column(self, column: Column, messages: Sequence[Any]) -> pa.Array:
        names = column.source_name.split(".")
        fields, path = fields_at(self._schema, self._type, names), ".".join(names)
        type_ = wire_type(self._schema, self._type, names)
        if fields[-1].enum_type is not None:
            values = _names(fields[-1].enum_type, _all(path, messages, pa.int32()))
        elif fields[-1].message_type is not None and fields[-1].message_type.full_name == MOMENT:
            values = _moments(
                _all(f"{path}.seconds", messages, pa.int64()), _all(f"{path}.nanos", messages, pa.int64()), column
            )
        else:
            values = _all(path, messages, type_)
        for depth, field in enumerate(fields):
            if field.has_presence:
                above = list(map(attrgetter(".".join(names[:depth])), messages)) if depth else messages
                if field.enum_type is not None and field.enum_type.is_closed and any(map(_hides(field), above)):
                    raise pa.ArrowInvalid("a number without a name")
                is_there = pa.array(list(map(methodcaller("HasField", field.name), above)), pa.bool_())
                values = pc.if_else(is_there, values, pa.scalar(None, values.type))
        return as_column(column, values)


def _hides(field: Any) -> Callable[[Any], bool]:
    """Return whether a message has a number of a closed enum that its descriptor does not: it reads as not set."""
    return lambda message: any(each.field_number == field.number for each in UnknownFieldSet(message))


def _all(path: str, messages: Sequence[Any], type_: pa.DataType) -> pa.Array:
    return pa.array(list(map(attrgetter(path), messages)), type_)


def _names(enum: Any, numbers: pa.Array) -> pa.Array:
    """Return the names of an enum's numbers; one that its descriptor does not have is an error."""
    known = enum.values_by_number
    places = pc.index_in(numbers, value_set=pa.array([*known], pa.int32()))
    if places.null_count:
        raise pa.ArrowInvalid("a number without a name")
    return pa.array([value.name for value in known.values()], pa.string()).take(places)


def _moments(seconds: pa.Array, nanos: pa.Array, column: Column) -> pa.Array:
    if pc.any(pc.or_(pc.less(nanos, 0), pc.greater_equal(nanos, 1_000_000_000))).as_py():
        raise pa.ArrowInvalid("no moment")
    micros = pc.divide(nanos, 1000)
    if not column.truncate and not pc.all(pc.equal(pc.multiply(micros, 1000), nanos)).as_py():
        raise pa.ArrowInvalid("a moment of more than six fractional digits")
    return pc.add_checked(pc.multiply_checked(seconds, 1_000_000), micros).cast(pa.timestamp("us", "UTC"))


def _places(message: Any) -> tuple[bytes, ...]:
    """Return how the place of a message in its file is written before a value: the first one in two ways."""
    path: list[int] = []
    at = message
    while at is not None:
        siblings = at.containing_type.nested_types if at.containing_type else at.file.message_types_by_name.values()
        path.insert(0, [each.full_name for each in siblings].index(at.full_name))
        at = at.containing_type
    long = b"".join(map(_zigzag, [len(path), *path]))
    return (long, b"\0") if path == [0] else (long,)


def _zigzag(number: int) -> bytes:
    number, out = number * 2, bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
