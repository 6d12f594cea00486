"""Evaluates a contract's rules on Arrow batches, one vectorised pass per rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts.model import (
    FUTURE_RULE,
    NULL_RULE,
    TYPE_RULE,
    Column,
    Contract,
    NullWatermark,
    QualityCheck,
    Rule,
)
from ingestion.contracts.projection import RAW_PREFIX

_BOUNDS = {
    "minimum": pc.greater_equal,
    "maximum": pc.less_equal,
    "exclusive_minimum": pc.greater,
    "exclusive_maximum": pc.less,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which rows of a batch break one rule of one column: `broken` is a boolean array without nulls."""

    column: str
    rule: str
    broken: pa.Array


def judge(contract: Contract, batch: pa.RecordBatch, *, future: str | None) -> Iterator[Verdict]:
    """
    Yield a verdict per rule that at least one row of the batch breaks.

    A value that does not fit its type (its raw column is not null) breaks `type` and nothing else.
    Rows whose watermark is at or above `future` break `future_watermark`; rows without one break `null_watermark`,
    unless the contract includes them, or both quarantines them and requires the column.
    """
    for column in contract.columns:
        yield from _judge_column(column, batch)
    if contract.watermark is not None:
        yield from _judge_watermark(contract, contract.column(contract.watermark), batch, future)


def _judge_column(column: Column, batch: pa.RecordBatch) -> Iterator[Verdict]:
    values, misfit = batch.column(column.name), _misfits(column, batch)
    if misfit is not None:
        yield Verdict(column.name, TYPE_RULE, misfit)
    for rule in column.rules:
        broken = _broken(column, rule, values)
        if broken is None:
            continue
        if rule.kind == "required" and misfit is not None:
            broken = pc.and_not(broken, misfit)
        if broken.true_count:
            yield Verdict(column.name, rule.name, broken)


def _judge_watermark(
    contract: Contract, column: Column, batch: pa.RecordBatch, future: str | None
) -> Iterator[Verdict]:
    values = batch.column(column.name)
    policy = contract.null_watermark
    is_judged = policy is NullWatermark.QUARANTINE and Rule("required") in column.rules
    if policy is not NullWatermark.INCLUDE and not is_judged and values.null_count:
        lacking, misfit = pc.is_null(values), _misfits(column, batch)
        lacking = lacking if misfit is None else pc.and_not(lacking, misfit)
        if lacking.true_count:
            yield Verdict(column.name, NULL_RULE, lacking)
    if future is not None:
        ahead = _bound_broken(column, "exclusive_maximum", future, values)
        if ahead.true_count:
            yield Verdict(column.name, FUTURE_RULE, ahead)


def _misfits(column: Column, batch: pa.RecordBatch) -> pa.Array | None:
    """Return where the source's value does not fit the column's type; None if all values fit."""
    at = batch.schema.get_field_index(RAW_PREFIX + column.name)
    if at < 0:
        return None
    misfit = pc.is_valid(batch.column(at))
    return misfit if misfit.true_count else None


@dataclass(frozen=True, slots=True)
class Missing:
    """Values of a column in a batch that are null, and texts without a character; None if it holds no texts."""

    nulls: int
    empties: int | None


def count_missing(column: Column, batch: pa.RecordBatch) -> Missing:
    values, misfit = batch.column(column.name), _misfits(column, batch)
    nulls = values.null_count - (misfit.true_count if misfit is not None else 0)
    if not pa.types.is_string(values.type):
        return Missing(nulls, None)
    return Missing(nulls, pc.equal(pc.binary_length(values), 0).true_count)


def count_breaches(column: Column, check: QualityCheck, values: pa.Array) -> int | None:
    """
    Count the values of a batch for a check over the whole load; None for metrics that need more than one batch.

    A null is neither valid nor invalid: it is missing, as are the check's `missing_values`.
    """
    if check.metric == "nullValues":
        return int(values.null_count)
    if check.metric == "missingValues":
        named = pc.is_in(values.cast(pa.string()), value_set=pa.array(check.missing_values, pa.string()))
        return int(values.null_count + pc.and_(named, pc.is_valid(values)).true_count)
    if check.metric == "invalidValues":
        kinds = {"enum": check.valid_values or None, "pattern": check.pattern}
        rules = [Rule(kind, argument) for kind, argument in kinds.items() if argument is not None]
        broken = [_broken(column, rule, values) for rule in rules]
        masks = [mask for mask in broken if mask is not None]
        return int(reduce(pc.or_, masks).true_count) if masks else 0
    return None


def _broken(column: Column, rule: Rule, values: pa.Array) -> pa.Array | None:
    """Return true where a value breaks the rule; None if certainly no value does."""
    if rule.kind == "required":
        return pc.is_null(values) if values.null_count else None
    if rule.kind == "enum":
        return _not(pc.is_in(values, value_set=_enum(column, rule)), values)
    if rule.kind == "pattern":
        return _not(pc.match_substring_regex(values, str(rule.argument)), values)
    if rule.kind in ("min_length", "max_length"):
        compare = pc.greater_equal if rule.kind == "min_length" else pc.less_equal
        return _not(compare(pc.utf8_length(values), pa.scalar(rule.argument, pa.int32())), values)
    return _bound_broken(column, rule.kind, str(rule.argument), values)


def _not(kept: pa.Array, values: pa.Array) -> pa.Array:
    broken = pc.invert(kept)
    if values.null_count:
        broken = pc.and_(pc.fill_null(broken, False), pc.is_valid(values))
    return broken


def _bound_broken(column: Column, kind: str, text: str, values: pa.Array) -> pa.Array:
    return _not(_BOUNDS[kind](values, bound_scalar(column.arrow_type, text)), values)


@cache
def bound_scalar(type_: pa.DataType, text: str) -> pa.Scalar:
    """Return the text of an exact number or an ISO moment as a scalar that compares with `type_` exactly."""
    if pa.types.is_timestamp(type_):
        moment = datetime.fromisoformat(text)
        if type_.tz is not None:
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        elif moment.tzinfo is not None:
            moment = moment.replace(tzinfo=None)
        return pa.scalar(moment, type_)
    if pa.types.is_date(type_):
        return pa.scalar(datetime.fromisoformat(text).date(), type_)
    if pa.types.is_floating(type_):
        return pa.scalar(float(text), type_)
    number = Decimal(text)
    if pa.types.is_integer(type_) and number == number.to_integral_value():
        return pa.scalar(int(number), pa.int64() if abs(number) < 2**63 else pa.decimal128(38, 0))
    return pa.scalar(number)


@cache
def _enum(column: Column, rule: Rule) -> pa.Array:
    values: tuple[Any, ...] = rule.argument if isinstance(rule.argument, tuple) else ()
    if pa.types.is_string(column.arrow_type):
        return pa.array(values, pa.string())
    return pa.array(values, pa.string()).cast(column.arrow_type)
