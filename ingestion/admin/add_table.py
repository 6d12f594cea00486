"""Adds a source's tables to a project in one step: contracts, dbt's files with the tests, the lake's empty tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ingestion.admin.import_contracts import ImportResult, Written, import_contracts
from ingestion.contracts.model import Contract
from ingestion.contracts.odcs import SUFFIX, list_contract_ids, read_contracts
from ingestion.contracts.reading.completeness import incomplete
from ingestion.contracts.reading.document import Document, Steps, parse
from ingestion.contracts.silver_models import silver_models
from ingestion.contracts.writing.dbt_gold import write_dimension
from ingestion.contracts.writing.dbt_sources import write_dbt_files
from ingestion.errors import ConfigurationError
from ingestion.runs.context import initialise
from ingestion.settings import Settings

_LAKE = ("customProperties", 0, "value")


@dataclass(frozen=True, slots=True)
class Decision:
    """Something that the catalog does not say and a person should; `path` is below the project, `line` from 1."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Added:
    """
    What became of a source's tables: ids of new contracts and of those that were there, files written, and decisions.

    `decisions` are of the new contracts and of the existing ones; `left_out` has a sentence per table without one.
    `needs_salt`: one of the contracts has a personal column, and no salt is set, without which Gold is not built.
    """

    new: tuple[str, ...]
    existing: tuple[str, ...]
    files: tuple[str, ...]
    decisions: tuple[Decision, ...]
    left_out: tuple[str, ...]
    needs_salt: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def add_tables(
    settings: Settings,
    system: str,
    name: str,
    *,
    timezone: str | None = None,
    key: tuple[str, ...] = (),
    entity: str | None = None,
    dimension: bool = False,
) -> Added:
    """
    Add `schema.table`, or every table of `schema`, to the project. Idempotent: what exists is kept as it is.

    With `dimension` each of the tables also gets a first Gold model, if it has none.

    Raises InvalidContractError, before anything is written, if a contract of the project is invalid, ConfigurationError
    if no table could be added, and what the source and the lake raise.
    """
    if list_contract_ids(settings.contracts):
        read_contracts(settings.contracts)
    imported = import_contracts(settings, system, name, timezone=timezone, key=key, entity=entity)
    ids = [*(written.contract_id for written in imported.written), *imported.existing]
    left_out = _without_existing(imported)
    if not ids:
        raise ConfigurationError(
            f"{system}.{name}: no table there can be added. Nothing was written. Left out: " + "; ".join(left_out)
        )
    contracts = read_contracts(settings.contracts)
    files = write_dbt_files(contracts, settings.dbt_project)
    chosen = [contract for contract in contracts if contract.id in ids]
    if dimension:
        files += _dimensions(settings, chosen)
    initialise(settings)
    return Added(
        new=tuple(written.contract_id for written in imported.written),
        existing=tuple(imported.existing),
        files=(*(written.path for written in imported.written), *(_below(settings.project, path) for path in files)),
        decisions=tuple(decision for id_ in sorted(ids) for decision in _decisions(settings, id_, imported.written)),
        left_out=tuple(left_out),
        needs_salt=any(c.is_personal for contract in chosen for c in contract.columns) and not settings.salt(),
    )


def _without_existing(imported: ImportResult) -> list[str]:
    return [sentence for sentence in imported.left_out if not sentence.endswith("exists and stays as it is")]


def _dimensions(settings: Settings, contracts: Sequence[Contract]) -> list[Path]:
    models = silver_models(settings.dbt_project)
    return [
        path
        for contract in contracts
        for path in write_dimension(contract, models[contract.id][0], settings.dbt_project)
    ]


def _decisions(settings: Settings, contract_id: str, written: Sequence[Written]) -> Iterator[Decision]:
    """Yield what is open in a contract, by line: what readers lack, and what the import proposed."""
    system, _, entity = contract_id.partition(".")
    path = settings.contracts / system / f"{entity}{SUFFIX}"
    shown = _below(settings.project, path)
    document, _ = parse(path.read_text(encoding="utf-8-sig"), shown)
    if document is None:
        return
    notes = [note for new in written if new.contract_id == contract_id for note in new.notes]
    found = [Decision(shown, _line(document, note), note) for note in notes]
    faults = incomplete(document)
    columns = [fault for fault in faults if ": has no description" in fault.message]
    found += [Decision(shown, fault.line, fault.message) for fault in faults if fault not in columns]
    if columns:
        names = ", ".join(fault.message.partition(":")[0] for fault in columns)
        found.append(Decision(shown, columns[0].line, f"describe {names}"))
    if document.data.get("status") == "draft":
        found.append(Decision(shown, document.line(("status",)), "status: draft; write active when it is agreed on"))
    yield from sorted(found, key=lambda decision: decision.line)


def _line(document: Document, note: str) -> int:
    """Return the line of what a note of the import is about: the watermark, the mode or a column."""
    about: Steps = (*_LAKE, "mode")
    if "the watermark" in note:
        about = (*_LAKE, "watermark")
    elif "nullWatermark" in note:
        about = (*_LAKE, "nullWatermark")
    else:
        named = note.partition(":")[0]
        columns = document.data["schema"][0]["properties"]
        at = next((index for index, column in enumerate(columns) if column.get("name") == named), None)
        about = about if at is None else ("schema", 0, "properties", at)
    return document.line(about)


def _below(project: Path, path: Path) -> str:
    return str(path.relative_to(project))
