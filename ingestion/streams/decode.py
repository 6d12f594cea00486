"""Decodes messages to rows in the contract's types. Exact: no number passes through a float, no moment is cut unasked.

A column's `physicalName` says where its value is: a path in the message (`customer.id`), or `@topic`, `@partition`,
`@offset`, `@timestamp`, `@key` (as text), `@key.id` (a path in it), `@headers.name`; `@computed` is filled later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from ingestion.contracts.model import Column, Contract
from ingestion.sources.records import RECORDS

SHAPE = "(message):decode"
"""What a message breaks that is no object of JSON, or holds a key twice."""
_METADATA = {f"@{name}" for name in RECORDS.names}
_DIGITS_BEYOND = 8  # fraction digits read beyond a number's scale: trailing zeros are no loss, the cast refuses others


@dataclass(frozen=True, slots=True)
class Decoded:
    """`rows` of the messages at `good`, and one text in `breaks` for each of those at `bad` (indices, ascending)."""

    rows: pa.RecordBatch
    good: pa.Array
    bad: pa.Array
    breaks: pa.Array


def decode(contract: Contract, records: pa.RecordBatch, *, tombstones: bool = False) -> Decoded:
    """Decode messages. With `tombstones` only their keys and metadata: all other columns are null."""
    columns = [c for c in contract.columns if not tombstones or c.source_name.startswith("@")]
    parts: list[pa.Table] = []
    good: list[tuple[int, int]] = []
    bad: dict[int, str] = {}

    def take(first: int, count: int) -> None:
        """Decode a slice; where that fails halve it, so that one bad message of n costs about log n attempts."""
        piece = records.slice(first, count)
        try:
            parts.append(_typed(columns, piece))
            good.append((first, count))
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeDecodeError):
            if count > 1:
                take(first, count // 2)
                take(first + count // 2, count - count // 2)
            else:
                bad[first] = _reason(columns, piece)

    if records.num_rows:
        take(0, records.num_rows)
    rows = pa.concat_tables(parts) if parts else pa.table([])
    lacking = {
        f.name: pa.nulls(rows.num_rows, f.type) for f in contract.arrow_schema if f.name not in rows.schema.names
    }
    arrays = [lacking[f.name] if f.name in lacking else rows[f.name].combine_chunks() for f in contract.arrow_schema]
    indices = [pa.arange(first, first + count) for first, count in good]
    return Decoded(
        pa.RecordBatch.from_arrays(arrays, schema=contract.arrow_schema),
        pa.concat_arrays(indices) if indices else pa.array([], pa.int64()),
        pa.array(bad.keys(), pa.int64()),
        pa.array(bad.values(), pa.string()),
    )


def new_fields(contracts: Sequence[Contract], value: bytes) -> set[str]:
    """Return the fields at the top of a message that no column reads. Raises ArrowInvalid for one that is no object."""
    known = {column.source_name.split(".")[0] for contract in contracts for column in contract.columns}
    return {*_read_json(pa.array([value]), pa.schema([]), "infer").schema.names} - known


def _typed(columns: Sequence[Column], records: pa.RecordBatch) -> pa.Table:
    values = _objects([c for c in columns if not c.source_name.startswith("@")], records["value"], "")
    keys = _objects([c for c in columns if c.source_name.startswith("@key.")], records["key"], "@key.")
    headers = _objects([c for c in columns if c.source_name.startswith("@headers.")], records["headers"], "@headers.")
    arrays = {c.name: _metadata(c, records) for c in columns if c.source_name in _METADATA}
    table = pa.table(values | keys | headers | arrays)
    table.validate(full=True)  # texts that are no UTF-8
    return table


def _reason(columns: Sequence[Column], record: pa.RecordBatch) -> str:
    """Return the break of one message: its shape, or the columns that cannot be read alone."""
    try:
        _read_json(pc.fill_null(record["value"], b"{}"), pa.schema([]), "ignore")
    except pa.ArrowInvalid:
        return SHAPE
    breaks = []
    for column in columns:
        try:
            _typed([column], record)
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeDecodeError):
            breaks.append(f"{column.name}:type")
    return "; ".join(breaks) or SHAPE


def _metadata(column: Column, records: pa.RecordBatch) -> pa.Array:
    values = records[column.source_name[1:]]
    if pa.types.is_binary(values.type):
        values = values.cast(pa.string())
    return values.cast(column.arrow_type)


def _objects(columns: Sequence[Column], texts: pa.Array, prefix: str) -> dict[str, pa.Array]:
    """Return the values at the columns' paths in texts of JSON objects; null where a text or a part of it is."""
    if not columns:
        return {}
    tree: dict[str, object] = {}
    paths = {column.name: column.source_name.removeprefix(prefix).split(".") for column in columns}
    for column in columns:
        *above, last = paths[column.name]
        branch = tree
        for step in above:
            branch = branch.setdefault(step, {})  # type: ignore[assignment]
        branch[last] = _parsed_type(column.arrow_type)
    found = _read_json(pc.fill_null(texts.cast(pa.binary()), b"{}"), pa.schema(_fields(tree)), "ignore")
    arrays = {}
    for column in columns:
        first, *rest = paths[column.name]
        values = found[first].combine_chunks()
        for step in rest:
            values = pc.struct_field(values, step)
        arrays[column.name] = _cast(column, values)
    return arrays


def _read_json(texts: pa.Array, schema: pa.Schema, others: str) -> pa.Table:
    """
    Parse one object per text. Raises ArrowInvalid.

    Each text begins with { and ends with }, so one that is not complete in itself makes the line after it an error,
    and one of several objects makes the count differ.
    """
    if not pc.all(pc.match_substring_regex(texts, r"(?s)^\s*\{.*\}\s*$")).as_py():
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


def _fields(tree: dict[str, object]) -> list[pa.Field]:
    return [
        pa.field(name, pa.struct(_fields(below)) if isinstance(below, dict) else below) for name, below in tree.items()
    ]


def _parsed_type(type_: pa.DataType) -> pa.DataType:
    """Return the type that the parser reads: it knows days, moments and bytes less exactly than the casts do."""
    if pa.types.is_decimal(type_):
        return pa.decimal128(38, min(type_.scale + _DIGITS_BEYOND, 38 - (type_.precision - type_.scale)))
    return pa.string() if pa.types.is_temporal(type_) or pa.types.is_binary(type_) else type_


def _cast(column: Column, values: pa.Array) -> pa.Array:
    if column.truncate:
        values = pc.replace_substring_regex(values, r"([.]\d{6})\d+", r"\1")
    return values if values.type == column.arrow_type else values.cast(column.arrow_type)
