"""A target table of a database: every step of a change in one transaction, in SQL that dialects complete.

The positions are compared and set first: a rival waits or fails there, before it has touched a row.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts.streams import Part, Stream, TargetMode
from ingestion.errors import ConcurrentWriteError, PermanentError
from ingestion.sinks.tables import FLAG, LETTER, Table, letters, tables_of
from ingestion.sinks.windows import add_to_windows, end_windows, replaced_rows
from ingestion.sources.records import Partition, Position, Positions
from ingestion.streams.ports import DEAD, MARKS, Applied, Change, Place
from ingestion.streams.rows import first_occurrences, last_occurrences, newest, window_deltas

Refused = Mapping[int, str]
"""Rows that the target refuses, by their place, with the break that their dead letters get."""


class RowsRefusedError(PermanentError):
    """A statement failed for a value or a constraint of the target's table."""


class TableSink(ABC):
    """Implements `ingestion.streams.ports.Sink`; a dialect adds the session, types and quoting."""

    now = "CURRENT_TIMESTAMP"
    """The function of the database's clock."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.tables = tables_of(stream)
        self._is_overwriting = False

    @abstractmethod
    def committed(self) -> AbstractContextManager[None]:
        """Commit what the block did, or nothing of it. Translates the driver's errors."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._is_overwriting:
            yield
            return
        with self.committed():
            yield

    @contextmanager
    def overwriting(self) -> Iterator[None]:
        """Replace all rows of the target by those that the block applies, in one transaction."""
        with self.committed():
            tables = self.tables
            for table in (tables.target, *(window for _, window in tables.windows)):
                self.run(f"DELETE FROM {self.table_name(table)}")
            for each in filter(None, (tables.positions, tables.dead, tables.seen)):
                self.run(f"DELETE FROM {self.table_name(each)} WHERE {self.quote('stream')} = :1", self.stream.name)
            self._is_overwriting = True
            try:
                yield
            finally:
                self._is_overwriting = False

    @abstractmethod
    def run(self, sql: str, *binds: Any) -> int:
        """Run a statement with binds :1, :2 …; return how many rows it wrote."""

    @abstractmethod
    def select(self, sql: str, schema: pa.Schema, *binds: Any) -> pa.Table:
        """Return the rows of a query in the types of a schema."""

    @abstractmethod
    def insert(self, name: tuple[str, ...], rows: pa.Table) -> Refused:
        """Insert rows into the columns of their names in a table. Refused rows are left out."""

    @abstractmethod
    def refused_by(self, merge: str, rows: pa.Table) -> Refused:
        """
        Return the rows that `merge` (in which {} stands for the rows to merge) cannot write. Changes nothing.

        Raises RowsRefusedError if the session cannot tell.
        """

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def quote(self, name: str) -> str: ...

    @abstractmethod
    def statements(self, table: Table) -> list[str]:
        """Return the statements that create a table and its staging table unless they exist."""

    @abstractmethod
    def updating(self, sets: str, condition: str) -> str:
        """Return the clause of MERGE that updates matched rows for which the condition holds."""

    def plan(self) -> list[str]:
        return [statement for table in self.tables.all for statement in self.statements(table)]

    def init(self) -> None:
        for statement in self.plan():
            with self.transaction():
                self.run(statement)

    def positions(self) -> Positions:
        with self.transaction():
            rows = self.position_rows().to_pylist()
        return {Partition(r["topic"], r["part"]): Position(r["next_offset"], r["topic_id"] or "") for r in rows}

    def restart(self, positions: Positions) -> None:
        """Set the positions of these partitions anew, whatever they were."""
        table = self.table_name(self.tables.positions)
        with self.transaction():
            for partition, at in positions.items():
                where = f"WHERE {self._equal(('stream', 'topic', 'part'))}"
                self.run(f"DELETE FROM {table} {where}", self.stream.name, *partition)
                self._begin(partition, at, None)

    def apply(self, change: Change) -> Applied:
        with self.transaction():
            if not change.is_replay:
                self._move(change)
            merged, superseded, refused = 0, 0, DEAD.empty_table()
            for each in change.parts:
                if each.rows.num_rows:
                    written, left, bad = self._write(each.part, each.rows)
                    merged, superseded = merged + written, superseded + left
                    if bad.num_rows:
                        refused = pa.concat_tables([refused, change.letters_of(bad)])
            self._bury(change, refused)
            end_windows(self, change)
        return Applied(merged, superseded, refused.num_rows)

    def dead_letters(self, rule: str | None, after: Place | None, limit: int) -> pa.Table:
        names, quote = LETTER.names[1:-1], self.quote
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
            f"SELECT {self.listed(names)} FROM {self.table_name(self.tables.dead)} WHERE {' AND '.join(conditions)} "
            f"ORDER BY {topic}, {part}, {offset} FETCH FIRST {limit} ROWS ONLY"
        )
        with self.transaction():
            schema = pa.schema([LETTER.field(name) for name in names])
            return self.select(query, schema, *binds).rename_columns(DEAD.names)

    def lookup(self, table: str, schema: pa.Schema) -> pa.Table:
        with self.transaction():
            return self.select(f"SELECT {self.listed(schema.names)} FROM {self.name_of(table.split('.'))}", schema)

    def count_dead(self) -> int:
        query = (
            f"SELECT COUNT(*) FROM {self.table_name(self.tables.dead)} "
            f"WHERE {self.quote('stream')} = :1 AND {self.quote('replayed')} = 0"
        )
        with self.transaction():
            return int(self.select(query, pa.schema([("n", pa.int64())]), self.stream.name)["n"][0].as_py())

    # positions

    def position_rows(self) -> pa.Table:
        table = self.tables.positions
        query = (
            f"SELECT {self.listed(table.columns.names)} FROM {self.table_name(table)} WHERE {self.quote('stream')} = :1"
        )
        return self.select(query, table.columns, self.stream.name)

    def _move(self, change: Change) -> None:
        """Compare and set the positions, in one order for all writers. Raises ConcurrentWriteError."""
        table, quote = self.table_name(self.tables.positions), self.quote
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
            count = self.run(
                f"UPDATE {table} SET {quote('next_offset')} = :1, {quote('topic_id')} = :2{event} WHERE "
                f"{self._equal(('stream', 'topic', 'part', 'next_offset'), 4 if moment else 3)}",
                *(reached.offset, reached.topic_id, *([moment] if moment else [])),
                *(self.stream.name, *partition, at.offset),
            )
            if count != 1:
                raise self.lost_race()

    def _begin(self, partition: Partition, at: Position, moment: Any) -> None:
        table = self.tables.positions
        values = ", ".join(f":{n}" for n in range(1, 7))
        insert = f"INSERT INTO {self.table_name(table)} ({self.listed(table.columns.names)}) VALUES ({values})"
        try:
            self.run(insert, self.stream.name, *partition, at.topic_id, at.offset, moment)
        except RowsRefusedError:  # a rival began there
            raise self.lost_race() from None

    def lost_race(self) -> ConcurrentWriteError:
        return ConcurrentWriteError(
            f"{self.stream.contract.id}: another writer moved a position of this stream first. Nothing of this batch "
            "was kept. It is read again from the positions that are committed."
        )

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
        refused = self.insert(self.tables.target.name, _stored(self.stream.parts[0], rows))
        added = _without(rows, refused)
        return added.num_rows, refused, [(added, rows.slice(0, 0))] * len(self.tables.windows)

    def _merge_rows(self, part: Part, rows: pa.Table) -> tuple[int, Refused, list[tuple[pa.Table, pa.Table]]]:
        """
        Merge rows by one statement; return how many were newer, the refused, and what windows gain and lose.

        If the statement fails, the rows at fault are looked for one by one, and it runs again without them.
        """
        table, stored = self.tables.target, _stored(part, rows)
        merge = self.merge_into(table, stored.column_names, self.newer(part))
        refused = dict(self.stage(table, stored))
        for is_last in (False, True):
            replaced = [replaced_rows(self, part, rule) for rule, _ in self.tables.windows]
            try:
                return self.run(merge.format(self.name_of(table.stage))), refused, replaced
            except RowsRefusedError:
                if is_last:
                    raise
            places = _without(pa.table([pa.arange(0, rows.num_rows)], ["place"]), refused)["place"].to_pylist()
            found = self.refused_by(merge, _without(stored, refused))
            refused |= {places[at]: reason for at, reason in found.items()}
            self.stage(table, _without(stored, refused))
        raise AssertionError

    def stage(self, table: Table, rows: pa.Table) -> Refused:
        self.run(f"DELETE FROM {self.name_of(table.stage)}")
        return self.insert(table.stage, rows)

    def newer(self, part: Part) -> str:
        """Return the condition that the staged row s is newer than the row t of the target."""
        seq, offset = (self.quote(name + part.suffix) for name in ("lake_seq", "lake_offset"))
        return f"(t.{seq} IS NULL OR s.{seq} > t.{seq} OR (s.{seq} = t.{seq} AND s.{offset} > t.{offset}))"

    def merge_into(
        self, table: Table, names: Sequence[str], condition: str, sets: Mapping[str, str] | None = None
    ) -> str:
        """Return the MERGE of rows s (for {}) into a table t: `sets` has the expressions that are not the new value."""
        own = {name: f"s.{self.quote(name)}" for name in names if name not in table.key} | dict(sets or {})
        same = " AND ".join(f"t.{self.quote(name)} = s.{self.quote(name)}" for name in table.key)
        update = ", ".join(f"{self.quote(name)} = {value}" for name, value in own.items())
        return (
            f"MERGE INTO {self.table_name(table)} t USING {{}} s ON ({same}) {self.updating(update, condition)} "
            f"WHEN NOT MATCHED THEN INSERT ({self.listed(names)}) VALUES ({self.listed(names, 's.')})"
        )

    # events seen, windows, dead letters

    def _without_repeated(self, rows: pa.Table, column: str, period: Any) -> pa.Table:
        table = self.tables.seen
        if table is None:
            return rows
        last = last_occurrences(rows, column)
        stream = pa.repeat(pa.scalar(self.stream.name), last.num_rows)
        self.stage(table, pa.table([stream, *last.columns], table.columns.names))
        same = " AND ".join(f"t.{self.quote(name)} = s.{self.quote(name)}" for name in table.key)
        query = (
            f"SELECT {self.listed(['value', 'lake_at'], 't.')} FROM {self.table_name(table)} t "
            f"JOIN {self.name_of(table.stage)} s ON {same}"
        )
        schema = pa.schema([table.columns.field("value"), table.columns.field("lake_at")])
        fresh = first_occurrences(rows, column, period, self.select(query, schema))
        self.run(self.merge_into(table, table.columns.names, "1 = 1").format(self.name_of(table.stage)))
        end = pc.max(rows["lake_at"]).as_py()
        gone = f"{self.quote('stream')} = :1 AND {self.quote('lake_at')} < :2"
        self.run(f"DELETE FROM {self.table_name(table)} WHERE {gone}", self.stream.name, end - 2 * period)
        return fresh

    def _bury(self, change: Change, refused: pa.Table) -> None:
        table = self.tables.dead
        dead = pa.concat_tables([change.dead, refused])
        if not change.is_replay:
            if dead.num_rows:
                self.insert(table.name, letters(self.stream, dead))
            return
        kept = {(r["topic"], r["partition"], r["offset"]) for r in dead.select(DEAD.names[:3]).to_pylist()}
        is_open = f"{self._equal(LETTER.names[:4])} AND {self.quote('replayed')} = 0"
        mark = f"UPDATE {self.table_name(table)} SET {self.quote('replayed')} = 1 WHERE {is_open}"
        for place in change.records.select(DEAD.names[:3]).to_pylist():
            if (*place.values(),) not in kept and self.run(mark, self.stream.name, *place.values()) != 1:
                raise self.lost_race()

    # spelling

    def table_name(self, table: Table) -> str:
        return self.name_of(table.name)

    def name_of(self, name: Sequence[str]) -> str:
        return ".".join(f'"{part}"' for part in name)

    def listed(self, names: Sequence[str], of: str = "") -> str:
        return ", ".join(f"{of}{self.quote(name)}" for name in names)

    def _equal(self, names: Sequence[str], first: int = 1) -> str:
        return " AND ".join(f"{self.quote(name)} = :{at}" for at, name in enumerate(names, first))


def _stored(part: Part, rows: pa.Table) -> pa.Table:
    """Return rows under the names and types of the target."""
    at = rows.schema.get_field_index("lake_deleted")
    rows = rows.set_column(at, "lake_deleted", rows["lake_deleted"].cast(FLAG))
    return rows.rename_columns([n + part.suffix if n in MARKS.names[:-1] else n for n in rows.column_names])


def _without(rows: pa.Table, refused: Refused) -> pa.Table:
    if not refused:
        return rows
    return rows.filter(pc.invert(pc.is_in(pa.arange(0, rows.num_rows), value_set=pa.array(refused, pa.int64()))))
