"""What the project's hook tells of the tables that a build has published, or not; see macros/publish_tested.sql."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HOOK = "operation.lakehouse.lakehouse-on-run-end-0"
_TABLES = "Tables after this build."
_UNTESTED = re.compile(r"Not published, readers see them as they were: (.*?)\.(?: |$)")
_FAULT = re.compile(r"Not published: (\S+) \((.*?)\)\.")


def told(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what the hook tells people, from dbt's results by id; empty if all tables were published."""
    message: str = results.get(HOOK, {}).get("message") or ""
    return message.partition(_TABLES)[2].strip()


def faults(text: str) -> dict[str, str]:
    """Return the tables whose commit failed, with the error of each, from what the hook tells."""
    return dict(_FAULT.findall(text))


def unpublished(text: str) -> set[str]:
    """Return the models that were built and not published, from what the hook tells."""
    names = [*faults(text), *(name for listed in _UNTESTED.findall(text) for name in listed.split(", "))]
    return {name.rpartition(".")[2] for name in names}
