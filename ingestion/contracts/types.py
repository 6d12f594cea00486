"""The type plan: the Arrow type of each declared database type.

Types come from the declaration alone, never from data, and never pass through float.
Whole numbers of up to 18 digits become int64; other exact numbers decimal128; types that
Delta cannot hold (time, interval, numbers over 38 digits) become exact text.
Floats have one zero and one NaN once they are in the lake (docs/decisions/0015).
Naive moments stay wall clock (`timestamp[us]`); zoned ones become instants (`timestamp[us, UTC]`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

import pyarrow as pa

from ingestion.contracts.declared import split_declaration

WALL_CLOCK = pa.timestamp("us")
INSTANT = pa.timestamp("us", "UTC")
MAX_INT64_DIGITS = 18
MAX_DECIMAL_DIGITS = 38

_NAME = re.compile(r"[A-Z][A-Z0-9_ ]*")


class UnknownTypeError(ValueError):
    """A declared type that the type plan does not have; the message says what to write instead."""


def arrow_type(dialect: str, physical_type: str, logical_type: str | None = None) -> pa.DataType:
    """
    Return the Arrow type of a declared type, e.g. `("oracle", "NUMBER(12,2)")` -> decimal128(12, 2).

    `logical_type` (ODCS) decides what the declaration leaves open: an Oracle DATE that holds
    days only, a NUMBER(1) that is a boolean, anything kept as text.

    Raises:
        UnknownTypeError: the type is unknown to the dialect, or leaves its precision open.
    """
    if logical_type == "string":
        declared_type(dialect, physical_type)  # an unknown type is an error even if text is requested
        return pa.string()
    declared = declared_type(dialect, physical_type)
    if declared is None:
        raise UnknownTypeError(f"{physical_type} leaves precision and scale open; write e.g. NUMBER(20,4)")
    if logical_type == "boolean" and (pa.types.is_integer(declared) or pa.types.is_boolean(declared)):
        return pa.bool_()
    if logical_type == "date" and (pa.types.is_timestamp(declared) or pa.types.is_date(declared)):
        return pa.date32()
    if not _agrees(logical_type, declared):
        raise UnknownTypeError(f"logicalType {logical_type} does not fit physicalType {physical_type} ({declared})")
    return declared


def declared_type(dialect: str, physical_type: str) -> pa.DataType | None:
    """
    Return the Arrow type of a declaration alone, None where it leaves the precision open (a bare NUMBER).

    Raises:
        UnknownTypeError: the type is unknown to the dialect, or its arguments make no sense.
    """
    base, arguments = split_declaration(physical_type)
    if _NAME.fullmatch(base) is None:
        raise UnknownTypeError(f"{physical_type!r} is not a type declaration")
    table = TYPE_PLAN.get(dialect)
    if table is None:
        raise UnknownTypeError(f"{dialect!r} is not a dialect; known are {', '.join(sorted(TYPE_PLAN))}")
    rule = table.get(base)
    if rule is None:
        raise UnknownTypeError(f"{physical_type} is not a type that {dialect} contracts can use")
    if not callable(rule):
        return rule
    try:
        return rule(arguments)
    except ValueError as exc:
        raise UnknownTypeError(f"{physical_type} has a precision or scale that is not a whole number in range") from exc


def _agrees(logical_type: str | None, declared: pa.DataType) -> bool:
    is_ = pa.types
    fits: dict[str, Callable[[pa.DataType], bool]] = {
        "integer": lambda t: is_.is_integer(t) or (is_.is_decimal(t) and t.scale == 0),
        "number": lambda t: is_.is_integer(t) or is_.is_decimal(t) or is_.is_floating(t),
        "timestamp": is_.is_timestamp,
        "date": is_.is_date,
        "time": is_.is_string,
        "boolean": is_.is_boolean,
        "array": is_.is_binary,
        "object": is_.is_binary,
    }
    return logical_type is None or (logical_type in fits and fits[logical_type](declared))


def exact_number(precision: int, scale: int) -> pa.DataType:
    """Return the narrowest exact type for that many digits; text above 38. Raises ValueError below 1 digit."""
    if precision < 1:
        raise ValueError(f"{precision} digits")
    if scale < 0:  # a negative scale rounds to tens or thousands: the zeros count as digits
        precision, scale = precision - scale, 0
    precision = max(precision, scale)
    if precision > MAX_DECIMAL_DIGITS:
        return pa.string()
    if scale == 0 and precision <= MAX_INT64_DIGITS:
        return pa.int64()
    return pa.decimal128(precision, scale)


def _oracle_number(arguments: Sequence[str]) -> pa.DataType | None:
    if not arguments or arguments[0] == "*":
        return None if len(arguments) < 2 else exact_number(MAX_DECIMAL_DIGITS, int(arguments[1]))
    return exact_number(int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0)


def _decimal(arguments: Sequence[str]) -> pa.DataType:
    precision = int(arguments[0]) if arguments else 18
    return exact_number(precision, int(arguments[1]) if len(arguments) > 1 else 0)


def _duckdb_decimal(arguments: Sequence[str]) -> pa.DataType:
    return _decimal(arguments or ["18", "3"])


def _sqlserver_float(arguments: Sequence[str]) -> pa.DataType:
    return pa.float32() if arguments and int(arguments[0]) <= 24 else pa.float64()


_Rule: TypeAlias = pa.DataType | Callable[[Sequence[str]], pa.DataType | None]
_ORACLE: dict[str, _Rule] = {
    "NUMBER": _oracle_number,
    "NUMERIC": _oracle_number,
    "DECIMAL": _oracle_number,
    "INTEGER": pa.decimal128(38, 0),
    "INT": pa.decimal128(38, 0),
    "SMALLINT": pa.decimal128(38, 0),
    "FLOAT": lambda _: None,  # a decimal of up to 38 digits in disguise: state NUMBER(p,s) or keep it as text
    "BOOLEAN": pa.bool_(),
    "BINARY_DOUBLE": pa.float64(),
    "BINARY_FLOAT": pa.float32(),
    "DATE": WALL_CLOCK,
    "TIMESTAMP": WALL_CLOCK,
    "TIMESTAMP WITH TIME ZONE": INSTANT,
    "TIMESTAMP WITH LOCAL TIME ZONE": INSTANT,
    **dict.fromkeys(
        ["CHAR", "NCHAR", "VARCHAR", "VARCHAR2", "NVARCHAR2", "CLOB", "NCLOB", "LONG", "ROWID", "UROWID"], pa.string()
    ),
    **dict.fromkeys(["XMLTYPE", "JSON", "INTERVAL DAY TO SECOND", "INTERVAL YEAR TO MONTH"], pa.string()),
    **dict.fromkeys(["RAW", "LONG RAW", "BLOB"], pa.binary()),
}
_SQLSERVER: dict[str, _Rule] = {
    "TINYINT": pa.int16(),
    "SMALLINT": pa.int16(),
    "INT": pa.int32(),
    "BIGINT": pa.int64(),
    "BIT": pa.bool_(),
    "DECIMAL": _decimal,
    "NUMERIC": _decimal,
    "MONEY": pa.decimal128(19, 4),
    "SMALLMONEY": pa.decimal128(10, 4),
    "FLOAT": _sqlserver_float,
    "REAL": pa.float32(),
    "DATE": pa.date32(),
    "TIME": pa.string(),
    **dict.fromkeys(["DATETIME", "SMALLDATETIME", "DATETIME2"], WALL_CLOCK),
    "DATETIMEOFFSET": INSTANT,
    **dict.fromkeys(["CHAR", "VARCHAR", "NCHAR", "NVARCHAR", "TEXT", "NTEXT"], pa.string()),
    **dict.fromkeys(["UNIQUEIDENTIFIER", "XML", "SQL_VARIANT"], pa.string()),
    **dict.fromkeys(["BINARY", "VARBINARY", "IMAGE"], pa.binary()),
    **dict.fromkeys(["ROWVERSION", "TIMESTAMP"], pa.int64()),
}
_DUCKDB: dict[str, _Rule] = {
    "BOOLEAN": pa.bool_(),
    "TINYINT": pa.int8(),
    "UTINYINT": pa.int16(),
    "SMALLINT": pa.int16(),
    "USMALLINT": pa.int32(),
    "INTEGER": pa.int32(),
    "INT": pa.int32(),
    "UINTEGER": pa.int64(),
    "BIGINT": pa.int64(),
    **dict.fromkeys(["UBIGINT", "HUGEINT", "UHUGEINT"], pa.decimal128(38, 0)),
    "DECIMAL": _duckdb_decimal,
    "NUMERIC": _duckdb_decimal,
    **dict.fromkeys(["FLOAT", "REAL"], pa.float32()),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    **dict.fromkeys(["TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATETIME"], WALL_CLOCK),
    **dict.fromkeys(["TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"], INSTANT),
    **dict.fromkeys(["VARCHAR", "CHAR", "TEXT", "STRING", "UUID", "TIME", "INTERVAL", "JSON"], pa.string()),
    **dict.fromkeys(["BLOB", "BYTEA", "VARBINARY"], pa.binary()),
}
TYPE_PLAN = {"oracle": _ORACLE, "sqlserver": _SQLSERVER, "duckdb": _DUCKDB}
DIALECTS = frozenset(TYPE_PLAN)


def duckdb_type(type_: pa.DataType) -> str:
    """Return DuckDB's name of a type of the type plan, e.g. decimal128(12, 2) -> `decimal(12,2)`."""
    if pa.types.is_decimal128(type_):
        return f"decimal({type_.precision},{type_.scale})"
    return _DUCKDB_NAMES[type_]


_DUCKDB_NAMES = {
    pa.bool_(): "boolean",
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "varchar",
    pa.binary(): "blob",
    pa.date32(): "date",
    WALL_CLOCK: "timestamp",
    INSTANT: "timestamptz",
}
