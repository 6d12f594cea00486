"""The SQL of each engine that a comparison can query. Builds text only: no driver is imported here."""

from __future__ import annotations

from ingestion.reconcile.dialects.base import Dialect, Origin
from ingestion.reconcile.dialects.duckdb import DuckDbDialect
from ingestion.reconcile.dialects.oracle import OracleDialect
from ingestion.reconcile.dialects.spark import SparkDialect
from ingestion.reconcile.dialects.sqlserver import SqlServerDialect

__all__ = ["DIALECTS", "Dialect", "Origin"]

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (OracleDialect(), SqlServerDialect(), DuckDbDialect(), SparkDialect())
}
