"""Both days of the retail world through the whole product, held against computations that share none of its code."""

from __future__ import annotations

import shutil
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.build.as_of import build_as_of
from ingestion.build.dbt import build_layer
from ingestion.demo import show
from ingestion.demo.files import SourceFiles
from ingestion.demo.tables import TABLES
from ingestion.demo.world import DAY_1, DAY_2, Trouble, World, apply_day_2, create_day_1
from ingestion.gaps.record import record_sync_gap
from ingestion.gaps.repair import repair_table
from ingestion.lake import duck
from ingestion.lake.layout import open_lake
from ingestion.load.load_table import load_table
from ingestion.load.result import LoadResult
from ingestion.reconcile.gap import GapReport
from ingestion.runs.context import Context, open_context
from ingestion.settings import Settings
from tests.dbt.data_tests import without_data_tests
from tests.dbt.test_gold_calendar import counted_off
from tests.docs.queries import read_queries

pytestmark = pytest.mark.xdist_group("retail")
ROOT = Path(__file__).parents[2]
WORLD = World(seed=11, scale=0.3)
QUERIES = read_queries()


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
        self.known_on_day_1 = self.content(self.settings.lake_root)
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

    @staticmethod
    def content(root: str) -> dict[str, list[tuple[Any, ...]]]:
        """Return all rows of Silver and Gold in the lake at `root`."""
        lake = open_lake(root)
        names = [f"{t.schema}.{t.name}" for t in lake.tables() if t.schema in ("silver", "gold")]
        with duck.connect(lake) as connection:
            return {name: connection.execute(f"from {name} order by all").fetchall() for name in names}

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


def test_sql_beside_every_check_counts_on_both_sides_what_the_check_counted(played: Played) -> None:
    recorded = played.context(2).journal.select(
        "select contract_id, source_count, lake_count, \"partition\" is null and severity = 'OK' as is_newest, "
        "runbook_sql from ops.gaps order by checked_at"
    )
    counted, told = {}, {}
    for row in recorded:
        source, lake = row["runbook_sql"].split("-- on the lake: lakehouse sql\n")
        file = show.world_folder(played.settings) / f"{row['contract_id'].split('.')[0]}.duckdb"
        with duckdb.connect(str(file), read_only=True) as connection:
            there = connection.execute(source).fetchall()[0][0]
        here = played.lake(lake)[0][0]
        if row["is_newest"]:
            counted[row["contract_id"]] = (there, here)
            told[row["contract_id"]] = (row["source_count"], row["lake_count"])

    assert len(recorded) > len(told) == len(played.contracts)
    assert counted == told


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
    with without_data_tests():
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
    incremental = played.content(played.settings.lake_root)

    with without_data_tests():
        build_layer(played.context(2), "all", full_refresh=True)

    assert played.content(played.settings.lake_root) == incremental
    assert len(incremental) == 8


def test_what_was_known_on_day_1_is_built_again_after_day_2(played: Played, tmp_path: Path) -> None:
    [(run_id,)] = played.lake("select run_id from ops.runs where step = 'load' order by finished_at limit 1")
    before = played.versions()

    with without_data_tests():
        rebuilt = build_as_of(played.context(2), [run_id], str(tmp_path / "day 1"))

    assert played.content(rebuilt.root) == played.known_on_day_1 != played.content(played.settings.lake_root)
    assert rebuilt.batches == dict.fromkeys(played.contracts, 1)
    assert played.versions() == before


def test_no_personal_value_is_in_a_delta_log(played: Played) -> None:
    """Statistics would carry minima and maxima of names and addresses into every log."""
    [(name, email)] = played.lake("select min(customer_name), min(email) from silver.stg_customers")
    lake = Path(played.settings.lake_root)
    logs = [path.read_text() for path in lake.glob("*/**/_delta_log/*.json")]

    assert len(logs) > 20
    assert not [text for text in logs if name in text or email in text]


def test_the_queries_of_the_documents_answer_by_month_and_segment(played: Played) -> None:
    generated = [
        (month // 100, month % 100, segment, net, units) for month, segment, net, units, _ in from_the_generator()
    ]

    assert played.lake(QUERIES["What was the revenue of each segment per month?"]) == generated


def test_the_queries_of_the_documents_answer_by_category(played: Played) -> None:
    answer = played.lake(QUERIES["Which categories are profitable?"])

    generated = from_the_generator()
    assert sum(net for _, net, *_ in answer) == sum(net for _, _, net, _, _ in generated)
    assert sum(profit for _, _, profit, *_ in answer) == sum(profit for *_, profit in generated)
    assert {category for category, *_ in answer} == {"Electronics", "Home", "Toys", "Sports", "Fashion", "Grocery"}
    assert all(
        float(margin) == round(100 * float(profit / (net - blind)), 1) for _, net, profit, margin, blind in answer
    )


def test_the_queries_of_the_documents_answer_by_cancellations(played: Played) -> None:
    orders = dict(played.lake("select order_id, (channel, status) from silver.stg_orders where is_current"))
    lines = played.lake(
        "select order_id, quantity * unit_price - discount from silver.stg_order_items where is_current"
    )
    sold: dict[str, set[int]] = defaultdict(set)
    cancelled: dict[str, set[int]] = defaultdict(set)
    lost: dict[str, Decimal] = defaultdict(Decimal)
    for order_id, amount in lines:
        channel, status = orders.get(order_id, ("UNKNOWN", "UNKNOWN"))
        sold[channel].add(order_id)
        if status == "CANCELLED":
            cancelled[channel].add(order_id)
            lost[channel] += amount

    answer = played.lake(QUERIES["What do cancellations cost, by channel?"])

    assert answer == [(c, len(sold[c]), len(cancelled[c]), lost[c]) for c in sorted(sold)]
    assert sum(count for _, _, count, _ in answer) > 100


def test_the_queries_of_the_documents_answer_by_the_segment_of_now(played: Played) -> None:
    versions: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in played.lake(
        "select customer_id, valid_from, valid_to, segment, is_deleted from silver.stg_customers order by 1, 2"
    ):
        versions[row[0]].append(row)
    placed = dict(
        played.lake(
            "select order_id, (customer_id, ordered_at at time zone 'UTC', status) from silver.stg_orders where is_current"
        )
    )
    expected: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for order_id, amount in played.lake(
        "select order_id, quantity * unit_price - discount from silver.stg_order_items where is_current"
    ):
        customer_id, moment, status = placed.get(order_id, (None, None, None))
        known = versions.get(customer_id, []) if customer_id else []
        was = [row[3] for row in known[:1] + [row for row in known if row[1] <= moment]][-1:] or ["Unknown"]
        now = ["Gone" if row[4] else row[3] for row in known[-1:]] or ["Unknown"]
        expected[was[0], now[0]] += 0 if status == "CANCELLED" else amount

    answer = played.lake(QUERIES["What if every customer had always been in today's segment?"])

    assert {(was, now): net for was, now, net in answer} == expected
    assert any(was != now != "Gone" for was, now, _ in answer)


def test_the_queries_of_the_documents_answer_by_retail_period(played: Played) -> None:
    calendar = counted_off(1, 1, [4, 4, 5])
    status = dict(played.lake("select order_id, status from silver.stg_orders where is_current"))
    units: dict[tuple[int, int], int] = defaultdict(int)
    for order_id, day, quantity in played.lake(
        "select order_id, order_date, quantity from silver.stg_order_items where is_current"
    ):
        year, _, period, _ = calendar[day]
        units[year, period] += 0 if status.get(order_id) == "CANCELLED" else quantity

    answer = played.lake(QUERIES["How does this retail period compare with the one before?"])

    periods = sorted(units)
    changes = [None, *(units[b] - units[a] for a, b in pairwise(periods))]
    assert answer == [(*period, units[period], change) for period, change in zip(periods, changes, strict=True)]
    assert len(answer) > 5


def from_the_generator() -> list[tuple[Any, ...]]:
    """
    Compute sales straight from the generator: the last good state of each row, the customer of the moment.

    A row that turned bad on day 2 counts as it was on day 1; what never was good, or came twice, does not count.
    An order that is not there (its only state is bad) leaves its lines to the unknown customer.
    """
    with duckdb.connect() as con:
        for table in TABLES:
            for day in (1, 2):
                con.register(f"{table.entity}_{day}", WORLD.rows(table, day))
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
