"""Puts the rows of small files into few. A table's rows, versions and history stay what they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ingestion.errors import IntegrityError
from ingestion.lake.base import Commit, Engine, LiveFile, Snapshot, StagedFile
from ingestion.lake.duck import Connection, identifier, literal, location
from ingestion.lake.files import FileWriter, file_rows

ENOUGH = 8
"""Small files of one partition that are worth a commit."""


def compact_files(engine: Engine, connection: Connection, table: Snapshot, order_by: Sequence[str] = ()) -> int:
    """
    Write the small files of each partition anew as few; return how many were replaced. One commit or none.

    The commit names the version it was made of and is never tried again: of two that compact one table, or of a
    writer and a compaction, one is refused (ConcurrentWriteError). Raises IntegrityError unless the new files
    hold as many rows as the old.
    """
    removed: list[LiveFile] = []
    added: list[StagedFile] = []
    for files in _small_files(table):
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
        if file.rows is not None and file.rows < file_rows(len(table.schema)) // 2:
            partitions[tuple(sorted(file.partition_values.items()))].append(file)
    return [files for files in partitions.values() if len(files) >= ENOUGH]


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
