"""Runs dbt on Spark: `python dbt_project/plugins/on_spark.py build`, as `lakehouse build` does.

Every table of the lake becomes a view, and what dbt must know of it (version, batch, fingerprint) a view of constants
in the schema `lake_state`. delta-rs reads Delta's logs in milliseconds; Spark would need a job.

The target `spark` runs Spark in this process, with the settings of loads, and one session per dbt thread. On a
cluster (LAKEHOUSE_DBT_TARGET thrift or databricks) dbt makes the views, by the macro `open_lake`.

As for DuckDB, tables are read at the version that they had when dbt started, and with LAKEHOUSE_AS_OF Bronze is read
from another lake, up to one batch per table.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT.parent))  # where the package is not installed, it lies beside the project

from ingestion.build.dbt_process import end_with_parent  # noqa: E402

if __name__ == "__main__":
    end_with_parent()  # before dbt is imported, which takes a second

import pyarrow as pa  # noqa: E402
from dbt.adapters.spark import session as dbt_spark  # noqa: E402
from dbt.cli.main import dbtRunner  # noqa: E402
from dbt_common.exceptions import DbtRuntimeError  # noqa: E402
from deltalake import DeltaTable  # noqa: E402
from deltalake.exceptions import DeltaError  # noqa: E402

from ingestion.build.lake_state import WRITING, bronze_as_of, inputs_of, table_state  # noqa: E402
from ingestion.errors import LakeError, LakehouseError  # noqa: E402
from ingestion.lake.base import APPEND_ONLY  # noqa: E402
from ingestion.lake.embedded.engine import DeltaRs  # noqa: E402
from ingestion.lake.layout import Lake, LakeTable, open_lake  # noqa: E402
from ingestion.lake.log import was_mended  # noqa: E402
from ingestion.lake.mask_salt import SALT, hmac_pads, open_salt  # noqa: E402
from ingestion.lake.names import DERIVED_LAYERS  # noqa: E402
from ingestion.lake.spark.frames import table_at  # noqa: E402
from ingestion.lake.spark.session import open_session, prepare  # noqa: E402
from ingestion.ledger import tables as ledger  # noqa: E402
from ingestion.privacy.foreign import foreign_text  # noqa: E402
from ingestion.sql.quoting import spark_text_literal  # noqa: E402

TARGET = "LAKEHOUSE_DBT_TARGET"
ON_SPARK = "LAKEHOUSE_ON_SPARK"  # shows the profile that dbt was started here; otherwise dbt has no access to the lake
VIEWS = "LAKEHOUSE_VIEWS"  # JSON: the statements that open the lake, for a cluster
SALT_SETTING = "spark.lakehouse.salt"
KEY = "LAKEHOUSE_MASK_PADS"  # what profiles.yml hands to a cluster
_SQL_TYPES = {
    "string": "string",
    "int64": "bigint",
    "double": "double",
    "bool": "boolean",
    "timestamp[us, tz=UTC]": "timestamp",
}


def main(arguments: list[str]) -> int:
    """Run dbt with the arguments of its command line; return its exit code."""
    try:
        lake = open_lake(os.environ.get("LAKEHOUSE_ROOT") or PROJECT.parent / "lake")
        statements = [*view_statements(lake, os.environ), *_salt(lake, is_writing=not {*WRITING}.isdisjoint(arguments))]
    except LakehouseError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    target = os.environ.setdefault(TARGET, "spark")
    os.environ |= {"LAKEHOUSE_ROOT": lake.root, ON_SPARK: target}
    os.environ.setdefault("DBT_PROFILES_DIR", str(PROJECT))
    os.environ.setdefault("DBT_PROJECT_DIR", str(PROJECT))
    spark = Spark(lake, statements)
    dbt_spark.Connection = lambda **_: Connection(spark.session())
    if target != "spark":
        os.environ[VIEWS] = json.dumps(statements)
        if not dbtRunner().invoke(["--quiet", "run-operation", "open_lake"]).success:
            return 2
    result = dbtRunner().invoke(arguments)
    return 0 if result.success else 1 if result.exception is None else 2


def view_statements(lake: Lake, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the SQL that creates views of the lake's tables and of their state. Raises LakeError."""
    yield from (f"create schema if not exists {name}" for name in ("bronze", *DERIVED_LAYERS, "ops"))
    yield "drop schema if exists lake_state cascade"
    yield "create schema lake_state"
    source, batches = bronze_as_of(lake, environ)
    engine = DeltaRs(source.storage_options)
    for table in source.tables():
        if table.schema == "bronze":
            yield from _unless_damaged(partial(_view, lake, engine, table, batches.get(table.name)))
    engine = DeltaRs(lake.storage_options)
    ours = lake.tables()
    for table in ours:
        if table.schema in DERIVED_LAYERS:
            yield from _unless_damaged(partial(_view, lake, engine, table))
    kept = {table.name: table.uri for table in ours if table.schema == "ops"}
    for name, schema in ledger.TABLES.items():
        yield from _unless_damaged(partial(_ledger, engine, name, kept.get(name), schema))


def _unless_damaged(statements: Callable[[], Iterator[str]]) -> Iterator[str]:
    """Yield the statements of a table; a damaged one is left out, so that the others can still be built."""
    try:
        yield from list(statements())
    except LakeError as exc:
        print(exc, file=sys.stderr)


def _salt(lake: Lake, *, is_writing: bool) -> Iterator[str]:
    """Yield the view that says whether masked values may be written; set the key that this process masks with."""
    salt, fault, mark = open_salt(lake, os.environ.get(SALT, ""), writes=is_writing)
    os.environ[KEY] = hmac_pads(salt) if salt else ""
    yield f"create or replace view lake_state.lake_salt as select {_text(fault)} as fault, {_text(mark)} as mark"


def scan(uri: str, version: int) -> str:
    """Return how Spark's SQL names a version of a Delta table."""
    return f"{table_at(uri)} version as of {int(version)}"


def _view(lake: Lake, engine: DeltaRs, table: LakeTable, known_batch: int | None = None) -> Iterator[str]:
    """Yield the views of a table's rows and of its state."""
    state, noted = table_state(engine, table, known_batch)
    rows = scan(table.uri, state.version)
    where = "" if known_batch is None else f" where _batch <= {int(state.batch)}"
    yield f"create or replace view {table.schema}.`{table.name}` as select * from {rows}{where}"
    yield (
        f"create or replace view lake_state.`{table.schema}__{table.name}` as select "
        f"{state.version} as version, {int(state.batch)} as batch, {_text(noted.get('fingerprint'))} as fingerprint, "
        f"{state.properties.get(APPEND_ONLY) == 'true'} as append_only, {_text(rows)} as scan, "
        f"{_text(inputs_of(lake, noted, scan, partial(_can_read, lake)))} as computed_from, "
        f"cast({'null' if noted.get('newest') is None else int(noted['newest'])} as bigint) as newest"
    )


def _can_read(lake: Lake, uri: str, version: int) -> bool:
    """Return whether no part of a version was removed or replaced."""
    try:
        if was_mended(uri, version):
            return False
        table = DeltaTable(uri, storage_options=dict(lake.storage_options))
        now = _files(table)
        table.load_as_version(version)
    except DeltaError:
        return False
    gone = [f"{lake.path_of(uri)}/{name}" for name in _files(table) - now]
    return all(info.is_file for info in lake.filesystem.get_file_info(gone))


def _files(table: DeltaTable) -> set[str]:
    # paths in the log are URL-encoded
    return {unquote(str(path)) for path in pa.table(table.get_add_actions()).column("path").to_pylist()}


def _ledger(engine: DeltaRs, name: str, uri: str | None, promised: pa.Schema) -> Iterator[str]:
    """Yield the view of a ledger's table with all current columns, even if an older lake lacks some."""
    found = [] if uri is None else engine.schema(uri).names
    columns = ", ".join(
        f"`{field.name}`" if field.name in found else f"cast(null as {_SQL_TYPES[str(field.type)]}) as `{field.name}`"
        for field in promised
    )
    rows = "where false" if uri is None else f"from {scan(uri, engine.version(uri))}"
    yield f"create or replace view ops.{name} as select {columns} {rows}"


def _text(text: str | None) -> str:
    """Return a text as a literal of Spark's SQL."""
    return "cast(null as string)" if text is None else spark_text_literal(text)


class Spark:
    """The Spark of this process: started with dbt's first statement, with the views that all its sessions see."""

    def __init__(self, lake: Lake, statements: list[str]) -> None:
        self._lake = lake
        self._statements = statements
        self._first: Any = None
        self._lock = threading.Lock()

    def session(self) -> Any:
        """Return a session of its own: settings of one thread's commit affect no other one."""
        with self._lock:
            if self._first is None:
                self._first = open_session(root=self._lake.root, storage_options=self._lake.storage_options)
                for statement in self._statements:
                    self._first.sql(statement)
            session = prepare(self._first.newSession())
        session.conf.set(SALT_SETTING, os.environ.get(KEY, ""))
        return session


class Connection(dbt_spark.Connection):  # type: ignore[misc]
    """A connection of one dbt thread. dbt's own asks for Hive, and turns off that a cast which loses a value fails."""

    def __init__(self, session: Any) -> None:
        super().__init__()
        self._session = session

    def cursor(self) -> dbt_spark.Cursor:
        return _Cursor(self._session)


class _Cursor(dbt_spark.Cursor):  # type: ignore[misc]
    def __init__(self, session: Any) -> None:
        super().__init__()
        self._session = session

    def execute(self, sql: str, *parameters: Any) -> None:
        try:
            self._df = self._session.sql(sql % parameters if parameters else sql)
        except Exception as exc:
            raise DbtRuntimeError(foreign_text(str(exc))) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
