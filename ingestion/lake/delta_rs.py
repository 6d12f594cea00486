"""The embedded engine: writes Delta with delta-rs. The only module that imports deltalake."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from ingestion.errors import ConcurrentWriteError, IntegrityError, LakeError
from ingestion.lake.base import METADATA_KEY, OP, Commit, StagedFile, check_features
from ingestion.lake.statistics import indexed_columns

LOG_RETENTION = "interval 3650 days"  # commit metadata holds the watermarks; clean-up would take them away


class DeltaRs:
    """Implements `ingestion.lake.base.Engine`. Stateless but for the storage options."""

    def __init__(self, storage_options: Mapping[str, str] | None = None) -> None:
        self._options = dict(storage_options or {})

    def exists(self, uri: str) -> bool:
        return DeltaTable.is_deltatable(uri, self._options)

    def version(self, uri: str) -> int:
        return self._open(uri).version()

    def schema(self, uri: str) -> pa.Schema:
        return _arrow_schema(self._open(uri))

    def properties(self, uri: str) -> dict[str, str]:
        return {key: str(value) for key, value in self._open(uri).metadata().configuration.items()}

    def transaction_version(self, uri: str, app_id: str) -> int | None:
        return self._open(uri).transaction_version(app_id)

    def last_metadata(self, uri: str, app_id: str) -> dict[str, Any] | None:
        table = self._open(uri)
        for limit in (20, 400, None):
            found = _newest_metadata(table.history(limit), app_id)
            if found is not None:
                return found
        return None

    def create(
        self,
        uri: str,
        schema: pa.Schema,
        *,
        append_only: bool = False,
        unindexed: Sequence[str] = (),
        partition_by: Sequence[str] = (),
    ) -> None:
        DeltaTable.create(
            uri,
            schema,
            mode="ignore",
            partition_by=list(partition_by) or None,
            configuration=_configuration(schema, append_only=append_only, unindexed=unindexed),
            storage_options=self._options,
        )

    def add_columns(self, uri: str, fields: Sequence[pa.Field]) -> None:
        table = self._writable(uri)
        known = set(_arrow_schema(table).names)
        new = Schema.from_arrow(pa.schema([field for field in fields if field.name not in known]))
        if new.fields:
            table.alter.add_columns([Field(f.name, f.type, nullable=True) for f in new.fields])

    def publish(self, uri: str, files: Sequence[StagedFile], *, commit: Commit, overwrite: bool = False) -> int | None:
        table = self._writable(uri)
        if self._is_applied(table, commit):
            return None
        now = int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = [
            AddAction(file.path, file.bytes, dict(file.partition_values), now, True, file.statistics) for file in files
        ]
        try:
            table.create_write_transaction(
                actions,
                "overwrite" if overwrite else "append",
                table.schema(),
                partition_by=table.metadata().partition_columns or None,
                commit_properties=_properties(commit),
            )
        except CommitFailedError as exc:
            raise _lost_race(uri) from exc
        return self._open(uri).version()

    def append(self, uri: str, rows: pa.Table, *, commit: Commit | None = None) -> None:
        table = self._writable(uri)
        expected = _arrow_schema(table)
        if not rows.schema.equals(expected):
            raise IntegrityError(
                f"{uri}: promised the columns {expected.names}, found {rows.schema.names} or other types. "
                "Nothing was written. This is a fault of the program; report it."
            )
        if commit is not None and self._is_applied(table, commit):
            return
        try:
            write_deltalake(
                table, rows, mode="append", commit_properties=None if commit is None else _properties(commit)
            )
        except CommitFailedError as exc:
            raise _lost_race(uri) from exc

    def overwrite(
        self,
        uri: str,
        rows: pa.RecordBatchReader,
        *,
        schema: pa.Schema,
        commit: Commit,
        unindexed: Sequence[str] = (),
        partition_by: Sequence[str] = (),
    ) -> int:
        exists = self.exists(uri)
        if not exists or self._indexes_too_much(uri, schema, unindexed):
            # no set_table_properties: it adds the feature variantType to every table with timestampNtz
            DeltaTable.create(
                uri,
                schema,
                mode="overwrite" if exists else "error",
                partition_by=list(partition_by) or None,
                configuration=_configuration(schema, unindexed=unindexed),
                storage_options=self._options,
            )
        table = self._writable(uri)
        try:
            write_deltalake(
                table,
                rows.cast(schema),
                mode="overwrite",
                schema_mode=None if _arrow_schema(table).equals(schema) else "overwrite",
                partition_by=list(partition_by) or None,
                commit_properties=_properties(commit),
            )
        except CommitFailedError as exc:
            raise _lost_race(uri) from exc
        return self._open(uri).version()

    def _indexes_too_much(self, uri: str, schema: pa.Schema, unindexed: Sequence[str]) -> bool:
        """Tell if the table gathers statistics of a column that must have none; one without some is no harm."""
        indexed = self.properties(uri).get("delta.dataSkippingStatsColumns", "").split(",")
        return bool({*indexed} & {*schema.names} - {*indexed_columns(schema, unindexed)})

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
        table = self._writable(uri)
        if table.version() != expected_version:
            raise _lost_race(uri)
        source = _unless_empty(rows)
        if source is None:
            return None
        keys = [key] if isinstance(key, str) else list(key)
        values = {f"`{name}`": f"s.`{name}`" for name in source.schema.names if name != op}
        try:
            (
                table.merge(
                    source,
                    " and ".join(f"t.`{name}` = s.`{name}`" for name in keys),
                    source_alias="s",
                    target_alias="t",
                    streamed_exec=True,  # statistics of the source would prune files by rounded decimals
                    commit_properties=_properties(commit),
                )
                .when_matched_delete(f"s.`{op}` = 'D'")
                .when_matched_update(values, predicate=f"s.`{op}` = 'U'")
                .when_not_matched_insert(values, predicate=f"s.`{op}` <> 'D'")
                .execute()
            )
        except CommitFailedError as exc:
            raise _lost_race(uri) from exc
        return table.version()

    def _open(self, uri: str) -> DeltaTable:
        try:
            return DeltaTable(uri, storage_options=self._options)
        except TableNotFoundError as exc:
            raise LakeError(
                f"{uri}: promised a Delta table, found none. Nothing was written. Run `lakehouse init`."
            ) from exc
        except DeltaError as exc:
            raise LakeError(
                f"{uri}: this Delta table cannot be opened ({type(exc).__name__}); it is half-written or damaged. "
                "Nothing was written. Restore its _delta_log from a backup, or delete the folder and "
                "`lakehouse load --full` the table."
            ) from exc

    def _writable(self, uri: str) -> DeltaTable:
        table = self._open(uri)
        protocol = table.protocol()
        check_features(uri, protocol.reader_features or [], protocol.writer_features or [])
        return table

    @staticmethod
    def _is_applied(table: DeltaTable, commit: Commit) -> bool:
        # delta-rs records application transactions but does not enforce them: ask the handle that writes
        if commit.version is None:
            return False
        applied = table.transaction_version(commit.app_id)
        return applied is not None and applied >= commit.version


def _arrow_schema(table: DeltaTable) -> pa.Schema:
    return pa.schema(table.schema().to_arrow())


def _configuration(schema: pa.Schema, *, append_only: bool = False, unindexed: Sequence[str] = ()) -> dict[str, str]:
    configuration = {
        "delta.dataSkippingStatsColumns": ",".join(indexed_columns(schema, unindexed)),
        "delta.logRetentionDuration": LOG_RETENTION,
    }
    if append_only:
        configuration["delta.appendOnly"] = "true"
    return configuration


def _properties(commit: Commit) -> CommitProperties:
    return CommitProperties(
        custom_metadata={METADATA_KEY: commit.to_json()},
        app_transactions=[] if commit.version is None else [Transaction(commit.app_id, commit.version)],
    )


def _newest_metadata(history: Sequence[Mapping[str, Any]], app_id: str) -> dict[str, Any] | None:
    for entry in history:
        try:
            found = json.loads(entry.get(METADATA_KEY) or "null")
        except ValueError:
            continue
        if isinstance(found, dict) and found.get("app") == app_id:
            return found
    return None


def _unless_empty(rows: pa.RecordBatchReader) -> pa.RecordBatchReader | None:
    first = next((batch for batch in rows if batch.num_rows), None)
    if first is None:
        return None

    def batches() -> Iterator[pa.RecordBatch]:
        yield first
        yield from rows

    return pa.RecordBatchReader.from_batches(rows.schema, batches())


def _lost_race(uri: str) -> ConcurrentWriteError:
    return ConcurrentWriteError(
        f"{uri}: promised one writer at a time, found that another one committed first. "
        "Nothing of this attempt was kept. Run it again."
    )
