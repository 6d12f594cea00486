"""Which dbt model is the history of a contracted table: the file that says `{{ scd2('<system>', '<entity>') }}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ingestion.contracts.model import Contract

_HISTORY = re.compile(r"\bscd2\(\s*(['\"])(?P<system>\w+)\1\s*,\s*(['\"])(?P<entity>\w+)\3\s*\)")
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)


def silver_models(dbt_project: Path) -> dict[str, list[str]]:
    """Return the models of each contract id, by name; a model is called as its file. Empty without a project."""
    return {id_: [path.stem for path in paths] for id_, paths in silver_model_files(dbt_project).items()}


def silver_model_files(dbt_project: Path) -> dict[str, list[Path]]:
    """Return the files of each contract id's models, sorted. Empty without a project."""
    found: dict[str, list[Path]] = {}
    for path in sorted((dbt_project / "models" / "silver").rglob("*.sql")):
        text = _COMMENT.sub("", path.read_text(encoding="utf-8", errors="replace"))
        for call in _HISTORY.finditer(text):
            found.setdefault(f"{call['system']}.{call['entity']}", []).append(path)
    return found


def with_model(contract: Contract, models: Mapping[str, Sequence[str]]) -> Contract:
    """Return a contract that names its Silver model as dbt does; as it says itself where dbt has none, or that one."""
    own = models.get(contract.id) or [contract.silver_model]
    return contract if contract.silver_model in own else replace(contract, silver_model=own[0])
