"""Source databases behind one Protocol; a driver is imported only when its system is opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ingestion.errors import ConfigurationError
from ingestion.settings import Connection
from ingestion.shipped import pip_install
from ingestion.sources.base import Source


def open_source(system: str, connection: Connection) -> Source:
    """Return the adapter for a connection's type. Does not connect yet."""
    if connection.type == "duckdb":
        from ingestion.sources.duckdb import DuckDbSource

        return DuckDbSource(system, connection)
    if connection.type == "oracle":
        with needs_extra(system, "oracle"):
            from ingestion.sources.oracle.source import OracleSource

        return OracleSource(system, connection)
    if connection.type in ("mssql", "sqlserver"):
        with needs_extra(system, "sqlserver"):
            from ingestion.sources.sqlserver.source import SqlServerSource

        return SqlServerSource(system, connection)
    raise ConfigurationError(
        f"{system}: a connection of type {connection.type} is of no known kind of database; known are duckdb, mssql "
        f"and oracle. Nothing was read. Correct AIRFLOW_CONN_{system.upper()}."
    )


@contextmanager
def needs_extra(system: str, extra: str) -> Iterator[None]:
    """Convert the import error of a missing driver into an error that says what to install."""
    try:
        yield
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            f"{system}: the driver for {extra} is not installed (no module {exc.name}). Nothing was read. "
            f"Run: {pip_install(extra)}"
        ) from None
    except OSError as exc:  # a system library that the driver is linked with
        lacking = re.search(r"([\w.+-]+): cannot open shared", str(exc))  # not the library that needs it
        library = lacking[1] if lacking else "a library"
        raise ConfigurationError(
            f"{system}: the driver for {extra} needs {library}, which this machine lacks. Nothing was read. "
            "Run: apt-get install unixodbc libltdl7 libkrb5-3 libgssapi-krb5-2"
        ) from None
