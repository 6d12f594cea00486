"""Decodes messages to rows in the contract's types. Exact: no number passes through a float, no moment is cut unasked.

A column's `physicalName` says where its value is: a path in the message (`customer.id`), or `@topic`, `@partition`,
`@offset`, `@timestamp`, `@key` (as text), `@key.id` (a path in it), `@headers.name`; `@computed` is filled later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from ingestion.contracts.model import Column, Contract
from ingestion.contracts.streams import Encoding
from ingestion.sources.records import RECORDS
from ingestion.streams.formats import NO_MOMENT, SHAPE, Reader, check_calendar, is_beyond, reader_of
from ingestion.streams.formats.json import read_objects

_METADATA = {f"@{name}" for name in RECORDS.names}


@dataclass(frozen=True, slots=True)
class Decoded:
    """`rows` of the messages at `good`, and one text in `breaks` for each of those at `bad` (indices, ascending)."""

    rows: pa.RecordBatch
    good: pa.Array
    bad: pa.Array
    breaks: pa.Array


def decode(contract: Contract, encoding: Encoding, records: pa.RecordBatch, *, tombstones: bool = False) -> Decoded:
    """Decode messages. With `tombstones` only their keys and metadata: all other columns are null."""
    reader = reader_of(encoding)
    columns = [c for c in contract.columns if not tombstones or c.source_name.startswith("@")]
    parts: list[pa.Table] = []
    good: list[tuple[int, int]] = []
    bad: dict[int, str] = {}

    def take(first: int, count: int) -> None:
        """Decode a slice; where that fails halve it, so that one bad message of n costs about log n attempts."""
        piece = records.slice(first, count)
        try:
            parts.append(_typed(reader, columns, piece))
            good.append((first, count))
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeDecodeError):
            if count > 1:
                take(first, count // 2)
                take(first + count // 2, count - count // 2)
            else:
                bad[first] = _reason(reader, columns, piece)

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


def new_fields(contracts: Sequence[Contract], encoding: Encoding, value: bytes) -> set[str]:
    """Return the fields at the top of a message that no column reads. Raises ArrowInvalid for one that is none."""
    known = {column.source_name.split(".")[0] for contract in contracts for column in contract.columns}
    return reader_of(encoding).fields(value) - known


def _typed(reader: Reader, columns: Sequence[Column], records: pa.RecordBatch) -> pa.Table:
    check_calendar(records["timestamp"])
    own = [c for c in columns if not c.source_name.startswith("@")]
    values = reader.read(own, records["value"]) if own else {}
    keys = read_objects([c for c in columns if c.source_name.startswith("@key.")], records["key"], "@key.")
    in_headers = [c for c in columns if c.source_name.startswith("@headers.")]
    headers = read_objects(in_headers, records["headers"], "@headers.")
    arrays = {c.name: _metadata(c, records) for c in columns if c.source_name in _METADATA}
    table = pa.table(values | keys | headers | arrays)
    table.validate(full=True)  # texts that are no UTF-8
    return table


def _reason(reader: Reader, columns: Sequence[Column], record: pa.RecordBatch) -> str:
    """Return the break of one message: its shape, or the columns that cannot be read alone."""
    if is_beyond(record["timestamp"])[0].as_py():
        return NO_MOMENT
    value = record["value"][0].as_py()
    if value is not None and (found := reader.fault(value)):
        return found
    breaks = []
    for column in columns:
        try:
            _typed(reader, [column], record)
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeDecodeError):
            breaks.append(f"{column.name}:type")
    return "; ".join(breaks) or SHAPE


def _metadata(column: Column, records: pa.RecordBatch) -> pa.Array:
    values = records[column.source_name[1:]]
    if pa.types.is_binary(values.type):
        values = values.cast(pa.string())
    return values.cast(column.arrow_type)
