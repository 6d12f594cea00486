"""Both days of the retail world through the whole product, held against computations that share none of its code."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.demo import show
from ingestion.demo.files import SourceFiles
from ingestion.demo.tables import TABLES
from ingestion.demo.world import DAY_1, DAY_2, Trouble, World, apply_day_2, create_day_1
from ingestion.lake import duck
from ingestion.pipelines.build import build_layer
from ingestion.pipelines.context import Context, open_context
from ingestion.pipelines.gaps import record_sync_gap
from ingestion.pipelines.load import load_table
from ingestion.pipelines.repair import repair_table
from ingestion.pipelines.steps import LoadResult
from ingestion.reconcile.gap import GapReport
from ingestion.settings import Settings

pytestmark = pytest.mark.xdist_group("retail")
ROOT = Path(__file__).parents[2]
WORLD = World(seed=11, scale=0.3)


class Played:
    """The retail world after both days, and what was reported on the way."""

    def __init__(self, folder: Path) -> None:
        for name in ("data_contracts", "dbt_project"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("target", "logs"))
        self.settings = Settings(project=folder, lake_root=str(folder / "lake"))
        self.contracts = [contract.id for contract in show.initialise_demo(self.settings)]
        world = show.world_folder(self.settings)
        world.mkdir()
        create_day_1(WORLD, SourceFiles(world))
        self.day_1 = self.load(self.context(1))
        build_layer(self.context(1), "all")
        self.troubles: list[Trouble] = apply_day_2(WORLD, SourceFiles(world))
        self.day_2 = self.load(self.context(2))
        self.before = self.gaps()
        for contract_id in ("shop.orders", "shop.order_items"):
            repair_table(self.context(2), contract_id)
        self.after = self.gaps()
        build_layer(self.context(2), "all")

    def context(self, day: int) -> Context:
        return open_context(show.demo_settings(self.settings, DAY_1 if day == 1 else DAY_2))

    def load(self, context: Context) -> dict[str, LoadResult]:
        return {contract_id: load_table(context, contract_id) for contract_id in self.contracts}

    def gaps(self) -> dict[str, GapReport]:
        return {contract_id: record_sync_gap(self.context(2), contract_id) for contract_id in self.contracts}

    def planted(self, kind: str, table: str) -> int:
        return sum(t.rows for t in self.troubles if (t.kind, t.table) == (kind, table))

    def lake(self, query: str) -> list[tuple[Any, ...]]:
        with duck.connect(self.context(2).lake) as connection:
            return connection.execute(query).fetchall()

    def versions(self) -> dict[str, int]:
        context = self.context(2)
        return {t.uri: context.engine.version(t.uri) for t in context.lake.tables() if t.schema != "ops"}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played(tmp_path_factory.mktemp("retail"))


def test_every_bad_row_is_in_quarantine_and_no_other(played: Played) -> None:
    bad = {
        "erp.customers": played.planted("broken_row", "erp.customers"),
        "erp.products": played.planted("broken_row", "erp.products"),
        "shop.orders": played.planted("broken_row", "shop.orders") + played.planted("broken_clock", "shop.orders"),
        "shop.order_items": played.planted("broken_row", "shop.order_items")
        + 2 * played.planted("duplicate_key", "shop.order_items"),
    }

    assert {name: load.quarantined for name, load in played.day_2.items()} == bad
    assert all(load.quarantined == 0 for load in played.day_1.values())


def test_every_deleted_row_is_a_tombstone(played: Played) -> None:
    for table in ("erp.customers", "erp.products"):
        assert played.day_2[table].deleted == played.planted("hard_delete", table) > 0


def test_the_new_column_is_reported_and_not_loaded(played: Played) -> None:
    assert [drift.split(":")[0] for drift in played.day_2["erp.customers"].drift] == ["new_column LOYALTY_TIER"]


def test_the_lost_day_is_found_by_its_date_and_closed(played: Played) -> None:
    for table in ("shop.orders", "shop.order_items"):
        before, after = played.before[table], played.after[table]

        assert before.missing_keys == before.sync_gap == played.planted("lost_day", table)
        assert before.missing_partitions == ("2026-02-10",)
        assert (before.severity, after.severity, after.sync_gap) == ("CRITICAL", "OK", 0)


def test_tables_without_lost_rows_raise_no_alarm(played: Played) -> None:
    assert {played.before[table].severity for table in ("erp.customers", "erp.products")} == {"OK"}


def test_rows_committed_late_or_tied_with_the_watermark_are_in_the_lake(played: Played) -> None:
    lake = {row[0] for row in played.lake("select order_id from silver.stg_orders where is_current")}
    with duckdb.connect(str(show.world_folder(played.settings) / "shop.duckdb"), read_only=True) as source:
        late = source.execute(
            "select order_id from dbo.orders where status in ('NEW', 'PAID', 'SHIPPED', 'DELIVERED', 'CANCELLED') "
            "and updated_at < '2099-01-01'"
        ).fetchall()

    assert {order_id for (order_id,) in late} <= lake


def test_a_second_run_of_the_day_commits_nothing_outside_the_ledger(played: Played) -> None:
    before = played.versions()

    again = played.load(played.context(2))
    build_layer(played.context(2), "all")

    assert [load.batch for load in again.values()] == [None] * 4
    assert played.versions() == before


def test_gold_is_what_the_generators_rows_say_to_the_cent(played: Played) -> None:
    gold = played.lake(
        "select d.calendar_year * 100 + d.calendar_month, c.segment, sum(f.net_revenue), sum(f.units_sold), "
        "sum(f.gross_profit) from gold.fact_sales f join gold.dim_date d on d.date_key = f.order_date_key "
        "join gold.dim_customer c using (customer_sk) group by 1, 2 order by 1, 2"
    )

    assert gold == from_the_generator()
    assert len(gold) > 20


def test_a_full_refresh_gives_the_same_silver_and_gold(played: Played) -> None:
    tables = [t for t in played.context(2).lake.tables() if t.schema in ("silver", "gold")]
    reads = {f"{t.schema}.{t.name}": f"select * from {t.schema}.{t.name} order by all" for t in tables}
    incremental = {name: played.lake(query) for name, query in reads.items()}

    build_layer(played.context(2), "all", full_refresh=True)

    assert {name: played.lake(query) for name, query in reads.items()} == incremental
    assert len(incremental) == 8


def test_no_personal_value_is_in_a_delta_log(played: Played) -> None:
    """Statistics would carry minima and maxima of names and addresses into every log."""
    [(name, email)] = played.lake("select min(customer_name), min(email) from silver.stg_customers")
    lake = Path(played.settings.lake_root)
    logs = [path.read_text() for path in lake.glob("*/**/_delta_log/*.json")]

    assert len(logs) > 20
    assert not [text for text in logs if name in text or email in text]


def from_the_generator() -> list[tuple[Any, ...]]:
    """
    Compute sales straight from the generator: the last good state of each row, the customer of the moment.

    A row that turned bad on day 2 counts as it was on day 1; what never was good, or came twice, does not count.
    An order that is not there (its only state is bad) leaves its lines to the unknown customer.
    """
    with duckdb.connect() as con:
        for table in TABLES:
            for day in (1, 2):
                con.register(f"{table.entity}_{day}", WORLD.rows(table, day))  # type: ignore[arg-type]
        con.execute(
            """
            create table good_orders as
            with good as (
                select * from orders_2
                where status in ('NEW', 'PAID', 'SHIPPED', 'DELIVERED', 'CANCELLED') and updated_at < '2099-01-01'
            )
            select * from good
            union all by name
            select o1.* from orders_1 o1 where o1.order_id in (select order_id from orders_2)
                and o1.order_id not in (select order_id from good);

            create table good_items as
            select * from order_items_2 i
            where quantity > 0 and product_id is not null
                and (select count(*) from order_items_2 t where t.order_id = i.order_id and t.line_number = i.line_number) = 1;

            create table segments as  -- the segment that holds from a moment on, in UTC
            with good_2 as (
                select * from customers_2
                where (EMAIL is null or EMAIL like '%@%.%')
                    and SEGMENT in ('Consumer', 'Small Business', 'Corporate', 'Public Sector')
            )
            select CUSTOMER_ID as id, SEGMENT as segment, timestamp '1900-01-01' as since from customers_1
            union all
            select b.CUSTOMER_ID, b.SEGMENT,
                case when a.CUSTOMER_ID is null then timestamp '1900-01-01'
                    else b.UPDATED_AT + interval 3 hour end  -- Sao Paulo is UTC-3 all year since 2019
            from good_2 b left join customers_1 a using (CUSTOMER_ID)
            where a.CUSTOMER_ID is null or a.UPDATED_AT <> b.UPDATED_AT;
            """
        )
        return con.execute(
            """
            with lines as (
                select i.*, o.customer_id, o.ordered_at, coalesce(o.status = 'CANCELLED', false) as cancelled,
                    p.UNIT_COST as unit_cost
                from good_items i
                left join good_orders o using (order_id)
                left join products_1 p on p.PRODUCT_ID = i.product_id  -- costs of day 1: no order is younger than the change
            ),
            placed as (
                select l.*, coalesce(arg_max(s.segment, s.since), 'Unknown') as segment
                from lines l left join segments s on s.id = l.customer_id and s.since <= l.ordered_at
                group by all
            )
            select year(order_date) * 100 + month(order_date), segment,
                sum(case when cancelled then 0 else quantity * unit_price - discount end)::decimal(38, 2),
                sum(case when cancelled then 0 else quantity end),
                sum(case when cancelled then 0 else quantity * (unit_price - unit_cost) - discount end)::decimal(38, 2)
            from placed group by 1, 2 order by 1, 2
            """
        ).fetchall()
