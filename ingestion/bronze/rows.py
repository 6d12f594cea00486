"""The Bronze and quarantine rows of a batch: schemas, and the metadata columns beside the source's columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts.model import BronzeMode, Column, Contract, Mask
from ingestion.contracts.projection import RAW_PREFIX
from ingestion.contracts.types import INSTANT, WALL_CLOCK
from ingestion.lake.descriptions import described
from ingestion.privacy.partial import partial_sql
from ingestion.sql.quoting import quote_standard, text_literal

POSITION = ("_batch", "_row")
"""The columns that identify a row of Bronze and of quarantine."""
MASKED = "(personal)"
"""What stands for a personal value where rows are shown to people, if its mask is `token`."""

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


_COMMENTS = {
    "_op": "R read, I insert, U update or insert, D the key was gone from the source.",
    "_eff": "Moment from which this state of the key is in force (UTC).",
    "_seq": "Order of the states of a key with the same _eff; 0 where the source has none.",
    "_batch": "Batch of the table, from 1; one load commits one batch.",
    "_row": "Number of the row in its batch.",
    "_source_system": "System that the row was read from.",
    "_ingested_at": "When the batch was loaded (UTC).",
    "_contract_version": "Version of the contract that the row was checked against.",
    "_breaks": "The rules that the row breaks.",
    "_found_at": "Moment of the state of the source in which the row was found (UTC).",
    "_replayed_in": "Batch in which the row was loaded after all; null: none.",
    "_settled_in": "Newest batch when a load no longer found the row in the source; null: it is still there.",
    "_waived_until": "Until when a person accepted the entry (UTC); null: not accepted.",
}


FIRST_MOMENT = datetime(1, 1, 1, tzinfo=UTC)


def bronze_schema(contract: Contract) -> pa.Schema:
    """Business columns as promised, then METADATA."""
    return pa.schema([*contract.arrow_schema, *METADATA])


def quarantine_schema(contract: Contract) -> pa.Schema:
    """Business columns as text, exactly as the source spelled them, then QUARANTINE_METADATA."""
    return pa.schema([*((c.name, pa.string()) for c in contract.columns), *QUARANTINE_METADATA])


def described_schemas(contract: Contract) -> tuple[pa.Schema, pa.Schema]:
    """Return the schemas of Bronze and quarantine with the contract's description and the comments of all columns."""
    comments = _COMMENTS | {column.name: column.description for column in contract.columns}
    bad = f"Rows of {contract.id} that broke their contract, as text. {contract.description}".strip()
    return (
        described(bronze_schema(contract), contract.description, comments),
        described(quarantine_schema(contract), bad, comments),
    )


def shown_columns(columns: Iterable[Column]) -> list[str]:
    """Return what a query selects of columns to show them to people: personal ones as their masks say, none dropped."""
    shown = []
    for column in columns:
        name = quote_standard(column.name)
        if not column.is_personal:
            shown.append(name)
        elif column.mask is not Mask.DROP:
            form = partial_sql(name) if column.mask is Mask.PARTIAL else text_literal(MASKED)
            shown.append(f"case when {name} is not null then {form} end as {name}")
    return shown


def unindexed_columns(contract: Contract) -> list[str]:
    """Columns without file statistics: personal data must not be written to the Delta log."""
    return [c.name for c in contract.columns if c.is_personal] + ["_source_system", "_contract_version", "_op"]


@dataclass(frozen=True, slots=True)
class Stamp:
    """The values that all rows of a read share. `moment` is by the source's clock, `ingested_at` by ours; both UTC."""

    batch: int
    op: str
    moment: datetime
    sequence: int
    ingested_at: datetime


def shared_values(contract: Contract, stamp: Stamp) -> dict[str, pa.Scalar]:
    """Return the metadata columns that have one value in all rows of one read, with that value."""
    values: dict[str, object] = {
        "_op": stamp.op,
        "_seq": stamp.sequence,
        "_batch": stamp.batch,
        "_source_system": contract.system,
        "_ingested_at": stamp.ingested_at,
        "_contract_version": contract.version,
    }
    if contract.sequence is not None:
        del values["_seq"]
    return {name: pa.scalar(value, METADATA.field(name).type) for name, value in values.items()}


def bronze_rows(
    contract: Contract, good: pa.RecordBatch, stamp: Stamp, *, first_row: int, without: Collection[str] = ()
) -> pa.RecordBatch:
    """
    Return the rows with the metadata columns, except some of `shared_values`; `_row` counts up from `first_row`.

    The effective time of rows without a watermark is the fixed point's moment.
    """
    values = _metadata(contract, good, stamp, first_row, without)
    if values["_eff"].null_count:
        values["_eff"] = pc.fill_null(values["_eff"], pa.scalar(stamp.moment, INSTANT))
    schema = pa.schema([field for field in bronze_schema(contract) if field.name not in without])
    metadata = [values[name] for name in METADATA.names if name not in without]
    return pa.RecordBatch.from_arrays([*good.columns, *metadata], schema=schema)


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
        **_metadata(contract, bad, stamp, first_row),
        "_breaks": breaks,
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
    if values.type.tz is None and contract.timezone != "UTC":  # the cast below is enough for UTC, at no cost
        values = pc.assume_timezone(values, contract.timezone, ambiguous="earliest", nonexistent="earliest")
    instants, first = values.cast(INSTANT), pa.scalar(FIRST_MOMENT, INSTANT)
    if not pc.less(pc.min(instants), first).as_py():
        return instants
    return pc.if_else(pc.less(instants, first), first, instants)


def effective_time(contract: Contract, watermark: str) -> datetime | None:
    """
    Return the change time that a row with this watermark (a `Window` text, truncated to microseconds) gets, UTC.

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
    """Return exact texts: numbers in full, moments as ISO with a blank before the time, binary as hexadecimal."""
    if pa.types.is_binary(values.type):
        # Arrow has no kernel for hexadecimal; only quarantined rows with binary columns need this
        return pa.array([None if v is None else v.hex() for v in values.to_pylist()], pa.string())
    return values.cast(pa.string())


def _metadata(
    contract: Contract, batch: pa.RecordBatch, stamp: Stamp, first_row: int, without: Collection[str] = ()
) -> dict[str, pa.Array]:
    """Return the metadata columns of a batch's rows. `_eff` is null where the change time is unknown."""
    rows = batch.num_rows
    values = {
        "_eff": effective_times(contract, batch, stamp.moment),
        "_row": pa.arange(first_row, first_row + rows),
    }
    if contract.sequence is not None:
        values["_seq"] = pc.fill_null(batch.column(contract.sequence).cast(pa.int64()), 0)
    shared = shared_values(contract, stamp)
    return values | {name: pa.repeat(value, rows) for name, value in shared.items() if name not in without}
