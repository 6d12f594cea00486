"""Evaluates a contract's checks over a whole batch. Each ends in pass, warn, fail or `not run` with the reason."""

from __future__ import annotations

import operator
from dataclasses import dataclass

from ingestion.contracts.model import DUPLICATE_RULE, FUTURE_RULE, NULL_RULE, TYPE_RULE, Contract, Mode, QualityCheck
from ingestion.extract.split import Tally

MIN_ROWS_TO_JUDGE = 20
"""Percent checks are not evaluated below this many rows: 1 bad row of 2 is no reason to stop a load."""

_COMPARISONS = {
    "mustBe": operator.eq,
    "mustNotBe": operator.ne,
    "mustBeGreaterThan": operator.gt,
    "mustBeGreaterOrEqualTo": operator.ge,
    "mustBeLessThan": operator.lt,
    "mustBeLessOrEqualTo": operator.le,
}


@dataclass(frozen=True, slots=True)
class QualityOutcome:
    """The outcome of one check. `found` is the measured number, in the check's unit; None if it was not run."""

    check_id: str
    column: str | None
    metric: str
    promised: str
    found: float | None
    outcome: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class QualityRate:
    """
    How many of the `rows` that a load read have a property that makes them worse; `column` is None for whole rows.

    `measure` is `null`, `empty`, `type`, `duplicate_key` or the name of a rule of the column. `dimension` is
    completeness, validity or consistency.
    """

    dimension: str
    column: str | None
    measure: str
    rows: int
    hits: int


def rates(contract: Contract, tally: Tally) -> list[QualityRate]:
    """Return the rates of the rows read, by column in contract order, and of the table; none if no row was read."""
    if not tally.read:
        return []
    told: list[tuple[str, str | None, str, int]] = []
    for column in contract.columns:
        name = column.name
        told.append(("completeness", name, "null", tally.nulls.get(name, 0)))
        if name in tally.empties:
            told.append(("completeness", name, "empty", tally.empties[name]))
        told.append(("consistency", name, TYPE_RULE, tally.broken.get(f"{name}:{TYPE_RULE}", 0)))
        rules = [rule.name for rule in column.rules]
        if name == contract.watermark:
            rules += [NULL_RULE, FUTURE_RULE]
        told += [("validity", name, rule, tally.broken.get(f"{name}:{rule}", 0)) for rule in rules]
    duplicates = sum(count for mark, count in tally.broken.items() if mark.endswith(f":{DUPLICATE_RULE}"))
    told.append(("consistency", None, DUPLICATE_RULE, duplicates))
    return [QualityRate(*of[:3], tally.read, of[3]) for of in told]


def evaluate(contract: Contract, tally: Tally) -> list[QualityOutcome]:
    """Return the outcome of every check, in contract order."""
    return [_outcome(contract, check, tally) for check in contract.quality]


def _outcome(contract: Contract, check: QualityCheck, tally: Tally) -> QualityOutcome:
    promised = f"{check.metric} {check.operator} {check.operand}{' %' if check.unit == 'percent' else ''}"
    found, reason = _measure(contract, check, tally)
    if found is None:
        return QualityOutcome(check.id, check.column, check.metric, promised, None, "not run", reason)
    kept = _keeps(check, found)
    outcome = "pass" if kept else "warn" if check.severity == "warning" else "fail"
    return QualityOutcome(check.id, check.column, check.metric, promised, found, outcome)


def _measure(contract: Contract, check: QualityCheck, tally: Tally) -> tuple[float | None, str | None]:
    if check.metric == "rowCount":
        return (float(tally.read), None) if contract.mode is Mode.FULL else (None, "a window is not the whole table")
    if check.unit == "percent" and tally.read < MIN_ROWS_TO_JUDGE:
        return None, f"fewer than {MIN_ROWS_TO_JUDGE} rows in this batch"
    if check.column is None:
        return None, f"{check.metric} of a whole table is not measured by a load"
    if check.metric == "duplicateValues":
        if contract.key_names != (check.column,):
            return None, "a load looks for duplicates of the key only"
        count = tally.broken.get(f"{check.column}:{DUPLICATE_RULE}", 0)
    else:
        count = tally.breaches.get(check.id, 0)
    return (100.0 * count / tally.read if check.unit == "percent" else float(count)), None


def _keeps(check: QualityCheck, found: float) -> bool:
    if isinstance(check.operand, tuple):
        low, high = check.operand
        inside = low <= found <= high
        return inside if check.operator == "mustBeBetween" else not inside
    return bool(_COMPARISONS[check.operator](found, check.operand))
