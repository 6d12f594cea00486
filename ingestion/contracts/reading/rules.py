"""Compiles the statements of a contract about the values of one column to rules."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts.model import Rule
from ingestion.contracts.reading.document import DocumentFaults, Steps
from ingestion.contracts.reading.literals import exact_text
from ingestion.contracts.reading.shape import near

if TYPE_CHECKING:
    from open_data_contract_standard.model import SchemaProperty

LENGTHS = {"minLength": "min_length", "maxLength": "max_length"}
BOUNDS = {
    "minimum": "minimum",
    "exclusiveMinimum": "exclusive_minimum",
    "maximum": "maximum",
    "exclusiveMaximum": "exclusive_maximum",
}
_NOT_RUN = ("format", "multipleOf", "timezone", "defaultTimezone")


def option_rules(findings: DocumentFaults, column: SchemaProperty, at: Steps, type_: pa.DataType) -> list[Rule]:
    """Return the rules of `required`, `logicalTypeOptions` and `enum`, in this order; invalid ones are left out."""
    rules = [Rule("required")] if column.required else []
    options = column.logicalTypeOptions or {}
    where = (*at, "logicalTypeOptions")
    for key in options:
        if key in _NOT_RUN:
            findings.warn((*where, key), f"{column.name}: {key} is not run by the loader; it only informs")
        elif key not in (*LENGTHS, *BOUNDS, "pattern"):
            known = (*LENGTHS, *BOUNDS, "pattern")
            findings.error((*where, key), f"{column.name}: {key} is no option of a column{near(str(key), known)}")
    rules += _text_rules(findings, column, where, type_)
    rules += _bound_rules(findings, column, where, type_)
    if column.enum is not None:
        places: list[Steps] = [(*at, "enum", index, "value") for index in range(len(column.enum))]
        values = exact_values(findings, f"{column.name}: enum", (*at, "enum"), places, type_)
        rules.append(Rule("enum", values))
    return rules


def pattern_fault(pattern: str) -> str | None:
    """Return why the pattern does not compile in RE2, or None."""
    try:
        pc.match_substring_regex(pa.array([""]), pattern=pattern)
    except (ValueError, UnicodeEncodeError) as exc:
        reason = str(exc).partition(":")[2].strip().rstrip(".") or "it does not compile"
        return f"does not compile in RE2 ({reason}); RE2 has no look-around and no back references, write it without"
    return None


def exact_values(
    findings: DocumentFaults, subject: str, at: Steps, places: list[Steps], type_: pa.DataType
) -> tuple[str, ...]:
    """Return the values at those paths as exact texts. An empty list, nulls, misfits and duplicates are faults."""
    if not places:
        findings.error(at, f"{subject} lists no value; list the allowed values or remove it")
    values: list[str] = []
    for place in places:
        text = findings.document.text(place)
        if text is None:
            findings.error(place, f"{subject} lists a null or a structure; list single values (null is always allowed)")
            continue
        try:
            value = exact_text(text, type_)
        except ValueError as exc:
            findings.error(place, f"{subject}: {text} {exc}")
            continue
        if value in values:
            findings.error(place, f"{subject} lists {text} twice; keep one")
        values.append(value)
    return tuple(values)


def _text_rules(findings: DocumentFaults, column: SchemaProperty, where: Steps, type_: pa.DataType) -> list[Rule]:
    options = column.logicalTypeOptions or {}
    present = [key for key in ("pattern", *LENGTHS) if key in options]
    if not (pa.types.is_string(type_) or pa.types.is_null(type_)):
        for key in present:
            findings.error((*where, key), f"{column.name}: {key} is for text, but the column is {type_}; remove it")
        return []
    rules = []
    if "pattern" in present:
        pattern = findings.document.text((*where, "pattern")) or ""
        fault = pattern_fault(pattern) if pattern else "is empty; write it or remove it"
        if fault:
            findings.error((*where, "pattern"), f"{column.name}: the pattern {fault}")
        rules.append(Rule("pattern", pattern))
    lengths: dict[str, int] = {}
    for key in present[present.count("pattern") :]:
        text = findings.document.text((*where, key)) or ""
        if text.isascii() and text.isdigit():
            lengths[key] = int(text)
            rules.append(Rule(LENGTHS[key], lengths[key]))
        else:
            findings.error((*where, key), f"{column.name}: {key} must be a whole number, 0 or more")
    if lengths.get("minLength", 0) > lengths.get("maxLength", lengths.get("minLength", 0)):
        findings.error((*where, "minLength"), f"{column.name}: minLength is more than maxLength, so no value fits")
    return rules


def _bound_rules(findings: DocumentFaults, column: SchemaProperty, where: Steps, type_: pa.DataType) -> list[Rule]:
    rules = []
    for key, kind in BOUNDS.items():
        if key not in (column.logicalTypeOptions or {}):
            continue
        text = findings.document.text((*where, key))
        if pa.types.is_string(type_) or pa.types.is_boolean(type_) or pa.types.is_binary(type_):
            findings.error(
                (*where, key), f"{column.name}: {key} is for numbers, days and moments, not for {type_}; remove it"
            )
            continue
        try:
            rules.append(Rule(kind, exact_text(text or "", type_)))
        except ValueError as exc:
            findings.error((*where, key), f"{column.name}: {key} {text or 'null'} {exc}")
    _report_crossed(findings, column, where, {rule.kind: str(rule.argument) for rule in rules}, type_)
    return rules


def _report_crossed(
    findings: DocumentFaults, column: SchemaProperty, where: Steps, bounds: dict[str, str], type_: pa.DataType
) -> None:
    for low in ("minimum", "exclusive_minimum"):
        for high in ("maximum", "exclusive_maximum"):
            if low not in bounds or high not in bounds or pa.types.is_null(type_):
                continue
            temporal = pa.types.is_temporal(type_)
            least, most = (bounds[key] if temporal else Decimal(bounds[key]) for key in (low, high))
            touching = least == most and "exclusive" in low + high
            if least > most or touching:  # type: ignore[operator]
                names = {kind: key for key, kind in BOUNDS.items()}
                findings.error(
                    (*where, names[low]),
                    f"{column.name}: {names[low]} {bounds[low]} and {names[high]} {bounds[high]} leave no value",
                )
