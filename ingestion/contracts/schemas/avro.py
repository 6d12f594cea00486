"""Schemas of Avro. The only module that imports fastavro, beside the one that decodes with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import fastavro
import pyarrow as pa
from fastavro.schema import SchemaParseException, UnknownType, expand_schema, fingerprint, to_parsing_canonical_form

from ingestion.contracts.schemas import SchemaError

_TYPES = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
    "enum": pa.string(),
}
_LOGICAL = {
    ("int", "date"): pa.date32(),
    ("int", "time-millis"): pa.time32("ms"),
    ("long", "time-micros"): pa.time64("us"),
    **{
        ("long", f"timestamp-{unit}s"): pa.timestamp(short, "UTC") for unit, short in (("milli", "ms"), ("micro", "us"))
    },
    ("long", "timestamp-nanos"): pa.timestamp("ns", "UTC"),
    ("long", "local-timestamp-millis"): pa.timestamp("ms"),
    ("long", "local-timestamp-micros"): pa.timestamp("us"),
    ("long", "local-timestamp-nanos"): pa.timestamp("ns"),
}
DIGITS = 76
"""Of Arrow's widest number, which holds a decimal of the wire: its bytes may have more digits than its precision."""


class _NoFieldError(SchemaError):
    """A schema has no field at a path."""


@lru_cache(maxsize=64)
def parsed(schema: bytes) -> Any:
    """Return a schema for the reader, without logical types: its values are those of the wire. Raises SchemaError."""
    try:
        return fastavro.parse_schema(_without_logical(json.loads(schema)))
    except (ValueError, SchemaParseException, UnknownType, TypeError, KeyError, AttributeError) as exc:
        raise SchemaError(f"is no schema of Avro ({type(exc).__name__})") from None


def check(schema: bytes) -> None:
    """Raise SchemaError unless it is a schema of records."""
    found = parsed(schema)
    if not isinstance(found, dict) or found["type"] != "record":
        raise SchemaError("is no schema of a record")


@lru_cache(maxsize=64)
def fingerprint_of(schema: bytes) -> bytes:
    """Return the eight bytes by which a single object names its schema."""
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(json.loads(schema)), "CRC-64-AVRO"))


def wire_type(schema: bytes, path: Sequence[str]) -> pa.DataType:
    """Return the Arrow type of the values at a path of fields. Raises SchemaError."""
    fields = _fields(schema, [(step,) for step in path])
    found = _type(fields[-1]["type"], ".".join(path))
    if _is_raw(found) and not all(str(field.get("default", "")).isascii() for field in fields):
        raise SchemaError(f"{'.'.join(path)} has a default that is no ASCII, which is not read exactly; remove it")
    return found


def agree(schema: bytes, written: bytes, path: Sequence[str]) -> None:
    """
    Raise SchemaError if values at a path that are written by another schema would be other ones by this schema.

    The reader resolves whole numbers, texts and the like; it does not compare units of moments or scales of decimals.
    """
    names = [(field["name"], *field.get("aliases", ())) for field in _fields(schema, [(step,) for step in path])]
    try:
        theirs = _type(_fields(written, names)[-1]["type"], ".".join(path))
    except _NoFieldError:  # its default
        return
    own = wire_type(schema, path)
    of = pa.types
    if own == theirs or any(all(map(is_, (own, theirs))) for is_ in (of.is_integer, of.is_floating, _is_text)):
        return
    raise SchemaError(f"{'.'.join(path)} is {theirs} there and {own} in the schema of the columns; write them alike")


def _fields(schema: bytes, path: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Return the fields of a path, of whose steps each has one name of several."""
    check(schema)
    at, found = expand_schema(json.loads(schema)), list[dict[str, Any]]()
    for names in path:
        at, above = _value(at), ".".join(field["name"] for field in found)
        if at["type"] not in ("record", "error"):
            raise SchemaError(f"{above or 'the schema'} is {at['type']}, not a record")
        fields = {field["name"]: field for field in at["fields"]}
        name = next(filter(fields.__contains__, names), None)
        if name is None:
            missing = ".".join(filter(None, (above, names[0])))
            raise _NoFieldError(f"{missing}: no such field; known are {', '.join(sorted(fields))}")
        found.append(fields[name])
        at = found[-1]["type"]
    return found


def _type(schema: Any, path: str) -> pa.DataType:
    schema = _value(schema)
    kind, logical = str(schema["type"]), str(schema.get("logicalType"))
    if logical == "decimal" and kind in ("bytes", "fixed"):
        scale = schema.get("scale", 0)
        if not isinstance(scale, int) or not 0 <= scale <= DIGITS:
            raise SchemaError(f"{path} is a decimal of scale {scale}; columns have a scale of at most 38")
        return pa.decimal256(DIGITS, scale)
    if kind == "fixed":
        return pa.binary(schema["size"])
    found = _LOGICAL.get((kind, logical), _TYPES.get(kind))
    if found is None:
        raise SchemaError(f"{path} is of type {kind}; a column reads a single value")
    return found


def _is_raw(type_: pa.DataType) -> bool:
    is_ = pa.types
    return bool(is_.is_decimal(type_) or is_.is_binary(type_) or is_.is_fixed_size_binary(type_))


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_binary(type_))


def _value(schema: Any) -> dict[str, Any]:
    """Return what a schema is beside null."""
    if isinstance(schema, list):
        others = [each for each in schema if each != "null"]
        if len(others) != 1:
            raise SchemaError("is a union of several types; a column reads one type, or null")
        schema = others[0]
    while isinstance(schema, dict) and not isinstance(schema["type"], str):
        schema = schema["type"]
        if isinstance(schema, list):
            return _value(schema)
    return schema if isinstance(schema, dict) else {"type": schema}


def _without_logical(schema: Any) -> Any:
    """The reader's own types know neither nanoseconds nor all years, and round decimals to their precision."""
    if isinstance(schema, list):
        return [_without_logical(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_logical(value) if key in ("type", "fields", "items", "values") else value
        for key, value in schema.items()
        if key != "logicalType"
    }
