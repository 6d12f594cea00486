"""
What the advisor may quote, in passages with ids: contracts, dbt models and their tests, the documentation, incidents.

No passage has a row of a table. What people wrote into contracts, models and incidents is as untrusted as a log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ingestion import shipped
from monitoring.advisor.project import columns_of, contract_files
from monitoring.lineage import models_in

LONGEST = 2_000
"""Characters of a passage; what is longer is cut."""
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_HEADING = re.compile(r"^## ", re.MULTILINE)
_SOURCE = re.compile(r"source\(\s*['\"]([^'\"]+)['\"]\s*,\s*['\"]([^'\"]+)['\"]\s*\)")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text that answers may cite by `id`, such as `docs/runbooks/drift.md#mend` or `model:dim_customer`."""

    id: str
    kind: str
    title: str
    text: str


def passages(contracts: Path, dbt_project: Path, incidents: Iterable[Mapping[str, Any]] = ()) -> Iterator[Passage]:
    """Yield all passages of a project. `incidents` are closed ones of the ledger, with their texts."""
    yield from _of_contracts(contracts)
    yield from _of_models(dbt_project)
    yield from _of_docs(shipped.DOCS)
    yield from _of_words(shipped.GLOSSARY)
    for incident in incidents:
        title = f"closed incident {incident['kind']} {incident['subject']}"
        text = " ".join(str(incident[name]) for name in ("text", "why", "command") if incident.get(name))
        yield Passage(f"incident:{incident['incident_id']}", "incident", title, text[:LONGEST])


def _of_contracts(folder: Path) -> Iterator[Passage]:
    for id_, _, document in contract_files(folder):
        about = document.get("description")
        purpose = " ".join(map(str, about.values())) if isinstance(about, dict) else ""
        columns = columns_of(document)
        names = ", ".join(str(column.get("name")) for column in columns)
        yield Passage(f"contract:{id_}", "contract", f"contract {id_}", f"{purpose} Columns: {names}"[:LONGEST])
        for column in columns:
            told = " ".join(
                str(column[key])
                for key in ("physicalName", "physicalType", "description", "logicalType")
                if key in column
            )
            flags = [key for key in ("required", "unique", "primaryKey", "classification") if column.get(key)]
            title = f"column {column.get('name')} of {id_}"
            yield Passage(
                f"contract:{id_}#{column.get('name')}", "column", title, f"{told} {' '.join(flags)}"[:LONGEST]
            )


def _of_models(dbt_project: Path) -> Iterator[Passage]:
    for path in sorted((dbt_project / "models").rglob("*.y*ml")):
        try:
            document = yaml.load(path.read_bytes(), _Loader)  # noqa: S506 - it is the safe loader
        except (OSError, yaml.YAMLError):
            continue
        written = document if isinstance(document, dict) else {}
        for model in written.get("models") or ():
            name = model.get("name")
            columns = [column for column in model.get("columns") or [] if isinstance(column, dict)]
            told = "; ".join(f"{column.get('name')}: {column.get('description', '')}" for column in columns)
            text = f"{model.get('description', '')} {_reads(path.with_name(f'{name}.sql'))}Columns: {told}"
            yield Passage(f"model:{name}", "model", f"model {name}", text[:LONGEST])
            tests = "; ".join(filter(None, map(_tests, [{**model, "name": "all rows"}, *columns])))
            if tests:
                yield Passage(f"model:{name}#tests", "model", f"data tests of {name}", tests[:LONGEST])
        for exposure in written.get("exposures") or ():
            used = ", ".join(models_in(" ".join(map(str, exposure.get("depends_on") or ()))))
            text = f"{exposure.get('description', '')} A {exposure.get('type', 'use')} that reads {used}."
            yield Passage(
                f"exposure:{exposure.get('name')}", "model", f"exposure {exposure.get('name')}", text[:LONGEST]
            )


def _reads(path: Path) -> str:
    """Return which models and sources a model's SQL reads, in words."""
    sql = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    names = dict.fromkeys([*models_in(sql), *(".".join(found) for found in _SOURCE.findall(sql))])
    return f"Built from {', '.join(names)}. " if names else ""


def _tests(tested: Mapping[str, Any]) -> str:
    """Return the data tests of a column or model in one line; empty without any."""
    tests = tested.get("data_tests") or tested.get("tests") or ()
    told = [
        each if isinstance(each, str) else yaml.safe_dump(each, default_flow_style=True, width=1_000) for each in tests
    ]
    return f"{tested.get('name')}: {', '.join(' '.join(each.split()) for each in told)}" if told else ""


def _of_words(path: Path) -> Iterator[Passage]:
    """Yield a passage per word of the glossary."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        if line.startswith("| ") and not line.startswith(("| word |", "| --- |")):
            word, _, meaning = line.strip("| ").partition(" | ")
            yield Passage(f"{path.name}#{word}", "word", word, meaning[:LONGEST])


def _of_docs(folder: Path) -> Iterator[Passage]:
    for path in sorted(folder.rglob("*.md")):
        name = f"docs/{path.relative_to(folder).as_posix()}"
        text = _COMMENT.sub("", path.read_text(encoding="utf-8", errors="replace"))
        head, *sections = _HEADING.split(text)
        first, _, head = head.partition("\n")
        title = first.lstrip("# ")
        kind = path.parent.name if path.parent != folder else "docs"
        yield Passage(name, kind, title, head.strip()[:LONGEST])
        for section in sections:
            heading, _, body = section.partition("\n")
            anchor = re.sub(r"[^\w]+", "-", heading.casefold()).strip("-")
            yield Passage(f"{name}#{anchor}", kind, f"{title}: {heading}", body.strip()[:LONGEST])
