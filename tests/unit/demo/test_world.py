from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.demo.files import SourceFiles
from ingestion.demo.tables import CUSTOMERS, ORDER_ITEMS, ORDERS, PRODUCTS, TABLES, SourceTable
from ingestion.demo.world import World, apply_day_2, create_day_1
from tests.unit.demo.sources import (
    DAY_1_END,
    DAY_2_END,
    PLACES,
    SMALL,
    Sources,
    broken_rules,
    contract_of,
    fingerprint,
    world_of,
)

# --- the generator ---


def test_same_seed_makes_the_same_rows() -> None:
    again = World(seed=7, scale=SMALL)
    again._connection.execute("set threads = 1")
    for table in TABLES:
        assert world_of().rows(table, 1).equals(again.rows(table, 1))
        assert world_of().rows(table, 2).equals(again.rows(table, 2))


def test_another_seed_makes_another_world() -> None:
    for table in TABLES:
        assert not world_of(7).rows(table, 1).equals(world_of(8).rows(table, 1))


def test_rows_do_not_depend_on_machine_or_version() -> None:
    world = world_of()
    assert world.rows(ORDERS, 1).num_rows == 5966
    assert world.rows(CUSTOMERS, 1).column("CUSTOMER_NAME")[0].as_py() == "Patrícia Gomes Fernandes"
    assert str(world.rows(PRODUCTS, 1).column("UNIT_PRICE")[0]) == "359.90"


def test_scale_sets_the_number_of_rows() -> None:
    whole, double = world_of(scale=1.0), world_of(scale=2.0)
    assert [whole.rows(t, 1).num_rows for t in (CUSTOMERS, PRODUCTS)] == [2000, 300]
    assert whole.rows(ORDERS, 1).num_rows == pytest.approx(20_000, rel=0.02)
    assert whole.rows(ORDER_ITEMS, 1).num_rows == pytest.approx(50_000, rel=0.02)
    for table in TABLES:
        assert double.rows(table, 1).num_rows == pytest.approx(2 * whole.rows(table, 1).num_rows, rel=0.02)


def test_a_tiny_scale_still_makes_a_whole_world() -> None:
    assert World(scale=0.001).rows(ORDERS, 1).num_rows == world_of().rows(ORDERS, 1).num_rows


def test_scale_must_be_positive() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        World(scale=0).rows(CUSTOMERS, 1)


@pytest.mark.parametrize("seed", [8, 9, 10])
def test_other_seeds_plant_every_trouble_too(seed: int) -> None:
    assert all(trouble.rows > 0 for trouble in world_of(seed).troubles())


# --- the tables and their contracts ---


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.id)
def test_columns_are_those_of_the_contract(table: SourceTable) -> None:
    twins = [
        (r"NUMBER\((\d+)\)", r"DECIMAL(\1,0)"),
        (r"(?:NUMBER|decimal)\((\d+,\d+)\)", r"DECIMAL(\1)"),
        (r"(?:VARCHAR2|CHAR|varchar|char)\(\d+\)", "VARCHAR"),
        (r"(?:TIMESTAMP|datetime2)\(6\)", "TIMESTAMP"),
        ("bigint", "BIGINT"),
        ("int", "INTEGER"),
        ("date", "DATE"),
    ]

    def twin(declared: str) -> str:
        return next(re.sub(pattern, to, declared) for pattern, to in twins if re.fullmatch(pattern, declared))

    promised = contract_of(table)
    assert promised["physicalName"] == f"{table.schema}.{table.name}"
    assert [(p["physicalName"], twin(p["physicalType"])) for p in promised["properties"]] == list(table.columns)
    assert tuple(p["physicalName"] for p in promised["properties"] if p.get("primaryKey")) == table.keys


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.id)
def test_files_hold_the_declared_types(sources: Sources, table: SourceTable) -> None:
    found = sources.connection.execute(f"describe {PLACES[table.id].replace('.', '_1.', 1)}").fetchall()
    assert [(name, type_) for name, type_, *_ in found] == list(table.columns)


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.id)
def test_all_rows_of_day_1_keep_the_contract(sources: Sources, table: SourceTable) -> None:
    assert broken_rules(sources, table, PLACES[table.id].replace(".", "_1.", 1)) == []


def test_day_2_breaks_the_contract_only_where_it_says(sources: Sources) -> None:
    broken = {table.id: broken_rules(sources, table, PLACES[table.id]) for table in TABLES}
    assert broken == {
        "erp.customers": ["email pattern 2", "segment enum 1"],
        "erp.products": ["unit_price minimum 1"],
        "shop.orders": ["status enum 2"],
        "shop.order_items": ["product_id required 2", "quantity minimum 2"],
    }
    assert sum(sources.count("broken_row", table) for table in TABLES) == 10


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.id)
def test_keys_are_unique_on_day_1(sources: Sources, table: SourceTable) -> None:
    place = PLACES[table.id].replace(".", "_1.", 1)
    assert sources.one(f"select count(*) - count(distinct ({', '.join(table.keys)})) from {place}") == 0


# --- day 1 ---


def test_every_cpf_has_right_check_digits(sources: Sources) -> None:
    def check_digit(digits: str) -> int:
        weighted = sum(int(d) * w for d, w in zip(digits, range(len(digits) + 1, 1, -1), strict=True))
        return weighted * 10 % 11 % 10

    numbers = sources.all("select TAX_ID from erp.RETAIL.CUSTOMERS")
    assert len(set(numbers)) == len(numbers)
    assert all(n[9:] == f"{check_digit(n[:9])}{check_digit(n[:10])}" for n in numbers)
    assert not [n for n in numbers if len(set(n)) == 1]


def test_emails_are_ascii_and_some_are_missing(sources: Sources) -> None:
    assert sources.one("select count(*) from erp_1.RETAIL.CUSTOMERS where EMAIL <> strip_accents(EMAIL)") == 0
    assert 0.01 < sources.one("select avg((EMAIL is null)::int) from erp_1.RETAIL.CUSTOMERS") < 0.12


def test_products_cost_less_than_their_price(sources: Sources) -> None:
    assert sources.one("select count(*) from erp_1.RETAIL.PRODUCTS where UNIT_COST >= UNIT_PRICE") == 0


def test_orders_refer_to_customers_who_were_there(sources: Sources) -> None:
    orphans = """
    select count(*) from shop_1.dbo.orders o left join erp_1.RETAIL.CUSTOMERS c on c.CUSTOMER_ID = o.customer_id
        and c.CREATED_AT <= o.ordered_at - interval 3 hours
    where c.CUSTOMER_ID is null
    """
    assert sources.one(orphans) == 0


def test_items_refer_to_orders_and_products(sources: Sources) -> None:
    orphans = """
    select count(*) from shop_1.dbo.order_items i
    left join shop_1.dbo.orders o using (order_id, order_date)
    left join erp_1.RETAIL.PRODUCTS p on p.PRODUCT_ID = i.product_id and p.CREATED_AT <= i.updated_at - interval 3 hours
    where o.order_id is null or p.PRODUCT_ID is null or not p.IS_ACTIVE
    """
    assert sources.one(orphans) == 0
    assert sources.one("select count(*) from shop_1.dbo.orders anti join shop_1.dbo.order_items using (order_id)") == 0


def test_items_carry_the_price_in_force_when_ordered(sources: Sources) -> None:
    differing = """
    select count(*) from shop_1.dbo.order_items i join erp_1.RETAIL.PRODUCTS p on p.PRODUCT_ID = i.product_id
    where i.unit_price <> p.UNIT_PRICE and i.updated_at - interval 3 hours {} p.UPDATED_AT
    """
    assert sources.one(differing.format(">=")) == 0
    assert sources.one(differing.format("<")) > 0


def test_discount_never_exceeds_the_line(sources: Sources) -> None:
    assert sources.one("select count(*) from shop_1.dbo.order_items where discount > quantity * unit_price") == 0


def test_order_states_fit_their_age(sources: Sources) -> None:
    old = f"ordered_at < timestamp '{DAY_1_END}' - interval 15 days"
    assert set(sources.all(f"select distinct status from shop_1.dbo.orders where {old}")) == {"DELIVERED", "CANCELLED"}
    assert sources.one("select count(distinct status) from shop_1.dbo.orders") == 5
    assert sources.one("select count(*) from shop_1.dbo.orders where updated_at < ordered_at") == 0
    assert sources.one("select count(*) from shop_1.dbo.orders where order_date <> ordered_at::date") == 0


@pytest.mark.parametrize(
    ("day", "place", "offset"),
    [
        (DAY_1_END, "erp_1.RETAIL.CUSTOMERS", -3),
        (DAY_2_END, "erp.RETAIL.CUSTOMERS", -3),
        (DAY_1_END, "shop_1.dbo.orders", 0),
        (DAY_2_END, "shop.dbo.orders", 0),
        (DAY_1_END, "shop_1.dbo.order_items", 0),
        (DAY_2_END, "shop.dbo.order_items", 0),
    ],
)
def test_the_newest_change_lies_shortly_before_the_end_of_the_day(
    sources: Sources, day: Any, place: str, offset: int
) -> None:
    newest = sources.one(f"select max(updated_at) from {place} where updated_at < timestamp '2090-01-01'")
    assert timedelta(0) < day + timedelta(hours=offset) - newest < timedelta(minutes=5)


def test_creating_day_1_again_replaces_the_files(tmp_path: Path) -> None:
    world = world_of()
    create_day_1(world, SourceFiles(tmp_path))
    apply_day_2(world, SourceFiles(tmp_path))
    create_day_1(world, SourceFiles(tmp_path))
    with duckdb.connect(tmp_path / "erp.duckdb", read_only=True) as connection:
        assert fingerprint(
            connection.sql("from RETAIL.CUSTOMERS order by CUSTOMER_ID").to_arrow_table()
        ) == fingerprint(world.rows(CUSTOMERS, 1))
