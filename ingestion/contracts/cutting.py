"""
Truncates moments with more fractional digits than the lake keeps to microseconds. Pure.

Reads and comparisons use the same SQL. Digits after the sixth are dropped, never rounded, also before 1970.
"""

from __future__ import annotations

import pyarrow as pa

from ingestion.contracts.type_fit import fraction_digits
from ingestion.contracts.types import UnknownTypeError, declared_type

LAKE_DIGITS = 6


def is_finer(dialect: str, declaration: str) -> bool:
    """Return whether a declared type keeps more digits of a second than the lake does."""
    try:
        type_ = declared_type(dialect, declaration)
    except UnknownTypeError:
        return False
    is_moment = type_ is not None and pa.types.is_timestamp(type_)
    return is_moment and fraction_digits(dialect, declaration) > LAKE_DIGITS


def cut(dialect: str, declaration: str, sql: str) -> tuple[str, str]:
    """
    Return an expression truncated to microseconds and its declared type; both unchanged if nothing is to be truncated.

    `sql` is of the declared type, or of one with as many digits.
    """
    if not is_finer(dialect, declaration):
        return sql, declaration
    if dialect == "sqlserver":
        return f"DATEADD(nanosecond, -(DATEPART(nanosecond, {sql}) % 1000), {sql})", declaration
    if dialect == "oracle":
        beyond = f"MOD(TO_NUMBER(TO_CHAR({sql},'FF9')),1000)/1000000000"
        return f"({sql} - NUMTODSINTERVAL({beyond},'SECOND'))", declaration
    # a cast truncates towards zero, which rounds up before 1970
    before = f"case when epoch_ns({sql}) % 1000 < 0 then 1 else 0 end"
    return f"make_timestamp(epoch_ns({sql}) // 1000 - {before})", "TIMESTAMP"
