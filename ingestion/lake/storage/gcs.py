"""Google Cloud Storage: `gs://bucket/prefix`.

Variables: GOOGLE_APPLICATION_CREDENTIALS, else the machine's account; for DuckDB GCS_HMAC_KEY_ID with GCS_HMAC_SECRET.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult

import pyarrow.fs as pafs

from ingestion.errors import ConfigurationError
from ingestion.lake.storage.base import Secret, StorageSettings, check_pair

FORM = "gs://bucket/prefix"
PREFIXES = ("GOOGLE_", "GCS_")
SECRETS = ("GCS_HMAC_KEY_ID", "GCS_HMAC_SECRET")


def bucket(found: SplitResult) -> str | None:
    return found.hostname


def options(_: SplitResult, given: Mapping[str, str]) -> dict[str, str]:
    check_pair(given, "GCS_HMAC_KEY_ID", "GCS_HMAC_SECRET")
    file = given.get("GOOGLE_APPLICATION_CREDENTIALS")
    return {"google_application_credentials": file} if file else {}


def file_system(_: Mapping[str, str], __: str | None) -> pafs.FileSystem:
    return pafs.GcsFileSystem()  # reads GOOGLE_APPLICATION_CREDENTIALS, or uses the machine's account


def location(found: SplitResult) -> str:
    return found.geturl()


def secret(found: SplitResult, _: Mapping[str, str], given: Mapping[str, str]) -> Secret:
    if not given.get("GCS_HMAC_KEY_ID"):
        raise ConfigurationError(
            "GCS_HMAC_KEY_ID: not set; a lake at gs:// needs an HMAC key, because DuckDB reads Google's storage with "
            "no other login. Nothing was read or written. Make one for the lake's service account (docs/storage.md)."
        )
    values = {"key_id": given["GCS_HMAC_KEY_ID"], "secret": given["GCS_HMAC_SECRET"]}
    return Secret("gcs", f"gs://{found.hostname}/", values=values)


def extensions(_: Secret) -> tuple[str, ...]:
    return ("httpfs",)


def spark_settings(_: SplitResult, __: Mapping[str, str]) -> StorageSettings:
    return StorageSettings()  # the platform provides the connector, which uses the machine's account
