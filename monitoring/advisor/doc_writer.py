"""
Proposes descriptions for columns of dbt models that have none, as a patch for a person. Writes no file.

First the words of contracts: a column of the same name, if all contracts that have it say the same. Then the model, if
one is set, for the others; its words are proposals like any other.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from ingestion.printable import shown
from monitoring.advisor.project import columns_of, contract_files

LONGEST = 300
MOST_COLUMNS = 40
"""Columns that one question to a model names at most."""


@dataclass(frozen=True, slots=True)
class Undescribed:
    """A column without a description: its file, and the line (from 0) and indentation of its name."""

    path: Path
    model: str
    column: str
    line: int
    indent: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """A description for a column, and who proposes it: `contract <id>`, or a model."""

    place: Undescribed
    text: str
    by: str


class Described(BaseModel):
    """A description in a model's answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str = Field(max_length=200)
    column: str = Field(max_length=200)
    text: str = Field(min_length=1, max_length=LONGEST)


class Descriptions(BaseModel):
    """The form in which a model answers the doc writer."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    descriptions: list[Described] = Field(max_length=MOST_COLUMNS)


def undescribed(dbt_project: Path) -> Iterator[Undescribed]:
    """Yield the columns without a description of a project's models, file by file; unreadable files are left out."""
    for path in sorted((dbt_project / "models").rglob("*.y*ml")):
        try:
            root = yaml.compose(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue
        for model in _items(_value(root, "models")):
            for column in _items(_value(model, "columns")):
                place = _undescribed(path, model, column)
                if place is not None:
                    yield place


def _undescribed(path: Path, model: yaml.Node, column: yaml.Node) -> Undescribed | None:
    name, of = _value(column, "name"), _value(model, "name")
    is_block = isinstance(column, yaml.MappingNode) and not column.flow_style
    if not is_block or name is None or of is None or _value(column, "description") is not None:
        return None
    if not isinstance(name, yaml.ScalarNode) or not isinstance(of, yaml.ScalarNode):
        return None
    key = next(key for key, value in column.value if value is name)
    return Undescribed(path, of.value, name.value, name.end_mark.line, key.start_mark.column)


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for name, value in pairs if name.value == key), None)


def _items(node: yaml.Node | None) -> Sequence[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def from_contracts(places: Iterable[Undescribed], contracts: Path) -> Iterator[Proposal]:
    """Yield the descriptions that contracts have for columns of these names, where they agree."""
    said: dict[str, dict[str, str]] = {}
    for id_, _, document in contract_files(contracts):
        for column in columns_of(document):
            if column.get("description"):
                said.setdefault(str(column.get("name")), {}).setdefault(_line(str(column["description"])), id_)
    for place in places:
        found = said.get(place.column, {})
        if len(found) == 1:
            [(text, id_)] = found.items()
            yield Proposal(place, text, f"contract {id_}")


def from_model(places: Iterable[Undescribed], answer: Descriptions, name: str) -> Iterator[Proposal]:
    """Yield the descriptions of a model's answer that are of columns which were asked for."""
    asked = {(place.model, place.column): place for place in places}
    for each in answer.descriptions:
        place = asked.pop((each.model, each.column), None)
        if place is not None:
            yield Proposal(place, _line(each.text), name)


def patch(proposals: Iterable[Proposal], root: Path) -> str:
    """Return the proposals as one patch for `git apply` in `root`; empty without any."""
    by_file: dict[Path, list[Proposal]] = {}
    for proposal in proposals:
        by_file.setdefault(proposal.place.path, []).append(proposal)
    return "".join(_of_file(path, own, root) for path, own in sorted(by_file.items()))


def _of_file(path: Path, proposals: Sequence[Proposal], root: Path) -> str:
    before = path.read_text(encoding="utf-8").splitlines(keepends=True)
    after = list(before)
    for proposal in sorted(proposals, key=lambda each: -each.place.line):
        place = proposal.place
        after[place.line] = after[place.line].rstrip("\n") + "\n"
        after.insert(place.line + 1, f"{' ' * place.indent}description: {_scalar(proposal.text)}\n")
    if not _is_as_meant("".join(before), "".join(after), proposals):
        return ""
    name = path.relative_to(root).as_posix()
    return "".join(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}"))


def _is_as_meant(before: str, after: str, proposals: Iterable[Proposal]) -> bool:
    """Tell whether a patched file reads as the old one with these descriptions, so that no wrong place is patched."""
    meant = yaml.safe_load(before)
    texts = {(each.place.model, each.place.column): each.text for each in proposals}
    for model in meant["models"]:
        for column in model.get("columns") or ():
            text = texts.get((str(model.get("name")), str(column.get("name"))))
            if text is not None:
                column["description"] = text
    try:
        return bool(yaml.safe_load(after) == meant)
    except yaml.YAMLError:
        return False


def _scalar(text: str) -> str:
    return yaml.safe_dump(text, width=10 * LONGEST, allow_unicode=True).removesuffix("...\n").strip()


def _line(text: str) -> str:
    return " ".join(shown(text).split())[:LONGEST]
