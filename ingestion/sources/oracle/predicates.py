"""Conditions with bound values that select the rows to read: by window, and by the size of large objects. Pure.

Moments are bound as texts and converted by the database, because the driver binds a datetime as DATE and loses its
fraction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa

from ingestion.contracts.declared import base_of, split_declaration
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Contract
from ingestion.contracts.window import Window
from ingestion.errors import Break, BrokenContractError
from ingestion.sources.conditions import SqlCondition, lane_conditions, window_condition
from ingestion.sources.oracle.expressions import (
    CHARACTERS,
    LARGE_OBJECTS,
    NUMBERS,
    ZONED,
    fraction_digits,
)
from ingestion.sql.partitions import ORACLE_DAY
from ingestion.sql.quoting import quote_oracle as quote

LARGE_OBJECT_CHARACTERS = 64 * 1024
SECOND = f"{ORACLE_DAY} HH24:MI:SS"


@dataclass(frozen=True, slots=True)
class Condition(SqlCondition):
    """A condition and its bind values by name."""

    binds: dict[str, Any] = field(default_factory=dict)

    def with_binds_of(self, other: Condition, sql: str) -> Condition:
        return Condition(sql, self.binds | other.binds)


def in_window(contract: Contract, window: Window, found: tuple[FoundColumn, ...]) -> Condition:
    return window_condition(Condition, quote, contract, window, found, compared=partial(compared, contract))


def compared(contract: Contract, source: FoundColumn, name: str, operator: str, text: str) -> Condition:
    """Return the condition that compares a column with a bound, which is bound as `name`."""
    sql, value = bound(contract, source, name, text)
    return Condition(f"{quote(source.name)} {operator} {sql}", {name: value})


def bound(contract: Contract, source: FoundColumn, name: str, text: str) -> tuple[str, Any]:
    """
    Return the expression and the bind value of a window's end, in the column's own type so that indexes are used.

    A DATE has no fraction, so the first whole second at or after the bound selects the same rows.
    """
    base = base_of(source.physical_type)
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
    """Return the expression of the highest watermark as the text of `spelled`, or its day if a date is promised."""
    reference = f"MAX({quote(source.name)})"
    base = base_of(source.physical_type)
    if pa.types.is_date(contract.column(contract.watermark or "").arrow_type) and base not in CHARACTERS:
        return f"TO_CHAR({_utc(reference, base)},'{ORACLE_DAY}')"
    return spelled(source, reference)


def spelled(source: FoundColumn, reference: str) -> str:
    """Return the text of an expression in the form that `bound` reads: all digits, UTC, numbers rounded down."""
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


def lanes(found: tuple[FoundColumn, ...]) -> list[Condition]:
    """Return the conditions of `lane_conditions` for these columns."""
    lengths = [
        f"DBMS_LOB.GETLENGTH({quote(column.name)})"
        for column in found
        if base_of(column.physical_type) in LARGE_OBJECTS
    ]
    return [Condition(sql) for sql in lane_conditions(lengths, LARGE_OBJECT_CHARACTERS, "NVL")]


def moment_text(moment: date) -> str:
    """Return a wall-clock time, an instant (in UTC) or a day as the text that `to_timestamp` reads."""
    if not isinstance(moment, datetime):
        return f"{moment.isoformat()} 00:00:00.000000"
    naive = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    return naive.isoformat(sep=" ", timespec="microseconds")


def to_timestamp(base: str, name: str) -> str:
    """Return a bind converted to the column's own type; for types with time zone its text is in UTC."""
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
    """Return a bound with a blank before the time and without its zone, which is UTC if there is one."""
    plain = text.strip().replace("T", " ").removesuffix("Z").removesuffix("+00:00").removesuffix("+00")
    return plain if len(plain) > 10 else f"{plain} 00:00:00"
