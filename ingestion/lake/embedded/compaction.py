"""Puts the rows of small files into few. A table's rows, versions and history stay what they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ingestion.errors import IntegrityError
from ingestion.lake.base import Commit, FileEngine, LiveFile, Snapshot, StagedFile
from ingestion.lake.duck import Connection, identifier, literal, location
from ingestion.lake.embedded.parquet_files import FileWriter, file_rows

ENOUGH = 8
"""Small files of one partition that are worth a commit."""


ALIKE = 16
"""Files of one size class that `by_size` makes one of; each class holds files of so many times the rows of the last."""


def compact_files(
    engine: FileEngine, connection: Connection, table: Snapshot, order_by: Sequence[str] = (), *, by_size: bool = False
) -> int:
    """
    Write the small files of each partition anew as few; return how many were replaced. One commit or none.

    With `by_size` only files of about one size become one, as soon as there are `ALIKE` of them. Their file is of the
    next class, so that a row is written anew a few times in the life of its table, however often that grows.

    The commit names the version it was made of and is never tried again: of two that compact one table, or of a
    writer and a compaction, one is refused (ConcurrentWriteError). Raises IntegrityError unless the new files
    hold as many rows as the old.
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
    """Return the query of all rows of some files, with the columns that are younger than they are."""
    paths = ", ".join(literal(f"{location(table.uri)}/{file.path}") for file in files)
    nothing = ", ".join(f"null as {identifier(name)}" for name in table.schema.names if name not in table.partition_by)
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
