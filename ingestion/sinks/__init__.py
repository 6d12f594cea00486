"""Databases that rows are written to, and the targets of streams in them; a driver is imported when one is opened."""

from __future__ import annotations

from ingestion.contracts.model import Contract
from ingestion.errors import ConfigurationError
from ingestion.settings import Connection
from ingestion.sinks.database import Database
from ingestion.sources import needs_extra


def open_database(contract: Contract, system: str, connection: Connection) -> Database:
    """Return the database of a contract's table behind a connection; connects when it is used."""
    if connection.type == "duckdb":
        from ingestion.sinks.duckdb import DuckDbDatabase

        return DuckDbDatabase(contract, system, connection)
    if connection.type == "oracle" and contract.dialect == "oracle":
        with needs_extra(system, "oracle"):
            from ingestion.sinks.oracle import OracleDatabase

        return OracleDatabase(contract, system, connection)
    raise ConfigurationError(
        f"{contract.id}: its columns have types of {contract.dialect}, and the connection {system} is of type "
        f"{connection.type}. Nothing was read or written. Write the target's kind under `servers` and its types at the "
        f"columns, or correct AIRFLOW_CONN_{system.upper()}."
    )
