"""What a contract owes its readers beyond what a load needs: descriptions, an owner, a promised freshness."""

from __future__ import annotations

from typing import Any

from ingestion.contracts.names import is_described
from ingestion.contracts.reading.document import Document, Steps
from ingestion.errors import Fault


def incomplete(document: Document) -> list[Fault]:
    """Return a fault per description that is missing or left as an import wrote it, and for owner and freshness."""
    data, found = document.data, []

    def lacks(steps: Steps, message: str) -> None:
        found.append(Fault(document.shown, document.line(steps), message))

    purpose = _mapping(data.get("description")).get("purpose")
    if not is_described(str(purpose or "")):
        lacks(("description", "purpose"), "description.purpose: write what one row stands for")
    table = _mapping(next(iter(_list(data.get("schema"))), None))
    for index, column in enumerate(map(_mapping, _list(table.get("properties")))):
        if not is_described(str(column.get("description") or "")):
            lacks(("schema", 0, "properties", index), f"{column.get('name')}: has no description; write what it says")
    if not owner_of(data.get("team")):
        lacks(("team",), "team: names no owner; write e.g. `team: {name: sales-data}`")
    promised = [str(_mapping(sla).get("property")).casefold() for sla in _list(data.get("slaProperties"))]
    if "freshness" not in promised:
        lacks(
            ("slaProperties",),
            "slaProperties: promises no freshness; write e.g. "
            "`slaProperties: [{property: freshness, value: 24, unit: h}]`",
        )
    return found


def owner_of(team: Any) -> str:
    """Return a team's name or its first member, in the form of ODCS 3.1 (a mapping) or 3.0 (a list); empty if none."""
    given = _mapping(team)
    members = [_mapping(member) for member in _list(given.get("members") if given else team)]
    named = [given.get("name"), *(member.get("username") for member in members)]
    return str(next(filter(None, named), ""))


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
