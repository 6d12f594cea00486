"""The Spark engine: writes Delta with delta-spark, and reads its log with delta-rs, as the embedded engine does.

Rows are written through Spark's public interface only, which exists on every platform: each write computes statistics
and checks conflicts as that platform does. So staged files are read and written again, in parallel.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa
from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    DeltaConcurrentModificationException,
    MetadataChangedException,
    ProtocolChangedException,
)
from delta.tables import DeltaTable
from pyspark.sql.pandas.types import from_arrow_schema

from ingestion.errors import IntegrityError
from ingestion.lake.base import (
    INDEXED,
    OP,
    Commit,
    LiveFile,
    StagedFile,
    check_columns,
    check_types,
    lost_race,
    table_properties,
)
from ingestion.lake.descriptions import description_of, to_give
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.embedded.reader import DeltaReader
from ingestion.lake.log import check_has_no_past
from ingestion.lake.spark.frames import (
    arriving_rows,
    check_keys,
    commented,
    discard,
    frame,
    needed_features,
    staged_rows,
    table_at,
)
from ingestion.lake.spark.session import new_session
from ingestion.lake.statistics import indexed_columns
from ingestion.sql.quoting import quote_spark, spark_text_literal

_CONFLICTS = (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    DeltaConcurrentModificationException,
    MetadataChangedException,
    ProtocolChangedException,
)
_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_APP_ID = "spark.databricks.delta.write.txnAppId"
_APP_VERSION = "spark.databricks.delta.write.txnVersion"
_OWN = {
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",  # the caller decides how long to keep files
    "spark.databricks.delta.vacuum.logging.enabled": "true",  # returns how many files it deleted
}


class SparkDelta(DeltaReader):
    """Implements `ingestion.lake.base.Engine`: reads the log as the embedded engine does, writes by Spark."""

    name = "spark"

    def __init__(
        self, storage_options: Mapping[str, str] | None = None, memory_limit: str = "1GB", *, root: str = ""
    ) -> None:
        super().__init__(storage_options)
        self._embedded = DeltaRs(storage_options, memory_limit)
        self._root = root

    @cached_property
    def session(self) -> Any:
        """The engine's own session in the process's Spark, so that settings of a commit affect no other session."""
        return new_session(root=self._root, storage_options=self._options, settings=_OWN)

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
            self._limit_statistics(uri)
            return
        check_has_no_past(uri)
        builder = DeltaTable.createIfNotExists(self.session).location(uri).addColumns(commented(schema))
        if description := description_of(schema):
            builder = builder.comment(description)
        for name, value in table_properties(
            schema, append_only=append_only, unindexed=unindexed, partition_by=partition_by
        ).items():
            builder = builder.property(name, value)
        try:
            builder.partitionedBy(*partition_by).execute()
        except _CONFLICTS:
            if not self.exists(uri):  # else another process was quicker
                raise

    def add_columns(self, uri: str, fields: Sequence[pa.Field]) -> None:
        self._writable(uri)
        known = set(self.schema(uri).names)
        new = pa.schema([field for field in fields if field.name not in known])
        typed = ", ".join(
            f"{quote_spark(field.name)} {field.dataType.simpleString()}" for field in from_arrow_schema(new)
        )
        with _refusing_races(uri):
            for name, value in needed_features(new).items():
                self.session.sql(f"alter table {table_at(uri)} set tblproperties ('{name}' = '{value}')")
            if typed:
                self.session.sql(f"alter table {table_at(uri)} add columns ({typed})")

    def describe(self, uri: str, schema: pa.Schema) -> None:
        self._writable(uri)
        comments, description = to_give(self.schema(uri), schema)
        with _refusing_races(uri):
            for name, comment in comments.items():
                change = f"alter column {quote_spark(name)} comment {spark_text_literal(comment)}"
                self.session.sql(f"alter table {table_at(uri)} {change}")
            if description:
                self.session.sql(f"comment on table {table_at(uri)} is {spark_text_literal(description)}")

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
        check_types(uri, self.schema(uri), schema)
        partition_by = table.metadata().partition_columns
        rows = staged_rows(self.session, uri, files, self.schema(uri), partition_by)
        writer = rows.write.format("delta").mode("overwrite" if overwrite else "append").options(**_options(commit))
        with _refusing_races(uri):
            writer.save(uri)
        self._check_ours(uri, commit)
        discard(uri, [file.path for file in files])
        return self.version(uri)

    def append(self, uri: str, rows: pa.Table, *, commit: Commit | None = None) -> None:
        table = self._writable(uri)
        check_columns(uri, self.schema(uri), rows.schema)
        if commit is not None and self._is_applied(table, commit):
            return
        writer = frame(self.session, rows).coalesce(1).write.format("delta").mode("append")
        with _refusing_races(uri):
            writer.options(**({} if commit is None else _options(commit))).save(uri)
        if commit is not None:
            self._check_ours(uri, commit)

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
        self._at(uri, expected_version)
        keys = [key] if isinstance(key, str) else list(key)
        given = [name for name in rows.schema.names if name != op]
        with arriving_rows(self.session, uri, rows) as arriving:
            if arriving.isEmpty():
                return None
            check_keys(uri, arriving, keys)
            same_key = " and ".join(f"known.{quote_spark(name)} = arriving.{quote_spark(name)}" for name in keys)
            values = {quote_spark(name): f"arriving.{quote_spark(name)}" for name in given}
            is_delete = f"arriving.{quote_spark(op)} = 'D'"
            merge = (
                DeltaTable.forPath(self.session, uri)
                .alias("known")
                .merge(arriving.alias("arriving"), same_key)
                .whenMatchedDelete(is_delete)
                .whenMatchedUpdate(set=values)
                .whenNotMatchedInsert(f"not ({is_delete})", values)
            )
            with _refusing_races(uri), self._committing(commit):
                merge.execute()
        return self.version(uri)

    def remove(
        self,
        uri: str,
        rows: pa.Table,
        *,
        key: Sequence[str],
        commit: Commit,
        expected_version: int,
    ) -> int:
        """Uses the embedded engine, because Spark cannot swap files, which an append-only table requires."""
        return self._embedded.remove(uri, rows, key=key, commit=commit, expected_version=expected_version)

    def forget(self, uri: str) -> int:
        """Uses the embedded engine: Spark keeps the commits before a checkpoint."""
        return self._embedded.forget(uri)

    def retype(self, uri: str, types: Mapping[str, pa.DataType]) -> dict[str, int]:
        """Uses the embedded engine, because Spark cannot swap files, which an append-only table requires."""
        misfits = self._embedded.retype(uri, types)
        self._limit_statistics(uri)
        return misfits

    def _limit_statistics(self, uri: str) -> None:
        """Remove columns that were retyped to a type without statistics from the property that Spark follows."""
        named = self._open(uri).metadata().configuration.get(INDEXED, "")
        allowed = indexed_columns(self.schema(uri))
        kept = [name for name in named.split(",") if name in allowed]
        if named and kept != named.split(","):
            with _refusing_races(uri):
                self.session.sql(f"alter table {table_at(uri)} set tblproperties ('{INDEXED}' = '{','.join(kept)}')")

    def compact(self, uri: str, *, order_by: Sequence[str] = ()) -> int:  # noqa: ARG002 - OPTIMIZE keeps no order
        before = self.snapshot(uri, expected_version=self.version(uri))
        with _refusing_races(uri), self._committing(Commit("compaction", None)):
            metrics = DeltaTable.forPath(self.session, uri).optimize().executeCompaction().first()
        replaced = int(metrics["metrics"]["numFilesRemoved"]) if metrics else 0
        after = self.snapshot(uri, expected_version=self.version(uri))
        if after.version == before.version + 1 and _rows(after.files) != _rows(before.files):
            raise IntegrityError(
                f"{uri}: {_rows(before.files)} rows were in the files to compact, {_rows(after.files)} are there now. "
                f"Load and build nothing here until version {before.version} is restored (RESTORE TABLE ... TO VERSION "
                "AS OF): a restore takes back what was committed after it, too. Then report it."
            )
        return replaced

    def vacuum(self, uri: str, *, keep: timedelta) -> int:
        self._writable(uri)
        DeltaTable.forPath(self.session, uri).vacuum(keep.total_seconds() / 3600)
        newest = self._open(uri).history(1)[0]
        metrics = newest.get("operationMetrics", {}) if newest.get("operation") == "VACUUM END" else {}
        return int(metrics.get("numDeletedFiles", 0))

    def _check_ours(self, uri: str, commit: Commit) -> None:
        """Raise ConcurrentWriteError if another writer committed this version: Spark then skips ours silently."""
        if commit.version is not None and self.last_metadata(uri, commit.app_id) != _round_trip(commit):
            raise lost_race(uri)

    @contextmanager
    def _committing(self, commit: Commit) -> Iterator[None]:
        """Set the commit's metadata and transaction on the session, for statements without options."""
        given = {_METADATA: commit.to_json()}
        if commit.version is not None:
            given |= {_APP_ID: commit.app_id, _APP_VERSION: str(commit.version)}
        for name, value in given.items():
            self.session.conf.set(name, value)
        try:
            yield
        finally:
            for name in given:
                self.session.conf.unset(name)


@contextmanager
def _refusing_races(uri: str) -> Iterator[None]:
    try:
        yield
    except _CONFLICTS as exc:
        raise lost_race(uri) from exc


def _options(commit: Commit) -> dict[str, str]:
    options = {"userMetadata": commit.to_json()}
    if commit.version is not None:
        options |= {"txnAppId": commit.app_id, "txnVersion": str(commit.version)}
    return options


def _round_trip(commit: Commit) -> Any:
    return json.loads(commit.to_json())


def _rows(files: Sequence[LiveFile]) -> int:
    return sum(file.rows or 0 for file in files)
