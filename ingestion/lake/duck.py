"""Opens the lake to DuckDB: every Delta table is a view, read by the delta extension from its PyPI wheel."""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection as Connection

from ingestion.errors import ConfigurationError
from ingestion.lake.layout import LAYERS, Lake

__all__ = ["Connection", "connect", "identifier", "literal", "load_extension", "prepare", "register", "scan", "select"]


def connect(lake: Lake | None = None, *, memory_limit: str | None = None, spill: str | None = None) -> Connection:
    """
    Return an in-memory connection that can read Delta; with a lake, its tables are views.

    Session time zone is UTC. `memory_limit` is DuckDB's (e.g. "400MB"); what exceeds it
    spills to the folder `spill`.
    """
    connection = duckdb.connect(":memory:")
    if memory_limit is not None:
        connection.execute(f"set memory_limit = {literal(memory_limit)}")
    if spill is not None:
        connection.execute(f"set temp_directory = {literal(spill)}")
    if lake is None:
        load_extension(connection, "delta")
        connection.execute("set timezone = 'UTC'")
    else:
        prepare(connection, lake)
    return connection


def select(connection: Connection, query: str) -> tuple[list[str], list[tuple[object, ...]]]:
    """Run one query that only reads; return column names and rows. Raises ConfigurationError for anything else."""
    try:
        statements = connection.extract_statements(query)
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise ConfigurationError("sql: promised one query, found another statement. Nothing was changed.")
        result = connection.execute(statements[0])
        return [column[0] for column in result.description or []], result.fetchall()
    except duckdb.Error as exc:
        raise ConfigurationError(f"sql: the query cannot be answered. {exc}\nNothing was changed.") from exc


def prepare(connection: Connection, lake: Lake) -> None:
    """Load the delta extension and (re)create the schemas and one view per lake table. Idempotent."""
    load_extension(connection, "delta")
    scheme = lake.root.split("://", 1)[0] if "://" in lake.root else ""
    if scheme in ("s3", "gs", "gcs"):
        load_extension(connection, "httpfs")
    elif scheme in ("abfs", "abfss", "az"):
        load_extension(connection, "azure")
    connection.execute("set timezone = 'UTC'")
    for layer in LAYERS:
        connection.execute(f"create schema if not exists {identifier(layer)}")
    for table in lake.tables():
        register(connection, table.schema, table.name, table.uri)


def register(connection: Connection, schema: str, name: str, uri: str, version: int | None = None) -> None:
    """Create or replace the view of a Delta table, pinned to `version` if given (0 is a version)."""
    connection.execute(
        f"create or replace view {identifier(schema)}.{identifier(name)} as select * from {scan(uri, version)}"
    )


def scan(uri: str, version: int | None = None) -> str:
    """Return the table function that reads a Delta table."""
    pinned = "" if version is None else f", version => {int(version)}"
    return f"delta_scan({literal(uri)}{pinned})"


def load_extension(connection: Connection, name: str) -> None:
    """Load a DuckDB extension from its wheel, without the network."""
    package = f"duckdb_extension_{name}"
    if find_spec(package) is None:
        raise ConfigurationError(
            f"DuckDB extension {name}: promised by the package {package.replace('_', '-')}, found none installed. "
            f"The lake cannot be read. Install it: pip install {package.replace('_', '-')}=={duckdb.__version__}"
        )
    folder = Path(str(importlib.import_module(package).__file__)).parent / "extensions" / f"v{duckdb.__version__}"
    file = folder / f"{name}.duckdb_extension"
    if not file.exists():
        raise ConfigurationError(
            f"DuckDB extension {name}: promised for DuckDB {duckdb.__version__}, found another version. "
            f"The lake cannot be read. Install {package.replace('_', '-')}=={duckdb.__version__}"
        )
    connection.execute(f"load {literal(os.fspath(file))}")


def identifier(name: str) -> str:
    """Quote a name for DuckDB."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for DuckDB; for paths and settings, never for values of rows."""
    return "'" + text.replace("'", "''") + "'"
