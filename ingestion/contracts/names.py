"""Which names a contract may use, which ones the lake keeps for itself, and which look personal."""

from __future__ import annotations

import re

SILVER_COLUMNS = frozenset({"sk", "valid_from", "valid_to", "is_current", "is_deleted", "row_hash"})

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
# no double underscore: `<system>__<entity>` must split one way only
_PLACE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_PERSONAL = re.compile(r"(?:^|_)(?:e?mail|phone|telephone|cpf|ssn|tax_id|birth[a-z]*)(?:_|$)")


def is_identifier(name: str) -> bool:
    return _IDENTIFIER.fullmatch(name) is not None


def is_place(name: str) -> bool:
    """Return whether the name can be a system or an entity."""
    return _PLACE.fullmatch(name) is not None


def looks_personal(name: str) -> bool:
    return _PERSONAL.search(name) is not None


def name_fault(name: str) -> str | None:
    """Return why a column cannot have that name, or None."""
    if name.startswith("_"):
        return f"names that start with _ are kept for the lake's own columns; write e.g. {name.lstrip('_') or 'code'}"
    if not is_identifier(name):
        return "is not a column name; write lower case letters, digits and _, and begin with a letter"
    if name in SILVER_COLUMNS:
        return f"is a column that Silver adds itself; write e.g. source_{name} and keep physicalName as it is"
    return None
