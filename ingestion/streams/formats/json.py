"""Values that are one object of JSON. Exact: no number passes through a float."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from ingestion.contracts.model import Column
from ingestion.streams.formats import SHAPE, as_column, fields_of, value_at

_DIGITS_BEYOND = 8  # fraction digits read beyond a number's scale: trailing zeros are no loss, the cast refuses others


class JsonReader:
    """Implements `ingestion.streams.formats.Reader`."""

    def read(self, columns: Sequence[Column], values: pa.Array) -> dict[str, pa.Array]:
        return read_objects(columns, values, "")

    def fault(self, value: bytes) -> str | None:
        try:
            _read_json(pa.array([value]), pa.schema([]), "ignore")
        except pa.ArrowInvalid:
            return SHAPE
        return None

    def fields(self, value: bytes) -> set[str]:
        return {*_read_json(pa.array([value]), pa.schema([]), "infer").schema.names}


def read_objects(columns: Sequence[Column], texts: pa.Array, prefix: str) -> dict[str, pa.Array]:
    """Return the values at the columns' paths in texts of JSON objects; null where a text or a part of it is."""
    if not columns:
        return {}
    paths = {column.name: tuple(column.source_name.removeprefix(prefix).split(".")) for column in columns}
    schema = pa.schema(fields_of({paths[column.name]: _parsed_type(column.arrow_type) for column in columns}))
    found = _read_json(pc.fill_null(texts.cast(pa.binary()), b"{}"), schema, "ignore")
    arrays = {}
    for column in columns:
        first, *rest = paths[column.name]
        arrays[column.name] = as_column(column, value_at(found[first].combine_chunks(), rest))
    return arrays


def _read_json(texts: pa.Array, schema: pa.Schema, others: str) -> pa.Table:
    """
    Parse one object per text. Raises ArrowInvalid.

    Each text begins with { and ends with }, so one that is not complete in itself makes the line after it an error,
    and one of several objects makes the count differ.
    """
    is_plain = pc.and_(pc.starts_with(texts, b"{"), pc.ends_with(texts, b"}"))  # the usual case, at a 30th of the cost
    if not pc.all(is_plain).as_py() and not pc.all(pc.match_substring_regex(texts, r"(?s)^\s*\{.*\}\s*$")).as_py():
        raise pa.ArrowInvalid("no object")
    lines = pc.binary_join(pa.ListArray.from_arrays([0, len(texts)], texts), b"\n")[0].as_buffer()
    found = pj.read_json(
        pa.BufferReader(lines),
        pj.ReadOptions(use_threads=False, block_size=lines.size + 1),
        pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior=others),
    )
    if found.num_rows != len(texts):
        raise pa.ArrowInvalid("several objects")
    return found


def _parsed_type(type_: pa.DataType) -> pa.DataType:
    """Return the type that the parser reads: it knows days, moments and bytes less exactly than the casts do."""
    if pa.types.is_decimal(type_):
        return pa.decimal128(38, min(type_.scale + _DIGITS_BEYOND, 38 - (type_.precision - type_.scale)))
    return pa.string() if pa.types.is_temporal(type_) or pa.types.is_binary(type_) else type_
