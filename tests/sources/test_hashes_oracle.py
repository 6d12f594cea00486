"""Oracle spells and hashes as defined, and a table there is compared with its copy in a lake to the bit."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Contract
from ingestion.reconcile.comparison import Outcome
from ingestion.reconcile.dialects import DIALECTS
from ingestion.reconcile.hashes import HashType, Kind, plan_row
from ingestion.reconcile.ladder import compare_sides
from ingestion.reconcile.leaves import Finding
from ingestion.reconcile.ports import duckdb_lake, source_side
from ingestion.reconcile.sql_side import SqlSide
from ingestion.reconcile.vectors import TypeThere, verify_vectors
from tests.sources.oracle_fixtures import ID, IS_TRUE, OracleDesk, Promise, oracle  # noqa: F401

DIALECT = DIALECTS["oracle"]
DECIMALS = {
    "NUMBER(38)": (38, 0),
    "NUMBER(38,10)": (38, 10),
    "NUMBER(38,37)": (38, 37),
    "NUMBER(12,2)": (12, 2),
    "NUMBER(10,1)": (12, 2),
    "NUMBER(5,5)": (5, 5),
    "NUMBER": (20, 4),
}
DECLARED = [
    *((Kind.INTEGER, name) for name in ("NUMBER(38)", "NUMBER(12)", "NUMBER")),
    (Kind.BOOLEAN, "NUMBER(1)"),
    *((Kind.DATE, name) for name in ("DATE", "TIMESTAMP(6)")),
    *((Kind.TIMESTAMP, name) for name in ("DATE", "TIMESTAMP(0)", "TIMESTAMP(3)", "TIMESTAMP(6)", "TIMESTAMP(9)")),
    *((Kind.INSTANT, f"TIMESTAMP(6) WITH {name}TIME ZONE") for name in ("", "LOCAL ")),
    *((Kind.TEXT, name) for name in ("VARCHAR2(400 CHAR)", "NVARCHAR2(400)")),
    *((Kind.CHAR, name) for name in ("CHAR(300)", "NCHAR(300)")),
    (Kind.UUID, "VARCHAR2(36)"),
    (Kind.BINARY, "RAW(100)"),
]
TYPES = [
    *(TypeThere(HashType(kind, empty_is_null=kind in (Kind.TEXT, Kind.CHAR)), name) for kind, name in DECLARED),
    *(TypeThere(HashType(Kind.DECIMAL, *digits), name) for name, digits in DECIMALS.items()),
    TypeThere(HashType(Kind.TEXT, empty_is_null=True, digested=True), "VARCHAR2(4000)"),
    TypeThere(HashType(Kind.BINARY, digested=True), "RAW(2000)"),
]
PROMISES = [
    ID,
    Promise("name", "VARCHAR2(40)"),
    Promise("code", "CHAR(5)"),
    Promise("amount", "NUMBER(12,2)", "number"),
    Promise("wide", "NUMBER(38,10)", "number"),
    Promise("day", "DATE", "timestamp"),
    Promise("at", "TIMESTAMP(6)", "timestamp"),
    Promise("memo", "VARCHAR2(2000)"),
]
COLUMNS = ", ".join(f"{promise.name.upper()} {promise.physical}" for promise in PROMISES)


def rows_of(desk: OracleDesk, query: str) -> list[Any]:
    with desk.driver().cursor() as cursor:
        return list(cursor.execute(query).fetchall())


@pytest.mark.parametrize("there", TYPES, ids=lambda there: f"{there.type.kind}-{there.physical}")
def test_oracle_hashes_every_type_as_defined(oracle: OracleDesk, there: TypeThere) -> None:  # noqa: F811
    assert verify_vectors(lambda query: rows_of(oracle, query), DIALECT, [there]) == frozenset()


def test_floats_are_hashed_as_defined_or_said_to_be_unverified(oracle: OracleDesk) -> None:  # noqa: F811
    floats = TypeThere(HashType(Kind.FLOAT), "BINARY_DOUBLE")

    unverified = verify_vectors(lambda query: rows_of(oracle, query), DIALECT, [floats])

    assert unverified <= (frozenset() if IS_TRUE else {floats})


def sides(desk: OracleDesk, contract: Contract, lake: duckdb.DuckDBPyConnection) -> tuple[SqlSide, SqlSide]:
    found = tuple(FoundColumn(c.source_name, c.physical_type, c.arrow_type, True, "oracle") for c in contract.columns)
    plan = plan_row(contract, found)

    def run(query: str, schema: pa.Schema) -> pa.Table:
        columns = list(zip(*rows_of(desk, query), strict=True)) or [()] * len(schema)
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)

    return source_side(contract, found, plan, run, relation=contract.source_table[-1]), duckdb_lake(
        contract, plan, lake, rows="lake"
    )


def filled(desk: OracleDesk, lake: duckdb.DuckDBPyConnection, **lake_options: str) -> Contract:
    """Fill a table and its copy with rows that have every kind of trouble a text or a number can have."""
    table = desk.table(COLUMNS)
    contract = desk.contract(table, *PROMISES, **lake_options)
    texts = [None, "ção", "😀|~", "e\u0301", "a:b", "it's"]
    at = datetime(2026, 1, 31, 23, 59, 59, 999999)
    rows = [
        (n, texts[n % 6], f"C{n % 7:<4}", Decimal(n) / 100, Decimal(-n) ** 3 + Decimal("0.0000000001"), at.replace(
            microsecond=0, month=1 + n % 12, day=1 + n % 28), at.replace(day=1 + n % 28), "ç" * (n % 900))
        for n in range(1, 301)
    ]  # fmt: skip
    marks = ",".join(f":{at + 1}" for at in range(len(PROMISES)))
    marks = marks.replace(":7", "TO_TIMESTAMP(:7,'YYYY-MM-DD HH24:MI:SS.FF6')")
    with desk.driver().cursor() as cursor:
        cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", [(*r[:6], str(r[6]), r[7]) for r in rows])
    arrived = pa.Table.from_pylist(
        [dict(zip(contract.arrow_schema.names, r, strict=True)) for r in rows], contract.arrow_schema
    )
    lake.register("arrived", arrived)
    lake.execute("set timezone = 'UTC'")
    lake.execute("create table lake as from arrived")
    return contract


@pytest.mark.parametrize("partitioned", [False, True])
def test_a_table_of_oracle_equals_its_copy(oracle: OracleDesk, partitioned: bool) -> None:  # noqa: F811
    with duckdb.connect() as lake:
        options = {"reconcile": "{partition: day, grain: month}"} if partitioned else {}
        contract = filled(oracle, lake, **options)

        found = compare_sides(*sides(oracle, contract, lake))

        assert (found.outcome, found.why, found.source.rows) == (Outcome.EQUAL, "", 300)
        assert found.source == found.lake


def test_what_differs_from_oracle_is_found_by_key(oracle: OracleDesk) -> None:  # noqa: F811
    with duckdb.connect() as lake:
        contract = filled(oracle, lake, reconcile="{partition: day, grain: day}")
        lake.execute("delete from lake where id = 7")
        lake.execute("update lake set wide = wide + 0.0000000001 where id = 99")
        lake.execute("update lake set name = 'é' where name = 'e\u0301' and id = 3")
        lake.execute("insert into lake (id) values (1000)")

        found = compare_sides(*sides(oracle, contract, lake))

        assert {kind: sorted(keys.column("id").to_pylist()) for kind, keys in found.found.items()} == {
            Finding.MISSING_IN_LAKE: [7],
            Finding.CHANGED: [3, 99],
            Finding.MISSING_IN_SOURCE: [1000],
        }


def test_a_blank_padded_and_an_empty_text_are_no_difference(oracle: OracleDesk) -> None:  # noqa: F811
    with duckdb.connect() as lake:
        contract = filled(oracle, lake)
        lake.execute("update lake set code = rtrim(code), name = coalesce(name, '')")

        assert compare_sides(*sides(oracle, contract, lake)).outcome is Outcome.EQUAL
