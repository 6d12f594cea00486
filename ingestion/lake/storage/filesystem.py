"""Access to the lake's files through Arrow; creates folders and moves files on local disks and object stores."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache

import pyarrow as pa
import pyarrow.fs as pafs

from ingestion.lake.storage.provider import PROVIDERS, is_remote, provider_of, storage_options

_LISTINGS = 10


def open_files(uri: str) -> tuple[pafs.FileSystem, str]:
    """Return the file system of a local path or URI and the path on it. Raises ConfigurationError."""
    if not is_remote(uri):
        return pafs.LocalFileSystem(), uri
    provider, found = provider_of(uri)
    options = tuple(sorted(storage_options(uri, os.environ).items()))
    opened = _opened(found.scheme, options, os.environ.get("AZURITE_BLOB_STORAGE_URL"))
    return opened, f"{provider.bucket(found)}{found.path.rstrip('/')}"


def make_folder(filesystem: pafs.FileSystem, path: str) -> None:
    """Create a folder on a local disk. Object stores need no folders; creating one would add an empty object."""
    if isinstance(filesystem, pafs.LocalFileSystem):
        filesystem.create_dir(path, recursive=True)


def listed(filesystem: pafs.FileSystem, folder: str, *, recursive: bool = False) -> list[pafs.FileInfo]:
    """
    Return what is in a folder, in no order; nothing if there is no such folder.

    A folder that another process makes or removes during the listing is listed again: Arrow raises FileNotFoundError
    for it, whatever `allow_not_found` says.
    """
    selector = pafs.FileSelector(folder, allow_not_found=True, recursive=recursive)
    for _ in range(_LISTINGS - 1):
        with suppress(FileNotFoundError):
            return list(filesystem.get_file_info(selector))
    return list(filesystem.get_file_info(selector))


def move(filesystem: pafs.FileSystem, source: str, target: str) -> None:
    """Move a file. If the store can neither rename nor copy, this process reads and writes the bytes."""
    try:
        filesystem.move(source, target)
    except pa.ArrowNotImplementedError:  # a storage account of Azure without a hierarchical namespace
        pafs.copy_files(source, target, source_filesystem=filesystem, destination_filesystem=filesystem)
        filesystem.delete_file(source)


@lru_cache(maxsize=8)
def _opened(scheme: str, options: tuple[tuple[str, str], ...], emulator: str | None) -> pafs.FileSystem:
    return PROVIDERS[scheme].file_system(dict(options), emulator)
