"""How one Oracle column becomes one Arrow column: the expression, what guards it, and its exact text. Pure.

No number is converted to float. The database converts values that the driver cannot fetch or would truncate.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from ingestion.contracts.cutting import cut
from ingestion.contracts.declared import split_declaration
from ingestion.contracts.drift import FoundColumn
from ingestion.sources.projection import NEVER, Dialect, Expression
from ingestion.sql.quoting import quote_oracle as quote

CHARACTERS = frozenset({"CHAR", "NCHAR", "VARCHAR", "VARCHAR2", "NVARCHAR2"})
NUMBERS = frozenset({"NUMBER", "FLOAT"})
ZONED = frozenset({"TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH LOCAL TIME ZONE"})
LARGE_OBJECTS = frozenset({"CLOB", "NCLOB", "BLOB"})
LONG_VALUES = frozenset({"LONG", "LONG RAW", "XMLTYPE", "JSON"})
NUMERIC_TEXT = "'TM9','NLS_NUMERIC_CHARACTERS=''.,'''"
MAX_RAW_BYTES = 2000

_BINARY_FLOATS = frozenset({"BINARY_FLOAT", "BINARY_DOUBLE"})
_BYTES = frozenset({"RAW", "BLOB", "LONG RAW"})
_SHORT = NUMBERS | _BINARY_FLOATS | ZONED | {"DATE", "TIMESTAMP"}


def exact_text(reference: str, base: str, arguments: tuple[str, ...]) -> str | None:
    """Return the expression of the exact text of any value of the column; None if SQL has none."""
    if base in NUMBERS:
        return f"TO_CHAR({reference},{NUMERIC_TEXT})"
    if base in ("DATE", "TIMESTAMP") or base in ZONED:
        # signed years distinguish BC from AD; the sign of AD may be a blank
        return f"LTRIM(TO_CHAR({reference},'{_format(base, arguments)}'))"
    rendered = _RENDERED.get(base)
    return None if rendered is None else rendered(reference)


def fraction_digits(base: str, arguments: tuple[str, ...]) -> int:
    """Return how many digits of a second a DATE or TIMESTAMP type keeps."""
    if base == "DATE":
        return 0
    return int(arguments[0]) if arguments else 6


def _format(base: str, arguments: tuple[str, ...]) -> str:
    digits = fraction_digits(base, arguments)
    zone = " TZH:TZM" if base in ZONED else ""
    return "SYYYY-MM-DD HH24:MI:SS" + (f".FF{digits}" if digits else "") + zone


def _as_text(reference: str, base: str, promised: pa.DataType, text: str | None) -> Expression | None:
    """Return the expression for texts, values kept as exact text, and bytes."""
    if pa.types.is_binary(promised) and base in _BYTES:
        return Expression(reference, promised, None, None)
    if not pa.types.is_string(promised):
        return None
    if base == "BLOB":
        return Expression(text, pa.string(), f"DBMS_LOB.GETLENGTH({reference}) <= {MAX_RAW_BYTES}", text)
    return Expression(text, pa.string(), None if text else NEVER, text)


def _as_number(
    reference: str, base: str, arguments: tuple[str, ...], promised: pa.DataType, text: str | None
) -> Expression | None:
    is_ = pa.types
    if base == "BOOLEAN" and is_.is_boolean(promised):
        return Expression(reference, promised, None, None)
    if base in NUMBERS and (is_.is_integer(promised) or is_.is_decimal(promised) or is_.is_boolean(promised)):
        fetched = pa.int64() if is_.is_boolean(promised) else promised
        guard = _number_guard(reference, *_digits(base, arguments), promised)
        return Expression(reference, fetched, guard, text, is_short=True)
    if base in _BINARY_FLOATS and is_.is_floating(promised):
        narrows = base == "BINARY_DOUBLE" and promised == pa.float32()
        guard = f"TO_BINARY_DOUBLE(TO_BINARY_FLOAT({reference})) = {reference}" if narrows else None
        return Expression(reference, promised, guard, text, is_short=True)
    return None


def _number_guard(reference: str, whole: int | None, scale: int | None, promised: pa.DataType) -> str | None:
    """Return the condition that a number fits; `whole` and `scale` are its declared digits, None if open."""
    if pa.types.is_boolean(promised):
        return f"{reference} IN (0, 1)"
    promised_scale = promised.scale if pa.types.is_decimal(promised) else 0
    conditions = []
    if scale is None or scale > promised_scale:
        conditions.append(f"{reference} = ROUND({reference}, {promised_scale})")
    if pa.types.is_decimal(promised):
        room = promised.precision - promised.scale
        if whole is None or whole > room:
            conditions.append(f"ABS({reference}) < {_power_of_ten(room)}")
    else:
        most = 2 ** (promised.bit_width - 1) - 1
        if whole is None or 10**whole - 1 > most:
            conditions.append(f"{reference} BETWEEN {-most - 1} AND {most}")
    return " AND ".join(conditions) or None


def _digits(base: str, arguments: tuple[str, ...]) -> tuple[int | None, int | None]:
    """Return how many digits the declaration allows before and after the point; None: any number of digits."""
    if base == "FLOAT" or not arguments:
        return None, None
    scale = int(arguments[1]) if len(arguments) > 1 else 0
    whole = None if arguments[0] == "*" else max(int(arguments[0]) - scale, 0)
    return whole, max(scale, 0)


def _power_of_ten(exponent: int) -> str:
    return str(10**exponent) if exponent <= 18 else f"1E{exponent}"


def _as_moment(found: FoundColumn, promised: pa.DataType, text: str | None, truncate: bool) -> Expression | None:
    """Guard what Arrow and the driver cannot hold: years before 1, a seventh digit of a second, a time in a day."""
    base, arguments = split_declaration(found.physical_type)
    reference = quote(found.name)
    is_day = pa.types.is_date(promised)
    is_instant = pa.types.is_timestamp(promised) and promised.tz is not None
    if base in ZONED and is_instant:
        value = f"SYS_EXTRACT_UTC({reference})"
    elif base in ("DATE", "TIMESTAMP") and (is_day or (pa.types.is_timestamp(promised) and not is_instant)):
        value = reference
    else:
        return None
    first = "DATE '0001-01-01'" if base == "DATE" else "TIMESTAMP '0001-01-01 00:00:00'"
    conditions = [f"{value} >= {first}"]
    if is_day:
        conditions.append(f"{value} = TRUNC({value})")
        value = value if base == "DATE" else f"TRUNC({value})"
    elif truncate:
        value, _ = cut("oracle", found.physical_type, value)
    elif fraction_digits(base, arguments) > 6:
        # as text, because a cast to fewer digits rounds and may exceed the calendar
        conditions.append(f"TO_CHAR({value},'FF9') LIKE '%000'")
    return Expression(value, promised, " AND ".join(conditions), text, is_short=True)


_RENDERED: dict[str, Callable[[str], str]] = {
    **dict.fromkeys([*CHARACTERS, "CLOB", "NCLOB", "LONG"], lambda c: c),
    **dict.fromkeys(_BINARY_FLOATS, lambda c: f"TO_CHAR({c})"),
    "BOOLEAN": lambda c: f"TO_CHAR({c})",
    "RAW": lambda c: f"RAWTOHEX({c})",
    "BLOB": lambda c: f"RAWTOHEX(DBMS_LOB.SUBSTR({c},{MAX_RAW_BYTES},1))",
    "ROWID": lambda c: f"ROWIDTOCHAR({c})",
    "UROWID": lambda c: f"CAST({c} AS VARCHAR2(4000))",
    "INTERVAL DAY TO SECOND": lambda c: f"TO_CHAR({c})",
    "INTERVAL YEAR TO MONTH": lambda c: f"TO_CHAR({c})",
    "XMLTYPE": lambda c: f"XMLSERIALIZE(CONTENT {c} AS CLOB)",
    "JSON": lambda c: f"JSON_SERIALIZE({c} RETURNING CLOB)",
}

ORACLE = Dialect(
    quote=quote,
    exact_text=exact_text,
    as_text=_as_text,
    as_number=_as_number,
    as_moment=_as_moment,
    short=_SHORT,
    joined=" || ".join,
)
