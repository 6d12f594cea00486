"""Makes a change of the records that were read: decoded, transformed, checked by the contract, filtered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts.model import Column, Contract
from ingestion.contracts.streams import Lookup, Part, Stream, Tombstones
from ingestion.errors import ConfigurationError, IntegrityError
from ingestion.extract.split import Tally, split
from ingestion.sources.records import Partition, Positions, Read
from ingestion.streams.decode import decode
from ingestion.streams.formats import is_beyond
from ingestion.streams.ports import DEAD, MARKS, Change, PartRows

Function = Callable[[pa.Table], pa.Table]
TOMBSTONE = "(message):tombstone"


@dataclass(frozen=True, slots=True)
class Functions:
    """The named functions of a stream. Pure: a message that is read again must give the same row."""

    transform: Function | None = None
    keep: Callable[[pa.Table], pa.Array] | None = None
    lookup: Callable[[Lookup], pa.Table] | None = None


def make_change(
    stream: Stream,
    functions: Functions,
    read: Read,
    *,
    start: Positions,
    known: frozenset[Partition],
    ends: Mapping[Partition, int],
) -> Change:
    """Return what a batch of records does to the target. Each record is in a part, dead, or counted as filtered."""
    work = _Work(stream, functions)
    for part in stream.parts:
        of_part = pc.is_in(read.records["topic"], value_set=pa.array(part.topics))
        work.take(part, read.records.filter(of_part) if len(stream.parts) > 1 else read.records)
    dead = pa.concat_tables(work.dead) if work.dead else DEAD.empty_table()
    if (total := sum(p.rows.num_rows for p in work.parts) + dead.num_rows + work.filtered) != read.records.num_rows:
        raise IntegrityError(
            f"{stream.contract.id}: {read.records.num_rows} messages were read, {total} accounted for. Nothing was "
            "committed. This is a fault of the program; report it."
        )
    moved = {partition: start[partition] for partition in read.reached}
    return Change(moved, read.reached, known, read.records, tuple(work.parts), dead, work.filtered, ends)


@dataclass(slots=True)
class _Work:
    stream: Stream
    functions: Functions
    parts: list[PartRows] = field(default_factory=list)
    dead: list[pa.Table] = field(default_factory=list)
    filtered: int = 0

    def take(self, part: Part, records: pa.RecordBatch) -> None:
        is_empty = pc.is_null(records["value"])
        values, gone = records.filter(pc.invert(is_empty)), records.filter(is_empty)
        rows = [self._values(part, values)]
        if gone.num_rows:
            rows.append(self._tombstones(part, gone))
        table = pa.concat_tables(rows)
        if gone.num_rows:
            table = table.sort_by([(name, "ascending") for name in MARKS.names[:3]])
        self.parts.append(PartRows(part, table.combine_chunks()))

    def _values(self, part: Part, records: pa.RecordBatch) -> pa.Table:
        decoded = decode(part.contract, part.encoding, records)
        self._bury(records.take(decoded.bad), decoded.breaks)
        records, rows = records.take(decoded.good), decoded.rows
        rows = self._computed(part.contract, _as_stored(self.stream, part.contract, rows))
        parts = split(part.contract, rows, Tally())
        self._bury(records.filter(pc.invert(parts.is_good)), parts.breaks)
        table = self._without_future(records.filter(parts.is_good), parts.good)
        if self.functions.keep is not None:
            kept = self.functions.keep(table.select(part.contract.arrow_schema.names))
            self.filtered += table.num_rows
            table = table.filter(kept)  # null counts as false
            self.filtered -= table.num_rows
        return table

    def _without_future(self, records: pa.RecordBatch, rows: pa.RecordBatch) -> pa.Table:
        """Leave out rows whose sequence would win over all later ones: a moment far beyond the message's own time."""
        stream, name = self.stream, self.stream.sequence
        if name is not None and pa.types.is_timestamp(rows[name].type):
            latest = pc.add(records["timestamp"], pa.scalar(stream.future_tolerance))
            is_future = pc.fill_null(pc.greater(as_instants(rows[name], stream.contract.timezone), latest), False)
            self._bury(records.filter(is_future), pa.repeat(pa.scalar(f"{name}:future"), is_future.true_count))
            records, rows = (each.filter(pc.invert(is_future)) for each in (records, rows))
        return _marked(stream, rows, records)

    def _tombstones(self, part: Part, records: pa.RecordBatch) -> pa.Table:
        rule = self.stream.tombstones
        if rule is Tombstones.DELETE:
            contract = replace(part.contract, columns=tuple(map(_only_key, part.contract.columns)))
            decoded = decode(contract, part.encoding, records, tombstones=True)
            self._bury(records.take(decoded.bad), decoded.breaks)
            records = records.take(decoded.good)
            parts = split(contract, decoded.rows, Tally())
            self._bury(records.filter(pc.invert(parts.is_good)), parts.breaks)
            return _marked(self.stream, parts.good, records.filter(parts.is_good), deleted=True)
        if rule is Tombstones.IGNORE:
            self.filtered += records.num_rows
        else:
            self._bury(records, pa.repeat(pa.scalar(TOMBSTONE), records.num_rows))
        return pa.schema([*part.contract.arrow_schema, *MARKS]).empty_table()

    def _bury(self, records: pa.RecordBatch, breaks: pa.Array) -> None:
        if records.num_rows:
            table = pa.Table.from_arrays([*records.columns, breaks], schema=DEAD)
            at = DEAD.get_field_index("timestamp")
            moments = pc.if_else(is_beyond(records["timestamp"]), None, records["timestamp"])
            self.dead.append(table.set_column(at, DEAD.field(at), moments))

    def _computed(self, contract: Contract, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Fill the columns of reference tables and of the transform, which keeps rows, their order and types."""
        for lookup in self.stream.lookups if self.functions.lookup else ():
            rows = enriched(rows, lookup, self.functions.lookup(lookup))  # type: ignore[misc]
        if self.functions.transform is None:
            return rows
        found = self.functions.transform(pa.Table.from_batches([rows]))
        if found.schema != contract.arrow_schema or found.num_rows != rows.num_rows:
            raise ConfigurationError(
                f"{contract.id}: the transform {self.stream.transform} returned other columns, types or rows than it "
                "was given; it may only change values. Nothing was written. Correct the function; a filter drops rows."
            )
        return found.combine_chunks().to_batches()[0] if found.num_rows else rows


def _only_key(column: Column) -> Column:
    return column if column.key_position is not None else replace(column, rules=())


def _as_stored(stream: Stream, contract: Contract, rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return the rows as the target keeps them: Oracle has no empty text, and defaults stand for nulls."""
    for at, column in enumerate(contract.columns):
        values = rows.column(at)
        if contract.dialect == "oracle" and pa.types.is_string(column.arrow_type):
            values = pc.if_else(pc.equal(pc.binary_length(values), 0), pa.scalar(None, pa.string()), values)
        if column.name in stream.defaults:
            values = values.fill_null(pa.scalar(stream.defaults[column.name]).cast(column.arrow_type))
        if values is not rows.column(at):
            rows = rows.set_column(at, rows.schema.field(at), values)
    return rows


def enriched(rows: pa.RecordBatch, lookup: Lookup, table: pa.Table) -> pa.RecordBatch:
    """Fill columns from a reference table; a row without a match keeps nulls. The first match counts."""
    keys = table.select(list(lookup.on.values())).rename_columns(list(lookup.on))
    index = (
        keys.append_column("_at", pa.arange(0, table.num_rows)).group_by(list(lookup.on)).aggregate([("_at", "min")])
    )
    wanted = pa.Table.from_batches([rows.select(list(lookup.on))])
    wanted = wanted.append_column("_row", pa.arange(0, rows.num_rows))
    found = wanted.join(index, list(lookup.on), join_type="left outer").sort_by("_row")["_at_min"].combine_chunks()
    for ours, theirs in lookup.columns.items():
        at = rows.schema.get_field_index(ours)
        rows = rows.set_column(at, rows.schema.field(at), table[theirs].combine_chunks().take(found))
    return rows


def as_instants(moments: pa.Array, timezone: str) -> pa.Array:
    """Return moments with their offset; those without one are of this time zone."""
    if moments.type.tz is None:
        return pc.assume_timezone(moments, timezone, ambiguous="earliest", nonexistent="earliest")
    return moments


def _marked(stream: Stream, rows: pa.RecordBatch, records: pa.RecordBatch, *, deleted: bool = False) -> pa.Table:
    count = rows.num_rows
    at = records["timestamp"]
    if stream.time is not None and not deleted:
        at = as_instants(rows[stream.time], stream.contract.timezone)
    sequence = rows[stream.sequence] if stream.sequence else records["offset"]
    marks = [
        *(records[name] for name in ("topic", "partition", "offset")),
        at.cast(MARKS.field("lake_at").type),
        sequence.cast(pa.int64()),
        pa.repeat(pa.scalar(deleted), count),
    ]
    return pa.Table.from_arrays([*rows.columns, *marks], schema=pa.schema([*rows.schema, *MARKS]))
