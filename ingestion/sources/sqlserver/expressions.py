"""How one SQL Server column becomes one Arrow column: the expression, what guards it, and its exact text. Pure.

No number is converted to float. The database converts values that the driver cannot fetch or would truncate.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from ingestion.contracts.cutting import cut
from ingestion.contracts.declared import split_declaration
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.types import WALL_CLOCK
from ingestion.runbook.moments import SQLSERVER_DIGITS, sqlserver_digits
from ingestion.sources.projection import NEVER, Dialect, Expression
from ingestion.sql.quoting import quote_sqlserver as quote

INTEGERS = {"TINYINT": (0, 255), "SMALLINT": (-(2**15), 2**15 - 1), "INT": (-(2**31), 2**31 - 1),
            "BIGINT": (-(2**63), 2**63 - 1)}  # fmt: skip
DECIMALS = frozenset({"DECIMAL", "NUMERIC"})
MONEY = {"MONEY": (19, 4), "SMALLMONEY": (10, 4)}
FLOATS = frozenset({"FLOAT", "REAL"})
CHARACTERS = frozenset({"CHAR", "VARCHAR", "NCHAR", "NVARCHAR", "TEXT", "NTEXT"})
BYTES = frozenset({"BINARY", "VARBINARY", "IMAGE"})
MOMENTS = frozenset({"DATE", "DATETIME", "SMALLDATETIME", "DATETIME2"})
ROWVERSION = "ROWVERSION"

_TYPES = {
    pa.bool_(): "bit",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float32(): "real",
    pa.float64(): "float(53)",
}
_SHORT = frozenset({*INTEGERS, *DECIMALS, *MONEY, *FLOATS, *MOMENTS, "BIT", "TIME", "DATETIMEOFFSET", ROWVERSION})
_SELF_STYLED = (*MONEY, *FLOATS, *sorted(MOMENTS), "TIME", "DATETIMEOFFSET")
_EMPTY = "''"


def exact_text(reference: str, base: str, arguments: tuple[str, ...] = ()) -> str | None:
    """Return the expression of the exact text of any value of the column; None if SQL has none."""
    if base in ("BINARY", "VARBINARY") and arguments != ("max",):
        digits = 2 * int(arguments[0] if arguments else 1)
        return f"CONVERT(varchar({digits if digits <= 8000 else 'max'}), {reference}, 2)"
    if base == "SQL_VARIANT":
        return _variant_text(reference)
    rendered = _RENDERED.get(base)
    return None if rendered is None else rendered(reference)


def _variant_text(reference: str) -> str:
    """Return the text of an sql_variant value by its own type. A plain cast rounds numbers and truncates moments."""
    cases = [
        f"WHEN '{base.lower()}' THEN {_RENDERED[base](f'CAST({reference} AS {base.lower()})')}" for base in _SELF_STYLED
    ]
    kind = f"CAST(SQL_VARIANT_PROPERTY({reference}, 'BaseType') AS varchar(30))"
    return f"CASE {kind} {' '.join(cases)} ELSE CAST({reference} AS nvarchar(4000)) END"


def wall_clock(reference: str, base: str) -> str:
    """Return a moment as datetime2 with the digits that it displays: a datetime has ticks of 1/300 s."""
    return f"CAST({reference} AS datetime2(3))" if base == "DATETIME" else reference


def utc(reference: str) -> str:
    """Return a datetimeoffset as wall clock in UTC."""
    return f"CAST(SWITCHOFFSET({reference}, '+00:00') AS datetime2({SQLSERVER_DIGITS}))"


def _as_text(reference: str, base: str, promised: pa.DataType, text: str | None) -> Expression | None:
    """Return the expression for texts, values kept as exact text, and bytes."""
    if pa.types.is_binary(promised) and base in BYTES:
        kind = "varbinary(max)" if base == "IMAGE" else None
        return Expression(f"CAST({reference} AS {kind})" if kind else reference, promised, None, None)
    if not pa.types.is_string(promised):
        return None
    if base == "SQL_VARIANT":  # a longer text would be truncated
        return Expression(text, pa.string(), f"DATALENGTH({reference}) < 4000", text)
    return Expression(text, pa.string(), None if text else NEVER, text)


def _as_number(
    reference: str, base: str, arguments: tuple[str, ...], promised: pa.DataType, text: str | None
) -> Expression | None:
    is_ = pa.types
    if base == "BIT" and is_.is_boolean(promised):
        return Expression(reference, promised, None, text, is_short=True)
    if base == ROWVERSION and promised == pa.int64():
        return Expression(f"CAST({reference} AS bigint)", promised, None, text, is_short=True)
    if base in FLOATS and is_.is_floating(promised):
        narrows = base == "FLOAT" and promised == pa.float32() and not (arguments and int(arguments[0]) <= 24)
        # a value out of range for real becomes null, which must count as false, not as unknown
        same = f"CAST(TRY_CAST({reference} AS real) AS float(53)) = {reference}"
        guard = f"CASE WHEN {same} THEN 1 WHEN {reference} IS NOT NULL THEN 0 END = 1" if narrows else None
        return Expression(f"CAST({reference} AS {_TYPES[promised]})", promised, guard, text, is_short=True)
    if not (is_.is_integer(promised) or is_.is_decimal(promised) or is_.is_boolean(promised)):
        return None
    if base in INTEGERS:
        guard = _integer_guard(reference, INTEGERS[base], promised)
    elif base in DECIMALS or base in MONEY:
        precision, scale = MONEY.get(base) or _precision(arguments)
        guard = _decimal_guard(reference, precision, scale, promised)
    else:
        return None
    return Expression(f"CAST({reference} AS {_number(promised)})", promised, guard, text, is_short=True)


def _integer_guard(reference: str, held: tuple[int, int], promised: pa.DataType) -> str | None:
    low, high = _range(promised)
    return None if low <= held[0] and held[1] <= high else f"{reference} BETWEEN {low} AND {high}"


def _decimal_guard(reference: str, precision: int, scale: int, promised: pa.DataType) -> str | None:
    if pa.types.is_boolean(promised):
        return f"{reference} IN (0, 1)"
    promised_scale = promised.scale if pa.types.is_decimal(promised) else 0
    conditions = []
    if scale > promised_scale:
        # truncated, not rounded: a value rounded up may have more digits than its type, which is an error
        conditions.append(f"{reference} = ROUND({reference}, {promised_scale}, 1)")
    if pa.types.is_decimal(promised):
        room = promised.precision - promised_scale
        if precision - scale > room:  # so that the bound has no more digits than the column
            # not ABS: the minimum money value has no positive counterpart
            conditions.append(f"{reference} > -{10**room}. AND {reference} < {10**room}.")
    else:
        low, high = _range(promised)
        if 10 ** (precision - scale) - 1 > high:
            conditions.append(f"{reference} BETWEEN {low}. AND {high}.")
    return " AND ".join(conditions) or None


def _range(promised: pa.DataType) -> tuple[int, int]:
    if pa.types.is_boolean(promised):
        return 0, 1
    if pa.types.is_decimal(promised):
        most = 10 ** (promised.precision - promised.scale) - 1
        return -most, most
    return -(2 ** (promised.bit_width - 1)), 2 ** (promised.bit_width - 1) - 1


def _number(promised: pa.DataType) -> str:
    if pa.types.is_decimal(promised):
        return f"decimal({promised.precision},{promised.scale})"
    return _TYPES[promised]


def _precision(arguments: tuple[str, ...]) -> tuple[int, int]:
    return int(arguments[0]) if arguments else 18, int(arguments[1]) if len(arguments) > 1 else 0


def _as_moment(found: FoundColumn, promised: pa.DataType, text: str | None, truncate: bool) -> Expression | None:
    """Guard what Arrow and the lake do not hold: a seventh digit of a second, a time in a day."""
    base, arguments = split_declaration(found.physical_type)
    reference = quote(found.name)
    is_day = pa.types.is_date(promised)
    is_instant = pa.types.is_timestamp(promised) and promised.tz is not None
    if base == "DATETIMEOFFSET" and is_instant:
        value = utc(reference)
    elif base in MOMENTS and (is_day or (pa.types.is_timestamp(promised) and not is_instant)):
        value = wall_clock(reference, base)
    else:
        return None
    if base == "DATE" and is_day:
        return Expression(reference, promised, None, text, is_short=True)
    if is_day:
        guard = f"CAST({value} AS time({SQLSERVER_DIGITS})) = '00:00:00'"
        return Expression(f"CAST({value} AS date)", promised, guard, text, is_short=True)
    # a cast to six digits rounds, and may exceed the calendar
    has_seventh = base in ("DATETIME2", "DATETIMEOFFSET") and sqlserver_digits(base, arguments) > 6 and not truncate
    if truncate:
        value, _ = cut("sqlserver", found.physical_type, value)
    no_seventh = f"DATEPART(nanosecond, {value}) % 1000 = 0" if has_seventh else None
    return Expression(f"CAST({value} AS datetime2(6))", WALL_CLOCK, no_seventh, text, is_short=True)


_RENDERED: dict[str, Callable[[str], str]] = {
    **dict.fromkeys([*INTEGERS, *DECIMALS, "BIT"], lambda c: f"CONVERT(varchar(41), {c})"),
    **dict.fromkeys(MONEY, lambda c: f"CONVERT(varchar(41), {c}, 2)"),
    **dict.fromkeys(FLOATS, lambda c: f"CONVERT(varchar(41), {c}, 3)"),
    "DATE": lambda c: f"CONVERT(varchar(10), {c}, 23)",
    "TIME": lambda c: f"CONVERT(varchar(16), {c}, 121)",
    "SMALLDATETIME": lambda c: f"CONVERT(varchar(19), {c}, 120)",
    "DATETIME": lambda c: f"CONVERT(varchar(23), {c}, 121)",
    "DATETIME2": lambda c: f"CONVERT(varchar(27), {c}, 121)",
    "DATETIMEOFFSET": lambda c: f"CONVERT(varchar(34), {c}, 121)",
    ROWVERSION: lambda c: f"CONVERT(varchar(20), CAST({c} AS bigint))",
    **dict.fromkeys(["CHAR", "VARCHAR", "NCHAR", "NVARCHAR"], lambda c: c),
    "TEXT": lambda c: f"CAST({c} AS varchar(max))",
    "NTEXT": lambda c: f"CAST({c} AS nvarchar(max))",
    "UNIQUEIDENTIFIER": lambda c: f"CONVERT(char(36), {c})",
    "XML": lambda c: f"CAST({c} AS nvarchar(max))",
    **dict.fromkeys(["BINARY", "VARBINARY"], lambda c: f"CONVERT(varchar(max), {c}, 2)"),
    "IMAGE": lambda c: f"CONVERT(varchar(max), CAST({c} AS varbinary(max)), 2)",
}

# CONCAT needs at least two arguments
SQLSERVER = Dialect(
    quote=quote,
    exact_text=exact_text,
    as_text=_as_text,
    as_number=_as_number,
    as_moment=_as_moment,
    short=_SHORT,
    joined=lambda parts: f"CONCAT({', '.join([*parts, _EMPTY])})",
)
