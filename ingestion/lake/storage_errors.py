"""What went wrong between us and the lake's storage, told apart by what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ingestion.errors import LakeError, LakehouseError, LakeUnavailableError
from ingestion.lake.storage import is_remote

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
_ELSEWHERE = re.compile(r"permanent_?redirect|moved permanently|authorization_?header_?malformed|\b301\b", re.I)


@contextmanager
def reaching(root: str) -> Iterator[None]:
    """
    Raise what the storage of `root` answers as an error of ours; other errors pass. Local folders raise their own.

    Raises LakeUnavailableError, which a later attempt may survive, or LakeError. Neither repeats the library's
    words: they may quote a URL with a signature in it.
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
    """Return the error of ours that an error of a library means; None if it is not one of the storage of `root`."""
    text = str(error)
    if not is_remote(root) or not _FROM_STORAGE.search(text):
        return None
    if _MISSING.search(text):
        return missing(root)
    if _DENIED.search(text):
        return LakeError(
            f"{root}: promised access to the lake's storage, found that this login has none or not enough. "
            "Nothing was committed. Compare its permissions with docs/storage.md, and its keys with the store's."
        )
    if _ELSEWHERE.search(text):
        return LakeError(
            f"{root}: promised a bucket in the region that AWS_REGION names, found it in another one. "
            "Nothing was committed. Set AWS_REGION to the bucket's."
        )
    return LakeUnavailableError(
        f"{root}: promised storage that answers, found none ({type(error).__name__}). Nothing was committed. "
        "Run it again; if it stays so, check the network and the endpoint (AWS_ENDPOINT_URL, the account in the URI)."
    )


def missing(root: str) -> LakeError:
    return LakeError(
        f"{root}: promised a bucket or container of this name, found none. Nothing was read or written. "
        "Make it first (infra/terraform has a module), or correct LAKEHOUSE_ROOT."
    )
