"""Finds e-mail addresses in a spelling, in time that grows with its length."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LONGEST_LOCAL = 64  # RFC 5321, 4.5.3.1.1
_BACKWARDS = re.compile(r"\"[^\"\n]{1,62}\"|[\w.!#$%'*+/?^`{|}~-]+")
_DOMAIN = re.compile(
    r"\n?(?:(?:[^\W_](?:[\w-]{0,61}[^\W_])?\n?\.\n?){1,20}(?:xn--[a-zA-Z0-9-]{1,59}|[^\W\d_]{2,63})"
    r"|\[(?:IPv6:)?[0-9A-Fa-f.:]{3,45}\])"
)
_NOT_FIRST = "'./?!#$%*^`{|}~-"  # a quote of SQL, a path or a query of a URL ends before the address begins
_OF_STORAGE = re.compile(r"(?:abfss?|wasbs?)://[^\s/@]{1,64}$")


def find_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each e-mail address, in order. The name of a container in a storage URI is none."""
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        if domain is not None:
            end = at - (text[at - 1 : at] == "\n")
            found = _BACKWARDS.match(text[max(0, end - _LONGEST_LOCAL) : end][::-1])
            name = "" if found is None else found[0][::-1]
            name = name if name.startswith('"') else name.lstrip(_NOT_FIRST)
            if name and _OF_STORAGE.search(text[max(0, at - 80) : at]) is None:
                yield end - len(name), domain.end()
        at = text.find("@", at + 1)
