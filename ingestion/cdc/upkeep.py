"""Deletes what is old, and writes the tables as files."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.cdc.run import Cdc
from ingestion.cdc.tables import DONE
from ingestion.errors import ConfigurationError

_TEXTS = {"payload", "body", "message", "message_key", "headers"}
"""Columns that may hold what was said; a backup leaves them out."""


def purge(cdc: Cdc, older_than: timedelta) -> dict[str, int]:
    """
    Delete log rows, errors and answered conversations that are older; return how many of each table.

    What is known of calls stays: a call whose segments come again is then still no new one.
    """
    db, tables = cdc.db, cdc.tables
    done = f"{db.quote('state')} = '{DONE}' AND "
    counts = {}
    with db.transaction():
        before = db.clock() - older_than
        for table, column, condition in (
            (tables.log, "logged_at", ""),
            (tables.errors, "error_timestamp", ""),
            (tables.outbox, "enqueued_at", done),
        ):
            name = db.table_name(table)
            counts[table.name[-1]] = db.run(f"DELETE FROM {name} WHERE {condition}{db.quote(column)} < :1", before)
    return counts


def backup(cdc: Cdc, folder: Path) -> dict[str, int]:
    """
    Write each table to `<folder>/<time, UTC>/<table>.parquet`, without columns of texts; return the rows of each.

    The folder of this time appears whole or not at all.
    """
    db = cdc.db
    with db.transaction():
        stamp = db.clock().strftime("%Y%m%dT%H%M%SZ")
    partial, whole = folder / f".{stamp}", folder / stamp
    counts: dict[str, int] = {}
    try:
        partial.mkdir(parents=True)
        for table in (*cdc.tables.all, cdc.sink.tables.dead, cdc.sink.tables.target):
            name, names = table.name[-1], [each for each in table.columns.names if each not in _TEXTS]
            counts[name] = 0
            schema = pa.schema([table.columns.field(name) for name in names])
            query = f"SELECT {db.listed(names)} FROM {db.table_name(table)}"
            file = partial / f"{name.lower()}.parquet"
            with pq.ParquetWriter(file, schema) as writer, db.transaction():
                for rows in db.batches(query, schema):
                    writer.write_table(rows)
                    counts[name] += rows.num_rows
        partial.rename(whole)
    except OSError as exc:
        raise ConfigurationError(
            f"{folder}: the backup cannot be written ({exc.strerror or type(exc).__name__}). The database was only "
            "read. Name a folder that this user may write."
        ) from None
    return counts
