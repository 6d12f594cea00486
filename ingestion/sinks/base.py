"""A target table of a database: every step of a change in one transaction.

The positions are compared and set first: a rival waits or fails there, before it has touched a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts.streams import Part, Stream, TargetMode
from ingestion.sinks.database import Database, Refused, RowsRefusedError
from ingestion.sinks.tables import FLAG, LETTER, letters, tables_of
from ingestion.sinks.windows import add_to_windows, end_windows, replaced_rows
from ingestion.sources.records import Partition, Position, Positions
from ingestion.streams.ports import DEAD, MARKS, Applied, Change, Judge, Place
from ingestion.streams.rows import first_occurrences, last_occurrences, newest, window_deltas


class TableSink:
    """Implements `ingestion.streams.ports.Sink`."""

    def __init__(self, stream: Stream, db: Database) -> None:
        self.stream = stream
        self.db = db
        self.tables = tables_of(stream)

    @contextmanager
    def overwriting(self) -> Iterator[None]:
        """Replace all rows of the target by those that the block applies, in one transaction."""
        with self.db.transaction():
            tables, db = self.tables, self.db
            for table in (tables.target, *(window for _, window in tables.windows)):
                db.run(f"DELETE FROM {db.table_name(table)}")
            for each in filter(None, (tables.positions, tables.dead, tables.seen)):
                db.run(f"DELETE FROM {db.table_name(each)} WHERE {db.quote('stream')} = :1", self.stream.name)
            yield

    def plan(self) -> list[str]:
        return [statement for table in self.tables.all for statement in self.db.statements(table)]

    def init(self) -> None:
        self.db.create(self.tables.all)

    def close(self) -> None:
        self.db.close()

    def positions(self) -> Positions:
        with self.db.transaction():
            rows = self.position_rows().to_pylist()
        return {Partition(r["topic"], r["part"]): Position(r["next_offset"], r["topic_id"] or "") for r in rows}

    def restart(self, positions: Positions) -> None:
        """Set the positions of these partitions anew, whatever they were."""
        table = self.db.table_name(self.tables.positions)
        with self.db.transaction():
            for partition, at in positions.items():
                where = f"WHERE {self.db.equal(('stream', 'topic', 'part'))}"
                self.db.run(f"DELETE FROM {table} {where}", self.stream.name, *partition)
                self._begin(partition, at, None)

    def apply(self, change: Change, judge: Judge | None = None) -> Applied:
        with self.db.transaction():
            if not change.is_replay:
                self._move(change)
            merged, superseded, refused = 0, 0, DEAD.empty_table()
            for each in change.parts:
                if each.rows.num_rows:
                    written, left, bad = self._write(each.part, each.rows)
                    merged, superseded = merged + written, superseded + left
                    if bad.num_rows:
                        refused = pa.concat_tables([refused, change.letters_of(bad)])
            if judge is not None and refused.num_rows:
                judge(change.read, change.dead.num_rows + refused.num_rows)
            self._bury(change, refused)
            end_windows(self, change)
        return Applied(merged, superseded, refused.num_rows)

    def dead_letters(self, rule: str | None, after: Place | None, limit: int) -> pa.Table:
        names, quote = LETTER.names[1:-1], self.db.quote
        topic, part, offset = map(quote, names[:3])
        conditions = [f"{quote('stream')} = :1", f"{quote('replayed')} = 0"]
        binds: list[str | int] = [self.stream.name]
        if after is not None:
            conditions.append(f"({topic} > :2 OR ({topic} = :2 AND ({part} > :3 OR ({part} = :3 AND {offset} > :4))))")
            binds += after
        if rule is not None:
            conditions.append(f"{quote('breaks')} LIKE :{len(binds) + 1}")
            binds.append(f"%{rule}%")
        query = (
            f"SELECT {self.db.listed(names)} FROM {self.db.table_name(self.tables.dead)} "
            f"WHERE {' AND '.join(conditions)} ORDER BY {topic}, {part}, {offset} FETCH FIRST {limit} ROWS ONLY"
        )
        with self.db.transaction():
            schema = pa.schema([LETTER.field(name) for name in names])
            return self.db.select(query, schema, *binds).rename_columns(DEAD.names)

    def lookup(self, table: str, schema: pa.Schema) -> pa.Table:
        with self.db.transaction():
            names, name = self.db.listed(schema.names), self.db.name_of(table.split("."))
            return self.db.select(f"SELECT {names} FROM {name}", schema)

    def count_dead(self) -> int:
        is_open = f"{self.db.equal(('stream',))} AND {self.db.quote('replayed')} = 0"
        with self.db.transaction():
            return self.db.counted(self.tables.dead, is_open, self.stream.name)

    # positions

    def position_rows(self) -> pa.Table:
        table = self.tables.positions
        return self.db.rows(table, table.columns.names, self.db.equal(("stream",)), self.stream.name)

    def _move(self, change: Change) -> None:
        """Compare and set the positions, in one order for all writers. Raises ConcurrentWriteError."""
        table, quote = self.db.table_name(self.tables.positions), self.db.quote
        marks = [part.rows.select(MARKS.names) for part in change.parts]
        found = pa.concat_tables(marks).group_by(MARKS.names[:2]).aggregate([("lake_at", "max")]).to_pylist()
        newest_at = {Partition(r["lake_topic"], r["lake_partition"]): r["lake_at_max"] for r in found}
        later = f"GREATEST(COALESCE({quote('event_at')}, :3), :3)"
        for partition in sorted(change.reached):
            at, reached = change.start[partition], change.reached[partition]
            if partition not in change.known:
                self._begin(partition, reached, newest_at.get(partition))
                continue
            moment = newest_at.get(partition)
            event = f", {quote('event_at')} = {later}" if moment else ""
            count = self.db.run(
                f"UPDATE {table} SET {quote('next_offset')} = :1, {quote('topic_id')} = :2{event} WHERE "
                f"{self.db.equal(('stream', 'topic', 'part', 'next_offset'), 4 if moment else 3)}",
                *(reached.offset, reached.topic_id, *([moment] if moment else [])),
                *(self.stream.name, *partition, at.offset),
            )
            if count != 1:
                raise self.db.lost_race()

    def _begin(self, partition: Partition, at: Position, moment: Any) -> None:
        table = self.tables.positions
        values = ", ".join(f":{n}" for n in range(1, 7))
        insert = f"INSERT INTO {self.db.table_name(table)} ({self.db.listed(table.columns.names)}) VALUES ({values})"
        try:
            self.db.run(insert, self.stream.name, *partition, at.topic_id, at.offset, moment)
        except RowsRefusedError:  # a rival began there
            raise self.db.lost_race() from None

    # rows

    def _write(self, part: Part, rows: pa.Table) -> tuple[int, int, pa.Table]:
        """Write rows; return how many were merged, how many were not newer, and the refused with `breaks`."""
        read, is_append = rows.num_rows, self.stream.mode is TargetMode.APPEND
        if self.stream.dedupe is not None:
            rows = self._without_repeated(rows, *self.stream.dedupe)
        if not is_append:
            rows = newest(rows, part.contract.key_names)
        merged, refused, replaced = self._append(rows) if is_append else self._merge_rows(part, rows)
        bad = rows.take(pa.array(refused.keys(), pa.int64())).select(MARKS.names)
        bad = bad.append_column("breaks", pa.array(refused.values(), pa.string()))
        for (rule, window), (added, removed) in zip(self.tables.windows, replaced, strict=True):
            add_to_windows(self, window, rule, window_deltas(rule, added, removed))
        return merged, read - merged - len(refused), bad

    def _append(self, rows: pa.Table) -> tuple[int, Refused, list[tuple[pa.Table, pa.Table]]]:
        refused = self.db.insert(self.tables.target.name, _stored(self.stream.parts[0], rows))
        added = _without(rows, refused)
        return added.num_rows, refused, [(added, rows.slice(0, 0))] * len(self.tables.windows)

    def _merge_rows(self, part: Part, rows: pa.Table) -> tuple[int, Refused, list[tuple[pa.Table, pa.Table]]]:
        """
        Merge rows by one statement; return how many were newer, the refused, and what windows gain and lose.

        If the statement fails, the rows at fault are looked for one by one, and it runs again without them.
        """
        table, stored = self.tables.target, _stored(part, rows)
        merge = self.db.merge_into(table, stored.column_names, self.newer(part))
        refused = dict(self.db.stage(table, stored))
        for is_last in (False, True):
            replaced = [replaced_rows(self, part, rule) for rule, _ in self.tables.windows]
            try:
                return self.db.run(merge.format(self.db.name_of(table.stage))), refused, replaced
            except RowsRefusedError:
                if is_last:
                    raise
            places = _without(pa.table([pa.arange(0, rows.num_rows)], ["place"]), refused)["place"].to_pylist()
            found = self.db.refused_by(merge, _without(stored, refused))
            refused |= {places[at]: reason for at, reason in found.items()}
            self.db.stage(table, _without(stored, refused))
        raise AssertionError

    def newer(self, part: Part) -> str:
        """Return the condition that the staged row s is newer than the row t of the target."""
        seq, offset = (self.db.quote(name + part.suffix) for name in ("lake_seq", "lake_offset"))
        return f"(t.{seq} IS NULL OR s.{seq} > t.{seq} OR (s.{seq} = t.{seq} AND s.{offset} > t.{offset}))"

    # events seen, windows, dead letters

    def _without_repeated(self, rows: pa.Table, column: str, period: Any) -> pa.Table:
        table = self.tables.seen
        if table is None:
            return rows
        last = last_occurrences(rows, column)
        stream = pa.repeat(pa.scalar(self.stream.name), last.num_rows)
        self.db.stage(table, pa.table([stream, *last.columns], table.columns.names))
        same = " AND ".join(f"t.{self.db.quote(name)} = s.{self.db.quote(name)}" for name in table.key)
        query = (
            f"SELECT {self.db.listed(['value', 'lake_at'], 't.')} FROM {self.db.table_name(table)} t "
            f"JOIN {self.db.name_of(table.stage)} s ON {same}"
        )
        schema = pa.schema([table.columns.field("value"), table.columns.field("lake_at")])
        fresh = first_occurrences(rows, column, period, self.db.select(query, schema))
        self.db.run(self.db.merge_into(table, table.columns.names, "1 = 1").format(self.db.name_of(table.stage)))
        end = pc.max(rows["lake_at"]).as_py()
        gone = f"{self.db.quote('stream')} = :1 AND {self.db.quote('lake_at')} < :2"
        self.db.run(f"DELETE FROM {self.db.table_name(table)} WHERE {gone}", self.stream.name, end - 2 * period)
        return fresh

    def _bury(self, change: Change, refused: pa.Table) -> None:
        table = self.tables.dead
        dead = pa.concat_tables([change.dead, refused])
        if not change.is_replay:
            if dead.num_rows:
                self.db.insert(table.name, letters(self.stream, dead))
            return
        kept = {(r["topic"], r["partition"], r["offset"]) for r in dead.select(DEAD.names[:3]).to_pylist()}
        is_open = f"{self.db.equal(LETTER.names[:4])} AND {self.db.quote('replayed')} = 0"
        mark = f"UPDATE {self.db.table_name(table)} SET {self.db.quote('replayed')} = 1 WHERE {is_open}"
        for place in change.records.select(DEAD.names[:3]).to_pylist():
            if (*place.values(),) not in kept and self.db.run(mark, self.stream.name, *place.values()) != 1:
                raise self.db.lost_race()


def _stored(part: Part, rows: pa.Table) -> pa.Table:
    """Return rows under the names and types of the target."""
    at = rows.schema.get_field_index("lake_deleted")
    rows = rows.set_column(at, "lake_deleted", rows["lake_deleted"].cast(FLAG))
    return rows.rename_columns([n + part.suffix if n in MARKS.names[:-1] else n for n in rows.column_names])


def _without(rows: pa.Table, refused: Refused) -> pa.Table:
    if not refused:
        return rows
    return rows.filter(pc.invert(pc.is_in(pa.arange(0, rows.num_rows), value_set=pa.array(refused, pa.int64()))))
