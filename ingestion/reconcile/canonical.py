"""Defines in Python what every engine must compute: the text of a value and of a row, the row's hash and its two lanes.

`ingestion.reconcile.vectors` checks each server against this definition.

    null              nothing; of a text or bytes `:`
    whole number      digits, `-` before a negative one
    decimal           as many digits after the point as its scale, at least one before it
    boolean           1, 0
    date              YYYY-MM-DD
    moment            YYYY-MM-DD HH:MM:SS, and .fffffffff unless that is zero; instants in UTC
    float             the 16 hexadecimal digits of its IEEE 754 double, -0.0 as 0.0, any NaN as 7FF8000000000000
    text              length in bytes of UTF-8, `:`, the text; CHAR without its trailing blanks, UUIDs in lower case
    bytes             as a text of hexadecimal digits in upper case

Each value is followed by `|`. A digested value is replaced by the MD5 of its text (without length) or bytes, in upper
case. Databases skip nulls when they concatenate, so no column needs a comparison with null.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from ingestion.reconcile.hashes import WITH_LENGTH, HashColumn, HashType, Kind, RowPlan, in_groups

END = "|"
_DECIMAL_DIGITS = str.maketrans("89ABCDEF", "01234567")


def field_text(type_: HashType, value: Any) -> str:
    """Return a value's part of the row's text."""
    has_length = type_.kind in WITH_LENGTH and not type_.digested
    if value is None or (type_.empty_is_null and value == ""):
        return ":" if has_length else ""
    if type_.digested:
        return _md5(value if type_.kind is Kind.BINARY else value.encode())
    text = _SPELLINGS[type_.kind](type_, value)
    return f"{len(text.encode())}:{text}" if has_length else text


def row_hash(plan: RowPlan, row: Mapping[str, Any]) -> str:
    """Return a row's MD5, 32 hexadecimal digits in upper case."""
    return _grouped_hash(plan.groups, row)


def key_hash(plan: RowPlan, row: Mapping[str, Any]) -> str:
    """Return the MD5 of a row's key; its first digits are the name of the key's bucket."""
    return _grouped_hash(plan.key_groups, row)


def _grouped_hash(groups: Iterable[Iterable[HashColumn]], row: Mapping[str, Any]) -> str:
    texts: Sequence[str] = [_joined(group, row) for group in groups]
    while len(texts) > 1:
        texts = ["".join(_md5(text.encode()) for text in some) for some in in_groups(texts)]
    return _md5(texts[0].encode())


def lanes(row_hash: str) -> tuple[int, int]:
    """Return the two numbers of a row that are summed over a group of rows."""
    digits = row_hash.upper().translate(_DECIMAL_DIGITS)
    return int(digits[:16]), int(digits[16:])


def _joined(columns: Iterable[HashColumn], row: Mapping[str, Any]) -> str:
    return "".join(field_text(column.type, row[column.name]) + END for column in columns)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest().upper()


def _fixed(type_: HashType, value: Any) -> str:
    return f"{Decimal(value):.{type_.scale}f}"


def _moment(_: HashType, value: datetime) -> str:
    at = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    whole = at.isoformat(sep=" ", timespec="seconds")
    return f"{whole}.{at.microsecond:06}000" if at.microsecond else whole


def _day(_: HashType, value: date) -> str:
    return value.isoformat()


def _bits(_: HashType, value: float) -> str:
    return "7FF8000000000000" if math.isnan(value) else struct.pack(">d", value + 0.0).hex().upper()


_SPELLINGS: Mapping[Kind, Callable[[HashType, Any], str]] = {
    Kind.INTEGER: lambda _, value: str(int(value)),
    Kind.DECIMAL: _fixed,
    Kind.BOOLEAN: lambda _, value: str(int(value)),
    Kind.DATE: _day,
    Kind.TIMESTAMP: _moment,
    Kind.INSTANT: _moment,
    Kind.FLOAT: _bits,
    Kind.TEXT: lambda _, value: value,
    Kind.CHAR: lambda _, value: value.rstrip(" "),
    Kind.UUID: lambda _, value: value.lower(),
    Kind.BINARY: lambda _, value: value.hex().upper(),
}
