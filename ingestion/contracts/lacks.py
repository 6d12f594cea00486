"""What a contract lacks in the project around it: a Silver model, the tests of its history, its system's connection."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from ingestion.contracts.model import BronzeMode
from ingestion.contracts.silver_models import silver_model_files
from ingestion.contracts.writing.dbt_silver import GENERATED, INVARIANTS, LOG_INVARIANTS

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_GENERATED_TEST = re.compile(r"^ +- (\w+): [&*]log\b", re.MULTILINE)


class Lacking(StrEnum):
    """What is missing."""

    MODEL = "model"
    TESTS = "tests"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that is missing; `subject` is a contract's id, or a system's name; `command` ends it."""

    subject: str
    what: Lacking
    finding: str
    command: str

    def __str__(self) -> str:
        return f"{self.finding}: {self.command}"


def find_lacks(tables: Mapping[str, BronzeMode], dbt_project: Path) -> list[Lack]:
    """
    Return what the models of these contracts lack, by id: a contract without a model, a model without all its tests.

    `tables` has each contract's id and how its Bronze is written. A project without dbt_project.yml lacks nothing.
    """
    if not (dbt_project / "dbt_project.yml").is_file():
        return []
    models, tested, lacks = silver_model_files(dbt_project), _tests(dbt_project / "models" / "silver"), []
    for contract_id, bronze in sorted(tables.items()):
        if not models.get(contract_id):
            finding = "no dbt model builds its history, so Silver lacks it"
            lacks.append(Lack(contract_id, Lacking.MODEL, finding, "lakehouse contract sources"))
        wanted = [*INVARIANTS, *(LOG_INVARIANTS if bronze is BronzeMode.APPEND else ())]
        for model in models.get(contract_id, []):
            place, found = tested.get(model.stem, (None, frozenset()))
            missing = [name for name in wanted if name not in found]
            if missing:
                finding = f"its model {model.stem} {_lacks(missing, of=len(wanted))}"
                command = "lakehouse contract sources"
                if place is not None:
                    shown = place.relative_to(dbt_project.parent)
                    command = f"add them in {shown}, or delete the model there and run {command}"
                lacks.append(Lack(contract_id, Lacking.TESTS, finding, command))
    return lacks


def find_unconnected(tables: Mapping[str, BronzeMode], connections: Container[str]) -> list[Lack]:
    """Return the systems of these contracts that have no connection on this machine, by name."""
    systems = [contract_id.partition(".")[0] for contract_id in sorted(tables)]
    return [
        Lack(
            system,
            Lacking.CONNECTION,
            f"no connection is set here, so {_counted(systems.count(system))} cannot be loaded",
            f"export AIRFLOW_CONN_{system.upper()}=…",
        )
        for system in dict.fromkeys(systems)
        if system not in connections
    ]


def _lacks(missing: list[str], *, of: int) -> str:
    if len(missing) == of:
        return f"has none of the {of} tests of a history"
    return f"lacks {len(missing)} of the {of} tests of a history ({', '.join(missing)})"


def _counted(tables: int) -> str:
    return "its table" if tables == 1 else f"its {tables} tables"


def _tests(folder: Path) -> dict[str, tuple[Path | None, frozenset[str]]]:
    """Return the data tests of each described model, and the file that a person keeps them in; None if generated."""
    found: dict[str, tuple[Path | None, frozenset[str]]] = {}
    for path in sorted([*folder.rglob("*.yml"), *folder.rglob("*.yaml")]):
        text = path.read_text(encoding="utf-8", errors="replace")
        if text.startswith(GENERATED):
            found.setdefault(path.stem, (None, frozenset(_GENERATED_TEST.findall(text))))
        else:
            found |= {name: (path, tests) for name, tests in _kept_by_hand(text)}
    return found


def _kept_by_hand(text: str) -> Iterator[tuple[str, frozenset[str]]]:
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 - it is the safe loader, by libyaml where that is present
    except yaml.YAMLError:  # dbt reports it with a better message
        return
    models = document.get("models") if isinstance(document, dict) else None
    for model in models or []:
        if isinstance(model, dict):
            given = [*(model.get("data_tests") or []), *(model.get("tests") or [])]
            yield str(model.get("name")), frozenset(_name_of(test) for test in given)


def _name_of(test: Any) -> str:
    """Return the name of a test that is written as its name, as a mapping from it, or with `test_name`."""
    if isinstance(test, dict):
        return str(test.get("test_name") or next(iter(test), ""))
    return str(test)
