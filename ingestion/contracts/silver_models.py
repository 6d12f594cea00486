"""Finds the dbt model of a contracted table's history: the file that calls `{{ scd2('<system>', '<entity>') }}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ingestion.contracts.model import Contract

_HISTORY = re.compile(r"\bscd2\(\s*(['\"])(?P<system>\w+)\1\s*,\s*(['\"])(?P<entity>\w+)\3\s*\)")
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)


def silver_models(dbt_project: Path) -> dict[str, list[str]]:
    """Return the model names of each contract id; a model has the name of its file. Empty without a project."""
    return {id_: [path.stem for path in paths] for id_, paths in silver_model_files(dbt_project).items()}


def silver_model_files(dbt_project: Path) -> dict[str, list[Path]]:
    """Return the files of each contract id's models, sorted. Empty without a project."""
    found: dict[str, list[Path]] = {}
    for path in sorted((dbt_project / "models" / "silver").rglob("*.sql")):
        for contract_id in _histories_in(path):
            found.setdefault(contract_id, []).append(path)
    return found


def _histories_in(path: Path) -> list[str]:
    text = _COMMENT.sub("", path.read_text(encoding="utf-8", errors="replace"))
    return [f"{call['system']}.{call['entity']}" for call in _HISTORY.finditer(text)]


def with_own_model(contract: Contract, dbt_project: Path) -> Contract:
    """Do what `with_model` does with the models of a project; of these one file is read, if it has the usual place."""
    usual = dbt_project / "models" / "silver" / contract.system / f"{contract.silver_model}.sql"
    if usual.is_file() and contract.id in _histories_in(usual):
        return contract
    return with_model(contract, silver_models(dbt_project))


def with_model(contract: Contract, models: Mapping[str, Sequence[str]]) -> Contract:
    """Return the contract with the name of its dbt model; unchanged if dbt has no model of it or has the named one."""
    own = models.get(contract.id) or [contract.silver_model]
    return contract if contract.silver_model in own else replace(contract, silver_model=own[0])
