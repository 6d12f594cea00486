"""The environment as frozen values; the variables are listed in `registry`."""

from __future__ import annotations

from ingestion.secrets.names import CONNECTION_PREFIX
from ingestion.settings.connection import DIALECTS, Connection, parse_connection
from ingestion.settings.registry import ENGINES, value_of
from ingestion.settings.values import DAYS_KEPT, DEBUG, Settings, environment

__all__ = [
    "CONNECTION_PREFIX",
    "DAYS_KEPT",
    "DEBUG",
    "DIALECTS",
    "ENGINES",
    "Connection",
    "Settings",
    "environment",
    "parse_connection",
    "value_of",
]
