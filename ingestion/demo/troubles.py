"""The faults that day 2 adds to the two systems on purpose, and a sentence about each for people."""

from __future__ import annotations

from dataclasses import dataclass

from ingestion.demo import clock
from ingestion.lake.duck import Connection


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that goes wrong on day 2. `table` is the contract's id, `rows` counts rows of the source table."""

    kind: str
    table: str
    rows: int
    what: str


# kind, table, sentence, statement that counts the rows
_PLANTED = [
    (
        "hard_delete",
        "erp.customers",
        "Customers were deleted for good; old orders still refer to them.",
        "select count(*) from customer_changes where kind = 'deleted'",
    ),
    (
        "hard_delete",
        "erp.products",
        "Products were deleted for good; old order items still refer to them.",
        "select count(*) from product_changes where kind = 'deleted'",
    ),
    (
        "changed_twice",
        "erp.customers",
        "A customer's segment changed twice between the loads; only the last one can be seen.",
        "select count(distinct customer_id) from customer_changes where kind = 'segment_twice'",
    ),
    (
        "changed_twice",
        "erp.products",
        "A product's price changed twice between the loads; only the last one can be seen.",
        "select count(distinct product_id) from product_changes where kind = 'price_twice'",
    ),
    (
        "new_column",
        "erp.customers",
        "A column nobody announced, LOYALTY_TIER, appeared; it is filled for customers touched since.",
        "select count(*) from customers_at(day_2()) where loyalty_tier is not null",
    ),
    (
        "broken_row",
        "erp.customers",
        "Customers were changed to an e-mail without @.",
        "select count(*) from customer_changes where kind = 'broken_email'",
    ),
    (
        "broken_row",
        "erp.customers",
        "A customer was moved to a segment that the contract does not know.",
        "select count(*) from customer_changes where kind = 'unknown_segment'",
    ),
    (
        "broken_row",
        "erp.products",
        "A product was given a negative price.",
        "select count(*) from product_changes where kind = 'negative_price'",
    ),
    (
        "broken_row",
        "shop.orders",
        "Delivered orders went to a status that the contract does not know.",
        "select count(*) from order_flaws where flaw = 'unknown_status'",
    ),
    (
        "broken_row",
        "shop.order_items",
        "Order items have the quantity 0.",
        "select count(*) from line_flaws where flaw = 'no_quantity'",
    ),
    (
        "broken_row",
        "shop.order_items",
        "Order items name no product.",
        "select count(*) from line_flaws where flaw = 'no_product'",
    ),
    (
        "duplicate_key",
        "shop.order_items",
        "An order item is in the table twice, row for row.",
        "select count(*) from line_flaws where flaw = 'twice'",
    ),
    (
        "broken_clock",
        "shop.orders",
        f"An order carries a change time in the year {clock.BROKEN_CLOCK.year}.",
        "select count(*) from order_flaws where flaw = 'broken_clock'",
    ),
    (
        "tied_watermark",
        "shop.orders",
        "An order carries exactly the newest change time of day 1, but came after that load.",
        "select count(*) from orders where role = 'tied'",
    ),
    (
        "tied_watermark",
        "shop.order_items",
        "The items of that order, with the newest change time of day 1 too.",
        "select count(*) from order_lines join orders using (order_id) where role = 'tied'",
    ),
    (
        "late_commit",
        "shop.orders",
        "A transaction committed after the load of day 1, with times about an hour before that load's newest.",
        "select count(*) from orders where role = 'late'",
    ),
    (
        "late_commit",
        "shop.order_items",
        "The items of the late transaction, with the same old times.",
        "select count(*) from order_lines join orders using (order_id) where role = 'late'",
    ),
    (
        "lost_day",
        "shop.orders",
        f"All orders of {clock.LOST_DAY} were imported with their old times, far behind the watermark.",
        "select count(*) from orders where role = 'lost_day'",
    ),
    (
        "lost_day",
        "shop.order_items",
        f"The items of the orders of {clock.LOST_DAY}, far behind the watermark too.",
        "select count(*) from order_lines join orders using (order_id) where role = 'lost_day'",
    ),
]


def planted(connection: Connection) -> list[Trouble]:
    """Return the faults of day 2, with their numbers of rows."""
    return [
        Trouble(kind, table, int(connection.execute(statement).fetchall()[0][0]), what)
        for kind, table, what, statement in _PLANTED
    ]
