"""Finds drift: differences of a source's catalog or a Bronze table from the contract. Runs before rows are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from ingestion.contracts.declared import split_declaration
from ingestion.contracts.model import Column, Contract, DriftAction
from ingestion.contracts.type_fit import Fit, converts, plain, type_fit
from ingestion.contracts.writing.declarations import translated
from ingestion.contracts.writing.spelling import is_usable


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """
    One column as a source's catalog shows it; `name` and `physical_type` in the catalog's spelling.

    `arrow_type` is None where the type leaves its precision open (a bare NUMBER) or is not known.
    `dialect` is that of the database that answered, not necessarily the contract's.
    """

    name: str
    physical_type: str
    arrow_type: pa.DataType | None
    nullable: bool
    dialect: str


class DriftKind(StrEnum):
    """What differs. `widened`: values may not fit, so each is checked. `narrowed`: all values fit the promised type."""

    NEW_COLUMN = "new_column"
    REMOVED_COLUMN = "removed_column"
    WIDENED = "widened"
    NARROWED = "narrowed"
    CHANGED_TYPE = "changed_type"


@dataclass(frozen=True, slots=True)
class Drift:
    """
    One difference and what a load does about it.

    `column` is our name, or the source's if the contract has no such column. `promised` and `found` are readable
    declarations. `declaration` is what the next contract version would write as physicalType, in the contract's
    dialect; empty if there is nothing to write.
    """

    kind: DriftKind
    column: str
    promised: str
    found: str
    action: DriftAction
    declaration: str = ""


def find_drift(contract: Contract, found: Sequence[FoundColumn]) -> list[Drift]:
    """
    Compare a source's catalog with the contract: contract order first, then new columns in catalog order.

    A widened type is recorded and never fails, because each of its values is checked. A missing key, watermark or
    required column always fails, whatever the policy says, because no row could be loaded. A new column of a type that
    no contract can use is ignored even if the policy would add it.
    """
    matches = match_columns(contract, found)
    drifts = []
    for column in contract.columns:
        if column.name in matches:
            drifts += _type_drift(contract, column, matches[column.name])
        else:
            drifts.append(_removed(contract, column, found))
    matched = {column.name for column in matches.values()}
    for column_found in found:
        if column_found.name not in matched:
            written = _written(contract, column_found)
            action = contract.drift.new_column
            if action is DriftAction.ADD and not is_usable(contract.dialect, written):
                action = DriftAction.IGNORE
            drifts.append(
                Drift(
                    DriftKind.NEW_COLUMN,
                    column_found.name,
                    "no such column",
                    column_found.physical_type,
                    action,
                    written,
                )
            )
    return drifts


def match_columns(contract: Contract, found: Sequence[FoundColumn]) -> dict[str, FoundColumn]:
    """
    Return the found column of each contracted one, by our name.

    The exact source name wins. Otherwise a name that differs only in case matches, if there is exactly one and no other
    contracted column matches it.
    """
    exact = {column.name: column for column in found}
    taken = {column.source_name for column in contract.columns if column.source_name in exact}
    matches = {}
    for column in contract.columns:
        if column.source_name in exact:
            matches[column.name] = exact[column.source_name]
            continue
        alike = [f for f in _alike(column, found) if f.name not in taken]
        if len(alike) == 1:
            matches[column.name] = alike[0]
    return matches


def bronze_drift(contract: Contract, bronze_schema: pa.Schema, *, is_empty: bool = False) -> list[Drift]:
    """
    Compare a Bronze table with the contract: columns that it lacks, and types that differ.

    Action add: the Bronze column can be added or retyped. Action fail: it cannot. Columns that only Bronze has are
    history and no drift. `is_empty` says that nothing was ever loaded, so any type change is possible.
    """
    drifts = []
    for column in contract.columns:
        index = bronze_schema.get_field_index(column.name)
        promised = str(column.arrow_type)
        if index < 0:
            drifts.append(
                Drift(DriftKind.NEW_COLUMN, column.name, promised, "no such column in Bronze", DriftAction.ADD)
            )
            continue
        type_ = bronze_schema.field(index).type
        if plain(type_) != plain(column.arrow_type):
            follows = (is_empty or converts(type_, column.arrow_type)) and column.name != contract.partition
            action = DriftAction.ADD if follows else DriftAction.FAIL
            drifts.append(Drift(DriftKind.CHANGED_TYPE, column.name, promised, f"{type_} in Bronze", action))
    return drifts


def _type_drift(contract: Contract, column: Column, found: FoundColumn) -> list[Drift]:
    fit = type_fit(contract.dialect, column, found.dialect, found.physical_type, found.arrow_type)
    if fit is Fit.SAME or (fit is Fit.WIDER and _is_meant(contract, column, found)):
        return []
    action = DriftAction.IGNORE if fit is Fit.WIDER else contract.drift.changed_type
    kinds = {Fit.WIDER: DriftKind.WIDENED, Fit.NARROWER: DriftKind.NARROWED, Fit.OTHER: DriftKind.CHANGED_TYPE}
    written = _written(contract, found)
    return [Drift(kinds[fit], column.name, column.physical_type, found.physical_type, action, written)]


def _is_meant(contract: Contract, column: Column, found: FoundColumn) -> bool:
    """Return whether the contract's `sourceType` names this declaration, which is wider than the promised type."""
    same_dialect = found.dialect == contract.dialect and bool(column.source_type)
    return same_dialect and split_declaration(column.source_type) == split_declaration(found.physical_type)


def _removed(contract: Contract, column: Column, found: Sequence[FoundColumn]) -> Drift:
    alike = _alike(column, found)
    text = f"{len(alike)} columns that differ by case alone" if len(alike) > 1 else "no such column"
    is_needed = column.required or column.key_position is not None or column.name == contract.watermark
    action = DriftAction.FAIL if is_needed else contract.drift.removed_column
    return Drift(DriftKind.REMOVED_COLUMN, column.name, column.physical_type, text, action)


def _alike(column: Column, found: Sequence[FoundColumn]) -> list[FoundColumn]:
    wanted = column.source_name.casefold()
    return [candidate for candidate in found if candidate.name.casefold() == wanted]


def _written(contract: Contract, found: FoundColumn) -> str:
    """Return the found type as the contract's dialect declares it."""
    if found.dialect == contract.dialect:
        return found.physical_type
    return translated(contract.dialect, found.physical_type, found.arrow_type)
