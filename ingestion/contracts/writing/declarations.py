"""The type plan in reverse: a dialect's declaration of an Arrow type or of another dialect's type."""

from __future__ import annotations

import pyarrow as pa

from ingestion.contracts.declared import split_declaration
from ingestion.contracts.types import INSTANT, WALL_CLOCK

_EXACT = frozenset({"DECIMAL", "NUMERIC", "NUMBER"})

_SAID_IN: dict[str, dict[pa.DataType, str]] = {
    "oracle": {
        pa.bool_(): "NUMBER(1)",
        pa.int8(): "NUMBER(3)",
        pa.int16(): "NUMBER(5)",
        pa.int32(): "NUMBER(10)",
        pa.int64(): "NUMBER(18)",
        pa.float32(): "BINARY_FLOAT",
        pa.float64(): "BINARY_DOUBLE",
        pa.string(): "VARCHAR2(4000)",
        pa.binary(): "BLOB",
        pa.date32(): "DATE",
        WALL_CLOCK: "TIMESTAMP(6)",
        INSTANT: "TIMESTAMP(6) WITH TIME ZONE",
    },
    "sqlserver": {
        pa.bool_(): "bit",
        pa.int8(): "smallint",
        pa.int16(): "smallint",
        pa.int32(): "int",
        pa.int64(): "bigint",
        pa.float32(): "real",
        pa.float64(): "float(53)",
        pa.string(): "nvarchar(max)",
        pa.binary(): "varbinary(max)",
        pa.date32(): "date",
        WALL_CLOCK: "datetime2(6)",
        INSTANT: "datetimeoffset(6)",
    },
    "duckdb": {
        pa.bool_(): "BOOLEAN",
        pa.int8(): "TINYINT",
        pa.int16(): "SMALLINT",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
        pa.float32(): "FLOAT",
        pa.float64(): "DOUBLE",
        pa.string(): "VARCHAR",
        pa.binary(): "BLOB",
        pa.date32(): "DATE",
        WALL_CLOCK: "TIMESTAMP",
        INSTANT: "TIMESTAMPTZ",
    },
}


def declaration(dialect: str, type_: pa.DataType) -> str | None:
    """Return the dialect's declaration of columns that hold the values of the Arrow type, or None if it has none."""
    if pa.types.is_decimal(type_):
        return _exact(dialect, type_.precision, type_.scale)
    if pa.types.is_timestamp(type_):
        type_ = WALL_CLOCK if type_.tz is None else INSTANT
    return _SAID_IN[dialect].get(type_)


def translated(dialect: str, physical_type: str, type_: pa.DataType | None) -> str:
    """Return another dialect's declaration translated to `dialect`; unchanged if there is no equivalent."""
    base, arguments = split_declaration(physical_type)
    if base in _EXACT and 0 < len(arguments) < 3 and all(argument.isdigit() for argument in arguments):
        return _exact(dialect, int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0)
    return (declaration(dialect, type_) if type_ is not None else None) or physical_type


def _exact(dialect: str, precision: int, scale: int) -> str:
    name = "NUMBER" if dialect == "oracle" else "DECIMAL"
    return f"{name}({precision},{scale})" if scale else f"{name}({precision})"
