"""Texts of others without the characters that steer a terminal, or the direction of the text around them."""

from __future__ import annotations

import re

_STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """Return a text safe to show: line ends and tabs stay, other control characters become codes."""
    return _STEERS.sub(_escape, text)


def as_json_has_it(document: str) -> str:
    """Return a JSON document with the same characters (which only occur in texts) as JSON escapes."""
    return _STEERS.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
