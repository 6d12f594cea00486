"""One spelling, one hash: the definition is frozen, and DuckDB computes it to the bit."""

from __future__ import annotations

import json
import math
import struct
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Column, Contract, Mode
from ingestion.contracts.types import TYPE_PLAN, UnknownTypeError, arrow_type
from ingestion.reconcile.canonical import field_text, key_hash, lanes, row_hash
from ingestion.reconcile.dialects import DIALECTS, Origin
from ingestion.reconcile.hashes import HashType, Kind, RowPlan, plan_row
from ingestion.reconcile.vector_values import VALUES, vectors
from ingestion.reconcile.vectors import TypeThere, verify_vectors
from tests.golden.vectors import FILE, TYPES, told

DUCKDB = DIALECTS["duckdb"]
DECLARATIONS = {dialect: list(table) for dialect, table in TYPE_PLAN.items()}


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    return connection


def oracle_contract(**physical: str) -> Contract:
    """Return a contract of Oracle columns named by their declaration; the first is the key."""
    types = {"NUMBER(12)": pa.int64(), "NUMBER": pa.decimal128(20, 4), "DATE": pa.timestamp("us"), "CLOB": pa.string()}
    columns = tuple(
        Column(name, name.upper(), "", declared, types.get(declared, pa.string()), key_position=1 if not at else None)
        for at, (name, declared) in enumerate(physical.items())
    )
    return Contract("erp.t", "1.0.0", "erp", "t", "oracle", ("T",), columns, "UTC", Mode.FULL, "stg_t")


def test_the_golden_vectors_are_what_they_were() -> None:
    assert told() == json.loads(FILE.read_text())


@pytest.mark.parametrize("kind", list(VALUES))
def test_every_kind_has_some_sixty_vectors(kind: Kind) -> None:
    assert len(vectors(HashType(kind), None)) >= 60


@pytest.mark.parametrize("name", list(TYPES))
def test_duckdb_hashes_every_type_as_defined(name: str, connection: duckdb.DuckDBPyConnection) -> None:
    def run(query: str) -> list[Any]:
        return connection.execute(query).fetchall()

    assert verify_vectors(run, DUCKDB, [TypeThere(TYPES[name])]) == frozenset()


@pytest.mark.parametrize("physical", ["DOUBLE", "FLOAT"])
@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0.0, -0.0), "0000000000000000"),
        ((math.nan, -math.nan, struct.unpack(">d", bytes.fromhex("7FFC000000000000"))[0]), "7FF8000000000000"),
    ],
)
def test_the_sign_of_a_zero_and_the_bits_of_a_nan_are_not_spelled(
    values: tuple[float, ...], text: str, physical: str, connection: duckdb.DuckDBPyConnection
) -> None:
    spelled = DUCKDB.spelled(HashType(Kind.FLOAT), Origin(f"cast(x as {physical})", physical))
    connection.register("given", pa.table({"x": pa.array(values, pa.float64())}))

    assert connection.execute(f"select distinct {spelled} from given").fetchall() == [(text,)]
    assert {field_text(HashType(Kind.FLOAT), value) for value in values} == {text}


@pytest.mark.parametrize(
    ("type_", "physical"),
    [
        (HashType(Kind.INTEGER), "SMALLINT"),
        (HashType(Kind.INTEGER), "HUGEINT"),
        (HashType(Kind.DECIMAL, 12, 2), "DECIMAL(10,1)"),
        (HashType(Kind.TIMESTAMP), "TIMESTAMP_MS"),
        (HashType(Kind.INSTANT), "TIMESTAMPTZ"),
        (HashType(Kind.UUID), "UUID"),
        (HashType(Kind.TEXT), "VARCHAR"),
        (HashType(Kind.TEXT), "TIME"),
    ],
)
def test_a_column_declared_otherwise_is_spelled_alike(
    type_: HashType, physical: str, connection: duckdb.DuckDBPyConnection
) -> None:
    def run(query: str) -> list[Any]:
        return connection.execute(query).fetchall()

    assert verify_vectors(run, DUCKDB, [TypeThere(type_, physical)]) == frozenset()


def test_a_server_that_hashes_otherwise_is_found_out(connection: duckdb.DuckDBPyConnection) -> None:
    def run(query: str) -> list[Any]:
        return connection.execute(query.replace("%f000", "%f00")).fetchall()

    types = [TypeThere(HashType(Kind.TIMESTAMP)), TypeThere(HashType(Kind.TEXT))]

    assert verify_vectors(run, DUCKDB, types) == {types[0]}


def test_what_a_server_cannot_compute_is_unverified_and_a_server_that_is_gone_is_an_error(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    plan = RowPlan(("a",), (plan_row(oracle_contract(a="NUMBER(12)", b="VARCHAR2(9)")).columns))

    def run(query: str) -> list[Any]:
        if "strlen" in query:
            raise OSError("no such function")
        return connection.execute(query).fetchall()

    def gone(query: str) -> list[Any]:
        raise OSError("no connection")

    number, text = (TypeThere(column.type) for column in plan.columns)
    assert verify_vectors(run, DUCKDB, [number, text]) == {text}
    with pytest.raises(OSError, match="no connection"):
        verify_vectors(gone, DUCKDB, [number, text])


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Kind.INTEGER, -7, "-7"),
        (Kind.BOOLEAN, True, "1"),
        (Kind.DATE, date(1, 1, 1), "0001-01-01"),
        (Kind.TIMESTAMP, datetime(9999, 12, 31, 23, 59, 59, 999999), "9999-12-31 23:59:59.999999000"),
        (Kind.TIMESTAMP, datetime(1, 1, 1), "0001-01-01 00:00:00"),
        (Kind.INSTANT, datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-3))), "2026-01-01 03:00:00"),
        (Kind.FLOAT, 1.5, "3FF8000000000000"),
        (Kind.FLOAT, float("nan"), "7FF8000000000000"),
        (Kind.TEXT, "ção", "5:ção"),
        (Kind.TEXT, "", "0:"),
        (Kind.TEXT, None, ":"),
        (Kind.INTEGER, None, ""),
        (Kind.CHAR, "ab  ", "2:ab"),
        (Kind.CHAR, "   ", "0:"),
        (Kind.UUID, "0A0B", "4:0a0b"),
        (Kind.BINARY, b"\x00\xff", "4:00FF"),
        (Kind.BINARY, b"", "0:"),
    ],
)
def test_values_are_spelled_as_the_definition_says(kind: Kind, value: Any, text: str) -> None:
    assert field_text(HashType(kind), value) == text


def test_decimals_are_spelled_with_all_digits_of_their_scale() -> None:
    assert field_text(HashType(Kind.DECIMAL, 38, 10), Decimal("1E+27")) == "1000000000000000000000000000.0000000000"
    assert field_text(HashType(Kind.DECIMAL, 38, 38), Decimal("-1E-38")) == "-0." + "0" * 37 + "1"


def test_an_empty_text_is_null_where_the_source_cannot_tell() -> None:
    assert field_text(HashType(Kind.TEXT, empty_is_null=True), "") == ":"


def test_two_forms_of_one_letter_are_two_values() -> None:
    assert field_text(HashType(Kind.TEXT), "é") != field_text(HashType(Kind.TEXT), "e\u0301")


def test_no_two_rows_share_a_text() -> None:
    plan = plan_row(oracle_contract(a="NUMBER(12)", b="VARCHAR2(9)", c="VARCHAR2(9)"))
    rows = [("x", None), (None, "x"), ("x|", None), ("x", "|"), (":", None), (None, ":"), ("1:x|:", None), (None, None)]

    assert len({row_hash(plan, {"a": 1, "b": b, "c": c}) for b, c in rows}) == len(rows)


def test_lanes_are_the_halves_of_the_hash_in_digits_up_to_seven() -> None:
    assert lanes("0123456789ABCDEFFEDCBA9876543210") == (123456701234567, 7654321076543210)


def test_the_key_hash_leaves_the_rest_of_the_row_out() -> None:
    plan = plan_row(oracle_contract(a="NUMBER(12)", b="VARCHAR2(9)"))

    assert key_hash(plan, {"a": 1, "b": "x"}) == key_hash(plan, {"a": 1, "b": "y"})


def test_long_rows_of_oracle_are_hashed_in_groups_that_its_texts_can_hold() -> None:
    columns = {f"c{n}": "VARCHAR2(200)" for n in range(12)}
    plan = plan_row(oracle_contract(a="NUMBER(12)", **columns, long="VARCHAR2(4000)"))

    assert [len(group) for group in plan.groups] == [5, 4, 5]
    assert all(sum(column.size + 1 for column in group) <= 4_000 for group in plan.groups)
    assert plan.columns[-1].type.digested


def test_groups_are_hashed_alike_by_duckdb(connection: duckdb.DuckDBPyConnection) -> None:
    columns = {f"c{n}": "VARCHAR2(200)" for n in range(12)}
    plan = plan_row(oracle_contract(a="NUMBER(12)", **columns, long="VARCHAR2(4000)"))
    row = {"a": 1, **dict.fromkeys(columns, "ç|"), "long": "😀" * 900} | {"c3": None, "c4": ""}
    connection.register("t", pa.table({name: [value] for name, value in row.items()}))
    origins = {name: Origin(f'"{name}"') for name in row}

    (found,) = connection.execute(f"select {DUCKDB.hash_hex(DUCKDB.row_text(plan, origins))} from t").fetchone() or ()

    assert found.upper() == row_hash(plan, row)


def test_what_cannot_be_hashed_alike_is_left_out_with_a_reason() -> None:
    plan = plan_row(oracle_contract(a="NUMBER(12)", b="CLOB", c="RAW(8)", d="BINARY_DOUBLE", e="NUMBER"))

    assert plan.excluded == {
        "b": "CLOB cannot be hashed by the database",
        "c": "RAW has no spelling that all databases share",
        "d": "BINARY_DOUBLE has no spelling that all databases share",
    }
    assert [column.name for column in plan.columns] == ["a", "e"]
    assert plan.can_prove
    assert not plan.without({"a"}, "unverified").can_prove


@pytest.mark.parametrize("dialect", sorted(DECLARATIONS))
def test_every_type_of_a_contract_is_compared_where_rows_are_fetched(dialect: str) -> None:
    """So what is left out of a server's hashes is left out of no comparison whose budget is large enough."""
    columns: list[Column] = []
    for declared in DECLARATIONS[dialect]:
        for logical in (None, "string"):
            with suppress(UnknownTypeError):
                type_ = arrow_type(dialect, declared, logical)
                columns.append(Column(f"c{len(columns)}", "X", "", declared, type_, key_position=None))
    columns[0] = replace(columns[0], key_position=1)
    contract = replace(oracle_contract(a="NUMBER(12)"), columns=tuple(columns), dialect=dialect)

    assert len(columns) > 20
    assert plan_row(contract, answering="duckdb").excluded == {}


def test_a_column_that_the_source_lacks_is_left_out() -> None:
    contract = oracle_contract(a="NUMBER(12)", b="VARCHAR2(9)")

    plan = plan_row(contract, (FoundColumn("A", "NUMBER(12)", pa.int64(), False, "oracle"),))

    assert plan.excluded == {"b": "not in the source"}


def test_a_number_that_the_promise_cannot_hold_is_spelled_so_that_it_differs(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    text = DUCKDB.spelled(HashType(Kind.DECIMAL, 12, 2), Origin("x", "DECIMAL(18,4)"))

    found = connection.execute(f"select {text} from (values (1.5000::decimal(18,4)), (1.5001)) t(x)").fetchall()

    assert found == [("1.50",), ("1.5001",)]


def test_instants_are_spelled_in_utc_whatever_their_offset() -> None:
    there = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    assert field_text(HashType(Kind.INSTANT), there) == field_text(HashType(Kind.INSTANT), there.astimezone(UTC))
