from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Column, Contract, Mode
from ingestion.contracts.types import arrow_type
from ingestion.reconcile.dialects import Origin
from ingestion.reconcile.fitting import key_conditions
from ingestion.reconcile.hashes import plan_row
from ingestion.reconcile.ports import source_side
from ingestion.reconcile.sides import EVERYTHING, Summary


def sales(promised: str) -> Contract:
    """Return a contract whose key is promised as a type."""
    type_: pa.DataType = arrow_type("duckdb", promised)
    return Contract(
        id="shop.sales",
        version="1.0.0",
        system="shop",
        entity="sales",
        dialect="duckdb",
        source_table=("sales",),
        columns=(Column("id", "ID", "integer", promised, type_, key_position=1),),
        timezone="UTC",
        mode=Mode.FULL,
        silver_model="stg_sales",
    )


def as_found(type_: str) -> FoundColumn:
    return FoundColumn("ID", type_, arrow_type("duckdb", type_), True, "duckdb")


def condition(promised: str, found: str) -> str:
    """Return the condition on a key that is promised as one type and found as another."""
    return key_conditions(sales(promised), {"id": as_found(found)}, {"id": Origin('"ID"', found)}).get("id", "")


@pytest.mark.parametrize(
    ("promised", "found", "fitting", "misfits"),
    [
        ("INTEGER", "BIGINT", ["-2147483648", "2147483647", "0"], ["-2147483649", "2147483648"]),
        ("SMALLINT", "INTEGER", ["-32768", "32767"], ["-32769", "32768"]),
        ("BIGINT", "HUGEINT", ["-9223372036854775808", "9223372036854775807"], ["9223372036854775808"]),
        ("BIGINT", "DECIMAL(20,2)", ["-5", "7.00"], ["0.5", "-1.01"]),
    ],
)
def test_number_fits_where_its_promised_type_holds_it(
    promised: str, found: str, fitting: list[str], misfits: list[str]
) -> None:
    asked = condition(promised, found)

    def fits(value: str) -> bool | None:
        row = duckdb.sql(f'select {asked} from (select cast({value} as {found}) as "ID")').fetchone()
        return None if row is None else row[0]

    assert [value for value in fitting if fits(value) is not True] == []
    assert [value for value in misfits if fits(value) is not False] == []
    assert fits("null") is None


@pytest.mark.parametrize(
    ("promised", "found"),
    [("BIGINT", "BIGINT"), ("BIGINT", "INTEGER"), ("DECIMAL(20,0)", "BIGINT"), ("VARCHAR", "VARCHAR")],
)
def test_nothing_is_asked_of_a_key_whose_every_value_fits(promised: str, found: str) -> None:
    assert condition(promised, found) == ""


def test_keys_that_do_not_fit_are_counted_apart_and_do_not_stretch_the_range() -> None:
    contract, found = sales("INTEGER"), [as_found("BIGINT")]
    with duckdb.connect() as connection:
        connection.execute('create table sales as select unnest([1, 7, null, 3000000000])::bigint as "ID"')

        def run(query: str, schema: pa.Schema) -> pa.Table:
            return connection.execute(query).to_arrow_table().rename_columns(schema.names).cast(schema)

        side = source_side(contract, found, plan_row(contract, found), run, relation="sales")

        assert side.summary() == Summary(2, 2, 1, 7, misfits=1)
        assert side.leaves(EVERYTHING).column("id").to_pylist() == [1, 7]
        assert side.guarded_keys == ("id",)
