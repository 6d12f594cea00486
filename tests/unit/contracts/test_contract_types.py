"""The type plan: declared types, and nothing else, decide the Arrow type."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ingestion.contracts.types import UnknownTypeError, arrow_type, declared_type
from ingestion.contracts.writing.declarations import translated


@pytest.mark.parametrize(
    ("dialect", "declared", "expected"),
    [
        ("oracle", "NUMBER(18)", pa.int64()),
        ("oracle", "NUMBER(19)", pa.decimal128(19, 0)),
        ("oracle", "NUMBER(12,2)", pa.decimal128(12, 2)),
        ("oracle", "NUMBER(*,0)", pa.decimal128(38, 0)),
        ("oracle", "NUMBER(5,-2)", pa.int64()),
        ("oracle", "NUMBER(5,7)", pa.decimal128(7, 7)),
        ("oracle", "NUMBER(38,-10)", pa.string()),
        ("oracle", "NUMBER", None),
        ("oracle", "FLOAT(126)", None),
        ("oracle", "DATE", pa.timestamp("us")),
        ("oracle", "date", pa.timestamp("us")),
        ("oracle", "TIMESTAMP(9)", pa.timestamp("us")),
        ("oracle", "TIMESTAMP(6) WITH TIME ZONE", pa.timestamp("us", "UTC")),
        ("oracle", "TIMESTAMP WITH LOCAL TIME ZONE", pa.timestamp("us", "UTC")),
        ("oracle", "VARCHAR2(120 CHAR)", pa.string()),
        ("oracle", "INTERVAL DAY(2) TO SECOND(6)", pa.string()),
        ("sqlserver", "bigint", pa.int64()),
        ("sqlserver", "int", pa.int32()),
        ("sqlserver", "nvarchar(max)", pa.string()),
        ("sqlserver", "money", pa.decimal128(19, 4)),
        ("sqlserver", "float(24)", pa.float32()),
        ("sqlserver", "float", pa.float64()),
        ("sqlserver", "timestamp", pa.int64()),
        ("duckdb", "BIGINT", pa.int64()),
        ("duckdb", "DECIMAL", pa.decimal128(18, 3)),
        ("duckdb", "TIMESTAMP WITH TIME ZONE", pa.timestamp("us", "UTC")),
    ],
)
def test_declared_type_has_one_arrow_type(dialect: str, declared: str, expected: pa.DataType | None) -> None:
    assert declared_type(dialect, declared) == expected


@pytest.mark.parametrize(
    ("dialect", "declared"),
    [
        ("oracle", "SDO_GEOMETRY"),
        ("oracle", "NUMBER(many)"),
        ("oracle", "NUMBER(0)"),
        ("oracle", "(12)"),
        ("sqlserver", "NUMBER(12)"),
        ("sqlserver", "decimal(5,2"),
        ("postgres", "TEXT"),
    ],
)
def test_type_without_a_place_in_the_plan_is_refused(dialect: str, declared: str) -> None:
    with pytest.raises(UnknownTypeError):
        declared_type(dialect, declared)


@pytest.mark.parametrize(
    ("declared", "logical", "expected"),
    [
        ("NUMBER(1)", "boolean", pa.bool_()),
        ("DATE", "date", pa.date32()),
        ("NUMBER", "string", pa.string()),
        ("NUMBER(12)", "number", pa.int64()),
        ("NUMBER(20)", "integer", pa.decimal128(20, 0)),
        ("RAW(16)", "array", pa.binary()),
    ],
)
def test_logical_type_settles_what_the_declaration_leaves_open(
    declared: str, logical: str, expected: pa.DataType
) -> None:
    assert arrow_type("oracle", declared, logical) == expected


@pytest.mark.parametrize(("declared", "logical"), [("NUMBER(12,2)", "integer"), ("DATE", "number"), ("CLOB", "map")])
def test_logical_type_that_disagrees_is_refused(declared: str, logical: str) -> None:
    with pytest.raises(UnknownTypeError, match="does not fit"):
        arrow_type("oracle", declared, logical)


@pytest.mark.parametrize(
    ("dialect", "found", "type_", "written"),
    [
        ("oracle", "DECIMAL(12,0)", pa.int64(), "NUMBER(12)"),
        ("oracle", "DECIMAL(12,2)", pa.decimal128(12, 2), "NUMBER(12,2)"),
        ("oracle", "VARCHAR", pa.string(), "VARCHAR2(4000)"),
        ("sqlserver", "TIMESTAMP", pa.timestamp("us"), "datetime2(6)"),
        ("sqlserver", "TIMESTAMP_NS", pa.timestamp("ns"), "datetime2(6)"),
        ("duckdb", "NUMBER(12)", pa.int64(), "DECIMAL(12)"),
        ("oracle", "STRUCT(a INTEGER)", None, "STRUCT(a INTEGER)"),
    ],
)
def test_declaration_of_another_database_is_said_in_the_contracts_dialect(
    dialect: str, found: str, type_: pa.DataType | None, written: str
) -> None:
    assert translated(dialect, found, type_) == written
