"""
How a body of any size and content becomes a message that SQS takes, and back. Pure.

A body is sent as it is; else compressed (attribute `encoding` is `gzip+base64`); else it is written elsewhere and a
claim is sent: `{"claim": url, "sha256": …, "bytes": n}` with `encoding` = `claim`. Nothing is ever cut.
An attribute whose value is empty or has characters that SQS refuses is sent as a JSON text, and named in `json`.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MOST_BYTES = 1024 * 1024
"""SQS's limit of a message with its attributes, and of a request."""
MOST_UNPACKED = 64 * 1024 * 1024
"""The longest body: more is refused by the sender, and not unpacked by the receiver."""
MOST_ATTRIBUTES = 10
ENCODING, GZIP, CLAIM = "encoding", "gzip+base64", "claim"
AS_JSON = "json"
STRING = "String"
_NAME = re.compile(r"(?!(?i:aws|amazon)\.)(?!\.)[\w.-]{1,256}(?<!\.)", re.ASCII)
_PLAIN_ID = re.compile("[!-~]{1,128}")
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class RefusedError(Exception):
    """A message that no queue can take as it is; the text is the code of its refusal."""


class UnpackableError(Exception):
    """A body that cannot be unpacked; the text says why, without a word of it."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A message as SQS takes it."""

    body: str
    attributes: Mapping[str, str]

    @property
    def size(self) -> int:
        """Its bytes as SQS counts them: body, and names, types and values of the attributes."""
        pairs = self.attributes.items()
        return len(self.body.encode()) + sum(len(f"{name}{STRING}{value}".encode()) for name, value in pairs)


def pack(
    body: bytes, attributes: Mapping[str, str], max_bytes: int, claim: Callable[[bytes], str] | None = None
) -> Packed:
    """
    Return the message of at most `max_bytes`. `claim` writes a body elsewhere and returns its URL.

    Raises RefusedError (TooLarge, InvalidAttributes), and what `claim` raises.
    """
    plain = _plain(attributes)
    if (text := _sendable(body)) is not None:
        packed = Packed(text, plain)
        if packed.size <= max_bytes:
            return packed
    if len(body) > MOST_UNPACKED:
        raise RefusedError("TooLarge")
    packed = Packed(base64.b64encode(gzip.compress(body, 6, mtime=0)).decode(), plain | {ENCODING: GZIP})
    if packed.size > max_bytes and claim is not None:
        told = {"claim": claim(body), "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
        packed = Packed(json.dumps(told), plain | {ENCODING: CLAIM})
    if packed.size > max_bytes:
        raise RefusedError("TooLarge")
    if len(packed.attributes) > MOST_ATTRIBUTES:
        raise RefusedError("InvalidAttributes")
    return packed


def unpack(
    body: str, attributes: Mapping[str, str], fetch: Callable[[str], bytes] | None = None
) -> tuple[bytes, dict[str, str]]:
    """Return body and attributes as they were packed. `fetch` reads a claim. Raises UnpackableError, and as `fetch`."""
    found = dict(attributes)
    try:
        found |= {name: str(json.loads(found[name])) for name in found.pop(AS_JSON, "").split(",") if name}
    except (ValueError, KeyError, RecursionError):
        raise UnpackableError("an attribute named by `json` is no JSON text") from None
    raw = body.encode(errors="surrogatepass")
    encoding = found.get(ENCODING)
    if encoding == GZIP:
        raw = _expanded(raw)
    elif encoding == CLAIM:
        raw = _claimed(raw, fetch)
    else:
        return raw, found
    del found[ENCODING]
    return raw, found


def plain_id(text: str) -> str:
    """Return a text as the id of a group or of a duplicate: itself, or its hash where SQS would refuse it."""
    return text if _PLAIN_ID.fullmatch(text) else hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _plain(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return attributes that SQS takes."""
    if not all(_NAME.fullmatch(name) for name in attributes) or {ENCODING, AS_JSON} & attributes.keys():
        raise RefusedError("InvalidAttributes")
    escaped = {n: json.dumps(v) for n, v in attributes.items() if not v or _REFUSED.search(v)}
    plain = dict(attributes) | escaped | ({AS_JSON: ",".join(escaped)} if escaped else {})
    if len(plain) > MOST_ATTRIBUTES:
        raise RefusedError("InvalidAttributes")
    return plain


def _sendable(body: bytes) -> str | None:
    """Return the text of a body that SQS takes as it is, else None."""
    if not 0 < len(body) <= MOST_BYTES:
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if _REFUSED.search(text) else text


def _expanded(raw: bytes) -> bytes:
    expander = zlib.decompressobj(31)
    try:
        data = expander.decompress(base64.b64decode(raw, validate=True), MOST_UNPACKED + 1)
    except (binascii.Error, zlib.error):
        raise UnpackableError("its body is not gzip in base64") from None
    if len(data) > MOST_UNPACKED:
        raise UnpackableError(f"it unpacks to more than {MOST_UNPACKED} bytes")
    if not expander.eof or expander.unused_data:
        raise UnpackableError("its body is not one whole gzip stream")
    return data


def _claimed(raw: bytes, fetch: Callable[[str], bytes] | None) -> bytes:
    if fetch is None:
        raise UnpackableError("it is a claim, and the connection has no claim_check")
    try:
        told = json.loads(raw)
        url, digest, size = str(told["claim"]), told["sha256"], told["bytes"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UnpackableError("its body is no claim") from None
    data = fetch(url)
    if len(data) != size or hashlib.sha256(data).hexdigest() != digest:
        raise UnpackableError("what its claim names has other bytes than were sent")
    return data
