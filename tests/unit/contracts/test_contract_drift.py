"""Where a source's catalog or a Bronze table differs from the contract, and what a load does about it."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from ingestion.contracts.drift import Drift, DriftKind, FoundColumn, bronze_drift, find_drift, match_columns
from ingestion.contracts.model import Column, Contract, DriftAction, DriftPolicy, Mode
from ingestion.contracts.types import UnknownTypeError, arrow_type

SAME = None
WIDENED = (DriftKind.WIDENED, DriftAction.IGNORE)
NARROWED = (DriftKind.NARROWED, DriftAction.FAIL)
CHANGED = (DriftKind.CHANGED_TYPE, DriftAction.FAIL)


def column(
    declared: str, logical: str, *, dialect: str = "oracle", name: str = "value", required: bool = False
) -> Column:
    return Column(name, name.upper(), logical, declared, arrow_type(dialect, declared, logical), required)


def contract(*columns: Column, dialect: str = "oracle", **changes: object) -> Contract:
    given = {"timezone": "UTC", "mode": Mode.FULL, "silver_model": "stg_things", **changes}
    return Contract("erp.things", "1.0.0", "erp", "things", dialect, ("THINGS",), columns, **given)  # type: ignore[arg-type]


def found(declared: str, *, dialect: str = "oracle", name: str = "VALUE") -> FoundColumn:
    try:
        type_ = arrow_type(dialect, declared)
    except UnknownTypeError:
        type_ = None
    return FoundColumn(name, declared, type_, True, dialect)


@pytest.mark.parametrize(
    ("promised", "logical", "catalog", "verdict"),
    [
        ("NUMBER(12)", "integer", "NUMBER(12)", SAME),
        ("NUMBER(12)", "integer", "NUMBER(5)", SAME),
        ("NUMBER(12)", "integer", "NUMBER(18)", SAME),
        ("NUMBER(12)", "integer", "NUMBER(19)", WIDENED),
        ("NUMBER(12)", "integer", "NUMBER(12,2)", WIDENED),
        ("NUMBER(12)", "integer", "NUMBER", WIDENED),
        ("NUMBER(12)", "integer", "VARCHAR2(12)", CHANGED),
        ("NUMBER(12)", "integer", "BINARY_DOUBLE", CHANGED),
        ("NUMBER(12)", "integer", "SDO_GEOMETRY", CHANGED),
        ("NUMBER(38)", "integer", "NUMBER(18)", NARROWED),
        ("NUMBER(12,2)", "number", "NUMBER(12,2)", SAME),
        ("NUMBER(12,2)", "number", "NUMBER(14,2)", WIDENED),
        ("NUMBER(12,2)", "number", "NUMBER(12,4)", WIDENED),
        ("NUMBER(12,2)", "number", "NUMBER(8,2)", NARROWED),
        ("NUMBER(12,2)", "number", "NUMBER(11,1)", NARROWED),
        ("NUMBER(12,2)", "number", "NUMBER(8)", WIDENED),  # 64 bits hold more than ten digits
        ("NUMBER(12,2)", "number", "NUMBER", WIDENED),
        ("NUMBER(12,2)", "number", "BINARY_DOUBLE", CHANGED),
        ("NUMBER(1)", "boolean", "NUMBER(1)", SAME),
        ("NUMBER(1)", "boolean", "NUMBER(38)", SAME),
        ("NUMBER(1)", "boolean", "NUMBER(3,1)", CHANGED),
        ("NUMBER(1)", "boolean", "NUMBER", WIDENED),
        ("NUMBER(1)", "boolean", "CHAR(1)", CHANGED),
        ("VARCHAR2(20)", "string", "VARCHAR2(20 CHAR)", SAME),
        ("VARCHAR2(20)", "string", "CHAR(20)", SAME),
        ("VARCHAR2(20)", "string", "VARCHAR2(40)", WIDENED),
        ("VARCHAR2(20)", "string", "CLOB", WIDENED),
        ("VARCHAR2(20)", "string", "VARCHAR2(10)", NARROWED),
        ("VARCHAR2(20)", "string", "NUMBER(12)", CHANGED),
        ("VARCHAR2(20)", "string", "NUMBER", CHANGED),
        ("VARCHAR2(20)", "string", "DATE", CHANGED),
        ("NUMBER", "string", "NUMBER", SAME),
        ("NUMBER", "string", "NUMBER(12,2)", SAME),
        ("NUMBER", "string", "VARCHAR2(40)", CHANGED),
        ("NUMBER(12,2)", "string", "NUMBER", SAME),
        ("NUMBER(12,2)", "string", "NUMBER(14,2)", WIDENED),
        ("NUMBER(12,2)", "string", "NUMBER(8,2)", WIDENED),
        ("TIMESTAMP(6)", "timestamp", "TIMESTAMP(6)", SAME),
        ("TIMESTAMP(6)", "timestamp", "TIMESTAMP", SAME),
        ("TIMESTAMP(6)", "timestamp", "TIMESTAMP(9)", WIDENED),
        ("TIMESTAMP(6)", "timestamp", "TIMESTAMP(3)", NARROWED),
        ("TIMESTAMP(6)", "timestamp", "DATE", NARROWED),
        ("TIMESTAMP(6)", "timestamp", "TIMESTAMP(6) WITH TIME ZONE", CHANGED),
        ("TIMESTAMP(6)", "timestamp", "VARCHAR2(30)", CHANGED),
        ("DATE", "timestamp", "TIMESTAMP(6)", WIDENED),
        ("DATE", "date", "DATE", SAME),
        ("DATE", "date", "TIMESTAMP(6)", SAME),
        ("DATE", "date", "TIMESTAMP(6) WITH TIME ZONE", CHANGED),
        ("BINARY_FLOAT", "number", "BINARY_DOUBLE", WIDENED),
        ("BINARY_DOUBLE", "number", "BINARY_FLOAT", NARROWED),
        ("BINARY_DOUBLE", "number", "NUMBER(12,2)", CHANGED),
        ("BLOB", "array", "RAW(16)", SAME),
        ("BLOB", "array", "CLOB", CHANGED),
    ],
)
def test_found_type_against_the_promise(
    promised: str, logical: str, catalog: str, verdict: tuple[DriftKind, DriftAction] | None
) -> None:
    drifts = find_drift(contract(column(promised, logical)), [found(catalog)])

    assert [(drift.kind, drift.action) for drift in drifts] == ([verdict] if verdict else [])
    assert all((drift.column, drift.promised, drift.found) == ("value", promised, catalog) for drift in drifts)


@pytest.mark.parametrize(
    ("promised", "logical", "catalog", "verdict"),
    [
        ("int", "integer", "bigint", WIDENED),
        ("bigint", "integer", "int", NARROWED),
        ("int", "integer", "smallint", NARROWED),
        ("bit", "boolean", "bit", SAME),
        ("bit", "boolean", "tinyint", SAME),
        ("bigint", "integer", "bit", CHANGED),
        ("date", "date", "datetime2(7)", WIDENED),
        ("datetime2(6)", "timestamp", "datetime2", WIDENED),
        ("datetime2(6)", "timestamp", "datetime", NARROWED),
        ("datetime2(6)", "timestamp", "datetimeoffset(6)", CHANGED),
        ("datetime2(6)", "timestamp", "date", NARROWED),
        ("datetimeoffset(6)", "timestamp", "date", CHANGED),
        ("nvarchar(max)", "string", "nvarchar(max)", SAME),
        ("varchar(20)", "string", "varchar(max)", WIDENED),
    ],
)
def test_found_type_against_the_promise_on_sql_server(
    promised: str, logical: str, catalog: str, verdict: tuple[DriftKind, DriftAction] | None
) -> None:
    promise = contract(column(promised, logical, dialect="sqlserver"), dialect="sqlserver")

    drifts = find_drift(promise, [found(catalog, dialect="sqlserver")])

    assert [(drift.kind, drift.action) for drift in drifts] == ([verdict] if verdict else [])


@pytest.mark.parametrize(
    ("dialect", "promised", "logical", "catalog", "verdict"),
    [
        ("oracle", "NUMBER(12)", "integer", "DECIMAL(12,0)", SAME),
        ("oracle", "NUMBER(12)", "integer", "BIGINT", SAME),
        ("oracle", "NUMBER(12)", "integer", "INTEGER", NARROWED),
        ("oracle", "NUMBER(20)", "integer", "DECIMAL(20,0)", SAME),
        ("oracle", "NUMBER(14,2)", "number", "DECIMAL(14,2)", SAME),
        ("oracle", "NUMBER(14,2)", "number", "DECIMAL(18,4)", WIDENED),
        ("oracle", "NUMBER(1)", "boolean", "DECIMAL(1,0)", SAME),
        ("oracle", "NUMBER(1)", "boolean", "BOOLEAN", SAME),
        ("oracle", "CHAR(11)", "string", "VARCHAR", SAME),
        ("oracle", "DATE", "timestamp", "TIMESTAMP", SAME),
        ("oracle", "DATE", "date", "DATE", SAME),
        ("oracle", "TIMESTAMP(3)", "timestamp", "TIMESTAMP", SAME),
        ("oracle", "NUMBER", "string", "DECIMAL(38,10)", SAME),
        ("oracle", "NUMBER(14,2)", "number", "VARCHAR", CHANGED),
        ("oracle", "NUMBER(14,2)", "number", "STRUCT(a INTEGER)", CHANGED),
        ("sqlserver", "datetime2(7)", "timestamp", "TIMESTAMP", SAME),
        ("sqlserver", "date", "date", "TIMESTAMP", WIDENED),
        ("sqlserver", "int", "integer", "INTEGER", SAME),
    ],
)
def test_contract_read_through_another_database_keeps_its_meaning(
    dialect: str, promised: str, logical: str, catalog: str, verdict: tuple[DriftKind, DriftAction] | None
) -> None:
    promise = contract(column(promised, logical, dialect=dialect), dialect=dialect)

    drifts = find_drift(promise, [found(catalog, dialect="duckdb")])

    assert [(drift.kind, drift.action) for drift in drifts] == ([verdict] if verdict else [])


def test_new_column_is_recorded_with_the_type_that_a_contract_would_write() -> None:
    catalog = [found("NUMBER(12)"), found("DECIMAL(9,3)", dialect="duckdb", name="Weight")]

    assert find_drift(contract(column("NUMBER(12)", "integer")), catalog) == [
        Drift(DriftKind.NEW_COLUMN, "Weight", "no such column", "DECIMAL(9,3)", DriftAction.IGNORE, "NUMBER(9,3)")
    ]


@pytest.mark.parametrize("action", list(DriftAction))
def test_policy_decides_about_a_new_column(action: DriftAction) -> None:
    promise = contract(column("NUMBER(12)", "integer"), drift=DriftPolicy(new_column=action))

    assert [drift.action for drift in find_drift(promise, [found("NUMBER(12)"), found("DATE", name="D")])] == [action]


def test_removed_column_fails_and_the_policy_can_let_it_pass() -> None:
    promise = contract(column("NUMBER(12)", "integer"))

    assert find_drift(promise, []) == [
        Drift(DriftKind.REMOVED_COLUMN, "value", "NUMBER(12)", "no such column", DriftAction.FAIL)
    ]
    lenient = replace(promise, drift=DriftPolicy(removed_column=DriftAction.IGNORE))
    assert [drift.action for drift in find_drift(lenient, [])] == [DriftAction.IGNORE]


@pytest.mark.parametrize(
    "needed",
    [
        pytest.param({"required": True}, id="required"),
        pytest.param({"key_position": 1}, id="key"),
        pytest.param({"name": "changed_at"}, id="watermark"),
    ],
)
def test_column_that_a_load_needs_fails_when_gone_whatever_the_policy(needed: dict[str, object]) -> None:
    promise = contract(
        replace(column("NUMBER(12)", "integer"), **needed),  # type: ignore[arg-type]
        drift=DriftPolicy(removed_column=DriftAction.IGNORE),
        watermark="changed_at",
    )

    assert [drift.action for drift in find_drift(promise, [])] == [DriftAction.FAIL]


def test_policy_can_let_a_changed_type_pass() -> None:
    promise = contract(column("NUMBER(12)", "integer"), drift=DriftPolicy(changed_type=DriftAction.IGNORE))

    assert [drift.action for drift in find_drift(promise, [found("CLOB")])] == [DriftAction.IGNORE]


def test_every_difference_is_told_at_once_in_contract_order() -> None:
    promise = contract(column("NUMBER(12)", "integer", name="b"), column("DATE", "timestamp", name="a"))

    drifts = find_drift(promise, [found("CLOB", name="Z"), found("CLOB", name="B")])

    assert [(drift.column, drift.kind) for drift in drifts] == [
        ("b", DriftKind.CHANGED_TYPE),
        ("a", DriftKind.REMOVED_COLUMN),
        ("Z", DriftKind.NEW_COLUMN),
    ]


def test_name_that_differs_by_case_alone_is_the_same_column() -> None:
    promise = contract(column("NUMBER(12)", "integer"))

    assert find_drift(promise, [found("NUMBER(12)", name="Value")]) == []
    assert match_columns(promise, [found("NUMBER(12)", name="Value")])["value"].name == "Value"


def test_exact_name_wins_over_one_that_differs_by_case() -> None:
    promise = contract(column("NUMBER(12)", "integer"))

    drifts = find_drift(promise, [found("CLOB", name="value"), found("NUMBER(12)", name="VALUE")])

    assert [(drift.kind, drift.column) for drift in drifts] == [(DriftKind.NEW_COLUMN, "value")]


def test_two_names_that_differ_by_case_alone_are_no_match() -> None:
    drifts = find_drift(
        contract(column("NUMBER(12)", "integer")),
        [found("NUMBER(12)", name="value"), found("NUMBER(12)", name="Value")],
    )

    assert [(drift.column, drift.found) for drift in drifts[:1]] == [("value", "2 columns that differ by case alone")]


def test_column_taken_by_its_exact_name_is_no_match_for_another() -> None:
    promise = contract(
        replace(column("NUMBER(12)", "integer"), source_name="Id"),
        replace(column("NUMBER(12)", "integer", name="other"), source_name="ID"),
    )

    assert set(match_columns(promise, [found("NUMBER(12)", name="ID")])) == {"other"}


def test_bronze_without_a_column_gains_it() -> None:
    promise = contract(column("NUMBER(12)", "integer"), column("DATE", "date", name="day", required=True))

    assert bronze_drift(promise, pa.schema({"value": pa.int64(), "_op": pa.string()})) == [
        Drift(DriftKind.NEW_COLUMN, "day", "date32[day]", "no such column in Bronze", DriftAction.ADD)
    ]


@pytest.mark.parametrize(
    ("kept", "action"),
    [
        (pa.decimal128(10, 2), DriftAction.ADD),
        (pa.decimal128(14, 2), DriftAction.ADD),
        (pa.int32(), DriftAction.ADD),
        (pa.string(), DriftAction.ADD),
        (pa.float64(), DriftAction.FAIL),
        (pa.timestamp("us"), DriftAction.FAIL),
    ],
    ids=str,
)
def test_bronze_follows_another_type_where_its_values_keep_their_meaning(
    kept: pa.DataType, action: DriftAction
) -> None:
    promise = contract(column("NUMBER(12,2)", "number"))

    (drift,) = bronze_drift(promise, pa.schema({"value": kept}))
    (unloaded,) = bronze_drift(promise, pa.schema({"value": kept}), is_empty=True)

    assert (drift.kind, drift.action) == (DriftKind.CHANGED_TYPE, action)
    assert drift.found == f"{kept} in Bronze"
    assert unloaded.action is DriftAction.ADD


def test_the_column_that_a_table_is_partitioned_by_keeps_its_type() -> None:
    promise = contract(column("TIMESTAMP(6)", "timestamp", name="value"), partition="value")

    (drift,) = bronze_drift(promise, pa.schema({"value": pa.date32()}))

    assert drift.action is DriftAction.FAIL


def test_layout_of_text_in_memory_and_columns_of_old_versions_are_no_drift() -> None:
    promise = contract(column("CLOB", "string"), column("BLOB", "array", name="image"))
    kept = pa.schema({"value": pa.large_string(), "image": pa.large_binary(), "gone_long_ago": pa.int64()})

    assert bronze_drift(promise, kept) == []
