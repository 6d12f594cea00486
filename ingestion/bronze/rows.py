"""The Bronze and quarantine rows of a batch: schemas, and the metadata columns beside the source's columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts.model import BronzeMode, Contract
from ingestion.contracts.projection import RAW_PREFIX
from ingestion.contracts.types import INSTANT, WALL_CLOCK

METADATA = pa.schema(
    [
        ("_op", pa.string()),
        ("_eff", INSTANT),
        ("_seq", pa.int64()),
        ("_batch", pa.int64()),
        ("_row", pa.int64()),
        ("_source_system", pa.string()),
        ("_ingested_at", INSTANT),
        ("_contract_version", pa.string()),
    ]
)
QUARANTINE_METADATA = pa.schema(
    [
        ("_breaks", pa.string()),
        ("_eff", INSTANT),
        ("_seq", pa.int64()),
        ("_batch", pa.int64()),
        ("_row", pa.int64()),
        ("_source_system", pa.string()),
        ("_ingested_at", INSTANT),
        ("_contract_version", pa.string()),
        ("_found_at", INSTANT),  # the moment of the fixed point
        ("_replayed_in", pa.int64()),
        ("_settled_in", pa.int64()),  # the newest batch at the time when a load no longer found the row in the source
        ("_waived_until", INSTANT),
    ]
)


FIRST_MOMENT = datetime(1, 1, 1, tzinfo=UTC)


def bronze_schema(contract: Contract) -> pa.Schema:
    """Business columns as promised, then METADATA."""
    return pa.schema([*contract.arrow_schema, *METADATA])


def quarantine_schema(contract: Contract) -> pa.Schema:
    """Business columns as text, exactly as the source spelled them, then QUARANTINE_METADATA."""
    return pa.schema([*((c.name, pa.string()) for c in contract.columns), *QUARANTINE_METADATA])


def unindexed_columns(contract: Contract) -> list[str]:
    """Columns without file statistics: personal data must not be written to the Delta log."""
    return [c.name for c in contract.columns if c.is_personal] + ["_source_system", "_contract_version", "_op"]


@dataclass(frozen=True, slots=True)
class Stamp:
    """The values that all rows of one batch share. `moment` is the fixed point's, `ingested_at` ours; both UTC."""

    batch: int
    op: str
    moment: datetime
    sequence: int
    ingested_at: datetime


def bronze_rows(contract: Contract, good: pa.RecordBatch, stamp: Stamp, *, first_row: int) -> pa.RecordBatch:
    """
    Return the rows with the metadata columns; `_row` counts up from `first_row`.

    The effective time of rows without a watermark is the fixed point's moment.
    """
    rows = good.num_rows
    values = {
        "_op": pa.repeat(pa.scalar(stamp.op, pa.string()), rows),
        "_eff": pc.fill_null(effective_times(contract, good, stamp.moment), pa.scalar(stamp.moment, INSTANT)),
        "_seq": _sequences(contract, good, stamp.sequence),
        **_common(contract, stamp, rows, first_row),
    }
    return pa.RecordBatch.from_arrays(
        [*good.columns, *(values[name] for name in METADATA.names)], schema=bronze_schema(contract)
    )


def quarantine_rows(
    contract: Contract, bad: pa.RecordBatch, breaks: pa.Array, stamp: Stamp, *, first_row: int
) -> pa.RecordBatch:
    """Return the bad rows as text with what they break. `_eff` is null if the change time is invalid or missing."""
    rows = bad.num_rows
    texts = []
    for column in contract.columns:
        text = as_text(bad.column(column.name))
        if RAW_PREFIX + column.name in bad.schema.names:
            text = pc.coalesce(bad.column(RAW_PREFIX + column.name), text)
        texts.append(text)
    values = {
        "_breaks": breaks,
        "_eff": effective_times(contract, bad, stamp.moment),
        "_seq": _sequences(contract, bad, stamp.sequence),
        **_common(contract, stamp, rows, first_row),
        "_found_at": pa.repeat(pa.scalar(stamp.moment, INSTANT), rows),
    }
    metadata = [values.get(field.name, pa.nulls(rows, field.type)) for field in QUARANTINE_METADATA]
    return pa.RecordBatch.from_arrays([*texts, *metadata], schema=quarantine_schema(contract))


def effective_times(contract: Contract, batch: pa.RecordBatch, moment: datetime) -> pa.Array:
    """
    Return the change time of each row, UTC: its watermark if that is a moment, else the fixed point's.

    A null watermark gives null, because the change time is unknown. A watermark before FIRST_MOMENT gives
    FIRST_MOMENT, because not every reader supports earlier ones.
    A wall clock time that daylight saving repeats becomes the earlier instant; one that it skips becomes
    the instant of the jump.
    """
    if contract.watermark is None or contract.bronze is BronzeMode.OVERWRITE:
        return pa.repeat(pa.scalar(moment, INSTANT), batch.num_rows)
    values = batch.column(contract.watermark)
    if pa.types.is_date(values.type):
        values = values.cast(WALL_CLOCK)
    if not pa.types.is_timestamp(values.type):
        return pa.repeat(pa.scalar(moment, INSTANT), batch.num_rows)
    if values.type.tz is None:
        values = pc.assume_timezone(values, contract.timezone, ambiguous="earliest", nonexistent="earliest")
    instants, first = values.cast(INSTANT), pa.scalar(FIRST_MOMENT, INSTANT)
    return pc.if_else(pc.less(instants, first), first, instants)


def effective_time(contract: Contract, watermark: str) -> datetime | None:
    """
    Return the change time that a row with this watermark (a `Window` text, cut to microseconds) gets, UTC.

    None for watermarks that are not moments, and for moments that a datetime cannot hold.
    """
    name = contract.watermark or ""
    type_ = contract.column(name).arrow_type
    if not (pa.types.is_date(type_) or pa.types.is_timestamp(type_)):
        return None
    moment = pa.array([watermark]).cast(pa.timestamp("us")).cast(type_)
    row = pa.RecordBatch.from_arrays([moment], [name])
    try:
        at: datetime = effective_times(contract, row, datetime.now(UTC))[0].as_py()
    except (OverflowError, ValueError):
        return None
    return at


def as_text(values: pa.Array) -> pa.Array:
    """Return exact texts: numbers in full, moments as ISO with a blank, binary as hexadecimal."""
    if pa.types.is_binary(values.type):
        # Arrow has no kernel for hexadecimal; only quarantined rows with binary columns need this
        return pa.array([None if v is None else v.hex() for v in values.to_pylist()], pa.string())
    return values.cast(pa.string())


def _sequences(contract: Contract, batch: pa.RecordBatch, sequence: int) -> pa.Array:
    if contract.sequence is not None:
        return pc.fill_null(batch.column(contract.sequence).cast(pa.int64()), 0)
    return pa.repeat(pa.scalar(sequence, pa.int64()), batch.num_rows)


def _common(contract: Contract, stamp: Stamp, rows: int, first_row: int) -> dict[str, pa.Array]:
    return {
        "_batch": pa.repeat(pa.scalar(stamp.batch, pa.int64()), rows),
        "_row": pa.arange(first_row, first_row + rows),
        "_source_system": pa.repeat(pa.scalar(contract.system, pa.string()), rows),
        "_ingested_at": pa.repeat(pa.scalar(stamp.ingested_at, INSTANT), rows),
        "_contract_version": pa.repeat(pa.scalar(contract.version, pa.string()), rows),
    }
