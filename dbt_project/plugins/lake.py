"""Opens the lake to dbt-duckdb: every Delta table is a view; models are written by delta-rs.

Every table is read at the version it had when dbt connected, so a build sees one state of the lake.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import TargetConfig

from ingestion.lake import duck
from ingestion.lake.base import Commit
from ingestion.lake.delta_rs import DeltaRs
from ingestion.lake.layout import Lake, LakeTable, open_lake

DEFAULT_ROOT = Path(__file__).resolve().parents[2] / "lake"
SALT = "LAKEHOUSE_MASK_SALT"
BATCH_ROWS = 64 * 1024


class Plugin(BasePlugin):
    """Registered in profiles.yml as `lake`."""

    _connection: duck.Connection
    _lake: Lake

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        self._engine = DeltaRs()

    def configure_connection(self, conn: duck.Connection) -> None:
        """Make a view per table, and `lake_state` with the version, batch and fingerprint of each."""
        self._connection = conn
        self._lake = open_lake(os.environ.get("LAKEHOUSE_ROOT") or DEFAULT_ROOT)
        duck.prepare(conn, self._lake)
        conn.execute(
            "create table main.lake_state "
            "(schema varchar, name varchar, version bigint, batch bigint, fingerprint varchar)"
        )
        for table in self._lake.tables():
            if table.schema in ("bronze", "silver", "gold"):
                self._remember(conn, table)

    def configure_cursor(self, cursor: duck.Connection) -> None:
        """
        Set what a cursor does not inherit: moments are told in UTC, and `mask_salt` salts what is masked.

        The salt is a variable of the session, so that it stands in no compiled model, log or documentation.
        """
        cursor.execute("set timezone = 'UTC'")
        cursor.execute(f"set variable mask_salt = {duck.literal(os.environ.get(SALT, ''))}")

    def store(self, target_config: TargetConfig) -> None:
        """
        Write a model by `query`: the difference (with `_op`) to merge into version `merge_into`, or, where that is
        none, all rows of the table.

        The config further holds the merge `key`, `partition_by`, `unindexed` columns (no statistics of them), the
        model's `fingerprint` and the Bronze `batch` it was computed up to. An empty difference makes no commit.
        Raises ConcurrentWriteError if another process committed to the table since dbt connected.
        """
        config, relation = target_config.config, target_config.relation
        table = LakeTable(relation.schema, relation.identifier, self._lake.uri(relation.schema, relation.identifier))
        commit = Commit(f"{table.schema}/{table.name}", config["batch"], {"fingerprint": config["fingerprint"]})
        with self._connection.cursor() as cursor:
            self.configure_cursor(cursor)
            rows = cursor.execute(config["query"]).to_arrow_reader(BATCH_ROWS)
            if config["merge_into"] is not None:
                self._engine.merge(
                    table.uri, rows, key=config["key"], commit=commit, expected_version=config["merge_into"]
                )
            else:
                self._engine.overwrite(
                    table.uri,
                    rows,
                    schema=rows.schema,
                    commit=commit,
                    unindexed=config["unindexed"],
                    partition_by=config["partition_by"],
                )
        with self._connection.cursor() as cursor:
            self._remember(cursor, table)

    def _remember(self, connection: duck.Connection, table: LakeTable) -> None:
        """Point the table's view at its newest version and note that version in `lake_state`."""
        app_id = f"{table.schema}/{table.name.replace('__', '/') if table.schema == 'bronze' else table.name}"
        # the batch before the version: a load that commits in between must not pass for read
        batch = self._engine.transaction_version(table.uri, app_id)
        version = self._engine.version(table.uri)
        written = None if table.schema == "bronze" else self._engine.last_metadata(table.uri, app_id)
        fingerprint = (written or {}).get("fingerprint")
        duck.register(connection, table.schema, table.name, table.uri, version)
        connection.execute("delete from main.lake_state where schema = ? and name = ?", [table.schema, table.name])
        connection.execute(
            "insert into main.lake_state values (?, ?, ?, ?, ?)",
            [table.schema, table.name, version, batch or 0, fingerprint],
        )
