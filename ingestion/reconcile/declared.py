"""Parses declared database types, e.g. `VARCHAR2(40 CHAR)`, into the name and the arguments in brackets."""

from __future__ import annotations

import re

_ARGUMENTS = re.compile(r"\(([^()]*)\)")


def base_of(physical: str) -> str:
    """Return the type's name without its arguments, e.g. `TIMESTAMP WITH TIME ZONE`."""
    return " ".join(_ARGUMENTS.sub(" ", physical).upper().split())


def arguments_of(physical: str) -> list[str]:
    """Return the arguments in the first brackets, without BYTE and CHAR, e.g. `["12", "2"]`."""
    first = _ARGUMENTS.search(physical)
    if first is None:
        return []
    parts = [part.split()[0] for part in first[1].split(",") if part.strip()]
    return [part.upper() for part in parts]


def digits_of(physical: str, default: int) -> int:
    """Return the number in the first brackets, e.g. the fractional digits of a second; `default` if there is none."""
    first = next(iter(arguments_of(physical)), "")
    return int(first) if first.isdigit() else default


def most_bytes(physical: str) -> int:
    """Return the maximum UTF-8 bytes of a text of this Oracle type, whether declared in bytes or characters."""
    return 4 * digits_of(physical, 1)
