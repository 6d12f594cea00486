"""The tables of a stream in a target database: names, columns, keys. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from ingestion.contracts.streams import Stream, TargetMode, WindowRule
from ingestion.contracts.types import INSTANT
from ingestion.streams.ports import MARKS
from ingestion.streams.rows import COUNT, START, measure_name

FLAG = pa.int8()
"""0 or 1: not every database has a type for truth."""
LETTER = pa.schema(
    [
        *(("stream", pa.string()), ("topic", pa.string()), ("part", pa.int32()), ("message_offset", pa.int64())),
        *(("sent_at", INSTANT), ("message_key", pa.binary()), ("message", pa.binary()), ("headers", pa.string())),
        *(("breaks", pa.string()), ("replayed", FLAG)),
    ]
)
"""The columns of the dead letters: those of DEAD under names that no database reserves, after the stream's name."""


@dataclass(frozen=True, slots=True)
class Table:
    """
    A table that is created. `declared` are types as the contract writes them, `stage` is its staging table, `indexes`
    are columns that are looked up beside the key.
    """

    name: tuple[str, ...]
    columns: pa.Schema
    key: tuple[str, ...]
    declared: Mapping[str, str] = field(default_factory=dict)
    stage: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tables:
    target: Table
    positions: Table
    dead: Table
    seen: Table | None
    windows: tuple[tuple[WindowRule, Table], ...]

    @property
    def all(self) -> tuple[Table, ...]:
        found = (self.target, self.positions, self.dead, self.seen, *(table for _, table in self.windows))
        return tuple(table for table in found if table is not None)


def tables_of(stream: Stream) -> Tables:
    contract = stream.contract

    def own(name: str) -> tuple[str, ...]:
        """Return the name of a table beside the target; unquoted names are upper case in Oracle."""
        return (*contract.source_table[:-1], name.upper() if contract.dialect == "oracle" else name)

    def stage(number: int) -> tuple[str, ...]:
        return own(f"lake_stage_{stream.name}_{number}")

    declared = {column.name: column.physical_type for column in contract.columns}
    marks = [f.with_name(f.name + part.suffix) for part in stream.parts for f in MARKS if f.name != "lake_deleted"]
    columns = pa.schema([*contract.arrow_schema, *marks, pa.field("lake_deleted", FLAG)])
    key = MARKS.names[:3] if stream.mode is TargetMode.APPEND else contract.key_names
    text, seen = pa.string(), None
    if stream.dedupe is not None:
        fields = pa.schema([("stream", text), ("value", text), ("lake_at", INSTANT)])
        seen = Table(own("lake_seen"), fields, ("stream", "value"), stage=stage(1))
    return Tables(
        Table(contract.source_table, columns, tuple(key), declared, stage(0)),
        Table(
            own("lake_stream_position"),
            pa.schema(
                [
                    *(("stream", text), ("topic", text), ("part", pa.int32()), ("topic_id", text)),
                    *(("next_offset", pa.int64()), ("event_at", INSTANT)),
                ]
            ),
            ("stream", "topic", "part"),
        ),
        Table(own("lake_dead_letter"), LETTER, tuple(LETTER.names[:4])),
        seen,
        tuple((rule, _window(stream, rule, own(rule.table), stage(2 + n))) for n, rule in enumerate(stream.windows)),
    )


def _window(stream: Stream, rule: WindowRule, name: tuple[str, ...], stage: tuple[str, ...]) -> Table:
    contract = stream.contract
    fields = [
        pa.field(START, INSTANT),
        *(contract.arrow_schema.field(by) for by in rule.by),
        pa.field(COUNT, pa.int64()),
    ]
    for kind, column in rule.measures:
        type_ = contract.column(column).arrow_type
        scale = type_.scale if pa.types.is_decimal(type_) and kind != "count" else 0
        fields.append(pa.field(measure_name(kind, column), pa.decimal128(38, scale)))
    fields += [pa.field(f"avg_{column}", pa.float64()) for column in rule.averages]
    fields += [pa.field("is_final", FLAG), pa.field("revised_at", INSTANT)]
    declared = {by: contract.column(by).physical_type for by in rule.by}
    return Table(name, pa.schema(fields), (START, *rule.by), declared, stage)


def letters(stream: Stream, dead: pa.Table) -> pa.Table:
    """Return dead letters (`DEAD`) as rows of their table."""
    count = dead.num_rows
    first, last = pa.repeat(pa.scalar(stream.name), count), pa.repeat(pa.scalar(0, FLAG), count)
    return pa.Table.from_arrays([first, *dead.columns, last], schema=LETTER)
