"""The lake's files as Arrow sees them, and what folders and moves are where there are none: on object stores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from ingestion.lake.storage.login import EMULATOR_URL, is_remote, parts, storage_options

CONNECT_SECONDS, REQUEST_SECONDS = 10, 60


def open_files(uri: str) -> tuple[pafs.FileSystem, str]:
    """Return the file system of a local path or URI and the path on it. Raises ConfigurationError."""
    if not is_remote(uri):
        return pafs.LocalFileSystem(), uri
    found = parts(uri)
    folder = f"{found.username if found.scheme == 'abfss' else found.hostname}{found.path.rstrip('/')}"
    options = storage_options(uri, os.environ)
    return _opened(found.scheme, tuple(sorted(options.items())), os.environ.get("AZURITE_BLOB_STORAGE_URL")), folder


def make_folder(filesystem: pafs.FileSystem, path: str) -> None:
    """Make a folder where files need one. On object stores none do, and an empty object in its place is litter."""
    if isinstance(filesystem, pafs.LocalFileSystem):
        filesystem.create_dir(path, recursive=True)


def move(filesystem: pafs.FileSystem, source: str, target: str) -> None:
    """Move a file. Where the store can neither rename nor copy by itself, the bytes come and go through here."""
    try:
        filesystem.move(source, target)
    except pa.ArrowNotImplementedError:  # a storage account of Azure without a hierarchical namespace
        pafs.copy_files(source, target, source_filesystem=filesystem, destination_filesystem=filesystem)
        filesystem.delete_file(source)


@lru_cache(maxsize=8)
def _opened(scheme: str, options: tuple[tuple[str, str], ...], emulator: str | None) -> pafs.FileSystem:
    given = dict(options)
    if scheme == "s3":
        return _s3(given)
    if scheme == "abfss":
        return _azure(given, emulator or EMULATOR_URL)
    return pafs.GcsFileSystem()  # reads GOOGLE_APPLICATION_CREDENTIALS, or asks the machine


def _s3(given: Mapping[str, str]) -> pafs.FileSystem:
    endpoint = urlsplit(given.get("aws_endpoint_url", ""))
    return pafs.S3FileSystem(
        access_key=given.get("aws_access_key_id"),
        secret_key=given.get("aws_secret_access_key"),
        session_token=given.get("aws_session_token"),
        region=given["aws_region"],
        scheme=endpoint.scheme or "https",
        endpoint_override=endpoint.netloc or None,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=REQUEST_SECONDS,
    )


def _azure(given: Mapping[str, str], emulator: str) -> pafs.FileSystem:
    settings = {
        "account_name": given["azure_storage_account_name"],
        "account_key": given.get("azure_storage_account_key"),
        "sas_token": f"?{token}" if (token := given.get("azure_storage_sas_token")) else None,
        "tenant_id": given.get("azure_tenant_id"),
        "client_id": given.get("azure_client_id"),
        "client_secret": given.get("azure_client_secret"),
    }
    if "azure_storage_use_emulator" in given:
        url = urlsplit(emulator)
        settings |= {f"{name}_storage_authority": url.netloc for name in ("blob", "dfs")}
        settings |= {f"{name}_storage_scheme": url.scheme for name in ("blob", "dfs")}
    return pafs.AzureFileSystem(**settings)
