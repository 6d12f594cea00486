"""ODCS quality entries, compiled to row rules or to checks over a batch."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import TYPE_CHECKING

import pyarrow as pa

from ingestion.contracts.model import QualityCheck, Rule
from ingestion.contracts.reading.document import DocumentFaults, Steps
from ingestion.contracts.reading.rules import exact_values, pattern_fault
from ingestion.contracts.reading.shape import near

if TYPE_CHECKING:
    from open_data_contract_standard.model import DataQuality

_OPERATORS = (
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
)
_COLUMN_METRICS = frozenset({"nullValues", "missingValues", "invalidValues", "duplicateValues"})
_TABLE_METRICS = frozenset({"rowCount", "duplicateValues"})
_ARGUMENTS = {"invalidValues": ("validValues", "pattern"), "missingValues": ("missingValues",)}


class QualityReader:
    """Reads the quality entries of one contract: those of its columns and those of the table."""

    def __init__(self, findings: DocumentFaults, column_names: Iterable[str]) -> None:
        self._findings = findings
        self._column_names = tuple(column_names)
        self._ids: set[str] = set()
        self.checks: list[QualityCheck] = []

    def read(self, entries: list[DataQuality] | None, at: Steps, column: str | None, type_: pa.DataType) -> list[Rule]:
        """
        Add the batch checks of one column (or of the table: None) to `checks` and return its row rules.

        An invalidValues entry of severity error that allows no bad row becomes a rule, which identifies the rows.
        """
        rules = []
        for index, entry in enumerate(entries or []):
            check = self._check(entry, (*at, "quality", index), column, type_)
            if check is None:
                continue
            if _is_row_rule(check):
                rules += [Rule("enum", check.valid_values)] if check.valid_values else []
                rules += [Rule("pattern", check.pattern)] if check.pattern else []
            else:
                self.checks.append(check)
        return rules

    def add_unique(self, column: str) -> None:
        """Add `unique: true` of a column as a check that no value repeats within a batch."""
        self.checks.append(
            QualityCheck(self._unused(f"{column}_unique"), "duplicateValues", column, "mustBe", 0.0, "rows", "error")
        )

    def _check(self, entry: DataQuality, at: Steps, column: str | None, type_: pa.DataType) -> QualityCheck | None:
        subject = f"quality {entry.id or entry.metric or at[-1]}" + (f" of {column}" if column else "")
        if not self._is_run(entry, at, subject, column):
            return None
        operator, operand = self._operation(entry, at, subject)
        unit, severity = entry.unit or "rows", entry.severity or "error"
        if unit not in ("rows", "percent") or (unit == "percent" and entry.metric == "rowCount"):
            allowed = "rows" if entry.metric == "rowCount" else "rows or percent"
            self._findings.error((*at, "unit"), f"{subject}: unit is {unit}; write {allowed}")
        if unit == "percent" and any(not 0 <= bound <= 100 for bound in _bounds(operand)):
            self._findings.error((*at, operator), f"{subject}: {operator} is out of 0 to 100 percent")
        if severity not in ("error", "warning"):
            self._findings.error((*at, "severity"), f"{subject}: severity is {severity}; write error or warning")
        arguments = self._arguments(entry, at, subject, type_, column)
        id_ = self._id(entry, at, subject, column)
        return QualityCheck(
            id=id_,
            metric=entry.metric or "",
            column=column,
            operator=operator,
            operand=operand,
            unit=unit,
            severity=severity,
            valid_values=arguments.get("validValues", ()),
            pattern=next(iter(arguments.get("pattern", ())), None),
            missing_values=arguments.get("missingValues", ()),
            columns=arguments.get("properties", ()),
        )

    def _is_run(self, entry: DataQuality, at: Steps, subject: str, column: str | None) -> bool:
        kind = entry.type or "library"
        if kind in ("sql", "custom", "text"):
            self._findings.warn(at, f"{subject}: type {kind} is not run by the loader; it only informs")
            return False
        if kind != "library":
            self._findings.error((*at, "type"), f"{subject}: type is {kind}; write library, sql, custom or text")
            return False
        known = _COLUMN_METRICS if column else _TABLE_METRICS
        if entry.metric in known:
            return True
        if entry.metric in _COLUMN_METRICS | _TABLE_METRICS:
            place = "the table; move it to the quality of the object" if column else "one column; move it there"
            self._findings.error((*at, "metric"), f"{subject}: {entry.metric} is about {place}")
        elif entry.metric is None:
            self._findings.error(at, f"{subject} names no metric; write one of {', '.join(sorted(known))}")
        else:
            self._findings.error((*at, "metric"), f"{subject}: {entry.metric} is no metric{near(entry.metric, known)}")
        return False

    def _operation(self, entry: DataQuality, at: Steps, subject: str) -> tuple[str, float | tuple[float, float]]:
        present = [name for name in _OPERATORS if getattr(entry, name) is not None]
        if len(present) != 1:
            found = f"has {' and '.join(present)}" if present else "has no operator"
            self._findings.error(at, f"{subject} {found}; write exactly one, e.g. mustBe: 0")
            return "mustBe", 0.0
        name, operand = present[0], getattr(entry, present[0])
        bounds = operand if isinstance(operand, list) and name.endswith("Between") else [operand]
        if not all(_is_number(bound) for bound in bounds):
            self._findings.error(
                (*at, name), f"{subject}: {name} must be {'two numbers' if bounds[1:] else 'a number'}"
            )
            return name, 0.0
        if len(bounds) == 1:
            return name, float(bounds[0])
        low, high = float(bounds[0]), float(bounds[1])
        if low > high:
            self._findings.error((*at, name), f"{subject}: {name} must have its smaller number first")
        return name, (low, high)

    def _arguments(
        self, entry: DataQuality, at: Steps, subject: str, type_: pa.DataType, column: str | None
    ) -> dict[str, tuple[str, ...]]:
        given = entry.arguments or {}
        where = (*at, "arguments")
        allowed = _ARGUMENTS.get(entry.metric or "", ())
        if entry.metric == "duplicateValues" and column is None:
            allowed = ("properties",)
        for key in given:
            if key not in allowed:
                self._findings.error(
                    (*where, key), f"{subject}: {key} is no argument of {entry.metric}{near(str(key), allowed)}"
                )
        if allowed and not set(given) & set(allowed):
            self._findings.error(at, f"{subject}: {entry.metric} needs arguments; write {' or '.join(allowed)}")
        read: dict[str, tuple[str, ...]] = {}
        for key in [key for key in allowed if key in given]:
            read[key] = self._argument(key, given[key], (*where, key), subject, type_)
        return read

    def _argument(self, key: str, value: object, at: Steps, subject: str, type_: pa.DataType) -> tuple[str, ...]:
        if key == "pattern":
            return self._pattern(at, subject, type_)
        if not isinstance(value, list):
            self._findings.error(at, f"{subject}: {key} must be a list")
            return ()
        places: list[Steps] = [(*at, index) for index in range(len(value))]
        if key == "missingValues":  # null always counts as missing
            return tuple(text for place in places if (text := self._findings.document.text(place)) is not None)
        values = exact_values(
            self._findings, f"{subject}: {key}", at, places, type_ if key == "validValues" else pa.string()
        )
        if key == "properties" and self._column_names:
            for place, name in zip(places, values, strict=False):
                if name not in self._column_names:
                    self._findings.error(place, f"{subject}: {name} is no column{near(name, self._column_names)}")
        return values

    def _pattern(self, at: Steps, subject: str, type_: pa.DataType) -> tuple[str, ...]:
        text = self._findings.document.text(at) or ""
        textual = pa.types.is_string(type_) or pa.types.is_null(type_)
        if fault := pattern_fault(text) if textual else f"is for text, but the column is {type_}; remove it":
            self._findings.error(at, f"{subject}: the pattern {fault}")
        return (text,)

    def _id(self, entry: DataQuality, at: Steps, subject: str, column: str | None) -> str:
        if entry.id is None:
            return self._unused(f"{column or 'table'}_{entry.metric}")
        if entry.id in self._ids:
            self._findings.error((*at, "id"), f"{subject}: the id is there twice; give each check its own")
        self._ids.add(entry.id)
        return entry.id

    def _unused(self, wanted: str) -> str:
        candidates = (wanted if number == 1 else f"{wanted}_{number}" for number in range(1, len(self._ids) + 2))
        id_ = next(candidate for candidate in candidates if candidate not in self._ids)
        self._ids.add(id_)
        return id_


def _is_row_rule(check: QualityCheck) -> bool:
    return (
        check.metric == "invalidValues"
        and check.operator == "mustBe"
        and check.operand == 0
        and check.severity == "error"
    )


def _bounds(operand: float | tuple[float, float]) -> tuple[float, ...]:
    return operand if isinstance(operand, tuple) else (operand,)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
