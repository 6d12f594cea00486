"""Secrets by name: from the environment, a folder of files, Airflow, or a cloud's secret store; see docs/secrets.md."""

from __future__ import annotations

from ingestion.secrets.door import Secrets
from ingestion.secrets.secret import Secret, SecretProvider

__all__ = ["Secret", "SecretProvider", "Secrets"]
