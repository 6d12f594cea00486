"""Opens the lake for dbt-duckdb: every Delta table is a view; delta-rs writes the models.

Every table is read at the version it had when dbt connected, so a build sees one state of the lake. With
LAKEHOUSE_AS_OF, Bronze is read from another lake, up to one batch per table; models are written to LAKEHOUSE_ROOT.

`dbt build` commits a Gold table after its tests (see macros/publish_tested.sql). Until then its view shows the new rows
to the models and tests of this build alone. `dbt run`, which runs no test, commits at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import TargetConfig
from dbt.flags import get_flags
from dbt_common.exceptions import DbtRuntimeError

from ingestion.build.lake_state import AS_OF, WRITING, bronze_as_of, inputs_of, table_state
from ingestion.errors import LakeError, LakehouseError
from ingestion.lake import duck
from ingestion.lake.base import APPEND_ONLY, Commit, Tip
from ingestion.lake.descriptions import described, is_described
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.embedded.parquet_files import sql_type
from ingestion.lake.embedded.rebuild import rebuild
from ingestion.lake.embedded.rewrite import apply_difference
from ingestion.lake.embedded.withheld import Withheld
from ingestion.lake.layout import Lake, LakeTable, open_lake
from ingestion.lake.log import was_mended
from ingestion.lake.mask_salt import SALT, hmac_pads, open_salt
from ingestion.lake.names import DERIVED_LAYERS
from ingestion.lake.storage.errors import reaching
from ingestion.ledger import tables as ledger
from ingestion.no_pandas import pandas_hidden
from ingestion.privacy.foreign import foreign_text
from ingestion.privacy.logs import logger
from ingestion.runs.each import as_ours
from ingestion.sql.quoting import quote_standard, text_literal

_NOTED = ("fingerprint", "computed_from", "newest")
DEFAULT_ROOT = Path(__file__).resolve().parents[2] / "lake"
SPILL = "LAKEHOUSE_SPILL"

_handler = DuckDBConnectionManager.exception_handler


@contextmanager
def _without_values(manager: DuckDBConnectionManager, sql: str, connection_name: str = "master") -> Iterator[None]:
    """Do what dbt does with an error of a statement, for its text without the values that it quotes."""
    with _handler(manager, sql, connection_name):
        try:
            yield
        except (LakehouseError, DbtRuntimeError):
            raise
        except Exception as exc:
            raise RuntimeError(foreign_text(str(exc))) from None


DuckDBConnectionManager.exception_handler = _without_values  # before dbt logs, prints and keeps the text


class Plugin(BasePlugin):
    """Registered in profiles.yml as `lake`."""

    _connection: duck.Connection
    _lake: Lake
    _salt: str | None

    def configure_connection(self, conn: duck.Connection) -> None:
        """Make a view per table, and `lake_state` with the version, batch and fingerprint of each; and `lake_salt`."""
        with pandas_hidden():
            self._open(conn)

    def _open(self, conn: duck.Connection) -> None:
        self._connection = conn
        if spill := os.environ.get(SPILL):  # not in the profile: dbt parses the project anew when the profile changes
            conn.execute(f"set temp_directory = {text_literal(spill)}")
        self._lake = open_lake(os.environ.get("LAKEHOUSE_ROOT") or DEFAULT_ROOT)
        self._engine = DeltaRs(self._lake.storage_options)
        self._withheld = Withheld(self._engine)
        self._damaged: dict[str, LakeError] = {}
        self._descriptions: dict[str, tuple[str, Mapping[str, str]]] = {}
        duck.prepare(conn, self._lake, layers=("quarantine",))  # the others below, at fixed versions
        self._open_ledger(conn)
        command = getattr(get_flags(), "WHICH", None)
        self._is_tested = command == "build" and AS_OF not in os.environ  # a lake that is rebuilt has no other readers
        self._salt, fault, mark = open_salt(self._lake, os.environ.get(SALT, ""), writes=command in WRITING)
        conn.execute("create table main.lake_salt as select ?::varchar as fault, ?::varchar as mark", [fault, mark])
        conn.execute(
            "create table main.lake_state (schema varchar, name varchar, version bigint, batch bigint, "
            "fingerprint varchar, append_only boolean, scan varchar, computed_from varchar, newest bigint, "
            "is_withheld boolean)"
        )
        conn.execute("create table main.unpublished (name varchar, fault varchar)")
        bronze, batches = bronze_as_of(self._lake, os.environ)
        duck.reach(conn, bronze.root)
        engine = DeltaRs(bronze.storage_options)
        for table in bronze.tables():
            if table.schema == "bronze":
                self._try_to_remember(conn, table, engine, batches.get(table.name))
        for table in self._lake.tables():
            if table.schema in DERIVED_LAYERS:
                self._try_to_remember(conn, table, self._engine)
        widest = conn.execute("select max(n) from (select count(*) as n from duckdb_columns() group by table_oid)")
        duck.bound_threads(conn, *(widest.fetchone() or (0,)))

    def _try_to_remember(
        self, connection: duck.Connection, table: LakeTable, engine: DeltaRs, known_batch: int | None = None
    ) -> None:
        """Remember a table. A damaged one is left out, so that models that do not read it can still be built."""
        try:
            with reaching(table.uri):
                self._remember(connection, table, engine, known_batch)
        except LakeError as exc:
            if engine.exists(table.uri):  # else nothing was ever committed to it
                self._damaged[table.uri] = exc
                logger.warning("%s", exc)

    def _open_ledger(self, conn: duck.Connection) -> None:
        """Make every table of the ledger a view with all current columns, even if an older lake lacks some."""
        kept = {table.name: table.uri for table in self._lake.tables() if table.schema == "ops"}
        for name, schema in ledger.TABLES.items():
            columns = ", ".join(f"{quote_standard(field.name)} {sql_type(field.type)}" for field in schema)
            conn.execute(f"create table main.empty_{name} ({columns})")
            rows = f" union all by name select * from {duck.scan(kept[name])}" if name in kept else ""
            view = f"ops.{quote_standard(name)}"
            try:
                with reaching(self._lake.uri("ops", name)):
                    conn.execute(f"create or replace view {view} as select * from main.empty_{name}{rows}")
            except LakeError as exc:
                logger.warning("%s", exc)

    def configure_cursor(self, cursor: duck.Connection) -> None:
        """
        Set what a cursor does not inherit: the time zone UTC, and `mask_salt`, the key of masked values.

        The salt is a variable of the session, so that no compiled model, log or documentation contains it.
        """
        cursor.execute("set timezone = 'UTC'")
        key = "null::varchar" if self._salt is None else text_literal(hmac_pads(self._salt))
        cursor.execute(f"set variable mask_salt = {key}")

    def store(self, target_config: TargetConfig) -> None:
        """
        Write a model by `query`: the difference to apply to version `change_version`, or, where that is none, all rows
        of the table. With `publish` in the config: commit the rows that an earlier call withheld; an error of that is
        a row of `main.unpublished`, because an error at the end of a build would hide the results of its models.

        The config further holds `partition_by`, `order_by` of new files, `unindexed` columns (no statistics of them),
        the model's `fingerprint`, the Bronze `batch` it was computed up to and when the `newest` row of that was loaded
        (microseconds since 1970, UTC), and what it was `computed_from`, if it wants to know the next time; and the
        table's `description` and the `comments` of its columns. In a `dbt build` the commit waits for `publish` if the
        config says `withhold`. An empty difference makes no commit.
        Raises ConcurrentWriteError if another process committed to the table since dbt connected, LakeError if the
        table is damaged.
        """
        config, relation = target_config.config, target_config.relation
        table = LakeTable(relation.schema, relation.identifier, self._lake.uri(relation.schema, relation.identifier))
        if table.uri in self._damaged:
            raise self._damaged[table.uri]
        if config.get("publish"):
            self._publish(table)
            return
        noted = {name: config[name] for name in _NOTED if config.get(name) is not None}
        commit = Commit(f"{table.schema}/{table.name}", config["batch"], noted)
        is_withheld = self._is_tested and config["withhold"] and not config["partition_by"]
        commits = self._withheld if is_withheld else self._engine
        with self._connection.cursor() as cursor:
            self.configure_cursor(cursor)
            if config["change_version"] is not None:
                committed = apply_difference(
                    commits,
                    cursor,
                    self._engine.snapshot(table.uri, expected_version=config["change_version"]),
                    config["query"],
                    commit=commit,
                    order_by=config["order_by"],
                )
            else:
                committed = rebuild(
                    commits,
                    cursor,
                    table.uri,
                    config["query"],
                    commit=commit,
                    unindexed=config["unindexed"],
                    partition_by=config["partition_by"],
                    order_by=config["order_by"],
                    description=config["description"],
                    comments=config["comments"],
                )
            if committed is None:
                return
            self._descriptions[table.uri] = (config["description"], config["comments"])
            if is_withheld:
                self._show(cursor, table, Tip(committed, config["batch"] or 0, {}), noted)
            else:
                self._describe(table)
                self._remember(cursor, table, self._engine)

    def _describe(self, table: LakeTable) -> None:
        """Give a table that existed before the description and comments of today's model."""
        found = self._engine.schema(table.uri)
        wanted = described(found, *self._descriptions[table.uri])
        if not is_described(found, wanted):
            self._engine.describe(table.uri, wanted)

    def _publish(self, table: LakeTable) -> None:
        with self._connection.cursor() as cursor:
            try:
                with reaching(table.uri):
                    self._withheld.publish(table.uri)
                    self._describe(table)
                    self._remember(cursor, table, self._engine)
            except Exception as exc:
                told = str(as_ours(table.uri, exc))
                cursor.execute("insert into main.unpublished values (?, ?)", [f"{table.schema}.{table.name}", told])

    def _remember(
        self, connection: duck.Connection, table: LakeTable, engine: DeltaRs, known_batch: int | None = None
    ) -> None:
        """
        Point the table's view at its newest version and note that version in `lake_state`.

        Of a Bronze table only rows up to `known_batch` are shown, if that is given.
        """
        state, noted = table_state(engine, table, known_batch)
        duck.register(connection, table.schema, table.name, table.uri, state.version)
        rows = duck.scan(table.uri, state.version)
        if known_batch is not None:
            shown = f"select * from {rows} where _batch <= {int(state.batch)}"
            connection.execute(f"create or replace view {_view(table)} as {shown}")
        self._note(connection, table, state, noted, rows, is_withheld=False)

    def _show(self, connection: duck.Connection, table: LakeTable, state: Tip, noted: Mapping[str, Any]) -> None:
        """Point the table's view at its withheld rows and note the version in `lake_state` that they will have."""
        connection.execute(f"create or replace view {_view(table)} as {self._withheld.rows(table.uri)}")
        self._note(connection, table, state, noted, self._withheld.scan(table.uri), is_withheld=True)

    def _note(
        self,
        connection: duck.Connection,
        table: LakeTable,
        state: Tip,
        noted: Mapping[str, Any],
        rows: str,
        *,
        is_withheld: bool,
    ) -> None:
        connection.execute("delete from main.lake_state where schema = ? and name = ?", [table.schema, table.name])
        connection.execute(
            "insert into main.lake_state values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                table.schema,
                table.name,
                state.version,
                state.batch,
                noted.get("fingerprint"),
                state.properties.get(APPEND_ONLY) == "true",
                rows,
                inputs_of(self._lake, noted, duck.scan, partial(self._can_read, connection)),
                noted.get("newest"),
                is_withheld,
            ],
        )

    def _can_read(self, connection: duck.Connection, uri: str, version: int) -> bool:
        """Return whether no part of a version was removed or replaced. Reads a footer of every file."""
        try:
            if was_mended(uri, version):
                return False
            if version != self._engine.version(uri):
                connection.execute(f"select count(distinct filename) from {duck.scan(uri, version)}")
        except (duckdb.Error, LakeError):
            return False
        return True


def _view(table: LakeTable) -> str:
    return f"{quote_standard(table.schema)}.{quote_standard(table.name)}"
