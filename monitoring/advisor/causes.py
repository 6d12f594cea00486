"""The causes of failures that the rules know, read from `causes.yaml`, where they are described."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Cause:
    """One class of causes. `says` and `errors` are regular expressions, `runbook` is a path of the documentation."""

    name: str
    told: str
    action: str
    command: str
    runbook: str
    words: str
    says: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    exits: tuple[int, ...] = ()
    codes: tuple[str, ...] = ()


def _read(path: Path) -> tuple[Cause, ...]:
    written = yaml.load(path.read_bytes(), _Loader)  # noqa: S506 - CSafeLoader is the safe loader in C
    return tuple(_cause(each) for each in written)


def _cause(written: dict[str, Any]) -> Cause:
    given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in written.items()}
    page = str(written["runbook"])
    given["runbook"] = page if page.startswith("docs/") else f"docs/runbooks/{page}.md"
    return Cause(**given)


CAUSES = _read(Path(__file__).with_name("causes.yaml"))
"""In order: the one that explains most first."""
BY_NAME = {cause.name: cause for cause in CAUSES}
