"""The windows of a stream in a target database: what a batch adds to them, and which are final."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts.streams import Part, WindowRule
from ingestion.sinks.tables import FLAG, Table
from ingestion.sources.records import Partition
from ingestion.streams.ports import Change
from ingestion.streams.rows import COUNT, START

if TYPE_CHECKING:
    from ingestion.sinks.base import TableSink


def replaced_rows(sink: TableSink, part: Part, rule: WindowRule) -> tuple[pa.Table, pa.Table]:
    """Return the staged rows that the MERGE will write, and those of the target that they replace."""
    table, keys = sink.tables.target, part.contract.key_names
    names = list(dict.fromkeys(["lake_at", *rule.by, *(name for _, name in rule.measures)]))
    schema = pa.schema([table.columns.field(name) for name in names])
    target, stage = sink.db.table_name(table), sink.db.name_of(table.stage)
    same = " AND ".join(f"t.{sink.db.quote(name)} = s.{sink.db.quote(name)}" for name in keys)
    gone, newer = sink.db.quote("lake_deleted"), sink.newer(part)
    added = (
        f"SELECT {sink.db.listed(names, 's.')} FROM {stage} s LEFT JOIN {target} t ON {same} "
        f"WHERE s.{gone} = 0 AND {newer}"
    )
    removed = (
        f"SELECT {sink.db.listed(names, 't.')} FROM {stage} s JOIN {target} t ON {same} WHERE t.{gone} = 0 AND {newer}"
    )
    return sink.db.select(added, schema), sink.db.select(removed, schema)


def add_to_windows(sink: TableSink, table: Table, rule: WindowRule, deltas: pa.Table) -> None:
    """Add what changed to the windows; averages are computed again, and a final window says that it was revised."""
    if not deltas.num_rows:
        return
    t = {name: f"t.{sink.db.quote(name)}" for name in table.columns.names}
    s = {name: f"s.{sink.db.quote(name)}" for name in table.columns.names}
    sums = [COUNT, *(name for name in deltas.column_names if name.startswith(("sum_", "count_")))]
    sets = {name: f"COALESCE({t[name]}, 0) + COALESCE({s[name]}, 0)" for name in sums}
    for kind, word in (("min", "LEAST"), ("max", "GREATEST")):
        for name in (n for n in deltas.column_names if n.startswith(f"{kind}_")):
            sets[name] = f"{word}(COALESCE({t[name]}, {s[name]}), COALESCE({s[name]}, {t[name]}))"
    for column in rule.averages:
        total, count = sets[f"sum_{column}"], sets[f"count_{column}"]
        sets[f"avg_{column}"] = f"({total}) / NULLIF({count}, 0)"
        average = pc.divide(deltas[f"sum_{column}"].cast(pa.float64()), _zero_as_null(deltas[f"count_{column}"]))
        deltas = deltas.append_column(f"avg_{column}", average)
    deltas = deltas.append_column("is_final", pa.repeat(pa.scalar(0, FLAG), deltas.num_rows))
    sets["is_final"] = t["is_final"]
    sets["revised_at"] = f"CASE WHEN {t['is_final']} = 1 THEN {sink.db.now} ELSE {t['revised_at']} END"
    sink.db.stage(table, deltas)
    sink.db.run(sink.db.merge_into(table, deltas.column_names, "1 = 1", sets).format(sink.db.name_of(table.stage)))
    same = " AND ".join(f"w.{sink.db.quote(name)} = {s[name]}" for name in table.key)
    stage = f"SELECT 1 FROM {sink.db.name_of(table.stage)} s WHERE {same}"
    sink.db.run(f"DELETE FROM {sink.db.table_name(table)} w WHERE {sink.db.quote(COUNT)} = 0 AND EXISTS ({stage})")


def end_windows(sink: TableSink, change: Change) -> None:
    """Mark the windows that no partition can add to any more, by event time."""
    if not sink.tables.windows or change.is_replay:
        return
    found = sink.position_rows().to_pylist()
    at = {Partition(r["topic"], r["part"]): (r["event_at"], r["next_offset"]) for r in found}
    known = [moment for moment, _ in at.values() if moment is not None]
    for rule, table in sink.tables.windows if known else ():
        waited = []
        for partition, end in change.ends.items():
            moment, offset = at.get(partition, (None, 0))
            is_idle = offset >= end and (moment is None or moment < max(known) - rule.idle)
            waited += [] if is_idle else [moment]
        if waited and None not in waited:
            sink.db.run(
                f"UPDATE {sink.db.table_name(table)} SET {sink.db.quote('is_final')} = 1 "
                f"WHERE {sink.db.quote('is_final')} = 0 AND {sink.db.quote(START)} <= :1",
                min(waited) - rule.lateness - rule.size,
            )


def _zero_as_null(counts: pa.ChunkedArray) -> pa.ChunkedArray:
    numbers = counts.cast(pa.float64())
    return pc.if_else(pc.equal(numbers, 0), pa.scalar(None, pa.float64()), numbers)
