"""The embedded engine: writes Delta with delta-rs. Only this module and `reader` import deltalake."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Field, Schema, TableFeatures, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from ingestion.errors import IntegrityError
from ingestion.lake import duck
from ingestion.lake.base import (
    APPEND_ONLY,
    OP,
    Commit,
    LiveFile,
    Snapshot,
    StagedFile,
    check_columns,
    check_partition,
    check_types,
    lost_race,
    table_properties,
)
from ingestion.lake.descriptions import description_of, to_give
from ingestion.lake.embedded.compaction import compact_files
from ingestion.lake.embedded.locate import located
from ingestion.lake.embedded.reader import DeltaReader, arrow_schema, live_files
from ingestion.lake.embedded.retype import count_misfits, retyped_files, retyped_schema
from ingestion.lake.embedded.rewrite import apply_difference
from ingestion.lake.log import METADATA_KEY, check_has_no_past
from ingestion.lake.past import find_past
from ingestion.lake.storage.errors import reaching

_NO_ROW = [("_batch", "=", "-1")]  # no file can hold such a row, so an overwrite with this filter removes no file


class DeltaRs(DeltaReader):
    """
    Implements `ingestion.lake.base.FileEngine`. Stateless, unless it `keeps_open` the tables that it has opened.

    `memory_limit` is DuckDB's during a merge; data that exceeds it spills to the system's temporary folder.
    """

    name = "embedded"

    def __init__(
        self,
        storage_options: Mapping[str, str] | None = None,
        memory_limit: str = "1GB",
        *,
        keeps_open: bool = False,
    ) -> None:
        super().__init__(storage_options, keeps_open=keeps_open)
        self._memory_limit = memory_limit

    def create(
        self,
        uri: str,
        schema: pa.Schema,
        *,
        append_only: bool = False,
        unindexed: Sequence[str] = (),
        partition_by: Sequence[str] = (),
    ) -> None:
        if self.exists(uri):
            return
        with reaching(uri):
            check_has_no_past(uri)
            try:
                DeltaTable.create(
                    uri,
                    schema,
                    mode="ignore",
                    description=description_of(schema) or None,
                    partition_by=list(partition_by) or None,
                    configuration=table_properties(
                        schema, append_only=append_only, unindexed=unindexed, partition_by=partition_by
                    ),
                    storage_options=self._options,
                    commit_properties=CommitProperties(max_commit_retries=0),  # a retry would create it again
                )
            except DeltaError:
                if not self.exists(uri):  # else another process created it first
                    raise

    def add_columns(self, uri: str, fields: Sequence[pa.Field]) -> None:
        table = self._writable(uri)
        known = set(arrow_schema(table).names)
        new = Schema.from_arrow(pa.schema([field for field in fields if field.name not in known]))
        if new.fields:
            table.alter.add_columns([Field(f.name, f.type, nullable=True) for f in new.fields])

    def describe(self, uri: str, schema: pa.Schema) -> None:
        table = self._writable(uri)
        comments, description = to_give(arrow_schema(table), schema)
        with _committing(uri):
            for name, comment in comments.items():
                table.alter.set_column_metadata(name, {"comment": comment})
            if description:
                table.alter.set_table_description(description)

    def publish(
        self,
        uri: str,
        files: Sequence[StagedFile],
        *,
        commit: Commit,
        overwrite: bool = False,
        schema: pa.Schema | None = None,
    ) -> int | None:
        table = self._writable(uri)
        if self._is_applied(table, commit):
            return None
        check_types(uri, arrow_schema(table), schema)
        check_partition(uri, table.metadata().partition_columns, files)
        with _committing(uri):
            table.create_write_transaction(
                list(_add_actions(files)),
                "overwrite" if overwrite else "append",
                table.schema(),
                partition_by=table.metadata().partition_columns or None,
                commit_properties=_properties(commit),
            )
        return self._open(uri).version()

    def append(self, uri: str, rows: pa.Table, *, commit: Commit | None = None) -> None:
        table = self._writable(uri)
        check_columns(uri, arrow_schema(table), rows.schema)
        if commit is not None and self._is_applied(table, commit):
            return
        with _committing(uri):
            write_deltalake(
                table, rows, mode="append", commit_properties=None if commit is None else _properties(commit)
            )

    def overwrite(
        self,
        uri: str,
        files: Sequence[StagedFile],
        *,
        schema: pa.Schema,
        commit: Commit,
        unindexed: Sequence[str] = (),
        partition_by: Sequence[str] = (),
    ) -> int:
        with _committing(uri):
            # no set_table_properties: it adds the feature variantType to every table with timestampNtz
            create_table_with_add_actions(
                uri,
                Schema.from_arrow(schema),
                _add_actions(files),
                mode="overwrite",
                partition_by=list(partition_by),
                description=description_of(schema) or None,
                configuration=table_properties(schema, unindexed=unindexed, partition_by=partition_by),
                storage_options=self._options,
                commit_properties=_properties(commit),
            )
        return self._open(uri).version()

    def replace(
        self,
        uri: str,
        removed: Sequence[LiveFile],
        added: Sequence[StagedFile],
        *,
        commit: Commit,
        expected_version: int,
        rearranges: bool = False,
    ) -> int:
        table = self._at(uri, expected_version)
        now, is_change = int(time.time() * 1000), not rearranges
        removals = [RemoveAction(f.path, is_change, now, f.bytes, dict(f.partition_values)) for f in removed]
        if commit.version is None:  # else its transaction, which is the last action, shows whether it is complete
            commit = replace(commit, metadata={**commit.metadata, "files": len(removed), "into": len(added)})
        with _committing(uri):
            table.create_write_transaction(
                [*removals, *_add_actions(added, is_change)],
                "append",
                table.schema(),
                partition_by=table.metadata().partition_columns or None,
                commit_properties=_properties(commit, retries=0),  # a retry would let other commits in between
            )
        return expected_version + 1

    def merge(
        self,
        uri: str,
        rows: pa.RecordBatchReader,
        *,
        key: str | Sequence[str],
        commit: Commit,
        expected_version: int,
        op: str = OP,
    ) -> int | None:
        table = self.snapshot(uri, expected_version=expected_version)
        keys = [key] if isinstance(key, str) else list(key)
        with self._duckdb(table) as connection:
            difference = located(connection, table, rows, keys, op)
            return apply_difference(self, connection, table, difference, commit=commit)

    def remove(
        self,
        uri: str,
        rows: pa.Table,
        *,
        key: Sequence[str],
        commit: Commit,
        expected_version: int,
    ) -> int:
        if not rows.num_rows:
            return self.replace(uri, [], [], commit=commit, expected_version=expected_version)
        table = self.snapshot(uri, expected_version=expected_version)
        is_log = self._open(uri).metadata().configuration.get(APPEND_ONLY) == "true"
        with self._duckdb(table) as connection:
            difference = located(connection, table, rows.to_reader(), key, None)
            apply_difference(self, connection, table, difference, commit=commit, rearranges=is_log)
        return expected_version + 1

    def forget(self, uri: str) -> int:
        table = self._whole(uri)
        past = find_past(uri, table.version(), [file.path for file in live_files(table)])
        if not past.is_empty:
            with reaching(uri):
                table.create_checkpoint()
            past.delete()
        return past.count

    def retype(self, uri: str, types: Mapping[str, pa.DataType]) -> dict[str, int]:
        table = self.snapshot(uri, expected_version=self.version(uri))
        with self._duckdb(table) as connection:
            misfits = count_misfits(connection, table, types)
            if misfits:
                return misfits
            files = retyped_files(connection, table, types)
        self._give_types(table, files, retyped_schema(table.schema, types))
        return {}

    def _give_types(self, before: Snapshot, files: Sequence[StagedFile], schema: pa.Schema) -> None:
        """Commit the new files and the schema, in two commits for an append-only table because delta-rs requires it."""
        uri, version = before.uri, before.version
        commit = Commit("retype", None, {"files": len(before.files), "into": len(files)})
        is_log = self._open(uri).metadata().configuration.get(APPEND_ONLY) == "true"
        if is_log and before.files:
            version = self.replace(uri, before.files, files, commit=commit, expected_version=version, rearranges=True)
            commit = Commit("retype", None)
        table = self._with_features(uri, version, schema)
        version = table.version()
        try:
            table.create_write_transaction(
                [] if is_log else list(_add_actions(files, is_change=False)),
                "overwrite",
                Schema.from_arrow(schema),
                partition_by=list(before.partition_by) or None,
                partition_filters=_NO_ROW if is_log and before.files else None,
                commit_properties=_properties(commit, retries=0),
            )
        except CommitFailedError as exc:
            raise lost_race(uri) from exc
        after = self.snapshot(uri, expected_version=version + 1)
        if after.schema.types != schema.types or {f.path for f in after.files} != {f.path for f in files}:
            raise IntegrityError(
                f"{uri}: version {after.version} has other files or types than the retyped ones. Read it "
                f"as of version {before.version}, write nothing into it, and report this fault of the program."
            )

    def _with_features(self, uri: str, version: int, schema: pa.Schema) -> DeltaTable:
        """Return the table at `version`, or one later if the feature for a first wall clock column had to be added."""
        table = self._at(uri, version)
        known = table.protocol().writer_features or []
        if "timestampNtz" in known or not any(pa.types.is_timestamp(t) and t.tz is None for t in schema.types):
            return table
        is_log = table.metadata().configuration.get(APPEND_ONLY) == "true"
        # a table with table features is append-only only if it names that feature too
        wanted = [TableFeatures.TimestampWithoutTimezone, *([TableFeatures.AppendOnly] if is_log else [])]
        table.alter.add_feature(wanted, allow_protocol_versions_increase=True)
        return self._at(uri, version + 1)

    def compact(self, uri: str, *, order_by: Sequence[str] = ()) -> int:
        return self._compact(uri, order_by)

    def compact_by_size(self, uri: str) -> int:
        """Compact only files of about the same size. Cheap enough to run often (see `compact_files`)."""
        return self._compact(uri, by_size=True)

    def _compact(self, uri: str, order_by: Sequence[str] = (), *, by_size: bool = False) -> int:
        table = self.snapshot(uri, expected_version=self.version(uri))
        with self._duckdb(table) as connection:
            return compact_files(self, connection, table, order_by, by_size=by_size)

    def vacuum(self, uri: str, *, keep: timedelta) -> int:
        hours = int(keep.total_seconds() // 3600)
        deleted = self._writable(uri).vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True)
        return len(deleted)

    @contextmanager
    def _duckdb(self, table: Snapshot) -> Iterator[duck.Connection]:
        with duck.session(table.uri, memory_limit=self._memory_limit, columns=len(table.schema)) as connection:
            yield connection


@contextmanager
def _committing(uri: str) -> Iterator[None]:
    """Raise errors of a commit as our own errors."""
    with reaching(uri):
        try:
            yield
        except CommitFailedError as exc:
            raise lost_race(uri) from exc


def _add_actions(files: Sequence[StagedFile], is_change: bool = True) -> list[AddAction]:
    now = int(time.time() * 1000)
    return [AddAction(f.path, f.bytes, dict(f.partition_values), now, is_change, f.statistics) for f in files]


def _properties(commit: Commit, retries: int | None = None) -> CommitProperties:
    return CommitProperties(
        custom_metadata={METADATA_KEY: commit.to_json()},
        max_commit_retries=retries,
        app_transactions=[] if commit.version is None else [Transaction(commit.app_id, commit.version)],
    )
