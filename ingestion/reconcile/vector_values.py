"""The values of the golden vectors: about 60 per kind, at the limits of types and wherever engines differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from ingestion.contracts.declared import base_of, digits_of, split_declaration
from ingestion.reconcile.hashes import HashType, Kind

_SECOND_DIGITS = {"DATE": 0, "SMALLDATETIME": 0, "DATETIME": 0, "TIMESTAMP_S": 0, "TIMESTAMP_MS": 3}
_CHARACTERS = frozenset({"CHAR", "NCHAR", "VARCHAR", "VARCHAR2", "NVARCHAR2", "NVARCHAR", "TEXT", "NTEXT"})
_UUIDS = frozenset({"UNIQUEIDENTIFIER", "UUID"})
_WHOLE_DIGITS = {"TINYINT": 2, "SMALLINT": 4, "INT": 9, "INTEGER": 9, "BIGINT": 18, "ROWVERSION": 18}
_DAYS = [
    *(date(year, month, day) for year in (1, 4, 99, 1000, 1582, 1900, 1969) for month, day in ((1, 1), (12, 31))),
    *(date(1582, 10, day) for day in (4, 15)),  # Julian to Gregorian calendar; ignored when days are counted
    *(date(year, 2, 28) for year in (1900, 1999, 2000, 2024, 2100)),
    *(date(year, 2, 29) for year in (4, 1600, 2000, 2024, 2400)),
    *(date(2026, month, 9) for month in range(1, 13)),
    *(date(1970, 1, 1) + timedelta(days=days) for days in (-2, -1, 0, 1, 9, 10, 99, 100)),
    *(date(2038, 1, day) for day in (18, 19, 20)),
    *(date(9999, month, day) for month, day in ((1, 1), (12, 30), (12, 31))),
    *(date(2079, 6, day) for day in (6, 7)),
    *(date(year, 7, 4) for year in (999, 1776, 1001, 2999, 8888)),
]
_FRACTIONS = (0, 1, 9, 10, 100, 999, 1000, 3000, 100_000, 123_456, 500_000, 990_000, 999_000, 999_999)
_MOMENTS = [
    *(datetime(year, 1, 1) for year in (1, 2, 1582, 1753, 1900, 1969, 1970, 2000, 9999)),
    *(datetime(9999, 12, 31, 23, 59, 59, us) for us in _FRACTIONS),
    *(datetime(1969, 12, 31, 23, 59, 59, us) for us in _FRACTIONS),
    *(datetime(2026, 3, 1, hour, 30) for hour in (0, 1, 9, 11, 12, 13, 21, 23)),
    *(datetime(1, 1, 1, 0, 0, 0, us) for us in _FRACTIONS),
    *(datetime(2026, 10, 18, 0, minute, 59) for minute in (0, 59)),  # an hour that a zone's clock may skip
]
_DOUBLES = [
    sign * value
    for value in (0.1, 0.5, 1.0, 1.5, 2.0, 3.0, 10.0, 100.0, 1e15, 1e16, 1e17, 1e22, 1e23, 1e100, 1e-5, 1e-100)
    for sign in (1, -1)
]
_DOUBLES += [0.0, 1 / 3, -1 / 3, 2 / 3, 0.30000000000000004, 3.141592653589793, 2.718281828459045, 123456789.123456789]
_DOUBLES += [9007199254740991.0, 9007199254740993.0, 1.7976931348623157e308, 2.2250738585072014e-308, 65504.0, 0.001]
_DOUBLES += [-0.0, *(float(n) * n for n in range(7, 20))]
_TEXTS = [
    *("", " ", "a", "A", "abc", " a", "a ", "a  ", "  a  ", "0", "~", "|", ":", "1:a", "a|b", "a~b", "3:abc|~", "%"),
    *("it's", "''", '"', "\\", "\\n", "a\\'b", "_", "&x", ":x", "?", "{d '2026-01-01'}", "--", "/*", "$1", "#", "@"),
    *("NULL", "null", "\t", "a\tb", "a\nb", "a\r\nb", "\x01", "\x7f", "ABCDEF", "abcdef", "x" * 36, "x" * 255),
    *("ç", "ção", "Ação", "€", "ß", "ÿ", "ﬁ", "é", "e\u0301", "Å", "A\u030a", "\u212b", "\u00a0", "a\u00a0", "\u3000"),
    *("Привет", "日本語", "한글", "\u1112\u1161\u11ab", "שלום", "العربية", "हिन्दी", "ไทย"),
    *("\u200b", "\ufeffa", "\ufffd", "😀", "a😀b", "👩\u200d👩\u200d👧", "🇧🇷", "𝒳", "𠮷", "\U0010fffd"),
    *("😀" * 10, "ç" * 20),
]
_UUID_SEEDS = (0, 1, 2**128 - 1, 2**127, *(pow(3, power, 2**128) for power in range(40, 97)))
VALUES: Mapping[Kind, Sequence[Any]] = {
    Kind.INTEGER: sorted(
        {sign * (base + delta) for base in (0, 10, 100, 255, 2**15, 2**31, 10**12) for delta in (-1, 0, 1)
         for sign in (1, -1)}
        | {sign * 10**power for power in (3, 5, 9, 15, 16, 17, 18) for sign in (1, -1)}
        | {2**53 - 1, 2**53 + 1, 2**63 - 1, -(2**63) + 1, 123456789012345678, 7}
    ),
    Kind.BOOLEAN: [True, False] * 30,
    Kind.DATE: _DAYS,
    Kind.TIMESTAMP: _MOMENTS,
    Kind.INSTANT: [moment.replace(tzinfo=UTC) for moment in _MOMENTS],
    Kind.FLOAT: _DOUBLES,
    Kind.TEXT: _TEXTS,
    Kind.UUID: [str(UUID(int=seed)) for seed in _UUID_SEEDS],
    Kind.BINARY: [
        *(bytes([byte]) for byte in (0, 1, 9, 10, 15, 16, 31, 32, 39, 65, 92, 127, 128, 160, 200, 254, 255)),
        *(bytes(range(length)) for length in range(2, 34)),
        *(bytes(length) for length in (2, 3, 16)),
        *(b"\xff" * length for length in (2, 3, 8, 16, 60)),
        *(text.encode() for text in ("ção", "😀", "~", "|")),
    ],
}  # fmt: skip


def vectors(type_: HashType, physical: str | None) -> list[Any]:
    """Return the test values of a type that its declaration can hold; always including a null."""
    kind = Kind.TEXT if type_.kind is Kind.CHAR else type_.kind
    values = _decimals(type_) if kind is Kind.DECIMAL else VALUES[kind]
    there = [value for value in values if physical is None or _has_room(physical, value)]
    if kind is Kind.TEXT and physical is not None:
        there += _texts_of(physical)
    return [*there, None]


def _texts_of(physical: str) -> list[str]:
    """Return texts in the type's own format; none if the text vectors apply, or the format is not certain."""
    if base_of(physical) == "XML":
        return ["<a/>", "<a>b</a>", '<a b="1">ç😀</a>', "<a>e\u0301</a>", "<a>日本語</a>"]
    if base_of(physical) != "TIME":
        return []
    digits = digits_of(physical, 0)
    fractions = [f".{text[:digits]}" for text in ("0000000", "1234560", "9999990")] if digits else [""]
    return [time + part for time in ("00:00:00", "09:10:11", "12:00:00", "23:59:59") for part in fractions]


def _decimals(type_: HashType) -> list[Decimal]:
    """Return numbers with few, many and the maximum digits of the type."""
    precision, scale = type_.precision, type_.scale
    digits = sorted(
        {int("9" * n) for n in range(1, precision + 1)}
        | {10**n for n in range(precision)}
        | {int(("1234567890" * 4)[:n]) for n in range(2, precision + 1)}
        | {0, 5}
    )
    chosen = digits if len(digits) <= 32 else [*digits[:10], *digits[10:-10:3], *digits[-10:]]
    return [
        Decimal((sign, tuple(int(d) for d in str(number)), -scale))
        for number in chosen
        for sign in (0, 1)
        if number or not sign
    ]


def _has_room(physical: str, value: Any) -> bool:
    """Return whether a declared type holds a value unchanged."""
    rooms: Mapping[type, Callable[[str, Any], bool]] = {
        str: _has_room_for_text,
        bytes: lambda declared, data: len(data) <= digits_of(declared, 2_000),
        datetime: _has_room_for_moment,
        Decimal: _has_room_for_decimal,
        int: _has_room_for_whole,
    }
    room = rooms.get(type(value))
    return room is None or room(physical, value)


def _has_room_for_whole(physical: str, value: int) -> bool:
    base = base_of(physical)
    if base == "TINYINT" and value < 0:  # SQL Server's TINYINT is unsigned
        return False
    return len(str(abs(value))) <= _WHOLE_DIGITS.get(base, digits_of(physical, 18))


def _has_room_for_moment(physical: str, value: datetime) -> bool:
    base = base_of(physical)
    digits = _SECOND_DIGITS.get(base)
    if digits is None:
        digits = digits_of(physical, 7 if base.startswith("DATETIME") else 6)
    is_old = base in ("SMALLDATETIME", "DATETIME")
    if is_old and (not 1900 <= value.year < 2079 or (base == "SMALLDATETIME" and value.second)):
        return False
    return digits >= 6 or value.microsecond % 10 ** (6 - digits) == 0


def _has_room_for_decimal(physical: str, value: Decimal) -> bool:
    base, arguments = split_declaration(physical)
    arguments = {"MONEY": ("18", "4"), "SMALLMONEY": ("9", "4")}.get(base, arguments)
    if not arguments or not arguments[0].isdigit():
        return True
    scale = int(arguments[1]) if len(arguments) > 1 else 0
    _, digits, exponent = value.as_tuple()
    unscaled, own_scale = int("".join(map(str, digits))), -int(exponent)
    fits_before = unscaled < 10 ** (int(arguments[0]) - scale + own_scale)
    return bool(fits_before and unscaled % 10 ** max(own_scale - scale, 0) == 0)


def _has_room_for_text(physical: str, value: str) -> bool:
    base = base_of(physical)
    if base not in _CHARACTERS | _UUIDS:  # the lake stores it as text
        return False
    if base in ("CHAR", "VARCHAR", "TEXT") and not value.isascii():
        try:
            value.encode("cp1252")  # stored values were converted to a code page, which has no other characters
        except UnicodeEncodeError:
            return False
    return len(value.encode()) <= digits_of(physical, 4_000)
