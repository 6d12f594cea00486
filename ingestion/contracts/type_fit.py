"""Whether values of a found type fit a promised one. Whole numbers are compared by digits, not by type name."""

from __future__ import annotations

from enum import Enum, auto

import pyarrow as pa

from ingestion.contracts.declared import base_of, digits_of
from ingestion.contracts.model import Column
from ingestion.contracts.types import UnknownTypeError, declared_type, exact_number

_INTEGER_DIGITS = {8: 3, 16: 5, 32: 10, 64: 18}
_UNITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_UNBOUNDED = 10**9
# digits of a second that a type keeps when none are declared
_FRACTIONS = {
    ("oracle", "DATE"): 0,
    ("oracle", "TIMESTAMP"): 6,
    ("sqlserver", "SMALLDATETIME"): 0,
    ("sqlserver", "DATETIME"): 3,
    ("sqlserver", "DATETIME2"): 7,
    ("sqlserver", "DATETIMEOFFSET"): 7,
    ("duckdb", "TIMESTAMP_S"): 0,
    ("duckdb", "TIMESTAMP_MS"): 3,
    ("duckdb", "TIMESTAMP_NS"): 9,
}


class Fit(Enum):
    """SAME: as promised. WIDER: a value may not fit. NARROWER: all values fit. OTHER: another kind of value."""

    SAME = auto()
    WIDER = auto()
    NARROWER = auto()
    OTHER = auto()


def type_fit(
    dialect: str, promised: Column, found_dialect: str, found_declaration: str, found_type: pa.DataType | None
) -> Fit:
    """Return how a found column (its declaration, and its Arrow type if known) fits the promised type."""
    if found_type is None and not _is_open(found_dialect, found_declaration):
        return Fit.OTHER
    declared = declared_type(dialect, promised.physical_type)
    if promised.logical_type == "string" and (declared is None or not pa.types.is_string(declared)):
        return _text_fit(declared, found_type)
    if found_type is None:
        return Fit.WIDER if _is_exact(promised.arrow_type) or pa.types.is_boolean(promised.arrow_type) else Fit.OTHER
    fit = _arrow_fit(promised.arrow_type, found_type, declared)
    if fit is Fit.SAME and dialect == found_dialect:
        return _size_fit(dialect, promised, found_declaration)
    return fit


def plain(type_: pa.DataType) -> pa.DataType:
    """Return one type for all that hold the same values: text and binary of any layout, whole numbers by digits."""
    is_ = pa.types
    if is_.is_large_string(type_) or is_.is_string_view(type_):
        return pa.string()
    if is_.is_large_binary(type_) or is_.is_binary_view(type_):
        return pa.binary()
    if is_.is_decimal(type_) and type_.scale == 0:
        return exact_number(type_.precision, 0)
    return type_


def converts(old: pa.DataType, new: pa.DataType) -> bool:
    """
    Return whether values of one type can be converted to the other without loss, provided that each of them fits.

    True between numbers, from numbers to text, and from days to wall clock. False for conversions that need a time zone
    or the source's text format of moments, because the lake stores neither.
    """
    is_ = pa.types
    old, new = plain(old), plain(new)
    if _is_exact(old):
        return _is_exact(new) or is_.is_string(new)
    if is_.is_string(old):
        return _is_exact(new)
    if is_.is_floating(old):
        return bool(is_.is_floating(new))
    moments = (old, new) if is_.is_date(old) else (new, old)
    return bool(is_.is_date(moments[0]) and is_.is_timestamp(moments[1]) and moments[1].tz is None)


def _is_open(dialect: str, declaration: str) -> bool:
    """Return whether the declaration is known and leaves its precision open, like a bare NUMBER."""
    try:
        return declared_type(dialect, declaration) is None
    except UnknownTypeError:
        return False


def _text_fit(declared: pa.DataType | None, found: pa.DataType | None) -> Fit:
    """Return the fit of a number or moment that the contract keeps as exact text: any value of its kind fits."""
    if declared is None or found is None:
        both = [type_ for type_ in (declared, found) if type_ is not None]
        return Fit.SAME if all(_is_exact(plain(type_)) for type_ in both) else Fit.OTHER
    fit = _arrow_fit(declared, found, declared)
    return Fit.WIDER if fit is Fit.NARROWER else fit


def _arrow_fit(promised: pa.DataType, found: pa.DataType, declared: pa.DataType | None) -> Fit:
    """`declared` is the promised declaration's own type, e.g. the timestamp behind a DATE that holds days only."""
    promised, found = plain(promised), plain(found)
    is_ = pa.types
    if promised == found:
        return Fit.SAME
    if is_.is_boolean(promised):
        return Fit.SAME if _is_exact(found) and _digits(found)[1] == 0 else Fit.OTHER
    if _is_exact(promised) and _is_exact(found):
        return _number_fit(promised, found)
    if is_.is_floating(promised) and is_.is_floating(found):
        return _order(promised.bit_width, found.bit_width)
    return _moment_fit(promised, found, declared)


def _moment_fit(promised: pa.DataType, found: pa.DataType, declared: pa.DataType | None) -> Fit:
    is_ = pa.types
    if is_.is_timestamp(promised) and is_.is_timestamp(found) and promised.tz == found.tz:
        return _order(_UNITS[promised.unit], _UNITS[found.unit])
    if is_.is_date(promised) and is_.is_timestamp(found) and found.tz is None:
        return Fit.SAME if declared is not None and is_.is_timestamp(declared) else Fit.WIDER
    if is_.is_timestamp(promised) and promised.tz is None and is_.is_date(found):
        return Fit.NARROWER
    return Fit.OTHER


def _is_exact(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_decimal(type_))


def _number_fit(promised: pa.DataType, found: pa.DataType) -> Fit:
    whole, scale = _digits(promised)
    found_whole, found_scale = _digits(found)
    return Fit.NARROWER if found_whole <= whole and found_scale <= scale else Fit.WIDER


def _digits(type_: pa.DataType) -> tuple[int, int]:
    if pa.types.is_decimal(type_):
        return type_.precision - type_.scale, type_.scale
    return _INTEGER_DIGITS[type_.bit_width], 0


def _size_fit(dialect: str, promised: Column, found: str) -> Fit:
    """Compare what the Arrow type does not include: the length of text, the digits of a second."""
    if pa.types.is_string(promised.arrow_type):
        return _order(digits_of(promised.physical_type, _UNBOUNDED), digits_of(found, _UNBOUNDED))
    if pa.types.is_timestamp(promised.arrow_type):
        return _order(fraction_digits(dialect, promised.physical_type), fraction_digits(dialect, found))
    return Fit.SAME


def fraction_digits(dialect: str, declaration: str) -> int:
    """Return how many digits of a second a declared date or moment keeps; 6 where the dialect does not say."""
    base = base_of(declaration).partition(" WITH")[0]
    return digits_of(declaration, _FRACTIONS.get((dialect, base), 6))


def _order(promised: int, found: int) -> Fit:
    if promised == found:
        return Fit.SAME
    return Fit.WIDER if found > promised else Fit.NARROWER
