"""The layers of a lake, and the SQL name of a table: `schema.name`."""

from __future__ import annotations

import re

TWO_LEVEL_LAYERS = ("bronze", "quarantine")
ONE_LEVEL_LAYERS = ("silver", "gold", "audit", "ops")
LAYERS = (*TWO_LEVEL_LAYERS, *ONE_LEVEL_LAYERS)
DERIVED_LAYERS = ("silver", "gold", "audit")
"""Layers that are built from Bronze and the ledger and can be rebuilt."""

_PLACE = re.compile(
    rf"/({'|'.join(TWO_LEVEL_LAYERS)})/([^/'\"]+)/([^/'\":\s]+)|/({'|'.join(ONE_LEVEL_LAYERS)})/([^/'\":\s]+)"
)


def table_in(text: str, root: str = "") -> tuple[str, str] | None:
    """Return layer and name of the table below `root` that a path, URI or library message contains."""
    found = _PLACE.search(text.partition(root)[2] if root else text)
    if found is None:
        return None
    return (found[1], f"{found[2]}__{found[3]}") if found[1] else (found[4], found[5])
