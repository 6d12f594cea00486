"""SQL Server spells and hashes as defined, and a table there is compared with its copy in a lake to the bit."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Column, Contract, Mode, Reconcile
from ingestion.reconcile.comparison import Outcome
from ingestion.reconcile.dialects import DIALECTS
from ingestion.reconcile.hashes import HashType, Kind, plan_row
from ingestion.reconcile.ladder import compare_sides
from ingestion.reconcile.leaves import Finding
from ingestion.reconcile.ports import duckdb_lake, source_side
from ingestion.reconcile.sql_side import SqlSide
from ingestion.reconcile.vectors import TypeThere, verify_vectors
from ingestion.sources.sqlserver.session import Session, open_session
from tests.sources.oracle_fixtures import IS_TRUE
from tests.sources.sqlserver_fixtures import Desk, desk

__all__ = ["desk"]

DIALECT = DIALECTS["sqlserver"]
DECIMALS = {
    "DECIMAL(38,0)": (38, 0),
    "DECIMAL(38,10)": (38, 10),
    "DECIMAL(38,37)": (38, 37),
    "DECIMAL(12,2)": (12, 2),
    "DECIMAL(10,2)": (20, 4),
    "MONEY": (19, 4),
    "SMALLMONEY": (10, 4),
}
DECLARED = [
    *((Kind.INTEGER, name) for name in ("TINYINT", "SMALLINT", "INT", "BIGINT", "DECIMAL(12,0)")),
    (Kind.BOOLEAN, "BIT"),
    (Kind.DATE, "DATE"),
    *((Kind.TIMESTAMP, f"DATETIME2{digits}") for digits in ("", "(0)", "(3)", "(6)", "(7)")),
    *((Kind.TIMESTAMP, name) for name in ("DATETIME", "SMALLDATETIME")),
    *((Kind.INSTANT, name) for name in ("DATETIMEOFFSET(6)", "DATETIMEOFFSET(7)")),
    (Kind.UUID, "UNIQUEIDENTIFIER"),
    *((Kind.BINARY, name) for name in ("VARBINARY(100)", "VARBINARY(MAX)", "IMAGE")),
    *((Kind.TEXT, name) for name in ("TIME(0)", "TIME(3)", "TIME(7)")),
]
TYPES = [
    *(TypeThere(HashType(kind), name) for kind, name in DECLARED),
    *(TypeThere(HashType(Kind.DECIMAL, *digits), name) for name, digits in DECIMALS.items()),
]
NEED_UTF8 = [
    *(TypeThere(HashType(Kind.TEXT), name) for name in ("NVARCHAR(400)", "NVARCHAR(MAX)", "VARCHAR(400)")),
    *(TypeThere(HashType(Kind.TEXT), name) for name in ("TEXT", "NTEXT", "XML")),
    *(TypeThere(HashType(Kind.CHAR), name) for name in ("CHAR(300)", "NCHAR(300)")),
    TypeThere(HashType(Kind.FLOAT), "FLOAT"),
    TypeThere(HashType(Kind.DECIMAL, 5, 5), "DECIMAL(5,5)"),
]
COLUMNS = {
    "id": ("BIGINT", pa.int64()),
    "line": ("INT", pa.int32()),
    "status": ("VARCHAR(20)", pa.string()),
    "currency": ("CHAR(3)", pa.string()),
    "fee": ("DECIMAL(12,2)", pa.decimal128(12, 2)),
    "price": ("MONEY", pa.decimal128(19, 4)),
    "is_open": ("BIT", pa.bool_()),
    "day": ("DATE", pa.date32()),
    "at": ("DATETIME2(6)", pa.timestamp("us")),
    "seen": ("DATETIMEOFFSET(7)", pa.timestamp("us", "UTC")),
    "mark": ("UNIQUEIDENTIFIER", pa.string()),
}


@pytest.fixture
def server(desk: Desk) -> Iterator[Session]:
    with open_session("shop", desk.connection) as session:
        yield session


def rows_of(server: Session, query: str) -> list[Any]:
    return server.rows(query)


@pytest.mark.parametrize("there", TYPES, ids=lambda there: f"{there.type.kind}-{there.physical}")
def test_sql_server_hashes_every_type_as_defined(server: Session, there: TypeThere) -> None:
    assert verify_vectors(lambda query: rows_of(server, query), DIALECT, [there]) == frozenset()


def test_what_needs_utf8_is_hashed_as_defined_or_said_to_be_unverified(server: Session) -> None:
    unverified = verify_vectors(lambda query: rows_of(server, query), DIALECT, NEED_UTF8)

    assert unverified <= (frozenset() if IS_TRUE else set(NEED_UTF8))


def contract(table: str) -> Contract:
    columns = tuple(
        Column(name, name, "", declared, type_, key_position={"id": 1, "line": 2}.get(name))
        for name, (declared, type_) in COLUMNS.items()
    )
    return Contract(
        id="shop.lines",
        version="1.0.0",
        system="shop",
        entity="lines",
        dialect="sqlserver",
        source_table=("dbo", table),
        columns=columns,
        timezone="UTC",
        mode=Mode.INCREMENTAL,
        silver_model="stg_lines",
        watermark="at",
        reconcile=Reconcile(partition="day", grain="month"),
    )


def filled(server: Session, lake: duckdb.DuckDBPyConnection) -> Contract:
    table = f"t_{uuid.uuid4().hex[:10]}"
    declared = ", ".join(f"[{name}] {declared}" for name, (declared, _) in COLUMNS.items())
    rows_ = []
    at = datetime(2026, 1, 31, 23, 59, 59, 999999)
    for n in range(1, 121):
        moment = at - timedelta(hours=n * 7, microseconds=n % 3)
        fee, price = Decimal(n) / 100 - 1, Decimal(n) / 10_000
        status = None if n % 5 == 0 else f"S|~{n % 7}"
        mark = str(uuid.UUID(int=n**9)).upper()
        rows_.append(
            (n, n % 4, status, "BRL", fee, price, bool(n % 2), moment.date(), moment, moment.replace(tzinfo=UTC), mark)
        )
    server.execute(f"CREATE TABLE dbo.{table} ({declared})")
    for start in range(0, len(rows_), 40):
        values = ", ".join(f"({', '.join(_constant(v) for v in row)})" for row in rows_[start : start + 40])
        server.execute(f"INSERT INTO dbo.{table} VALUES {values}")
    promised = contract(table)
    arrived = pa.Table.from_pylist(
        [dict(zip(promised.arrow_schema.names, row, strict=True)) for row in rows_], promised.arrow_schema
    )
    lake.register("arrived", arrived)
    lake.execute("set timezone = 'UTC'")
    lake.execute("create table lake as from arrived")
    return promised


def _constant(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return f"'{value.replace(tzinfo=None).isoformat(timespec='microseconds')}+00:00'"
    if isinstance(value, datetime):
        return f"'{value.isoformat(timespec='microseconds')}'"
    return (
        str(int(value)) if isinstance(value, bool) else str(value) if isinstance(value, int | Decimal) else f"'{value}'"
    )


def sides(server: Session, promised: Contract, lake: duckdb.DuckDBPyConnection) -> tuple[SqlSide, SqlSide]:
    found = tuple(
        FoundColumn(c.source_name, c.physical_type, c.arrow_type, True, "sqlserver") for c in promised.columns
    )
    plan = plan_row(promised, found)

    def run(query: str, schema: pa.Schema) -> pa.Table:
        columns = list(zip(*rows_of(server, query), strict=True)) or [()] * len(schema)
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)

    relation = ".".join(promised.source_table)
    return source_side(promised, found, plan, run, relation=relation), duckdb_lake(promised, plan, lake, rows="lake")


def test_a_table_of_sql_server_equals_its_copy(server: Session) -> None:
    with duckdb.connect() as lake:
        promised = filled(server, lake)

        found = compare_sides(*sides(server, promised, lake))

        assert (found.outcome, found.why, found.source.rows) == (Outcome.EQUAL, "", 120)
        assert found.source == found.lake


def test_what_differs_from_sql_server_is_found_by_key(server: Session) -> None:
    with duckdb.connect() as lake:
        promised = filled(server, lake)
        lake.execute("delete from lake where id = 7")
        lake.execute("update lake set seen = seen + interval 1 microsecond where id = 50")
        lake.execute("update lake set mark = lower(mark)")
        lake.execute("insert into lake (id, line) values (1000, 1)")

        found = compare_sides(*sides(server, promised, lake))

        assert {kind: rows.select(["id", "line"]).to_pylist() for kind, rows in found.found.items()} == {
            Finding.MISSING_IN_LAKE: [{"id": 7, "line": 3}],
            Finding.CHANGED: [{"id": 50, "line": 2}],
            Finding.MISSING_IN_SOURCE: [{"id": 1000, "line": 1}],
        }
