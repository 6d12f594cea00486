"""Source databases behind one Protocol; a driver is imported only when its system is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ingestion.errors import ConfigurationError
from ingestion.settings import Connection
from ingestion.sources.base import Source


def open_source(system: str, connection: Connection) -> Source:
    """Return the adapter for a connection's type. Opens nothing yet."""
    if connection.type == "duckdb":
        from ingestion.sources.duckdb import DuckDbSource

        return DuckDbSource(system, connection)
    if connection.type == "oracle":
        with needs_extra(system, "oracle"):
            from ingestion.sources.oracle import OracleSource

        return OracleSource(system, connection)
    raise ConfigurationError(
        f"{system}: connection type {connection.type!r} has no adapter; known are duckdb and oracle. "
        f"No rows were read. Correct AIRFLOW_CONN_{system.upper()}."
    )


@contextmanager
def needs_extra(system: str, extra: str) -> Iterator[None]:
    """Turn the import error of a driver that is not installed into what to install."""
    try:
        yield
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            f"{system}: promised a driver for {extra}, found no module {exc.name}. No rows were read. "
            f"Run: pip install lakehouse[{extra}]"
        ) from None
