"""Writes tables whose commits wait, so that their rows can be tested before any reader of the lake sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from ingestion.lake.base import FileEngine, LiveFile, StagedFile, lost_race
from ingestion.lake.duck import location
from ingestion.lake.embedded.parquet_files import casts, sql_type
from ingestion.sql.quoting import quote_standard, text_literal


@dataclass(frozen=True, slots=True)
class _Waiting:
    version: int
    files: tuple[str, ...]
    schema: pa.Schema
    commit: Callable[[], int]


class Withheld:
    """
    Commits of tables without partitions that wait for `publish`. Implements `ingestion.lake.base.FileCommits`.

    `overwrite` and `replace` return the version that `publish` will commit. Until then every reader sees the table as
    it was. If the process ends first, the new files stay in the table's folder, without a commit, until
    `lakehouse maintain` deletes them.
    """

    def __init__(self, engine: FileEngine) -> None:
        self._engine = engine
        self._waiting: dict[str, _Waiting] = {}

    def overwrite(self, uri: str, files: Sequence[StagedFile], *, schema: pa.Schema, **options: Any) -> int:
        write = partial(self._engine.overwrite, uri, files, schema=schema, **options)
        return self._withhold(uri, self._newest(uri) + 1, [file.path for file in files], schema, write)

    def replace(
        self,
        uri: str,
        removed: Sequence[LiveFile],
        added: Sequence[StagedFile],
        *,
        expected_version: int,
        **options: Any,
    ) -> int:
        table = self._engine.snapshot(uri, expected_version=expected_version)
        gone = {file.path for file in removed}
        files = [file.path for file in table.files if file.path not in gone] + [file.path for file in added]
        write = partial(self._engine.replace, uri, removed, added, expected_version=expected_version, **options)
        return self._withhold(uri, expected_version + 1, files, table.schema, write)

    def _withhold(
        self, uri: str, version: int, files: Sequence[str], schema: pa.Schema, commit: Callable[[], int]
    ) -> int:
        self._waiting[uri] = _Waiting(version, tuple(files), schema, commit)
        return version

    def scan(self, uri: str) -> str:
        """Return the table function that reads the rows of a withheld table. Raises KeyError if none is withheld."""
        waiting = self._waiting[uri]
        if not waiting.files:
            columns = ", ".join(f"null::{sql_type(f.type)} as {quote_standard(f.name)}" for f in waiting.schema)
            return f"(select {columns}, ''::varchar as filename, 0::bigint as file_row_number where false)"
        place = location(uri)
        files = ", ".join(text_literal(f"{place}/{path}") for path in waiting.files)
        return f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"

    def rows(self, uri: str) -> str:
        """Return the query of the rows of a withheld table, with its columns and types."""
        return f"select {casts(self._waiting[uri].schema)} from {self.scan(uri)}"

    def publish(self, uri: str) -> None:
        """Commit a withheld table. Raises ConcurrentWriteError if another process committed to it meanwhile."""
        waiting = self._waiting.pop(uri)
        if self._newest(uri) != waiting.version - 1:
            raise lost_race(uri)
        waiting.commit()

    def _newest(self, uri: str) -> int:
        """Return the newest version of a table; -1 if there is none."""
        return self._engine.version(uri) if self._engine.exists(uri) else -1
