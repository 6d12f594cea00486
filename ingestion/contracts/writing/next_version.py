"""Writes the next version of a contract from recorded drift. Edits the text, so that comments and order stay."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from ingestion.contracts.cutting import is_finer
from ingestion.contracts.drift import Drift, DriftKind
from ingestion.contracts.model import Contract
from ingestion.contracts.names import looks_personal
from ingestion.contracts.reading.compile import examine
from ingestion.contracts.reading.document import Document, Steps, parse
from ingestion.contracts.writing.spelling import meaning, our_name, scalar
from ingestion.errors import ConfigurationError, InvalidContractError

ACCEPTED = "Accepted from the source, null in rows loaded before. Describe it."

_CUT = "  customProperties: [{property: lake, value: {truncate: true}}]"
_PROPERTIES: Steps = ("schema", 0, "properties")
_TYPE_KINDS = (DriftKind.CHANGED_TYPE, DriftKind.NARROWED, DriftKind.WIDENED)


@dataclass(frozen=True, slots=True)
class _Edit:
    """Replace the characters from `start` to just before `end`."""

    start: int
    end: int
    text: str


def next_version(text: str, contract: Contract, drifts: Sequence[Drift]) -> str:
    """
    Return the text of the next contract version. Idempotent: drift that the text already includes changes nothing.

    A new column is a minor version; a removed one or another type is a major one. If a source's type
    is wider but maps to the same type in the lake (a bare NUMBER), the promised type is not changed.

    Args:
        text: The contract file as it is; `contract` is what it says.

    Raises:
        InvalidContractError: the result would break other parts of the contract, e.g. the watermark is gone.
        ConfigurationError: the layout of the text cannot be edited (properties in one line).
    """
    text = text.removeprefix("\ufeff")
    document, faults = parse(text, contract.path or contract.id)
    if document is None:
        raise InvalidContractError(faults)
    properties = document.node(_PROPERTIES)
    if not isinstance(properties, yaml.SequenceNode) or properties.flow_style:
        raise ConfigurationError(
            f"{contract.id}: its properties are not a block list (one `- name:` per column), so no line can be "
            "added. Nothing was written. Lay them out as a list and accept again."
        )
    editor = _Editor(text, document, contract, properties)
    removed = editor.remove_columns(drifts)
    edited, major = editor.change_types(drifts)
    if not (removed + edited + editor.add_columns(drifts)):
        return text
    editor.bump(major=removed + major > 0)
    result = editor.result()
    _, faults = examine(result, contract.path or contract.id, path=contract.path, expected_id=contract.id)
    errors = [fault for fault in faults if fault.severity == "error"]
    if errors:
        raise InvalidContractError(errors)
    return result


class _Editor:
    """Collects edits by the positions of the parsed text and applies them at once."""

    def __init__(self, text: str, document: Document, contract: Contract, properties: yaml.SequenceNode) -> None:
        self._text = text
        self._document = document
        self._contract = contract
        self._properties = properties
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._edits: list[_Edit] = []

    def remove_columns(self, drifts: Sequence[Drift]) -> int:
        gone = {drift.column for drift in drifts if drift.kind is DriftKind.REMOVED_COLUMN}
        indexes = [index for index, column in enumerate(self._contract.columns) if column.name in gone]
        for index in indexes:
            item = self._properties.value[index]
            self._edits.append(_Edit(self._line_start(item.start_mark.index), self._content_end(item), ""))
        return len(indexes)

    def change_types(self, drifts: Sequence[Drift]) -> tuple[int, int]:
        """Return how many types were edited, and how many of them as a major change."""
        by_column = {drift.column: drift for drift in drifts if drift.kind in _TYPE_KINDS}
        edited = major = 0
        for index, column in enumerate(self._contract.columns):
            drift = by_column.get(column.name)
            declared = (drift.declaration or drift.found) if drift else column.physical_type
            if drift is None or declared == column.physical_type:
                continue
            # a day becomes a moment: a contract that still promises days would refuse the new values
            is_moment = drift.kind is DriftKind.WIDENED and column.logical_type == "date"
            type_, logical = meaning(self._contract.dialect, declared, None if is_moment else column.logical_type)
            if drift.kind is DriftKind.WIDENED and type_ is None:
                continue  # the precision is open: the promised type stays and each value is checked
            self._replace((*_PROPERTIES, index, "physicalType"), declared)
            self._replace((*_PROPERTIES, index, "logicalType"), logical)
            edited += 1
            major += drift.kind is not DriftKind.WIDENED or type_ != column.arrow_type
        return edited, major

    def add_columns(self, drifts: Sequence[Drift]) -> int:
        known = {column.source_name.casefold() for column in self._contract.columns}
        taken = {column.name for column in self._contract.columns}
        new = [drift for drift in drifts if drift.kind is DriftKind.NEW_COLUMN and drift.column.casefold() not in known]
        blocks = []
        for drift in new:
            name = our_name(drift.column, taken)
            taken.add(name)
            blocks.append(self._property(name, drift))
        if blocks:
            end = self._content_end(self._properties.value[-1])
            lead = "" if self._text[:end].endswith(("\n", "\r")) else self._newline
            self._edits.append(_Edit(end, end, lead + "".join(blocks)))
        return len(blocks)

    def bump(self, *, major: bool) -> None:
        numbers = [int(part) for part in self._contract.version.split(".")]
        version = f"{numbers[0] + 1}.0.0" if major else f"{numbers[0]}.{numbers[1] + 1}.0"
        self._replace(("version",), version)

    def result(self) -> str:
        text = self._text
        for edit in sorted(self._edits, key=lambda edit: (edit.start, edit.end), reverse=True):
            text = text[: edit.start] + edit.text + text[edit.end :]
        return text

    def _property(self, name: str, drift: Drift) -> str:
        declared = drift.declaration or drift.found
        lines = [
            f"- name: {scalar(name)}",
            f"  physicalName: {scalar(drift.column)}",
            f"  logicalType: {meaning(self._contract.dialect, declared, None)[1]}",
            f"  physicalType: {scalar(declared)}",
            *(["  classification: pii"] if looks_personal(name) else []),
            *([_CUT] if is_finer(self._contract.dialect, declared) else []),
            f"  description: {ACCEPTED}",
        ]
        indent = " " * self._properties.start_mark.column
        return "".join(f"{indent}{line}{self._newline}" for line in lines)

    def _replace(self, steps: Steps, value: str) -> None:
        node, block = self._document.node(steps), self._document.node(steps[:-1])
        if isinstance(node, yaml.ScalarNode) and node.value != value:
            in_flow = isinstance(block, yaml.CollectionNode) and bool(block.flow_style)
            written = scalar(value, in_flow=in_flow, style=node.style)
            self._edits.append(_Edit(node.start_mark.index, node.end_mark.index, written))

    def _line_start(self, index: int) -> int:
        return max(self._text.rfind("\n", 0, index), self._text.rfind("\r", 0, index)) + 1

    def _content_end(self, node: yaml.Node) -> int:
        """Return the start of the line after a node's last content (a block's end mark is after trailing comments)."""
        while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
            last = node.value[-1]
            node = last[1] if isinstance(last, tuple) else last
        end = len(self._text[: node.end_mark.index].rstrip())
        match = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)").match(self._text, end)
        return match.end() if match else end
