"""Reads open quarantine rows back in the form that a source delivers, so that they can be validated again."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from ingestion.contracts.model import Column, Contract
from ingestion.contracts.projection import RAW_PREFIX
from ingestion.contracts.types import duckdb_type
from ingestion.contracts.window import FixedPoint
from ingestion.lake import duck
from ingestion.sql.quoting import quote_standard as quote

OPEN = "q._replayed_in is null and q._settled_in is null"
"""SQL condition on a quarantine row `q`: the source still had it when it was last read."""
_REPLAYABLE = (
    # duplicate keys and future watermarks can only be settled by reading the source again
    f"{OPEN} and not contains(q._breaks, ':duplicate_key') and not contains(q._breaks, ':future_watermark')"
)
_POSITION = pa.schema([("_batch", pa.int64()), ("_row", pa.int64())])


def open_batches(connection: duck.Connection) -> list[FixedPoint]:
    """Return the fixed points of batches with replayable rows, oldest first; `value` is the batch."""
    rows = connection.execute(
        "select _batch, coalesce(min(_found_at), min(_ingested_at)) as at, min(_seq) from quarantine q "
        f"where {_REPLAYABLE} group by 1 order by 1"
    ).fetchall()
    return [FixedPoint("quarantine", str(batch), at, int(sequence or 0)) for batch, at, sequence in rows]


def open_rows(
    connection: duck.Connection, contract: Contract, point: FixedPoint
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Yield one batch's open rows in the form that a source delivers, each with its `_batch` and `_row`."""
    values = [f"{typed(c)} as {quote(c.name)}" for c in contract.columns]
    raw = [
        f"case when {name} is not null and not coalesce({_fits(c, name)}, false) then {name} end "
        f"as {quote(RAW_PREFIX + c.name)}"
        for c in contract.columns
        for name in (quote(c.name),)
    ]
    reader = connection.execute(
        f"select {', '.join([*values, *raw])}, _batch, _row from quarantine q "
        f"where {_REPLAYABLE} and _batch = ? order by _row",
        [int(point.value)],
    ).to_arrow_reader(16 * 1024)
    schema = pa.schema([*contract.arrow_schema, *((RAW_PREFIX + c.name, pa.string()) for c in contract.columns)])
    for batch in reader:
        yield batch.select(schema.names).cast(schema), batch.select(_POSITION.names).cast(_POSITION)


def typed(column: Column, of: str = "") -> str:
    """Return a quarantined text (column of the relation `of`) in the column's type; null if it does not fit exactly."""
    text = f"{of}.{quote(column.name)}" if of else quote(column.name)
    return f"case when {_fits(column, text)} then {_typed(column, text)} end"


def _typed(column: Column, text: str) -> str:
    if pa.types.is_binary(column.arrow_type):
        return f"try(unhex({text}))"
    return f"try_cast({text} as {duckdb_type(column.arrow_type)})"


def _fits(column: Column, text: str) -> str:
    """Return a condition that is true where the text is exactly a value of the type."""
    type_ = column.arrow_type
    fits = f"{_typed(column, text)} is not null"
    if pa.types.is_integer(type_) or pa.types.is_decimal(type_):  # a cast would round a number with too many digits
        scale = type_.scale if pa.types.is_decimal(type_) else 0
        fits += f" and length(rtrim(split_part({text}, '.', 2), '0')) <= {scale}"
        fits += f" and not contains(lower({text}), 'e')"
    elif pa.types.is_date(type_):  # a cast would drop the time of day
        fits += f" and cast({_typed(column, text)} as timestamp) = try_cast({text} as timestamp)"
    elif pa.types.is_timestamp(type_):  # a cast would drop a seventh digit, and confuse wall clock and UTC offset
        has_offset = f"regexp_matches({text}, ':[0-9]{{2}}([.][0-9]+)? *(Z|[+-][0-9:]+)$')"
        fits += f" and length(rtrim(regexp_extract({text}, '[.]([0-9]+)', 1), '0')) <= 6"
        fits += f" and {'not ' if type_.tz is None else ''}{has_offset}"
    return f"({fits})"
