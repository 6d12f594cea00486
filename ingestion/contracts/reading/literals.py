"""Checks texts of a contract (bounds, allowed values) against the type that they are compared with."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")


def exact_text(text: str, type_: pa.DataType) -> str:
    """
    Return the normalised text of a value: plain digits, ISO 8601, true or false.

    The null type represents an unknown type and accepts any text.

    Raises:
        ValueError: the type cannot hold the value exactly; the message completes "<value> ...".
    """
    is_ = pa.types
    if is_.is_string(type_) or is_.is_null(type_):
        return text
    if is_.is_boolean(type_):
        if text not in ("true", "false"):
            raise ValueError("is not true or false")
        return text
    if is_.is_date(type_):
        return _date(text)
    if is_.is_timestamp(type_):
        return _moment(text, zoned=type_.tz is not None)
    if is_.is_integer(type_) or is_.is_decimal(type_) or is_.is_floating(type_):
        return _number(text, type_)
    raise ValueError(f"cannot be compared with a column of type {type_}")


def _number(text: str, type_: pa.DataType) -> str:
    if _NUMBER.fullmatch(text) is None:
        raise ValueError("is not a number in plain digits")
    number = Decimal(text)
    if not pa.types.is_floating(type_):
        try:
            pa.scalar(number if pa.types.is_decimal(type_) else _whole(number), type_)
        except (ValueError, OverflowError) as exc:
            raise ValueError(f"cannot be held exactly by {type_}") from exc
    return format(number, "f")


def _whole(number: Decimal) -> int:
    if number != number.to_integral_value():
        raise ValueError("not a whole number")
    return int(number)


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as exc:
        raise ValueError("is not a day such as 2026-01-31") from exc


def _moment(text: str, *, zoned: bool) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise ValueError("is not a moment such as 2026-01-31T00:00:00") from exc
    if zoned and moment.tzinfo is None:
        raise ValueError("has no offset, but the column holds instants; write e.g. 2026-01-31T00:00:00+00:00")
    if not zoned and moment.tzinfo is not None:
        raise ValueError("has an offset, but the column holds wall clock of the source; leave the offset out")
    return moment.isoformat()
