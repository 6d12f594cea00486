"""Opens the lake to DuckDB: every Delta table is a view, read by the delta extension from its PyPI wheel."""

from __future__ import annotations

import importlib
import os
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow as pa
from duckdb import DuckDBPyConnection as Connection
from duckdb import Error
from duckdb.sqltypes import DuckDBPyType

from ingestion import scratch
from ingestion.errors import ConfigurationError, LakeError
from ingestion.lake.layout import Lake
from ingestion.lake.names import LAYERS
from ingestion.lake.storage.errors import reaching, told_apart
from ingestion.lake.storage.provider import is_remote, location, redacted, secret
from ingestion.privacy.foreign import foreign_text
from ingestion.privacy.logs import logger
from ingestion.sql.quoting import quote_standard, text_literal

__all__ = [
    "Connection",
    "Error",
    "Query",
    "attached",
    "beside",
    "bound_threads",
    "connect",
    "connect_for_text",
    "load_extension",
    "location",
    "prepare",
    "query",
    "reach",
    "register",
    "scan",
    "select",
    "session",
]

UNREADABLE = (duckdb.IOException, duckdb.InvalidInputException)  # the errors of a missing, truncated or damaged file
UNSIGNED = "allow_unsigned_extensions"
_DATABASE = "session"
_ATTACHED = "select database_name from duckdb_databases() where not internal and database_name <> 'memory'"
_IDLE: dict[int, list[Connection]] = {}
"""The DuckDB instances that no session uses, by process: a forked process cannot use those of its parent."""
COLUMN_BYTES = 256 * 1024
"""Memory per thread and column of a wide table, for any number of rows: vectors of 2,048 values, a Parquet page."""


def connect(
    lake: Lake | None = None,
    *,
    at: str = "",
    memory_limit: str | None = None,
    spill: str | None = None,
    columns: int = 0,
) -> Connection:
    """
    Return an in-memory connection that can read Delta; with a lake, its tables are views.

    Without a lake, `at` is any URI in the storage to be read. The session time zone is UTC. `memory_limit` is
    DuckDB's (e.g. "400MB"); data that exceeds it spills to the folder `spill`. The number of threads is limited so that
    a table with that many `columns` fits the memory.
    """
    connection = duckdb.connect(":memory:", config={UNSIGNED: True})  # `_check_signature` has checked it
    connection.execute("set enable_progress_bar = false")  # DuckDB treats a spawned process as a shell
    _limit(connection, memory_limit, columns)
    if spill is not None:
        connection.execute(f"set temp_directory = {text_literal(spill)}")
    if lake is None:
        load_extension(connection, "delta")
        connection.execute("set timezone = 'UTC'")
        reach(connection, at)
    else:
        prepare(connection, lake)
    return connection


def connect_for_text() -> Connection:
    """Return an in-memory connection that can search texts, and can reach no file and no network."""
    connection = duckdb.connect(":memory:", config={UNSIGNED: True})  # `_check_signature` has checked it
    load_extension(connection, "fts")
    connection.execute("set enable_progress_bar = false; set threads = 1; set enable_external_access = false")
    return connection


@contextmanager
def session(at: str, *, memory_limit: str | None = None, columns: int = 0) -> Iterator[Connection]:
    """
    Yield a connection with an empty in-memory database, which is gone after the block. Otherwise as `connect`.

    The process keeps its DuckDB instances for later sessions, because starting one takes as long as a small load. An
    instance serves one session at a time, and none after an error. Data that exceeds the memory limit spills to a
    private folder.
    """
    idle = _IDLE.setdefault(os.getpid(), [])
    instance = idle.pop() if idle else connect(spill=str(scratch.process_folder("spill")))
    try:
        with instance.cursor() as connection:
            connection.execute("reset threads; reset memory_limit")
            _limit(connection, memory_limit, columns)
            connection.execute(f"attach ':memory:' as {_DATABASE}")
            connection.execute(f"use {_DATABASE}")
            connection.execute("set timezone = 'UTC'")
            reach(connection, at)
            yield connection
            connection.execute("use memory")
            for (name,) in connection.execute(_ATTACHED).fetchall():
                connection.execute(f"detach {quote_standard(name)}")
            connection.execute("set enable_external_file_cache = false; set enable_external_file_cache = true")
    except BaseException:
        instance.close()
        raise
    idle.append(instance)


def beside(connection: Connection) -> Connection:
    """Return a second connection that finds the same tables, for a query while the first yields rows."""
    second = connection.cursor()
    second.execute("set timezone = 'UTC'")
    if second.execute("from duckdb_databases() where database_name = ?", [_DATABASE]).fetchone():
        second.execute(f"use {_DATABASE}")
    return second


def _limit(connection: Connection, memory_limit: str | None, columns: int) -> None:
    if memory_limit is not None:
        connection.execute(f"set memory_limit = {text_literal(memory_limit)}")
        bound_threads(connection, columns)


def bound_threads(connection: Connection, columns: int) -> None:
    """Limit the threads to those that fit the memory limit; a thread's own memory cannot be spilled."""
    if columns:
        connection.execute(
            "set threads = greatest(1, least(current_setting('threads'), "
            f"parse_formatted_bytes(current_setting('memory_limit')) // {columns * COLUMN_BYTES}))"
        )


@dataclass(frozen=True, slots=True)
class Query:
    """One query that only reads. Its rows are computed as they are fetched: memory does not grow with their number."""

    columns: Sequence[str]
    types: Sequence[DuckDBPyType]
    _connection: Connection
    _statement: duckdb.Statement
    _relation: duckdb.DuckDBPyRelation
    _root: str

    def blocks(self, limit: int | None = None, *, size: int = 10_000) -> Iterator[list[tuple[object, ...]]]:
        """Yield the rows in lists of at most `size`, not more than `limit` in total."""
        with _answered(self._root):
            if limit is not None:
                yield self._relation.limit(limit).fetchall()
                return
            result = self._connection.execute(self._statement)
            while block := result.fetchmany(size):
                yield block

    def batches(
        self, limit: int | None = None, *, spelt: Callable[[str], str | None], size: int = 50_000
    ) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """
        Return the rows in Arrow form, at most `limit`: their schema, and batches of about `size` rows.

        `spelt` gets the id of a column's type and returns SQL for its values, with `{}` for the column, or None.
        """
        with _answered(self._root):
            rows = self._relation if limit is None else self._relation.limit(limit)
            spellings = [
                (spelt(str(type_.id)) or "{}").format(f"#{at}") for at, type_ in enumerate(self.types, start=1)
            ]
            named = [f"{s} as {quote_standard(name)}" for s, name in zip(spellings, self.columns, strict=True)]
            reader = rows.project(", ".join(named)).to_arrow_reader(size)
        return reader.schema, _read(reader, self._root)


def _read(reader: pa.RecordBatchReader, root: str) -> Iterator[pa.RecordBatch]:
    with _answered(root):
        yield from reader


@contextmanager
def _answered(root: str) -> Iterator[None]:
    """
    Turn DuckDB's errors, which Arrow may pass on as its own, into ours without secrets: those of files below `root`
    into what `reaching` raises, others into a ConfigurationError.
    """
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as exc:
        if root and (damage := told_apart(root, exc)) is not None:
            raise damage from None
        told = foreign_text(redacted(str(exc), os.environ))
        raise ConfigurationError(f"sql: the query cannot be answered. {told}\nNothing was changed.") from None
    except RuntimeError as exc:
        if "interrupted" in str(exc):  # DuckDB's answer to Ctrl-C
            raise KeyboardInterrupt from None
        raise


def query(connection: Connection, text: str, root: str = "") -> Query:
    """
    Return the one query of a text; `root` is the lake or table that it reads.

    Raises ConfigurationError for anything that is not one query that only reads.
    """
    with _answered(root):
        statements = connection.extract_statements(text)
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise ConfigurationError("sql: this is no single query (SELECT). Nothing was changed.")
        relation = connection.query(text)
        return Query(relation.columns, relation.types, connection, statements[0], relation, root)


def select(connection: Connection, text: str) -> tuple[Sequence[str], list[tuple[object, ...]]]:
    """Return column names and all rows of one query that only reads. Raises ConfigurationError for anything else."""
    found = query(connection, text)
    return found.columns, [row for block in found.blocks() for row in block]


def prepare(connection: Connection, lake: Lake, layers: Collection[str] = LAYERS) -> None:
    """
    Load the delta extension and (re)create the schemas and one view per table of some layers. Idempotent.

    A table that cannot be opened gets a warning and no view; the others can still be read.
    """
    load_extension(connection, "delta")
    reach(connection, lake.root)
    connection.execute("set timezone = 'UTC'")
    for layer in LAYERS:
        connection.execute(f"create schema if not exists {quote_standard(layer)}")
    with reaching(lake.root):
        for table in lake.tables():
            if table.schema in layers:
                try:
                    with reaching(table.uri):
                        register(connection, table.schema, table.name, table.uri)
                except LakeError as exc:
                    logger.warning("%s", exc)


def reach(connection: Connection, uri: str) -> None:
    """
    Give a connection and its cursors access to the storage of a URI; a local path needs none. Idempotent.

    Raises ConfigurationError, LakeError if no login is found. No message repeats DuckDB's text.
    """
    if not is_remote(uri):
        return
    login, needed = secret(uri, os.environ)
    for name in needed:
        load_extension(connection, name)
    try:
        connection.execute(login.statement, dict(login.values))
    except duckdb.Error as exc:
        raise ConfigurationError(
            f"{uri}: DuckDB found no login for the lake's storage that it can use ({type(exc).__name__}, "
            f"{login.provider}). Nothing was read or written. Set the store's variables (docs/storage.md)."
        ) from None


def register(connection: Connection, schema: str, name: str, uri: str, version: int | None = None) -> None:
    """
    Create or replace the view of a Delta table, pinned to `version` if given (0 is a version).

    The log of a pinned or a remote table is read once per connection, not by each query.
    """
    rows = scan(uri) if version is None and not is_remote(uri) else attached(connection, uri, version)
    connection.execute(
        f"create or replace view {quote_standard(schema)}.{quote_standard(name)} as select * from {rows}"
    )


def attached(connection: Connection, uri: str, version: int | None = None) -> str:
    """
    Attach a Delta table and return its name for a query; it has no columns with a row's file and position.

    Its log is read once per connection, and by `scan` for each reference.
    """
    name = quote_standard(f"lake_{uuid.uuid4().hex}")
    pinned = "" if version is None else f", version {int(version)}"
    connection.execute(f"attach {text_literal(location(uri))} as {name} (type delta, pin_snapshot{pinned})")
    return name


def scan(uri: str, version: int | None = None) -> str:
    """Return the table function that reads a Delta table."""
    pinned = "" if version is None else f", version => {int(version)}"
    return f"delta_scan({text_literal(location(uri))}{pinned})"


def load_extension(connection: Connection, name: str) -> None:
    """Load a DuckDB extension from its wheel, without the network. Its signature is checked first."""
    package = f"duckdb_extension_{name}"
    if find_spec(package) is None:
        raise ConfigurationError(
            f"DuckDB extension {name}: the package {package.replace('_', '-')} is not installed. "
            f"Nothing was read. Install it: pip install {package.replace('_', '-')}=={duckdb.__version__}"
        )
    folder = Path(str(importlib.import_module(package).__file__)).parent / "extensions" / f"v{duckdb.__version__}"
    file = folder / f"{name}.duckdb_extension"
    if not file.exists():
        raise ConfigurationError(
            f"DuckDB extension {name}: is not of DuckDB's version {duckdb.__version__}. "
            f"Nothing was read. Install {package.replace('_', '-')}=={duckdb.__version__}"
        )
    _check_signature(file)
    connection.execute(f"load {text_literal(os.fspath(file))}")


@cache
def _check_signature(file: Path) -> None:
    """
    Check an extension's signature. DuckDB does so on each load, which takes 0.3 s for 80 MB; here a file is checked
    once, and again when its size or one of its times has changed.
    """
    found = file.stat()
    identity = f"{file}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}:{found.st_ino}"
    scratch.check_once(identity, partial(_verify, file))


def _verify(file: Path) -> None:
    with duckdb.connect(":memory:") as judge:
        judge.execute(f"load {text_literal(os.fspath(file))}")
