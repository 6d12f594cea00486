"""Classifies errors of the lake's storage by the next step: retry, correct the set-up, or repair."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from ingestion.errors import LakeError, LakehouseError, LakeUnavailableError
from ingestion.lake.damage import lost_data, torn_log
from ingestion.lake.names import table_in
from ingestion.lake.storage.provider import is_remote

# in the words of Arrow, delta-rs and DuckDB, in this order
_FROM_STORAGE = re.compile(
    r"AWS Error|Azure Error|google::cloud|Error performing|Generic (S3|MicrosoftAzure|GCS) error"
    r"|ObjectStoreError|HTTP Error|HTTP (HEAD|GET|PUT|POST|DELETE)|Azure\w*FileSystem",
)
_MISSING = re.compile(
    r"no_?such_?bucket|container_?not_?found|filesystem_?not_?found|specified (bucket|container) does not exist", re.I
)
_DENIED = re.compile(
    r"access_?denied|forbidden|unauthori[sz]ed|unauthenticated|permission|privileges|authentication_?failed"
    r"|authorization_?(failure|permission)|invalid_?access_?key|signature_?does_?not_?match|expired_?token"
    r"|(unrecognized|invalid)_?client|server failed to authenticate|\b40[13]\b",
    re.I,
)
_TORN = re.compile(r"DeltaKernel|Kernel error|delta_kernel|[Ii]nvalid JSON in log|No files in log segment")
_LOST = re.compile(
    r"No magic bytes|magic bytes not found|too small to be a Parquet|[Ii]nvalid Parquet|Corrupt footer|TProtocol"
    r"|[Dd]ecompression failure|corrupt|[Uu]nexpected end of|No such file or directory|prefix length",
)
FOLDER_OF_LOG = "/_delta_log/"
_NOT_OF_FILES = ("oracledb", "mssql", "pyodbc")  # errors of databases may have the same texts
_ABOUT = re.compile(r"[^\s'\"]+\.parquet")
_ERRNOS = {
    errno.ENOSPC: r"no space left on device",
    errno.EDQUOT: r"disk quota exceeded",
    errno.EROFS: r"read-only file system",
    errno.EACCES: r"permission denied",
    errno.EPERM: r"operation not permitted",
    errno.EIO: r"input/output error",
}
_GONE = re.compile(r"\b404\b|not[ _]?found|no_?such_?key", re.I)
"""A store's message for a missing object; no other message of a store means damage."""
_ELSEWHERE = re.compile(r"permanent_?redirect|moved permanently|authorization_?header_?malformed|\b301\b", re.I)


@contextmanager
def reaching(root: str) -> Iterator[None]:
    """
    Raise errors of the storage of `root` (a lake or a table) as our own errors; other errors pass unchanged.

    Raises LakeUnavailableError, for which a retry may succeed, or LakeError. For object stores neither repeats the
    library's text, which may quote a signed URL.
    """
    try:
        yield
    except LakehouseError:
        raise
    except Exception as exc:
        told = told_apart(root, exc)
        if told is None:
            raise
        raise told from None


def told_apart(root: str, error: Exception) -> LakehouseError | None:
    """Return our error for a library's error; None if it did not come from the storage of `root`."""
    text = str(error)
    is_stores = is_remote(root) and _FROM_STORAGE.search(text) is not None
    found = _told_by_system(root, error) or (_told_by_store(root, text) if is_stores else None)
    if found is None and (not is_stores or _GONE.search(text)):
        found = _told_by_content(root, text)
    if found is not None or not is_stores:
        return found
    return LakeUnavailableError(
        f"{root}: the lake's storage does not answer ({type(error).__name__}). Nothing was committed. "
        "Run it again; if it stays so, check the network and the endpoint (AWS_ENDPOINT_URL, the account in the URI)."
    )


def _told_by_store(root: str, text: str) -> LakeError | None:
    """Return the error for a request that an object store refused; None if it did not answer or lacks an object."""
    if _MISSING.search(text):
        return missing(root)
    if _DENIED.search(text):
        return LakeError(
            f"{root}: this login may not do that in the lake's storage. "
            "Nothing was committed. Compare its permissions with docs/storage.md, and its keys with the store's."
        )
    if _ELSEWHERE.search(text):
        return LakeError(
            f"{root}: the bucket is not in the region that AWS_REGION names. "
            "Nothing was committed. Set AWS_REGION to the bucket's."
        )
    return None


def _told_by_system(root: str, error: Exception) -> LakeError | None:
    """Return the error of the operating system: a full disk anywhere, other errors only below `root`."""
    text = str(error)
    number = next((n for n, words in _ERRNOS.items() if re.search(words, text, re.I)), None)
    number = getattr(error, "errno", None) or number
    if number not in _ERRNOS or type(error).__module__.startswith(_NOT_OF_FILES):
        return None
    subject, what = _subject(root, text), os.strerror(number)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return LakeError(
            f"{subject}: no space is left for what is written ({what}). Nothing more was committed; the lake "
            "is whole. Make room where the lake and the temporary folder (TMPDIR) are, and run it again; `lakehouse "
            "maintain` frees what no version of the last days needs."
        )
    if root not in text:
        return None
    return LakeError(
        f"{subject}: a file cannot be read or written: {what}. Nothing more was committed; what is "
        "there is whole. Give this user the rights (or mend the mount or disk), see `lakehouse doctor`, and run "
        "it again."
    )


def _told_by_content(root: str, text: str) -> LakeError | None:
    """Return the error of a damaged log or data file below `root`."""
    uri = _table_uri(root, text)
    if uri is None:
        return None
    about = _ABOUT.search(text)
    if about and FOLDER_OF_LOG not in about[0] and _LOST.search(text):
        name = about[0].rsplit("/", 1)[-1]
        return lost_data(uri, name)
    return torn_log(uri, "it cannot be read") if _TORN.search(text) else None


def _table_uri(root: str, text: str) -> str | None:
    """Return the table that a message refers to: the root itself if it is a table, else one below it."""
    if table_in(root):
        return root
    if root not in text:
        return None
    found = table_in(text, root)
    return None if found is None else "/".join([root, found[0], *found[1].split("__", 1)])


def _subject(root: str, text: str) -> str:
    found = table_in(root) or (table_in(text, root) if root in text else None)
    return ".".join(found) if found else root


def missing(root: str) -> LakeError:
    return LakeError(
        f"{root}: there is no bucket or container of this name. Nothing was read or written. "
        "Make it first (infra/terraform has a module), or correct LAKEHOUSE_ROOT."
    )
