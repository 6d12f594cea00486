"""Source databases behind one Protocol; a driver is imported only when its system is opened."""

from __future__ import annotations

from ingestion.errors import ConfigurationError
from ingestion.settings import Connection
from ingestion.sources.base import Source


def open_source(system: str, connection: Connection) -> Source:
    """Return the adapter for a connection's type. Opens nothing yet."""
    if connection.type == "duckdb":
        from ingestion.sources.duckdb import DuckDbSource

        # duckdb:///folder/file.duckdb: the path below the root arrives as the connection's schema
        return DuckDbSource(system, f"{connection.host}/{connection.schema}", clock=connection.extra.get("clock"))
    raise ConfigurationError(
        f"{system}: connection type {connection.type!r} has no adapter; known is duckdb. "
        f"No rows were read. Correct AIRFLOW_CONN_{system.upper()}."
    )
