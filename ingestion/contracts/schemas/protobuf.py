"""Sets of descriptors of Protobuf. The only module that imports its library, beside the one that decodes with it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from ingestion.contracts.schemas import SchemaError

MOMENT = "google.protobuf.Timestamp"
_TYPES = {  # by the cpp_type of a field
    1: pa.int32(),
    2: pa.int64(),
    3: pa.uint32(),
    4: pa.uint64(),
    5: pa.float64(),
    6: pa.float32(),
    7: pa.bool_(),
    8: pa.string(),  # an enum: its name
    9: pa.string(),
}
_BYTES = 12  # the type of a field of bytes, whose cpp_type is that of texts


@lru_cache(maxsize=64)
def message_class(schema: bytes, type_: str) -> Any:
    """Return the class of a message by a set of descriptors, and by its full name. Raises SchemaError."""
    pool = descriptor_pool.DescriptorPool()
    try:
        files = descriptor_pb2.FileDescriptorSet.FromString(schema).file
        for file in files:
            pool.Add(file)
        known = [f"{file.package}.{each.name}".lstrip(".") for file in files for each in file.message_type]
        found = pool.FindMessageTypeByName(type_)
    except KeyError:
        near = difflib.get_close_matches(type_, known, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else f"; known are {', '.join(known) or 'none'}"
        raise SchemaError(f"has no message {type_}{hint}") from None
    except (DecodeError, TypeError):
        raise SchemaError(
            "is no whole set of descriptors; write it by: protoc --include_imports --descriptor_set_out"
        ) from None
    return message_factory.GetMessageClass(found)


def fields_at(schema: bytes, type_: str, path: Sequence[str]) -> list[Any]:
    """Return the descriptors of the fields of a path. Raises SchemaError."""
    at, found = message_class(schema, type_).DESCRIPTOR, list[Any]()
    for step in path:
        if at is None:
            raise SchemaError(f"{'.'.join(path)}: {found[-1].name} is a single value and has no fields")
        if step not in at.fields_by_name:
            known = ", ".join(sorted(at.fields_by_name.keys()))
            raise SchemaError(f"{'.'.join(path)}: no such field; known are {known or 'none'}")
        found.append(at.fields_by_name[step])
        at = found[-1].message_type
        if found[-1].is_repeated:
            raise SchemaError(f"{'.'.join(path)}: {step} is repeated; a column reads a single value")
    return found


def wire_type(schema: bytes, type_: str, path: Sequence[str]) -> pa.DataType:
    """Return the Arrow type of the values at a path of fields. Raises SchemaError."""
    last = fields_at(schema, type_, path)[-1]
    if last.message_type is not None:
        if last.message_type.full_name == MOMENT:
            return pa.timestamp("ns", "UTC")
        raise SchemaError(f"{'.'.join(path)} is a message; name one of its fields")
    return pa.binary() if last.type == _BYTES else _TYPES[last.cpp_type]
