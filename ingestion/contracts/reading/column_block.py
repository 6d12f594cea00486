"""The `lake` block of one column: what we keep of it that the standard has no word for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from ingestion.contracts.model import Mask, is_personal
from ingestion.contracts.reading.document import DocumentFaults, Steps
from ingestion.contracts.reading.shape import report_unknown_keys, validate
from ingestion.contracts.types import UnknownTypeError, declared_type

if TYPE_CHECKING:
    from open_data_contract_standard.model import SchemaProperty


class ColumnBlock(BaseModel):
    """
    `truncate`: moments are cut to microseconds. `source_type`: how the source declares the column where that is wider
    than the promise and meant so; every value is guarded, and no load tells it as drift. `mask`: how a personal value
    is shown outside of Bronze and Silver.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)

    truncate: Annotated[bool, Field(strict=True)] | None = None
    source_type: str | None = None
    mask: Mask | None = None


def read_column_block(
    findings: DocumentFaults, property_: SchemaProperty, at: Steps, dialect: str, type_: pa.DataType
) -> ColumnBlock:
    """Return the block with all that has the right shape and a meaning for the column."""
    found = [(i, p.value) for i, p in enumerate(property_.customProperties or []) if p.property == "lake"]
    if not found:
        return ColumnBlock()
    index, data = found[0]
    name, where = property_.name or "", (*at, "customProperties", index, "value")
    if len(found) > 1:
        findings.error((*at, "customProperties", found[1][0]), f"{name}: the property lake is there twice; write one")
    if not isinstance(data, dict):
        findings.error(where, f"{name}: lake must be a mapping; write e.g. truncate: true")
        return ColumnBlock()
    report_unknown_keys(findings, ColumnBlock, data, where, (name, "lake"))
    block = validate(findings, ColumnBlock, data, where, (name, "lake"))
    if block.truncate and not (pa.types.is_timestamp(type_) or pa.types.is_null(type_)):
        findings.error((*where, "truncate"), f"{name}: truncate cuts moments, and the column is {type_}; remove it")
    if block.source_type is not None and dialect:
        try:
            declared_type(dialect, block.source_type)
        except UnknownTypeError as exc:
            findings.error((*where, "sourceType"), f"{name}: sourceType: {exc}")
    if block.mask is not None and (fault := _mask_fault(block.mask, property_.classification, type_)):
        findings.error((*where, "mask"), f"{name}: mask {fault}")
    return block


def _mask_fault(mask: Mask, classification: str | None, type_: pa.DataType) -> str | None:
    if not is_personal(classification):
        return "says how a personal value is shown; write a classification, e.g. pii, or remove it"
    is_ = pa.types
    has_parts = is_.is_string(type_) or is_.is_integer(type_) or is_.is_null(type_)
    if mask is Mask.PARTIAL and not has_parts:
        return f"partial shows a part of a text or whole number, and the column is {type_}; write token or drop"
    return None
