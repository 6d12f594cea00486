"""Applies a difference to a Delta table: DuckDB rewrites the files with changed rows, and one commit swaps them.

A difference has the table's columns and three more: `_change` (I insert, U update, D delete), and `_file` and `_pos`,
the position of the row to update or delete, as `delta_scan` returns it (`filename`, `file_row_number`). An inserted row
may name the position of a row that the same difference updates or deletes. It is then written there, if the partition
is the same, so that the table keeps its order. Other rows are appended to a small file that is rewritten anyway, so
that small files do not accumulate, or written to new files.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import unquote

from ingestion.errors import IntegrityError
from ingestion.lake import duck
from ingestion.lake.base import Commit, FileCommits, LiveFile, Snapshot, StagedFile
from ingestion.lake.duck import Connection
from ingestion.lake.embedded.parquet_files import FileWriter, file_rows, sorted_by
from ingestion.sql.quoting import quote_standard, text_literal

CHANGE, FILE, POSITION = "_change", "_file", "_pos"


@dataclass(frozen=True, slots=True)
class _Touched:
    """
    A file with rows to change: its name in `delta_scan`, and how many rows are removed and added.

    `appended` is a query of further rows to add at its end; `coming` includes them.
    """

    seen_as: str
    file: LiveFile
    leaving: int
    coming: int
    appended: str | None = None

    @property
    def rows(self) -> int:
        """Rows that the file will have; if the log has no count, that of a full file."""
        return file_rows(1) if self.file.rows is None else self.file.rows - self.leaving + self.coming


def apply_difference(
    engine: FileCommits,
    connection: Connection,
    table: Snapshot,
    difference: str,
    *,
    commit: Commit,
    order_by: Sequence[str] = (),
    rearranges: bool = False,
) -> int | None:
    """
    Apply the query `difference` to `table` in one commit; return the new version, None if it is empty.

    `rearranges` is that of `FileCommits.replace`.

    Raises ConcurrentWriteError if another writer committed after `table` was read, IntegrityError if
    rows would be lost or doubled. After any error the table is unchanged; uncommitted files
    may remain.
    """
    with materialized(connection, difference) as rows:
        if not connection.execute(f"select 1 from {rows} limit 1").fetchone():
            return None
        touched = _touched(connection, table, rows)
        others = _others(table, rows, touched)
        touched, others = _append_to_smallest_file(connection, table, touched, others, order_by)
        added = _rewrite_touched(connection, table, rows, touched)
        added += write_partitioned(_writer(connection, table), others, table.partition_by, order_by)
        removed = [item.file for item in touched]
        _check_total(connection, table, rows, removed, added)
    return engine.replace(
        table.uri, removed, added, commit=commit, expected_version=table.version, rearranges=rearranges
    )


@contextmanager
def materialized(connection: Connection, query: str) -> Iterator[str]:
    """Run a query once into a table that other cursors see; data over DuckDB's memory limit spills."""
    name = quote_standard(f"rows_{uuid.uuid4().hex}")
    connection.execute(f"create table {name} as {query}")
    try:
        yield name
    finally:
        connection.execute(f"drop table {name}")


def _touched(connection: Connection, table: Snapshot, rows: str) -> list[_Touched]:
    known = {file.name: file for file in table.files}
    counted = connection.execute(
        f"select {FILE}, count(*) from {rows} where {CHANGE} <> 'I' group by {FILE} order by {FILE}"
    ).fetchall()
    found = []
    for seen_as, leaving in counted:
        file = known.get(unquote(str(seen_as)).rsplit("/", 1)[-1])
        if file is None:
            raise IntegrityError(
                f"{table.uri}: a change is of a row that version {table.version} does not have. "
                "Nothing was committed. This is a fault of the program; report it."
            )
        coming = connection.execute(f"select count(*) from {rows} where {_comes_to(table, seen_as, file)}").fetchone()
        found.append(_Touched(seen_as, file, leaving, coming[0] if coming else 0))
    return found


def _comes_to(table: Snapshot, seen_as: str, file: LiveFile) -> str:
    """Return the condition that a row of the difference is written to a position in `file`."""
    partition = [_is(name, file.partition_values.get(name)) for name in table.partition_by]
    return " and ".join([f"{FILE} = {text_literal(seen_as)}", f"{CHANGE} <> 'D'", *partition])


def _rewrite_touched(
    connection: Connection, table: Snapshot, rows: str, touched: Sequence[_Touched]
) -> list[StagedFile]:
    """Rewrite each touched file, as many at a time as DuckDB has threads."""
    threads = connection.execute("select current_setting('threads')").fetchone()
    with ThreadPoolExecutor(max_workers=int(threads[0]) if threads else 1) as pool:
        written = list(pool.map(lambda item: _rewrite(connection, table, rows, item), touched))
    return [file for file in written if file is not None]


def _rewrite(connection: Connection, table: Snapshot, rows: str, item: _Touched) -> StagedFile | None:
    """Rewrite one file, row for row in its order. Raises IntegrityError if the row count is wrong."""
    if item.file.rows == item.leaving and not item.coming:
        return None
    stored = [quote_standard(name) for name in table.schema.names if name not in table.partition_by]
    values = ", ".join(f"case when change._comes then change.{name} else old.{name} end as {name}" for name in stored)
    coming = _comes_to(table, item.seen_as, item.file)
    query = f"""
        select {values}
        from (
            select * from read_parquet({text_literal(item.seen_as)}, file_row_number = true, hive_partitioning = false)
            union all by name
            select {", ".join(stored)} from {rows} where false /* columns that are younger than the file */
        ) as old
        left join (
            select true as _comes, {POSITION}, {", ".join(stored)} from {rows} where {coming}
            union all by name
            select distinct false as _comes, {POSITION} from {rows}
            where {FILE} = {text_literal(item.seen_as)} and {CHANGE} <> 'I'
                and {POSITION} not in (select {POSITION} from {rows} where {coming})
        ) as change
            on old.file_row_number = change.{POSITION}
        where change._comes is distinct from false
    """
    if item.appended:
        query = f"select * from ({query}) union all select {', '.join(stored)} from ({item.appended})"
    with duck.beside(connection) as cursor:
        written = _writer(cursor, table).write_one(query, partition_values=item.file.partition_values)
    _check(table, item, 0 if written is None else written.rows)
    return written


def _check(table: Snapshot, item: _Touched, found: int) -> None:
    if item.file.rows is not None and found != item.file.rows - item.leaving + item.coming:
        raise IntegrityError(
            f"{table.uri}: expected {item.file.rows} - {item.leaving} + {item.coming} rows in a rewritten file, "
            f"found {found}. Nothing was committed. This is a fault of the program; report it."
        )


def _check_total(
    connection: Connection, table: Snapshot, rows: str, removed: Sequence[LiveFile], added: Sequence[StagedFile]
) -> None:
    counted = connection.execute(
        f"select count(*) filter ({CHANGE} = 'I') - count(*) filter ({CHANGE} = 'D') from {rows}"
    ).fetchone()
    before = [file.rows for file in removed]
    known = [count for count in before if count is not None]
    more = sum(file.rows for file in added) - sum(known)
    if counted is not None and len(known) == len(before) and more != counted[0]:
        raise IntegrityError(
            f"{table.uri}: expected {counted[0]} more rows, found {more} in the files written. "
            "Nothing was committed. This is a fault of the program; report it."
        )


def _others(table: Snapshot, rows: str, touched: Sequence[_Touched]) -> str:
    """Return the query of the rows that have no position in a touched file."""
    others = f"select * from {rows} as change where {CHANGE} <> 'D'"
    if not touched:
        return others
    places = ", ".join(_place(item, table.partition_by) for item in touched)
    names = ["_seen_as", *(f"_partition_{number}" for number in range(len(table.partition_by)))]
    same = [f"{_text(name)} is not distinct from {names[n]}" for n, name in enumerate(table.partition_by, 1)]
    return (
        f"{others} and not exists (select 1 from (values {places}) as place ({', '.join(names)})"
        f" where {' and '.join([f'change.{FILE} = _seen_as', *same])})"
    )


def _append_to_smallest_file(
    connection: Connection, table: Snapshot, touched: list[_Touched], others: str, order_by: Sequence[str]
) -> tuple[list[_Touched], str]:
    """Assign each partition's remaining rows to its smallest touched file if they fit; also return the rest."""
    columns = ", ".join(["count(*)", *(_text(name) for name in table.partition_by)])
    counted = connection.execute(f"select {columns} from ({others}) group by all").fetchall()
    left, most = [], file_rows(len(table.schema))
    for count, *values in counted:
        partition = dict(zip(table.partition_by, values, strict=True))
        here = f"select * from ({others}) where {_are(partition)}"
        homes = [item for item in touched if item.file.partition_values == partition and item.rows + count <= most]
        if not homes or not count:
            left.append(here)
            continue
        home = min(homes, key=lambda item: item.rows)
        touched[touched.index(home)] = replace(home, coming=home.coming + count, appended=here + sorted_by(order_by))
    return touched, " union all ".join(left) if left else f"{others} limit 0"


def _place(item: _Touched, partition_by: Sequence[str]) -> str:
    values = [item.file.partition_values.get(name) for name in partition_by]
    texts = [text_literal(item.seen_as), *("null" if value is None else text_literal(value) for value in values)]
    return f"({', '.join(texts)})"


def write_partitioned(
    writer: FileWriter, rows: str, partition_by: Sequence[str], order_by: Sequence[str]
) -> list[StagedFile]:
    """Write the rows of a query, which runs once per partition; each file holds rows of one partition."""
    if not partition_by:
        some = writer.connection.execute(f"select 1 from ({rows}) limit 1").fetchone()
        return writer.write(rows, partition_values={}, order_by=order_by) if some else []
    texts = ", ".join(_text(name) for name in partition_by)
    written = []
    for values in writer.connection.execute(f"select distinct {texts} from ({rows}) order by all").fetchall():
        partition = dict(zip(partition_by, values, strict=True))
        selected = f"select * from ({rows}) where {_are(partition)}"
        written += writer.write(selected, partition_values=partition, order_by=order_by)
    return written


def _writer(connection: Connection, table: Snapshot) -> FileWriter:
    return FileWriter(connection, table.uri, table.schema, table.partition_by, table.indexed)


def _text(name: str) -> str:
    """Return the SQL of a partition value in Delta's text form."""
    return f"cast({quote_standard(name)} as varchar)"


def _are(partition: Mapping[str, str | None]) -> str:
    return " and ".join(_is(name, value) for name, value in partition.items()) or "true"


def _is(name: str, value: str | None) -> str:
    return f"{_text(name)} is not distinct from {'null' if value is None else text_literal(value)}"
