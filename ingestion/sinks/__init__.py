"""Targets of streams behind one Protocol (`ingestion.streams.ports.Sink`); a driver is imported when one is opened."""

from __future__ import annotations

from ingestion.contracts.streams import Stream
from ingestion.errors import ConfigurationError
from ingestion.settings import Connection
from ingestion.sources import needs_extra
from ingestion.streams.ports import Sink


def open_table(stream: Stream, connection: Connection) -> Sink:
    """Return the target table of a stream behind its connection; connects when it is used."""
    system, dialect = stream.target or "", stream.contract.dialect
    if connection.type == "duckdb":
        from ingestion.sinks.duckdb import DuckDbSink

        return DuckDbSink(stream, connection)
    if connection.type == "oracle" and dialect == "oracle":
        with needs_extra(system, "oracle"):
            from ingestion.sinks.oracle import OracleSink

        return OracleSink(stream, connection)
    raise ConfigurationError(
        f"{stream.contract.id}: its columns have types of {dialect}, and the connection {system} is of type "
        f"{connection.type}. Nothing was read or written. Write the target's kind under `servers` and its types at the "
        f"columns, or correct AIRFLOW_CONN_{system.upper()}."
    )
