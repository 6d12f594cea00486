"""Conditions with bound values for the rows to read: windows, and lanes by the size of large objects. Pure.

Moments are bound as texts and converted by the database: the driver binds a datetime as DATE and loses its fraction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from ingestion.contracts.drift import FoundColumn, match_columns
from ingestion.contracts.model import Column, Contract, NullWatermark
from ingestion.contracts.window import Window
from ingestion.errors import Break, BrokenContractError, ConfigurationError
from ingestion.sources.oracle.catalog import quote, split_declaration
from ingestion.sources.oracle.expressions import (
    CHARACTERS,
    LARGE_OBJECTS,
    NUMBERS,
    ZONED,
    fraction_digits,
)

LARGE_OBJECT_CHARACTERS = 64 * 1024
DAY = "YYYY-MM-DD"
SECOND = f"{DAY} HH24:MI:SS"

_PARTITIONS = {"day": DAY, "month": "YYYY-MM", "year": "YYYY"}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition and its bind values."""

    sql: str = "1 = 1"
    binds: dict[str, Any] = field(default_factory=dict)

    def __and__(self, other: Condition) -> Condition:
        if other == Condition():
            return self
        if self == Condition():
            return other
        return Condition(f"{self.sql} AND {other.sql}", self.binds | other.binds)


def in_window(contract: Contract, window: Window, found: tuple[FoundColumn, ...]) -> Condition:
    """
    Return the condition of a window.

    Rows without a watermark are selected only if the catalog (which may be outdated for a view) or the contract says
    that there are some, because the OR prevents the use of an index.
    """
    if window.is_whole:
        return Condition()
    source = watermark_column(contract, found)
    conditions, binds = [], {}
    low, high = ("<", ">=") if window.inverted else (">=", "<")
    for name, operator, text in (("low", low, window.low), ("high", high, window.high)):
        if text is not None:
            sql, value = bound(contract, source, name, text)
            conditions.append(f"{quote(source.name)} {operator} {sql}")
            binds[name] = value
    sql = (" OR " if window.inverted else " AND ").join(conditions)
    if window.holds_nulls and (source.nullable or contract.null_watermark is NullWatermark.INCLUDE):
        sql = f"{sql} OR {quote(source.name)} IS NULL"
    return Condition(f"({sql})" if " OR " in sql else sql, binds)


def watermark_column(contract: Contract, found: tuple[FoundColumn, ...]) -> FoundColumn:
    """Return the watermark's column in the source. Raises ConfigurationError, BrokenContractError."""
    if contract.watermark is None:
        raise ConfigurationError(
            f"{contract.id}: a window was asked for, but the contract names no watermark. "
            "Nothing was read. Add `watermark` to its lake block."
        )
    return found_column(contract, contract.column(contract.watermark), found)


def found_column(contract: Contract, column: Column, found: tuple[FoundColumn, ...]) -> FoundColumn:
    """Return a contracted column in the source. Raises BrokenContractError."""
    source = match_columns(contract, found).get(column.name)
    if source is None:
        raise BrokenContractError(contract.id, [Break(column.name, column.physical_type, "no such column")])
    return source


def bound(contract: Contract, source: FoundColumn, name: str, text: str) -> tuple[str, Any]:
    """
    Return the expression and the bound value of a window's end, in the column's own type so that indexes serve.

    A DATE has no fractions, so the first second at or after the bound selects the same rows.
    """
    base, _ = split_declaration(source.physical_type)
    if base in NUMBERS:
        return f":{name}", int(text)
    if base in CHARACTERS:
        return f":{name}", text
    if base == "DATE":
        second = _next_second(text)
        if second is not None:
            return f"TO_DATE(:{name},'{SECOND}')", second
    elif base != "TIMESTAMP" and base not in ZONED:
        raise BrokenContractError(
            contract.id, [Break(contract.watermark or "", "a watermark that can be compared", source.physical_type)]
        )
    return to_timestamp(base, name), _fraction_text(text)


def newest(contract: Contract, source: FoundColumn) -> str:
    """Return the expression of the highest watermark in the text form of `spelled`; the day if a date is promised."""
    reference = f"MAX({quote(source.name)})"
    base, _ = split_declaration(source.physical_type)
    if pa.types.is_date(contract.column(contract.watermark or "").arrow_type) and base not in CHARACTERS:
        return f"TO_CHAR({_utc(reference, base)},'{DAY}')"
    return spelled(source, reference)


def spelled(source: FoundColumn, reference: str) -> str:
    """Return an expression over a column as the text that `bound` reads: all digits, zoned in UTC, numbers floored."""
    base, arguments = split_declaration(source.physical_type)
    if base in NUMBERS:
        return f"TO_CHAR(FLOOR({reference}),'TM9')"
    if base not in ZONED | {"DATE", "TIMESTAMP"}:
        return reference
    digits = fraction_digits(base, arguments)
    format_ = f"{SECOND}.FF{max(digits, 6)}" if digits else SECOND
    return f"TO_CHAR({_utc(reference, base)},'{format_}')"


def _utc(reference: str, base: str) -> str:
    return f"SYS_EXTRACT_UTC({reference})" if base in ZONED else reference


def partition_label(contract: Contract, found: tuple[FoundColumn, ...]) -> str:
    """Return the expression of a row's reconcile partition, `YYYY[-MM[-DD]]`; null if the contract names none."""
    if contract.reconcile.partition is None:
        return "CAST(NULL AS VARCHAR2(10))"
    source = found_column(contract, contract.column(contract.reconcile.partition), found)
    base, _ = split_declaration(source.physical_type)
    return f"TO_CHAR({_utc(quote(source.name), base)},'{_PARTITIONS[contract.reconcile.grain]}')"


def lanes(found: tuple[FoundColumn, ...]) -> list[Condition]:
    """
    Return disjoint conditions that together match every row: rows of small large objects, then the others.

    One condition that matches all rows if there are no large objects. Lanes limit memory, which is the rows of a fetch
    times the largest object.
    """
    lengths = [
        f"DBMS_LOB.GETLENGTH({quote(column.name)})"
        for column in found
        if split_declaration(column.physical_type)[0] in LARGE_OBJECTS
    ]
    if not lengths:
        return [Condition()]
    small = " AND ".join(f"NVL({length}, 0) <= {LARGE_OBJECT_CHARACTERS}" for length in lengths)
    large = " OR ".join(f"{length} > {LARGE_OBJECT_CHARACTERS}" for length in lengths)
    return [Condition(small), Condition(f"({large})")]


def moment_text(moment: date) -> str:
    """Return a wall clock, a UTC instant or a day as the text that `to_timestamp` reads."""
    if not isinstance(moment, datetime):
        return f"{moment.isoformat()} 00:00:00.000000"
    naive = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    return naive.isoformat(sep=" ", timespec="microseconds")


def to_timestamp(base: str, name: str) -> str:
    """Return a bind converted to a moment of the column's own type; for zoned columns it is UTC."""
    moment = f"TO_TIMESTAMP(:{name},'{SECOND}.FF9')"
    if base not in ZONED:
        return moment
    zoned = f"FROM_TZ({moment},'+00:00')"
    return f"CAST({zoned} AS TIMESTAMP(9) WITH LOCAL TIME ZONE)" if "LOCAL" in base else zoned


def _fraction_text(text: str) -> str:
    """Return a bound as `YYYY-MM-DD HH:MM:SS.ffffff[fff]`."""
    whole, _, fraction = _plain(text).partition(".")
    return f"{whole}.{fraction[:9].rstrip('0').ljust(6, '0')}"


def _next_second(text: str) -> str | None:
    """Return the first whole second at or after a bound; None if it is beyond the calendar."""
    whole, _, fraction = _plain(text).partition(".")
    if not fraction.strip("0"):
        return whole
    try:
        return (datetime.fromisoformat(whole) + timedelta(seconds=1)).isoformat(sep=" ")
    except OverflowError:
        return None


def _plain(text: str) -> str:
    """Return a bound with a blank before its time and without its zone (if it has one, it is UTC)."""
    plain = text.strip().replace("T", " ").removesuffix("Z").removesuffix("+00:00").removesuffix("+00")
    return plain if len(plain) > 10 else f"{plain} 00:00:00"
