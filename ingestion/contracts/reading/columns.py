"""The columns of a contract: names, types, key and rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from ingestion.contracts.model import Column, Mask
from ingestion.contracts.names import looks_personal, name_fault
from ingestion.contracts.reading.column_block import read_column_block
from ingestion.contracts.reading.document import DocumentFaults, Steps
from ingestion.contracts.reading.quality import QualityReader
from ingestion.contracts.reading.rules import option_rules
from ingestion.contracts.streams import COMPUTED
from ingestion.contracts.types import UnknownTypeError, arrow_type

if TYPE_CHECKING:
    from open_data_contract_standard.model import SchemaObject, SchemaProperty

SCHEMA: Steps = ("schema", 0)


def column_steps(index: int) -> Steps:
    """Return the place of the column of that number in a contract file."""
    return (*SCHEMA, "properties", index)


def read_columns(
    findings: DocumentFaults, table: SchemaObject, dialect: str, quality: QualityReader, *, needs_key: bool = True
) -> tuple[Column, ...]:
    """
    Return all columns; invalid parts of a column are left out.

    A type that is wrong, or unknown because the dialect is unknown (""), becomes the null type.
    """
    properties = table.properties or []
    if not properties:
        findings.error((*SCHEMA, "properties"), "the table has no columns; list them under properties")
    columns = tuple(
        _read_column(findings, property_, column_steps(index), dialect, quality)
        for index, property_ in enumerate(properties)
    )
    _report_repeated(findings, [c.name for c in columns], "name")
    read = ["" if c.source_name == COMPUTED else c.source_name for c in columns]
    _report_repeated(findings, read, "physicalName")
    if needs_key or any(property_.primaryKey for property_ in properties):
        columns = _read_key(findings, properties, columns)
    for property_, column in zip(properties, columns, strict=True):
        is_whole_key = column.key_position is not None and sum(c.key_position is not None for c in columns) == 1
        if property_.unique and not is_whole_key:
            quality.add_unique(column.name)
    return columns


def _read_column(
    findings: DocumentFaults, property_: SchemaProperty, at: Steps, dialect: str, quality: QualityReader
) -> Column:
    name = property_.name or ""
    if not name:
        findings.error((*at, "name"), "a column has no name; write name, as the lake shall call it")
        findings.spoil(at)
    elif fault := name_fault(name):
        findings.error((*at, "name"), f"{name}: {fault}")
    if not (property_.physicalName or "").strip():
        findings.error(
            (*at, "physicalName"), f"{name}: physicalName is missing; write the name as the source's catalog has it"
        )
    for key in ("properties", "items", "map"):
        if getattr(property_, key) is not None:
            findings.error((*at, key), f"{name}: {key} nests columns; the columns of a table are flat, remove it")
    if looks_personal(name) and not property_.classification:
        findings.warn(at, f"{name}: looks personal, but has no classification; write e.g. `classification: pii`")
    type_ = _read_type(findings, property_, at, dialect)
    block = read_column_block(findings, property_, at, dialect, type_)
    rules = option_rules(findings, property_, at, type_) + quality.read(property_.quality, at, name, type_)
    return Column(
        name=name,
        source_name=property_.physicalName or "",
        logical_type=property_.logicalType or "",
        physical_type=property_.physicalType or "",
        arrow_type=type_,
        required=bool(property_.required),
        classification=property_.classification,
        description=" ".join((property_.description or "").split()),
        rules=tuple(rules),
        source_type=block.source_type or "",
        truncate=bool(block.truncate),
        mask=block.mask or Mask.TOKEN,
    )


def _read_type(findings: DocumentFaults, property_: SchemaProperty, at: Steps, dialect: str) -> pa.DataType:
    if not property_.physicalType:
        findings.error(
            (*at, "physicalType"), f"{property_.name}: physicalType is missing; write it as the source declares it"
        )
    if not property_.logicalType:
        findings.error(
            (*at, "logicalType"),
            f"{property_.name}: logicalType is missing; write e.g. string, integer, number, boolean, date or timestamp",
        )
    if not property_.physicalType or not property_.logicalType or not dialect:
        return pa.null()
    try:
        return arrow_type(dialect, property_.physicalType, property_.logicalType)
    except UnknownTypeError as exc:
        findings.error((*at, "physicalType"), f"{property_.name}: {exc}")
        return pa.null()


def _report_repeated(findings: DocumentFaults, names: list[str], key: str) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        folded = name.casefold()
        if name and folded in seen:
            findings.error(
                (*column_steps(index), key),
                f"{key} {name} is there twice (upper and lower case count as one); keep one column of it",
            )
        seen.add(folded)


def _read_key(
    findings: DocumentFaults, properties: list[SchemaProperty], columns: tuple[Column, ...]
) -> tuple[Column, ...]:
    """Return the columns with their places in the merge key; a single key column needs no position."""
    keyed = [index for index, property_ in enumerate(properties) if property_.primaryKey]
    if properties and not keyed:
        findings.error((*SCHEMA, "properties"), "no column is the key; write `primaryKey: true` at each column of it")
    positions: dict[int, int] = {}
    for index, property_ in enumerate(properties):
        given = property_.primaryKeyPosition
        given = None if given == -1 else given  # the value for "none" in the standard
        if index in keyed:
            positions[index] = 1 if given is None and len(keyed) == 1 else given or 0
            _report_key_column(findings, columns[index], column_steps(index))
        elif given is not None:
            findings.error(
                (*column_steps(index), "primaryKeyPosition"),
                f"{property_.name}: has a primaryKeyPosition without primaryKey: true; add it or remove the position",
            )
    if sorted(positions.values()) != list(range(1, len(keyed) + 1)):
        findings.error(
            (*column_steps(keyed[0]), "primaryKeyPosition"),
            f"the key has the positions {', '.join(str(positions[i]) for i in keyed)}; "
            f"number its columns 1 to {len(keyed)} with primaryKeyPosition",
        )
    return tuple(
        column if index not in positions else replace(column, key_position=positions[index])
        for index, column in enumerate(columns)
    )


def _report_key_column(findings: DocumentFaults, column: Column, at: Steps) -> None:
    if not column.required:
        findings.error((*at, "required"), f"{column.name}: a key column cannot be null; write `required: true`")
    if column.truncate:
        findings.error(
            (*at, "customProperties"),
            f"{column.name}: a key cannot be cut, or two keys could become one; "
            "write `logicalType: string` to keep it as exact text",
        )
    if pa.types.is_floating(column.arrow_type) or pa.types.is_decimal(column.arrow_type):
        findings.error(
            (*at, "physicalType"),
            f"{column.name}: a key cannot be {column.arrow_type}; declare at most 18 digits and no fraction (each "
            "value is guarded; the source's own type as `sourceType` in the column's lake block), or write "
            "`logicalType: string` to keep it as exact text",
        )
