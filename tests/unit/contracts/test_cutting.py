"""One expression cuts a moment to microseconds, wherever it is read or compared."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pyarrow as pa
import pytest

from ingestion.contracts.cutting import cut, is_finer
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Contract
from ingestion.reconcile.hashes import plan_row
from ingestion.reconcile.ports import source_side
from ingestion.reconcile.sides import EVERYTHING
from ingestion.sources.sqlserver.expressions import SQLSERVER

SECONDS = [
    "1677-09-22 00:00:00",
    "1969-12-31 23:59:59",
    "1970-01-01 00:00:00",
    "2026-10-25 01:30:00",
    "2262-04-11 23:47:15",
]


@pytest.mark.parametrize("second", SECONDS)
@pytest.mark.parametrize("digits", ["000000000", "000000999", "123456001", "999999999", "123456000"])
def test_the_digits_after_the_sixth_are_taken_away(second: str, digits: str) -> None:
    sql, declared = cut("duckdb", "TIMESTAMP_NS", f"timestamp_ns '{second}.{digits}'")

    with duckdb.connect() as connection:
        row = connection.execute(f"select strftime({sql}, '%Y-%m-%d %H:%M:%S.%f'), typeof({sql})").fetchone()

    assert row == (f"{second}.{digits[:6]}", declared)


@pytest.mark.parametrize(
    ("dialect", "declared", "finer"),
    [
        ("sqlserver", "datetime2", True), ("sqlserver", "datetime2(7)", True), ("sqlserver", "datetimeoffset", True),
        ("sqlserver", "datetime2(6)", False), ("sqlserver", "datetime", False), ("sqlserver", "nvarchar(50)", False),
        ("sqlserver", "time(7)", False), ("oracle", "TIMESTAMP(9)", True), ("oracle", "TIMESTAMP", False),
        ("oracle", "TIMESTAMP(7) WITH LOCAL TIME ZONE", True), ("oracle", "NUMBER(38)", False), ("oracle", "DATE", False),
        ("duckdb", "TIMESTAMP_NS", True), ("duckdb", "TIMESTAMP", False), ("duckdb", "SHAPE", False),
    ],
)  # fmt: skip
def test_what_keeps_more_digits_than_the_lake_is_known(dialect: str, declared: str, finer: bool) -> None:
    assert is_finer(dialect, declared) is finer
    assert (cut(dialect, declared, "x") != ("x", declared)) is finer


@pytest.mark.parametrize(
    ("declared", "promised", "value"),
    [
        ("datetime2(7)", pa.timestamp("us"), "[C]"),
        ("datetimeoffset(7)", pa.timestamp("us", "UTC"), "CAST(SWITCHOFFSET([C], '+00:00') AS datetime2(7))"),
    ],
)
def test_sql_server_reads_a_moment_that_is_cut_without_a_guard(
    declared: str, promised: pa.DataType, value: str
) -> None:
    found = FoundColumn("C", declared, promised, False, "sqlserver")

    how = SQLSERVER.expression(found, promised, truncate=True)

    assert how.guard is None
    assert how.typed == f"CAST(DATEADD(nanosecond, -(DATEPART(nanosecond, {value}) % 1000), {value}) AS datetime2(6))"
    assert SQLSERVER.expression(found, promised).guard is not None


def test_a_source_is_compared_by_the_moments_as_they_are_cut(
    patched: Callable[..., str], contract_of: Callable[[str], Contract]
) -> None:
    block = "        customProperties: [{property: lake, value: {truncate: true}}]\n"
    contract = contract_of(patched(("      - name: updated_at\n", f"      - name: updated_at\n{block}")))
    found = [
        FoundColumn(c.source_name, "TIMESTAMP(9)" if c.truncate else c.physical_type, c.arrow_type, True, "oracle")
        for c in contract.columns
    ]
    asked: list[str] = []

    def run(query: str, schema: pa.Schema) -> pa.Table:
        asked.append(query)
        return schema.empty_table()

    source_side(contract, found, plan_row(contract, found), run, relation="T").leaves(EVERYTHING)

    expression_, _ = cut("oracle", "TIMESTAMP(9)", '"UPDATED_AT"')
    assert f"TO_CHAR({expression_},'SYYYY-MM-DD HH24:MI:SS.FF9')" in asked[0]
