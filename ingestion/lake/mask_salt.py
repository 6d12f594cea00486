"""The salt of the hashes of personal values in Gold, and the fingerprint that identifies a lake's salt.

<root>/_mask_salt.json    a slow hash of the salt (scrypt) with a random nonce, and since when it is in use

Without a secret salt anybody could hash a list of addresses and find them in Gold. With another salt, new hashes would
not match older ones. The salt itself is never written.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import pyarrow.fs as pafs

from ingestion.errors import ConfigurationError, LakeError, LakehouseError
from ingestion.lake.layout import Lake
from ingestion.lake.storage.errors import reaching
from ingestion.lake.storage.filesystem import listed, move
from ingestion.lake.storage.provider import is_remote

SALT = "LAKEHOUSE_MASK_SALT"
FILE = "_mask_salt.json"
LEAST_LENGTH = 16
CONSEQUENCE = " No table of Gold was written."
MAKE_SALT = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Identifies a salt; `since` is when Gold was first written with it (ISO 8601, UTC)."""

    nonce: str
    digest: str
    since: str

    def is_of(self, salt: str) -> bool:
        return hmac.compare_digest(self.digest, _digest(salt, self.nonce))


def salt_fault(lake: Lake, salt: str) -> str | None:
    """
    Return why no table of Gold may be written with this salt; None if it may be used.

    If the lake has a fingerprint, only that salt is accepted, unless Gold has no table yet. Raises LakeError.
    """
    known = read_fingerprint(lake)
    if len(salt.strip()) < LEAST_LENGTH:
        return _too_short(
            salt, f"the one that is in use since {known.since}" if known else f"a random one ({MAKE_SALT})"
        )
    if known is not None and _gold_has_tables(lake) and not known.is_of(salt):
        return (
            f"{SALT}: is not the salt that this lake's Gold is written under since {known.since}, "
            f"and no hash would equal an earlier one.{CONSEQUENCE} Set that salt again. If it is lost or "
            "must be replaced: `lakehouse build gold --new-salt` writes all hashes anew."
        )
    return None


def _too_short(salt: str, which: str) -> str:
    found = f"it has {len(salt.strip())}" if salt else "it is not set"
    return (
        f"{SALT}: must be a secret of {LEAST_LENGTH} characters or more, which keys the hashes of personal values; "
        f"{found}.{CONSEQUENCE} Set {which} and keep it: every later build needs the same."
    )


def check_salt(lake: Lake, salt: str) -> None:
    """Raise ConfigurationError if no table of Gold may be written with this salt."""
    if fault := salt_fault(lake, salt):
        raise ConfigurationError(fault)


def keep_fingerprint(lake: Lake, salt: str, *, anew: bool = False) -> None:
    """
    Store the fingerprint of the salt that Gold is written with, unless it is stored already. `anew` replaces
    another one.

    Raises ConfigurationError for a salt that may not be used, or if another process has just stored another one.
    """
    if anew:
        if len(salt.strip()) < LEAST_LENGTH:
            raise ConfigurationError(_too_short(salt, f"a random one ({MAKE_SALT})"))
    else:
        check_salt(lake, salt)
        known = read_fingerprint(lake)
        if known is not None and known.is_of(salt):
            return
    _write(lake, salt)
    known = read_fingerprint(lake)
    if known is None or not known.is_of(salt):
        raise ConfigurationError(
            f"{SALT}: all builds of a lake need one salt, but another process has just noted "
            f"another one.{CONSEQUENCE} Set the same salt everywhere."
        )


def _write(lake: Lake, salt: str) -> None:
    """Write the fingerprint atomically; object stores do so by themselves."""
    nonce = secrets.token_hex(16)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    text = json.dumps({"nonce": nonce, "scrypt": _digest(salt, nonce), "since": since})
    path = lake.path(FILE) if is_remote(lake.root) else lake.path(f"{FILE}.{secrets.token_hex(8)}.new")
    with reaching(lake.root):
        with lake.filesystem.open_output_stream(path) as stream:
            stream.write(text.encode())
        if path != lake.path(FILE):
            move(lake.filesystem, path, lake.path(FILE))


def read_fingerprint(lake: Lake) -> Fingerprint | None:
    """Return the fingerprint of the salt in use; None if none is stored. Raises LakeError."""
    with reaching(lake.root):
        if lake.filesystem.get_file_info(lake.path(FILE)).type == pafs.FileType.NotFound:
            return None
        try:
            with lake.filesystem.open_input_stream(lake.path(FILE)) as stream:
                told = json.loads(stream.readall())
            return Fingerprint(told["nonce"], told["scrypt"], told["since"])
        except (ValueError, KeyError, TypeError) as exc:
            raise LakeError(
                f"{lake.root}: the fingerprint of the salt of masked values in {FILE} cannot be "
                f"read.{CONSEQUENCE} Restore the file from a backup; or, with the salt set that Gold "
                "is written under, run `lakehouse build gold --new-salt`, which writes it again."
            ) from exc


def open_salt(lake: Lake, salt: str, *, writes: bool) -> tuple[str | None, str | None, str]:
    """
    Return for dbt: the salt to use, why it may not be used for writing, and a value that changes with the salt.

    `writes` (the dbt command writes tables): the fingerprint of a permitted salt is stored. Without `writes`, a salt
    that
    is not permitted is treated as no salt, without a fault: masked columns are then null.
    """
    try:
        fault = salt_fault(lake, salt)
        if fault is None and writes:
            keep_fingerprint(lake, salt)
        known = read_fingerprint(lake)
    except LakehouseError as exc:
        fault, known = str(exc), None
    return (salt if fault is None else None), (fault if writes else None), (known.digest[:12] if known else "")


def hmac_pads(salt: str) -> str:
    """Return the inner and the outer pad of HMAC-SHA-256 with this key (RFC 2104), 128 hexadecimal digits each."""
    key = salt.encode()
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    return "".join(bytes(byte ^ pad for byte in block).hex() for pad in (0x36, 0x5C))


def _gold_has_tables(lake: Lake) -> bool:
    with reaching(lake.root):
        return any(info.type == pafs.FileType.Directory for info in listed(lake.filesystem, lake.path("gold")))


@lru_cache(maxsize=2)  # a build asks several times
def _digest(salt: str, nonce: str) -> str:
    """Return a hash that costs 16 MB and some 50 ms, so that guessing salts is too expensive."""
    return hashlib.scrypt(salt.encode(), salt=bytes.fromhex(nonce), n=2**14, r=8, p=1, dklen=32).hex()
