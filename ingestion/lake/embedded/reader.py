"""Reads Delta's log with delta-rs, for both engines: they differ only in how they write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from ingestion.errors import LakeError
from ingestion.lake.base import (
    INDEXED,
    Commit,
    LiveFile,
    Snapshot,
    Tip,
    check_features,
    lost_race,
    newest_metadata,
)
from ingestion.lake.damage import torn_log
from ingestion.lake.descriptions import with_description
from ingestion.lake.log import check_whole
from ingestion.lake.statistics import indexed_columns
from ingestion.lake.storage.errors import reaching


class DeltaReader:
    """
    The part of `ingestion.lake.base.Engine` that writes nothing.

    If it `keeps_open` tables, it reads a log whole once and later only its new commits: for few tables that are never
    replaced, such as the ledger's.
    """

    def __init__(self, storage_options: Mapping[str, str] | None = None, *, keeps_open: bool = False) -> None:
        self._options = dict(storage_options or {})
        self._opened: dict[str, DeltaTable] | None = {} if keeps_open else None

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Within the block, keep tables open: a log is read whole at its first use, and later only its new commits."""
        before, self._opened = self._opened, {} if self._opened is None else self._opened
        try:
            yield
        finally:
            self._opened = before

    def exists(self, uri: str) -> bool:
        return uri in (self._opened or {}) or DeltaTable.is_deltatable(uri, self._options)

    def version(self, uri: str) -> int:
        return self._open(uri).version()

    def schema(self, uri: str) -> pa.Schema:
        return arrow_schema(self._open(uri))

    def tip(self, uri: str, app_id: str) -> Tip:
        table = self._whole(uri)
        return Tip(table.version(), table.transaction_version(app_id) or 0, table.metadata().configuration)

    def last_metadata(self, uri: str, app_id: str) -> dict[str, Any] | None:
        table = self._open(uri)
        for limit in (20, 400, None):
            found = newest_metadata(table.history(limit), app_id)
            if found is not None:
                return found
        return None

    def snapshot(self, uri: str, *, expected_version: int) -> Snapshot:
        table = self._at(uri, expected_version)
        metadata, schema = table.metadata(), arrow_schema(table)
        named, allowed = metadata.configuration.get(INDEXED), indexed_columns(schema)
        return Snapshot(
            uri=uri,
            version=table.version(),
            schema=schema,
            partition_by=tuple(metadata.partition_columns),
            # a column may have been retyped since to a type without statistics
            indexed=tuple(name for name in (allowed if named is None else named.split(",")) if name in allowed),
            files=tuple(live_files(table)),
        )

    def newest(self, uri: str) -> tuple[pa.Schema, list[LiveFile]]:
        """Return the schema and the files of the newest version from a single read of the log."""
        table = self._open(uri)
        return arrow_schema(table), list(live_files(table))

    def _open(self, uri: str) -> DeltaTable:
        if self._opened is None:
            return self._read(uri)
        table = self._opened.pop(uri, None)
        try:
            if table is not None:
                table.update_incremental()
        except (DeltaError, OSError):
            table = None  # read it whole, which tells what is wrong
        self._opened[uri] = table or self._read(uri)
        return self._opened[uri]

    def _read(self, uri: str) -> DeltaTable:
        try:
            with reaching(uri):
                return DeltaTable(uri, storage_options=self._options)
        except TableNotFoundError as exc:
            raise LakeError(f"{uri}: there is no Delta table. Nothing was written. Run `lakehouse init`.") from exc
        except DeltaError as exc:
            raise torn_log(uri, f"it cannot be read ({type(exc).__name__})") from exc

    def _whole(self, uri: str) -> DeltaTable:
        """Open a table after checking that its newest commit is complete. Readers accept an empty commit as valid."""
        table = self._open(uri)
        with reaching(uri):
            check_whole(uri, table.version())
        return table

    def _writable(self, uri: str) -> DeltaTable:
        table = self._whole(uri)
        protocol = table.protocol()
        check_features(uri, protocol.reader_features or [], protocol.writer_features or [])
        return table

    def _at(self, uri: str, expected_version: int) -> DeltaTable:
        table = self._writable(uri)
        if table.version() != expected_version:
            raise lost_race(uri)
        return table

    @staticmethod
    def _is_applied(table: DeltaTable, commit: Commit) -> bool:
        # delta-rs records application transactions but does not enforce them: check on the handle that writes
        if commit.version is None:
            return False
        applied = table.transaction_version(commit.app_id) or 0
        if applied < commit.version and commit.after not in (None, applied):
            raise lost_race(table.table_uri)
        return applied >= commit.version


def arrow_schema(table: DeltaTable) -> pa.Schema:
    return with_description(pa.schema(table.schema().to_arrow()), table.metadata().description or "")


def live_files(table: DeltaTable) -> Iterator[LiveFile]:
    """Yield the data files of the version that a table was opened at."""
    actions = pa.table(table.get_add_actions())
    partitioned = "partition" in actions.column_names
    for action in actions.select(["path", "num_records", "size_bytes", *(["partition"] * partitioned)]).to_pylist():
        # paths in the log are URL-encoded; an action is created from the plain path
        values = action.get("partition") or {}
        yield LiveFile(unquote(action["path"]), action["num_records"], action["size_bytes"], _spelled(values))


def _spelled(values: Mapping[str, Any]) -> dict[str, str | None]:
    """Return partition values in the log's text form."""
    return {
        name: None if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
    }
