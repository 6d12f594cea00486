"""DuckDB over Delta answers for the lake: the live rows at a committed version, less what is in flight."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ingestion.bronze.changes import live
from ingestion.bronze.workbench.embedded import open_workbench
from ingestion.load.load_table import load_table
from ingestion.reconcile.comparison import Comparison, Outcome
from ingestion.reconcile.hashes import plan_row
from ingestion.reconcile.ladder import compare_sides
from ingestion.reconcile.leaves import Finding
from ingestion.reconcile.ports import duckdb_lake, source_side
from tests.engines.conftest import Company, company  # noqa: F401
from tests.unit.reconcile.worlds import keys_of


@contextmanager
def _opened(file: str) -> Iterator[Any]:
    connection = duckdb.connect(file, read_only=True)
    connection.execute("set timezone = 'UTC'")
    yield connection
    connection.close()


def compared(company: Company, entity: str = "people", in_flight: str = "") -> Comparison:  # noqa: F811
    context = company.context()
    contract = context.contract(f"crm.{entity}")
    table = context.table(contract)
    with (
        _opened(str(company.file)) as source,
        context.source(contract).snapshot() as snapshot,
        open_workbench(table, table.state(), memory_limit="200MB") as bench,
    ):
        found = snapshot.catalog(contract)
        plan = plan_row(contract, found)
        names = tuple(c.name for c in contract.columns if c.key_position is None)
        if in_flight:
            bench.table("in_flight", in_flight)

        def run(query: str, schema: pa.Schema) -> pa.Table:
            return source.execute(query).to_arrow_table().rename_columns(schema.names).cast(schema)

        there = source_side(contract, found, plan, run, relation=entity)
        rows = f"(select * from ({live(contract, names)}) where not _deleted)"
        here = duckdb_lake(contract, plan, bench.connection, rows=rows, in_flight="in_flight" if in_flight else None)
        return compare_sides(there, here)


@pytest.mark.parametrize("entity", ["people", "cities"])
def test_a_lake_just_loaded_equals_its_source(company: Company, entity: str) -> None:  # noqa: F811
    load_table(company.context(), f"crm.{entity}")

    assert compared(company, entity).outcome is Outcome.EQUAL


def test_what_changed_behind_the_watermark_is_found(company: Company) -> None:  # noqa: F811
    load_table(company.context(), "crm.people")
    company.sql(
        "update people set score = 9 where id = 1",
        "delete from people where id = 2",
        "insert into people values (4, 'Dee', 1, '2026-02-01 08:00:00')",
    )

    found = compared(company)

    assert keys_of(found) == {
        Finding.CHANGED: {(1,)},
        Finding.MISSING_IN_SOURCE: {(2,)},
        Finding.MISSING_IN_LAKE: {(4,)},
    }


def test_a_key_in_flight_is_left_out_of_the_lake(company: Company) -> None:  # noqa: F811
    load_table(company.context(), "crm.people")
    company.sql("delete from people where id = 3")

    assert compared(company, in_flight="select 3 as id").outcome is Outcome.EQUAL
