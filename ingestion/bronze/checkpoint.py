"""Checkpoints: files beside a Bronze table with the newest event of every key up to some batch. A cache.

The newest event of a key is a maximum, so checkpoint and later batches give the same result as the whole log.
Nothing depends on a checkpoint: without a usable one the whole log is read, and the next load may write one.

    <table>/_live/<batch>-<rows>.parquet    Bronze rows; made when Bronze had <rows> rows in batches up to <batch>
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow.fs as pafs

from ingestion.lake import duck
from ingestion.lake.storage.filesystem import listed
from ingestion.sql.quoting import text_literal

WORTH_IT = 2.0
"""A checkpoint is written if finding the live rows reads more than this many events per live key."""
MIN_EVENTS = 100_000
_NAME = re.compile(r"(\d{8,})-(\d+)\.parquet")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint file on the lake's file system."""

    path: str
    batch: int
    rows: int


def find_checkpoint(filesystem: pafs.FileSystem, folder: str, *, up_to: int) -> Checkpoint | None:
    """Return the newest checkpoint of a batch not after `up_to`."""
    found = [checkpoint for checkpoint in checkpoints(filesystem, folder) if checkpoint.batch <= up_to]
    return max(found, key=lambda checkpoint: checkpoint.batch, default=None)


def checkpoints(filesystem: pafs.FileSystem, folder: str) -> list[Checkpoint]:
    """Return all checkpoints of a table."""
    return [checkpoint for checkpoint, _ in _written(filesystem, folder)]


def later_checkpoints(filesystem: pafs.FileSystem, folder: str, *, after: int) -> list[str]:
    """Return the paths of checkpoints of batches after `after`, which Bronze does not have."""
    return [checkpoint.path for checkpoint in checkpoints(filesystem, folder) if checkpoint.batch > after]


def stale_checkpoints(filesystem: pafs.FileSystem, folder: str, before: datetime) -> list[str]:
    """Return the paths of all checkpoints but the newest that were written before a moment."""
    known = sorted(_written(filesystem, folder), key=lambda found: found[0].batch)
    return [checkpoint.path for checkpoint, written in known[:-1] if written < before]


def _written(filesystem: pafs.FileSystem, folder: str) -> Iterator[tuple[Checkpoint, datetime]]:
    for info in listed(filesystem, folder):
        match = _NAME.fullmatch(info.base_name)
        if match:
            yield Checkpoint(info.path, int(match[1]), int(match[2])), info.mtime


def create_events_view(connection: duck.Connection, checkpoint: Checkpoint | None, location: str) -> None:
    """Create the view `events` over `bronze`. Uses the checkpoint if Bronze still has the rows it was made of."""
    query = "select * from bronze"
    if checkpoint is not None:
        row = connection.execute("select count(*) from bronze where _batch <= ?", [checkpoint.batch]).fetchone()
        if row == (checkpoint.rows,):
            query = (
                f"select * from bronze where _batch > {checkpoint.batch} "
                f"union all by name select * from read_parquet({text_literal(location)})"
            )
    try:
        connection.execute(f"create view events as {query}")
    except duck.UNREADABLE:  # a damaged file is ignored: nothing depends on this cache
        connection.execute("create view events as select * from bronze")


def is_worth_it(events: int, live_keys: int) -> bool:
    """Return whether reading `events` events is too expensive for the number of live keys."""
    return events > max(MIN_EVENTS, WORTH_IT * live_keys)
