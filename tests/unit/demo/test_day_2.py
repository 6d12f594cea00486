from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from ingestion.demo.clock import LOST_DAY
from ingestion.demo.files import SourceFiles
from ingestion.demo.tables import CUSTOMERS, ORDER_ITEMS, ORDERS, PRODUCTS, TABLES, SourceTable
from ingestion.demo.world import apply_day_2, create_day_1
from ingestion.errors import ConfigurationError
from tests.unit.demo.sources import DAY_1_END, DAY_2_END, PLACES, Sources, fingerprint, world_of


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.id)
def test_changes_bring_the_files_to_the_state_of_day_2(sources: Sources, table: SourceTable) -> None:
    found = sources.connection.sql(f"from {PLACES[table.id]} order by all").to_arrow_table()
    expected = world_of().rows(table, 2)
    assert found.schema.names == expected.schema.names
    assert fingerprint(found) == fingerprint(duckdb.sql("from expected order by all").to_arrow_table())


def test_day_2_applied_twice_is_applied_once(tmp_path: Path) -> None:
    world = world_of()
    create_day_1(world, SourceFiles(tmp_path))
    assert apply_day_2(world, SourceFiles(tmp_path)) == apply_day_2(world, SourceFiles(tmp_path))
    with duckdb.connect(tmp_path / "shop.duckdb", read_only=True) as connection:
        found = connection.sql("from dbo.order_items order by order_id, line_number").to_arrow_table()
    assert fingerprint(found) == fingerprint(world.rows(ORDER_ITEMS, 2))


def test_day_2_without_day_1_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Create day 1 first"):
        apply_day_2(world_of(), SourceFiles(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_real_day_of_trade_happens(sources: Sources) -> None:
    joined = "erp.RETAIL.CUSTOMERS b join erp_1.RETAIL.CUSTOMERS a using (CUSTOMER_ID)"
    assert (
        sources.one("select count(*) from erp.RETAIL.CUSTOMERS anti join erp_1.RETAIL.CUSTOMERS using (CUSTOMER_ID)")
        == 20
    )
    assert sources.one(f"select count(*) from {joined} where a.CITY <> b.CITY and a.REGION <> b.REGION") == 12
    assert sources.one(f"select count(*) from {joined} where a.SEGMENT <> b.SEGMENT") == 8 + 1 + 1
    arrived = "shop.dbo.orders b anti join shop_1.dbo.orders a using (order_id)"
    assert sources.one(f"select count(*) from {arrived} where ordered_at >= timestamp '{DAY_1_END}'") > 20
    new = "(select CUSTOMER_ID from erp_1.RETAIL.CUSTOMERS)"
    assert sources.one(f"select count(*) from shop.dbo.orders where customer_id not in {new}") > 0
    moved = "shop.dbo.orders b join shop_1.dbo.orders a using (order_id) where a.status <> b.status"
    assert set(sources.all(f"select distinct b.status from {moved}")) == {"PAID", "SHIPPED", "DELIVERED", "CANCELLED", "RETURNED"}  # fmt: skip


@pytest.mark.parametrize(("table", "key"), [(CUSTOMERS, "CUSTOMER_ID"), (PRODUCTS, "PRODUCT_ID")])
def test_deleted_rows_are_gone_and_have_no_trade_on_day_2(sources: Sources, table: SourceTable, key: str) -> None:
    place = PLACES[table.id]
    gone = f"select {key} from {place.replace('.', '_1.', 1)} anti join {place} using ({key})"
    assert len(sources.all(gone)) == sources.count("hard_delete", table) > 0
    trade = "shop.dbo.orders" if table is CUSTOMERS else "shop.dbo.order_items"
    day_2 = f"select count(*) from {trade} where {key} in ({gone}) and updated_at >= timestamp '{DAY_1_END}'"
    assert sources.one(f"{day_2} and order_id not in (select order_id from shop_1.dbo.orders)") == 0
    assert sources.one(f"select count(*) from {trade.replace('.', '_1.', 1)} where {key} in ({gone})") > 0


def test_key_changed_twice_shows_its_last_state_only(sources: Sources) -> None:
    world = world_of()
    steps = world._connection.execute(
        "select product_id, list(price order by happened_at) from product_changes group by 1 having count(*) > 1"
    ).fetchall()
    assert len(steps) == sources.count("changed_twice", PRODUCTS) == 1
    (product, (passing, last)) = steps[0]
    prices = [
        sources.one(f"select (UNIT_PRICE * 100)::int from {erp}.RETAIL.PRODUCTS where PRODUCT_ID = {product}")
        for erp in ("erp_1", "erp")
    ]
    assert prices[1] == last
    assert len({prices[0], passing, last}) == 3
    (segments,) = world._connection.execute(
        "select list(segment order by happened_at) from customer_changes where kind = 'segment_twice'"
    ).fetchall()[0]
    assert len(set(segments)) == 2
    assert sources.count("changed_twice", CUSTOMERS) == 1


def test_every_changed_customer_and_product_has_a_new_change_time(sources: Sources) -> None:
    for place, key in (("RETAIL.CUSTOMERS", "CUSTOMER_ID"), ("RETAIL.PRODUCTS", "PRODUCT_ID")):
        columns = "* exclude (UPDATED_AT, LOYALTY_TIER)" if key == "CUSTOMER_ID" else "* exclude (UPDATED_AT)"
        changed = f"(select {key} from (select {columns} from erp.{place} except select * exclude (UPDATED_AT) from erp_1.{place}))"
        stale = f"select count(*) from erp.{place} where {key} in {changed} and UPDATED_AT < timestamp '{DAY_1_END}' - interval 3 hours"
        assert sources.one(stale) == 0


def test_unannounced_column_is_there_and_filled_for_touched_customers(sources: Sources) -> None:
    filled = sources.one("select count(LOYALTY_TIER) from erp.RETAIL.CUSTOMERS")
    touched = sources.one(
        f"select count(*) from erp.RETAIL.CUSTOMERS where UPDATED_AT >= timestamp '{DAY_1_END}' - interval 3 hours"
    )
    assert filled == touched == sources.count("new_column", CUSTOMERS)


def test_one_order_item_is_there_twice(sources: Sources) -> None:
    twice = "select count(*) from (select order_id from shop.dbo.order_items group by order_id, line_number having count(*) = 2)"
    same = "select count(*) - (select count(*) from (select distinct * from shop.dbo.order_items)) from shop.dbo.order_items"
    assert sources.one(twice) == sources.one(same) == sources.count("duplicate_key", ORDER_ITEMS) == 1


def test_one_order_comes_from_a_broken_clock(sources: Sources) -> None:
    future = f"select count(*) from shop.dbo.orders where updated_at > timestamp '{DAY_2_END}'"
    assert sources.one(future) == sources.count("broken_clock", ORDERS) == 1
    assert sources.one(f"{future} and year(updated_at) = 2099") == 1


@pytest.mark.parametrize("table", [ORDERS, ORDER_ITEMS], ids=lambda t: t.id)
def test_tied_rows_arrive_with_the_newest_change_time_of_day_1(sources: Sources, table: SourceTable) -> None:
    place = PLACES[table.id]
    tied = f"""
    select count(*) from {place} anti join {place.replace(".", "_1.", 1)} using ({", ".join(table.keys)})
    where updated_at = (select max(updated_at) from {place.replace(".", "_1.", 1)})
    """
    assert sources.one(tied) == sources.count("tied_watermark", table) > 0


@pytest.mark.parametrize("table", [ORDERS, ORDER_ITEMS], ids=lambda t: t.id)
def test_late_rows_lie_within_the_overlap_and_lost_ones_far_behind(sources: Sources, table: SourceTable) -> None:
    place = PLACES[table.id]
    arrived = f"""
    select count(*) from {place} b anti join {place.replace(".", "_1.", 1)} a using ({", ".join(table.keys)}),
        (select max(updated_at) as newest from {place.replace(".", "_1.", 1)})
    where updated_at < newest and newest - updated_at
    """
    within = sources.one(f"{arrived} between interval 55 minutes and interval 65 minutes")
    behind = sources.one(f"{arrived} > interval 7 days and order_date = date '{LOST_DAY}'")
    assert within == sources.count("late_commit", table) > 0
    assert behind == sources.count("lost_day", table) > 0
    assert sources.one(f"{arrived} >= interval 0 seconds") == within + behind


def test_the_lost_day_is_empty_on_day_1_and_its_neighbours_are_not(sources: Sources) -> None:
    for place in ("orders", "order_items"):
        counts = f"""
        select count(*) from range(date '{LOST_DAY}' - 1, date '{LOST_DAY}' + 2, interval 1 day) d(day)
        left join shop_1.dbo.{place} o on o.order_date = d.day group by day order by day
        """
        missing = f"select count(*) from shop_1.dbo.{place} where order_date = date '{LOST_DAY}'"
        assert sources.one(missing) == 0
        assert all(count > 1 for index, count in enumerate(sources.all(counts)) if index != 1)


def test_broken_rows_stay_below_the_quarantine_limit(sources: Sources) -> None:
    for table in TABLES:
        changes = world_of().changes(table)
        arriving = changes.inserts.num_rows + changes.updates.num_rows
        read = 90 if table is PRODUCTS else arriving
        assert sources.count("broken_row", table) + 2 * sources.count("duplicate_key", table) < 0.10 * read
