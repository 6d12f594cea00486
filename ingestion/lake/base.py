"""The interface of an engine that writes Delta. Implemented by `delta_rs` and `spark`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import pyarrow as pa

from ingestion.errors import ConcurrentWriteError, IntegrityError, LakeError
from ingestion.lake.log import METADATA_KEY
from ingestion.lake.statistics import indexed_columns

WRITER_FEATURES = frozenset({"appendOnly", "invariants", "checkConstraints", "changeDataFeed", "timestampNtz"})
READER_FEATURES = frozenset({"timestampNtz"})
OP = "_op"
INDEXED, APPEND_ONLY = "delta.dataSkippingStatsColumns", "delta.appendOnly"
LOG_RETENTION = "interval 3650 days"  # commit metadata holds the watermarks, which log clean-up would delete


@dataclass(frozen=True, slots=True)
class Commit:
    """
    What goes into the commit beside the rows.

    `version` numbers increase within `app_id`; a version that the table already has is never
    applied again. None commits without an application transaction. `metadata` becomes JSON
    under `userMetadata`: counts, window, fixed point; never a row value or a secret.

    `after` is the version of `app_id` that the rows are based on (0: none); if the table has another one by now, the
    commit is refused with ConcurrentWriteError. None: any.
    """

    app_id: str
    version: int | None
    metadata: Mapping[str, object] = field(default_factory=dict)
    after: int | None = None

    def to_json(self) -> str:
        return json.dumps({"app": self.app_id, "batch": self.version, **self.metadata}, sort_keys=True)


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A Parquet file in the table's folder that no commit names yet. `path` is relative to the table."""

    path: str
    rows: int
    bytes: int
    statistics: str
    partition_values: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A Parquet file that a version of a table consists of. `rows` is None if the log does not say."""

    path: str
    rows: int | None
    bytes: int
    partition_values: Mapping[str, str | None]

    @property
    def name(self) -> str:
        """The last part of the path. Unique in a table, and independent of how a reader writes the folders."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of a table: its columns, those with statistics (`indexed`), and its data files."""

    uri: str
    version: int
    schema: pa.Schema
    partition_by: tuple[str, ...]
    indexed: tuple[str, ...]
    files: tuple[LiveFile, ...]


@dataclass(frozen=True, slots=True)
class Tip:
    """The newest version of a table: its number, an application's newest batch in it (0: none), its properties."""

    version: int
    batch: int
    properties: Mapping[str, str]


class Engine(Protocol):
    """Creates, commits, merges and reads Delta tables. Every write is one commit or none."""

    name: str
    """embedded or spark; other parts of a load depend on it."""

    def kept_open(self) -> AbstractContextManager[None]:
        """Within the block, read a table's log whole at its first use, and later only its new commits."""
        ...

    def exists(self, uri: str) -> bool: ...

    def version(self, uri: str) -> int: ...

    def schema(self, uri: str) -> pa.Schema:
        """Return the columns, with the table's description and comments (see `ingestion.lake.descriptions`)."""
        ...

    def newest(self, uri: str) -> tuple[pa.Schema, list[LiveFile]]:
        """Return the schema and the files of the newest version from a single read of the log."""
        ...

    def tip(self, uri: str, app_id: str) -> Tip:
        """Return the newest version, batch and properties from a single read of the log."""
        ...

    def last_metadata(self, uri: str, app_id: str) -> dict[str, Any] | None:
        """Return the JSON metadata of the newest commit of `app_id` that the log still holds."""
        ...

    def create(
        self,
        uri: str,
        schema: pa.Schema,
        *,
        append_only: bool = False,
        unindexed: Sequence[str] = (),
        partition_by: Sequence[str] = (),
    ) -> None:
        """
        Create an empty table unless it exists, with the description and comments of `schema`.

        Columns in `unindexed` get no statistics.
        """
        ...

    def describe(self, uri: str, schema: pa.Schema) -> None:
        """
        Give an existing table the description and comments of `schema` where they differ; no row is touched.

        Columns without a comment there, or unknown to the table, keep theirs. Each difference is one commit.
        """
        ...

    def add_columns(self, uri: str, fields: Sequence[pa.Field]) -> None:
        """Add nullable columns at the end. Columns that exist already are left alone."""
        ...

    def publish(
        self,
        uri: str,
        files: Sequence[StagedFile],
        *,
        commit: Commit,
        overwrite: bool = False,
        schema: pa.Schema | None = None,
    ) -> int | None:
        """
        Commit staged files at most once.

        Returns the new table version, None if the table already had this commit's version.
        Raises ConcurrentWriteError if another writer committed the same application id meanwhile, or changed the type
        of a column of `schema` (the schema of the files).
        """
        ...

    def append(self, uri: str, rows: pa.Table, *, commit: Commit | None = None) -> None:
        """Append a small table, e.g. ledger rows."""
        ...

    def snapshot(self, uri: str, *, expected_version: int) -> Snapshot:
        """
        Return the newest version. Raises ConcurrentWriteError unless it is `expected_version`, LakeError if one of
        the engines could not write it.
        """
        ...

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
        """
        Apply a difference in one commit: I inserts, U updates or inserts, D deletes the row of that key.

        The letter is in the column `op`, which is not stored. Only files with a changed row are
        rewritten. Returns the new version, None (no commit) for an empty difference. Raises
        ConcurrentWriteError unless the table is still at `expected_version`, IntegrityError if a
        key comes twice.
        """
        ...

    def remove(
        self,
        uri: str,
        rows: pa.Table,
        *,
        key: Sequence[str],
        commit: Commit,
        expected_version: int,
    ) -> int:
        """
        Take the rows of these keys out of a table, append-only or not, in one commit; return the new version.

        The only method that takes rows out of a log of changes. The property `delta.appendOnly` stays as it is: the
        commit declares that it rearranges rows, which is all that such a table allows, so there is no moment at which
        another writer could delete. It is made even if there is none. Older versions still have the rows;
        see `forget`. Raises ConcurrentWriteError unless the table is still at `expected_version`, IntegrityError if a
        key comes twice or another row would be lost.
        """
        ...

    def forget(self, uri: str) -> int:
        """
        Delete all versions of a table but the newest: their commits and checkpoints, and the files only they name.

        Returns how many files were deleted. Files without a commit go too, if they are older than the newest commit: it
        must be one that every writer at work conflicts with. A call that was interrupted is completed by the next.
        The log then depends on the checkpoint that this writes. Raises IntegrityError, before anything is deleted,
        unless that names exactly the files of the newest version.
        """
        ...

    def retype(self, uri: str, types: Mapping[str, pa.DataType]) -> dict[str, int]:
        """
        Give columns other types: the same rows in new files, then the new schema.

        Returns how many values of which columns do not become their new type exactly; only where that is empty
        anything was committed. One commit swaps all files; batches and application transactions stay. An append-only
        table gets its schema in a second commit. Between the two it reads as before, and the next call completes it.
        Raises ConcurrentWriteError if another writer committed meanwhile, IntegrityError unless counts and hashes
        agree.
        """
        ...

    def compact(self, uri: str, *, order_by: Sequence[str] = ()) -> int:
        """
        Combine small files into few, sorted by `order_by`. The table's rows do not change.

        Returns how many files were replaced; 0 (no commit) if there are not enough small ones. Raises
        ConcurrentWriteError if another writer committed meanwhile, so that two compactions cannot double a row.
        """
        ...

    def vacuum(self, uri: str, *, keep: timedelta) -> int:
        """
        Delete the files that no version within the last `keep` refers to, including those never committed.

        Returns how many were deleted. Older versions can no longer be read; the newest is not changed.
        """
        ...


class FileCommits(Protocol):
    """Commits files in place of others: for rebuilds, differences and compaction in DuckDB."""

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
        """
        Create the table or replace all of it, its columns and descriptions included, in one commit.

        Returns the new version.
        """
        ...

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
        """
        Swap files in one commit; the rest of the table is left alone. Returns the new version.

        `rearranges` declares that the new files hold the same rows: append-only tables allow only this.
        Raises ConcurrentWriteError if any commit was made after `expected_version`.
        """
        ...


class FileEngine(Engine, FileCommits, Protocol):
    """An engine that also commits files in place of others."""


def table_properties(
    schema: pa.Schema,
    *,
    append_only: bool = False,
    unindexed: Sequence[str] = (),
    partition_by: Sequence[str] = (),
) -> dict[str, str]:
    """Return the properties of a new table. Columns in `unindexed` and partition columns get no statistics."""
    properties = {
        INDEXED: ",".join(indexed_columns(schema, (*unindexed, *partition_by))),
        "delta.logRetentionDuration": LOG_RETENTION,
    }
    return properties | ({APPEND_ONLY: "true"} if append_only else {})


ONE_WRITER = "another writer committed first"


def lost_race(uri: str) -> ConcurrentWriteError:
    return ConcurrentWriteError(f"{uri}: {ONE_WRITER}. Nothing of this attempt was kept. Run it again.")


def check_columns(uri: str, expected: pa.Schema, found: pa.Schema) -> None:
    """Raise IntegrityError unless rows have exactly the columns and types of the table that they are appended to."""
    if not found.equals(expected):
        raise IntegrityError(
            f"{uri}: expected the columns {expected.names}, found {found.names} or other types. "
            "Nothing was written. This is a fault of the program; report it."
        )


def check_types(uri: str, found: pa.Schema, files: pa.Schema | None) -> None:
    """Raise ConcurrentWriteError if a column has another type in the table than in the files to be added."""
    types = dict(zip(found.names, found.types, strict=True))
    changed = [field.name for field in files or () if types.get(field.name, field.type) != field.type]
    if changed:
        raise ConcurrentWriteError(
            f"{uri}: while this load ran, another writer retyped "
            f"{', '.join(changed)}. Nothing of this attempt was kept. Run it again with the newest contract."
        )


def check_features(uri: str, readers: Sequence[str], writers: Sequence[str]) -> None:
    """Raise LakeError if a table uses a protocol feature that one of the engines cannot read or write."""
    unknown = sorted({*readers} - READER_FEATURES | {*writers} - WRITER_FEATURES)
    if unknown:
        raise LakeError(
            f"{uri}: has Delta features that not both engines know: {', '.join(unknown)}. "
            "Nothing was written. Take the feature off again with the engine that set it "
            "(ALTER TABLE ... DROP FEATURE), "
            "which keeps the table's rows and its commits."
        )


def check_partition(uri: str, partition_by: Sequence[str], files: Sequence[StagedFile]) -> None:
    """Raise IntegrityError unless every file states its value of every partition column, else Delta reads a null."""
    if any({*file.partition_values} != {*partition_by} for file in files):
        raise IntegrityError(
            f"{uri}: each file must hold one value of {', '.join(partition_by) or 'no column'}, there is one "
            "that does not tell it. Nothing was committed. This is a fault of the program; report it."
        )


def newest_metadata(history: Sequence[Mapping[str, Any]], app_id: str) -> dict[str, Any] | None:
    """Return the metadata of the newest commit of `app_id` in `history` (newest first); None if there is none."""
    for entry in history:
        try:
            found = json.loads(entry.get(METADATA_KEY) or "null")
        except ValueError:
            continue
        if isinstance(found, dict) and found.get("app") == app_id:
            return found
    return None
