"""Facts that are computed where something changed are the facts that are computed whole, whatever the days bring."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.dbt.gold import config_of, lake_facts, render
from tests.dbt.macros import load_macros
from tests.examples import examples

SILVER = {
    "stg_customers": "erp.customers",
    "stg_products": "erp.products",
    "stg_orders": "shop.orders",
    "stg_order_items": "shop.order_items",
}
DIMENSIONS = ["dim_customer", "dim_product"]
BASE = datetime(2026, 1, 1, tzinfo=UTC)
SQL_TYPES = {
    "int64": "bigint",
    "int32": "integer",
    "string": "varchar",
    "bool": "boolean",
    "date32[day]": "date",
    "timestamp[us]": "timestamp",
}
HOURS = st.integers(0, 9)
IDS = st.integers(-1, 3)


def event(table: str, **values: Any) -> Any:
    return st.fixed_dictionaries({"_op": st.sampled_from("RUUD"), "_hour": HOURS, **values}).map(
        lambda row: (table, row)
    )


customers = event("stg_customers", customer_id=st.integers(1, 3), segment=st.sampled_from(["A", "B"]))
products = event(
    "stg_products",
    product_id=st.integers(1, 3),
    unit_cost=st.sampled_from([1, 2]),
    currency=st.sampled_from(["BRL", "EUR"]),
)
orders = event(
    "stg_orders",
    order_id=st.integers(1, 4),
    customer_id=st.one_of(st.none(), IDS),
    status=st.sampled_from(["NEW", "PAID", "CANCELLED"]),
    currency=st.just("BRL"),
    ordered_hour=HOURS,
)
items = event(
    "stg_order_items",
    order_id=st.integers(1, 4),
    line_number=st.integers(1, 2),
    product_id=st.one_of(st.none(), IDS),
    quantity=st.integers(1, 3),
    unit_price=st.just(10),
    discount=st.integers(0, 2),
    order_date=st.sampled_from([BASE.date(), datetime(9999, 1, 1).date()]),
)
# a day: what arrives, and which dimensions are built before the facts
days = st.lists(
    st.tuples(
        st.lists(st.one_of(customers, products, orders, items), max_size=8),
        st.sets(st.sampled_from(DIMENSIONS), min_size=1),
    ),
    min_size=2,
    max_size=4,
)


class Star:
    """Bronze, Silver and Gold as tables of one connection. Facts are kept by `follow`, or computed whole by `whole`."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, sql: Mapping[str, str], macros: Mapping[str, Any]
    ) -> None:
        self.con, self.sql, self.macros = connection, sql, macros
        self.config = config_of("fact_sales")
        connection.execute("set timezone = 'UTC'")
        connection.execute("set variable mask_salt = ''")
        for model, contract_id in SILVER.items():
            facts = lake_facts(contract_id)
            columns = [
                f"{name} {SQL_TYPES.get(type_, type_.replace('decimal128', 'decimal'))}"
                for name, type_ in facts.types.items()
            ]
            metadata = "_op varchar, _eff timestamptz, _seq bigint, _batch bigint, _row bigint"
            connection.execute(f"create table bronze_{model} ({', '.join(columns)}, {metadata})")
            connection.execute(f"create table {model} as {self.sql[model]}")
        for model in (*DIMENSIONS, "fact_sales"):
            connection.execute(f"create table {model} as {self.sql[model]}")
        self.remember()

    def arrive(self, batch: int, events: list[tuple[str, dict[str, Any]]]) -> None:
        for number, (model, told) in enumerate(events):
            row = dict(told, _eff=BASE + timedelta(hours=told["_hour"]), _seq=0, _batch=batch, _row=number)
            del row["_hour"]
            if "ordered_hour" in row:
                row["ordered_at"] = (BASE + timedelta(hours=row.pop("ordered_hour"))).replace(tzinfo=None)
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            self.con.execute(f"insert into bronze_{model} ({names}) values ({marks})", list(row.values()))

    def build(self, dimensions: set[str]) -> None:
        for model in (*SILVER, *(name for name in DIMENSIONS if name in dimensions)):
            self.con.execute(f"create or replace table {model} as {self.sql[model]}")

    def remember(self) -> None:
        for model in (*SILVER, *DIMENSIONS):
            self.con.execute(f"create or replace table {model}__was as from {model}")

    def changed(self, model: str, which: str) -> str:
        """Return the macro's query of changed rows; all rows of a version lie in one file of its own."""
        columns = [name for name, *_ in self.con.execute(f"describe {model}").fetchall()]
        scans = {
            "gone": f"(select *, 'was' as filename from {model}__was)",
            "come": f"(select *, 'is' as filename from {model})",
        }
        found: str = self.macros["changed_rows"](scans, {"gone": "'was'", "come": "'is'"}, columns, which)
        return found

    def follow(self) -> set[int]:
        """Compute what changes have touched; return it."""
        rows = [self.changed(model, which) for model in self.config["rows_of"] for which in ("gone", "come")]
        members = []
        for key, model in self.config["members_of"].items():
            columns = [name for name, *_ in self.con.execute(f"describe {model}").fetchall() if name != key]
            members.append({"key": key, "gone": self.changed(model, "gone"), "now": model, "columns": columns})
        asked = self.macros["touched_facts"](
            "fact_sales", self.config["computed_per"], self.config["moment"], rows, members
        )
        self.con.execute(f"create or replace table touched as {asked}")
        narrow = self.sql["fact_sales"]
        for model in self.config["rows_of"]:
            narrow = narrow.replace(
                f"from {model}", f"from (select * from {model} where order_id in (select order_id from touched))"
            )
        self.con.execute(f"create or replace table fresh as {narrow}")
        self.con.execute("delete from fact_sales where order_id in (select order_id from touched)")
        self.con.execute("insert into fact_sales from fresh")
        self.remember()
        return {order_id for (order_id,) in self.con.execute("from touched").fetchall()}

    def facts(self, source: str = "fact_sales") -> list[tuple[Any, ...]]:
        return self.con.execute(f"select * from {source} order by sales_sk").fetchall()

    def whole(self) -> list[tuple[Any, ...]]:
        return self.facts(f"({self.sql['fact_sales']})")


@pytest.fixture(scope="module")
def sql() -> dict[str, str]:
    history = load_macros()["scd2_history"]
    silver = {model: history(f"bronze_{model}", lake_facts(contract_id)) for model, contract_id in SILVER.items()}
    return {**silver, **{model: render(model) for model in (*DIMENSIONS, "fact_sales")}}


@examples(20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=days)
def test_facts_that_follow_changes_are_the_facts_computed_whole(
    sql: dict[str, str], log: list[tuple[list[tuple[str, dict[str, Any]]], set[str]]]
) -> None:
    with duckdb.connect() as connection:
        star = Star(connection, sql, load_macros())
        for batch, (events, dimensions) in enumerate(log, 1):
            star.arrive(batch, events)
            star.build(dimensions)
            star.follow()

            assert star.facts() == star.whole()
            keys = [row[0] for row in star.facts()]
            assert len(keys) == len(set(keys))


ORDER = {"_op": "R", "status": "PAID", "currency": "BRL", "customer_id": 1}
LINE = {
    "_op": "R",
    "line_number": 1,
    "product_id": 1,
    "quantity": 1,
    "unit_price": 10,
    "discount": 0,
    "order_date": BASE.date(),
}
PRODUCT = {"_op": "R", "product_id": 1, "currency": "BRL"}


@pytest.fixture
def star(sql: dict[str, str]) -> Any:
    """A star with one product, known from hour 1 on, and three orders of it, of the hours 2, 4 and 6."""
    with duckdb.connect() as connection:
        star = Star(connection, sql, load_macros())
        sales = [
            event
            for hour in (2, 4, 6)
            for event in (
                ("stg_orders", {**ORDER, "order_id": hour, "_hour": hour, "ordered_hour": hour}),
                ("stg_order_items", {**LINE, "order_id": hour, "_hour": hour}),
            )
        ]
        star.arrive(1, [*sales, ("stg_products", {**PRODUCT, "unit_cost": 3, "_hour": 1})])
        star.build(set(DIMENSIONS))
        star.follow()
        yield star


@pytest.mark.parametrize(("hour", "touched"), [(9, set()), (5, {6}), (4, {4, 6}), (3, {4, 6}), (0, {2, 4, 6})])
def test_a_new_version_touches_only_the_facts_from_its_moment_on(star: Star, hour: int, touched: set[int]) -> None:
    star.arrive(2, [("stg_products", {**PRODUCT, "unit_cost": 5, "_hour": hour})])
    star.build(set(DIMENSIONS))

    assert star.follow() == touched
    assert star.facts() == star.whole()


def test_a_change_of_another_product_or_customer_touches_nothing(star: Star) -> None:
    star.arrive(2, [("stg_products", {**PRODUCT, "product_id": 2, "unit_cost": 5, "_hour": 0})])
    star.build(set(DIMENSIONS))

    assert star.follow() == set()


def test_facts_whose_dimension_came_later_than_they_are_looked_at_again(star: Star) -> None:
    star.arrive(2, [("stg_orders", {**ORDER, "order_id": 4, "customer_id": 3, "_hour": 5, "ordered_hour": 4})])
    star.build(set())
    star.follow()
    before = star.con.execute("select order_id from fact_sales where customer_sk = '-1'").fetchall()
    star.build({"dim_customer"})

    assert star.follow() == {4}
    assert before == [(4,)]
    assert star.facts() == star.whole()


def test_an_inferred_customer_is_replaced_when_its_row_comes(star: Star) -> None:
    query = (
        "select customer_id, is_inferred, count(*) from fact_sales join dim_customer using (customer_sk) group by all"
    )
    before = star.con.execute(query).fetchall()
    star.arrive(2, [("stg_customers", {"_op": "R", "customer_id": 1, "segment": "A", "_hour": 9})])
    star.build(set(DIMENSIONS))

    assert star.follow() == {2, 4, 6}
    assert (before, star.con.execute(query).fetchall()) == ([(1, True, 3)], [(1, False, 3)])
    assert star.con.execute("select count(*) from dim_customer where is_inferred").fetchone() == (0,)


def test_a_cancellation_corrects_its_row_and_adds_none(star: Star) -> None:
    star.arrive(2, [("stg_orders", {**ORDER, "order_id": 4, "status": "CANCELLED", "_hour": 30, "ordered_hour": 4})])
    star.build(set(DIMENSIONS))

    assert star.follow() == {4}
    rows = star.con.execute(
        "select order_id, order_status, cancelled_date_key, units_sold, net_revenue::varchar from fact_sales order by 1"
    ).fetchall()
    assert rows == [(2, "PAID", -2, 1, "10.00"), (4, "CANCELLED", 20260102, 0, "0.00"), (6, "PAID", -2, 1, "10.00")]
