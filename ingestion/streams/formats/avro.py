"""Values in the binary form of Avro. Each is read whole by fastavro; what is left over behind one makes it no value."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import fastavro
import pyarrow as pa
from fastavro.read import SchemaResolutionError

from ingestion.contracts.model import Column
from ingestion.contracts.schemas.avro import DIGITS, parsed, wire_type
from ingestion.contracts.streams import Encoding
from ingestion.streams.formats import SHAPE, UNKNOWN_SCHEMA, as_column, fields_of, value_at

_UNREADABLE = (
    *(EOFError, ValueError, LookupError, ArithmeticError, TypeError, MemoryError, RecursionError),
    SchemaResolutionError,
)


class _UnknownSchemaError(pa.ArrowInvalid):  # type: ignore[misc]
    """A value names a schema that is not known."""


class AvroReader:
    """Implements `ingestion.streams.formats.Reader`."""

    def __init__(self, encoding: Encoding) -> None:
        self._schema = encoding.schema
        own = parsed(encoding.schema)
        writers = encoding.writers or ((b"", encoding.schema),)
        self._writers = {head: (parsed(s), own if s != encoding.schema else None) for head, s in writers}
        self._head = len(writers[0][0])

    def read(self, columns: Sequence[Column], values: pa.Array) -> dict[str, pa.Array]:
        paths = {column.name: tuple(column.source_name.split(".")) for column in columns}
        types = {path: wire_type(self._schema, path) for path in paths.values()}
        raw = {path: pa.binary() if pa.types.is_decimal(type_) else type_ for path, type_ in types.items()}
        try:
            found = pa.array([self._object(value) for value in values.to_pylist()], pa.struct(fields_of(raw)))
            found.validate(full=True)  # times beyond a day
            read = {path: value_at(found, path) for path in raw}
            read |= {path: _decimals(read[path], type_) for path, type_ in types.items() if type_ != raw[path]}
        except (OverflowError, ValueError):
            raise pa.ArrowInvalid("a value that its type does not hold") from None
        return {column.name: as_column(column, read[paths[column.name]]) for column in columns}

    def fault(self, value: bytes) -> str | None:
        try:
            self._object(value)
        except _UnknownSchemaError:
            return UNKNOWN_SCHEMA
        except pa.ArrowInvalid:
            return SHAPE
        return None

    def fields(self, value: bytes) -> set[str]:
        return {field["name"] for field in self._writer(value)[0]["fields"]}

    def _writer(self, value: bytes) -> tuple[Any, Any]:
        found = self._writers.get(value[: self._head])
        if found is None:
            raise _UnknownSchemaError("of another schema")
        return found

    def _object(self, value: bytes) -> Any:
        written, own = self._writer(value)
        rest = BytesIO(value)
        rest.seek(self._head)
        try:
            found = fastavro.schemaless_reader(rest, written, own)
        except _UNREADABLE as exc:
            raise pa.ArrowInvalid(type(exc).__name__) from None
        if rest.tell() != len(value):
            raise pa.ArrowInvalid("more than one value")
        return found


def _decimals(raw: pa.Array, type_: pa.DataType) -> pa.Array:
    """Return the numbers that big-endian bytes are."""
    whole = [None if each is None else int.from_bytes(each, signed=True) for each in raw.to_pylist()]
    numbers = pa.array(whole, pa.decimal256(DIGITS, 0))
    return pa.Array.from_buffers(type_, len(numbers), numbers.buffers())
