"""Combines small files into few. A table's rows, versions and history do not change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ingestion.errors import IntegrityError
from ingestion.lake.base import Commit, FileEngine, LiveFile, Snapshot, StagedFile
from ingestion.lake.duck import Connection, location
from ingestion.lake.embedded.parquet_files import FileWriter, file_rows
from ingestion.sql.quoting import quote_standard, text_literal

ENOUGH = 8
"""The least number of small files in a partition that justifies a commit."""


ALIKE = 16
"""How many files of one size class `by_size` combines; also the ratio of row counts between size classes."""


def compact_files(
    engine: FileEngine, connection: Connection, table: Snapshot, order_by: Sequence[str] = (), *, by_size: bool = False
) -> int:
    """
    Combine the small files of each partition into few; return how many were replaced. One commit or none.

    With `by_size` only files of about the same size are combined, once there are `ALIKE` of them. The new file belongs
    to the next size class, so each row is rewritten only a few times, no matter how often the table grows.

    The commit applies to the version that was read and is never retried. If another writer or compaction commits
    meanwhile, this one raises ConcurrentWriteError. Raises IntegrityError unless the new files hold as many rows as
    the old ones.
    """
    removed: list[LiveFile] = []
    added: list[StagedFile] = []
    for files in _of_one_size(table) if by_size else _small_files(table):
        values = files[0].partition_values
        writer = FileWriter(connection, table.uri, table.schema, table.partition_by, table.indexed)
        written = writer.write(_rows_of(table, files), partition_values=values, order_by=order_by)
        _check(table, files, written)
        removed += files
        added += written
    if removed:
        commit = Commit("compaction", None)
        engine.replace(table.uri, removed, added, commit=commit, expected_version=table.version, rearranges=True)
    return len(removed)


def _small_files(table: Snapshot) -> list[list[LiveFile]]:
    partitions: dict[tuple[tuple[str, str | None], ...], list[LiveFile]] = defaultdict(list)
    for file in table.files:
        if _is_small(table, file):
            partitions[tuple(sorted(file.partition_values.items()))].append(file)
    return [files for files in partitions.values() if len(files) >= ENOUGH]


def _is_small(table: Snapshot, file: LiveFile) -> bool:
    return file.rows is not None and file.rows < file_rows(len(table.schema)) // 2


def _of_one_size(table: Snapshot) -> list[list[LiveFile]]:
    classes: dict[tuple[int, tuple[tuple[str, str | None], ...]], list[LiveFile]] = defaultdict(list)
    for file in table.files:
        if _is_small(table, file) and file.rows is not None:
            size = (max(file.rows, 1).bit_length() - 1) // (ALIKE.bit_length() - 1)
            classes[size, tuple(sorted(file.partition_values.items()))].append(file)
    return [files for files in classes.values() if len(files) >= ALIKE]


def _rows_of(table: Snapshot, files: Sequence[LiveFile]) -> str:
    """Return the query of all rows of some files, including columns that were added to the table later."""
    paths = ", ".join(text_literal(f"{location(table.uri)}/{file.path}") for file in files)
    nothing = ", ".join(
        f"null as {quote_standard(name)}" for name in table.schema.names if name not in table.partition_by
    )
    return (
        f"select {nothing} where false union all by name "
        f"select * from read_parquet([{paths}], union_by_name = true, hive_partitioning = false)"
    )


def _check(table: Snapshot, files: Sequence[LiveFile], written: Sequence[StagedFile]) -> None:
    before, after = sum(file.rows or 0 for file in files), sum(file.rows for file in written)
    if before != after:
        raise IntegrityError(
            f"{table.uri}: {before} rows are in the files to compact, {after} in the new ones. Nothing was committed. "
            "This is a fault of the program; report it."
        )
