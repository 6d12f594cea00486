"""
Reads declared database types, e.g. `VARCHAR2(40 CHAR)`: the name and what stands in brackets. Pure.

It is here and not in `ingestion.sql`, because the type plan and the drift check read declarations too.
"""

from __future__ import annotations

import re

_ARGUMENTS = re.compile(r"\(([^()]*)\)")


def split_declaration(physical_type: str) -> tuple[str, tuple[str, ...]]:
    """
    Return a declaration's name in upper case and what stands in its first brackets, as it is written.

    `timestamp(6) with time zone` gives `TIMESTAMP WITH TIME ZONE` and `6`.
    """
    first = _ARGUMENTS.search(physical_type)
    arguments = first[1].split(",") if first else []
    return base_of(physical_type), tuple(part.strip() for part in arguments if part.strip())


def base_of(physical_type: str) -> str:
    """Return the type's name in upper case without its arguments, e.g. `TIMESTAMP WITH TIME ZONE`."""
    return " ".join(_ARGUMENTS.sub(" ", physical_type).upper().split())


def digits_of(physical_type: str, default: int) -> int:
    """Return the number that the first brackets begin with: a length, a precision, the digits of a second."""
    first = next(iter(split_declaration(physical_type)[1]), "").partition(" ")[0]
    return int(first) if first.isdigit() else default
