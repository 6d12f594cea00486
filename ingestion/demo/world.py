"""A retail company for the demo: an ERP and a shop, on day 1 and one day later, with realistic changes and faults.

Its rows depend only on seed and scale and are the same on every machine and date. `World` makes the rows;
`create_day_1` and `apply_day_2` write them to the two systems: two DuckDB files, or servers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import pyarrow as pa

from ingestion.demo import chance, customers, orders, products, troubles
from ingestion.demo.clock import DAY_1, DAY_2
from ingestion.demo.tables import NEW_COLUMNS, TABLES, Changes, SourceTable
from ingestion.demo.troubles import Trouble
from ingestion.lake import duck
from ingestion.lake.duck import Connection

__all__ = ["DAY_1", "DAY_2", "Trouble", "World", "apply_day_2", "create_day_1"]

Day = Literal[1, 2]


@dataclass(frozen=True)
class World:
    """
    The generator. Scale 1 is about 2,000 customers, 300 products, 20,000 orders and 50,000 order items.

    Below a scale of about 0.3 the tables do not get smaller, so that the bad rows of day 2 stay a small share. Built on
    first use and kept in memory; for one thread at a time.
    """

    seed: int = 7
    scale: float = 1.0

    def rows(self, table: SourceTable, day: Day) -> pa.Table:
        """Return the whole table at the end of a day, ordered by key, with the source's names and types."""
        new = NEW_COLUMNS.get(table.id, ()) if day == 2 else ()
        return _arrow(self._connection, _state(table, day, (*table.columns, *new)))

    def changes(self, table: SourceTable) -> Changes:
        """Return what day 2 changes in a table: new rows, changed rows and deleted keys."""
        new = NEW_COLUMNS.get(table.id, ())
        keys = ", ".join(table.keys)
        before = _state(table, 1, table.columns)
        same = _state(table, 2, table.columns)
        after = _state(table, 2, (*table.columns, *new))
        return Changes(
            table=table,
            new_columns=new,
            inserts=self._ordered(f"from ({after}) where ({keys}) not in (select ({keys}) from ({before}))", keys),
            updates=self._ordered(
                f"from ({after}) where ({keys}) in (select ({keys}) from ((from ({same})) except (from ({before})))) "
                f"and ({keys}) in (select ({keys}) from ({before}))",
                keys,
            ),
            deletes=self._ordered(
                f"select {keys} from ({before}) where ({keys}) not in (select ({keys}) from ({same}))", keys
            ),
        )

    def troubles(self) -> list[Trouble]:
        """Return the faults that day 2 adds on purpose, in the order in which the demo shows them."""
        return troubles.planted(self._connection)

    def _ordered(self, statement: str, keys: str) -> pa.Table:
        return _arrow(self._connection, f"from ({statement}) order by {keys}")

    @cached_property
    def _connection(self) -> Connection:
        """A connection with all tables of the generator, made in the order of their dependencies."""
        connection = duck.connect()
        chance.prepare(connection, self.seed, _sizes(self.scale))
        customers.create_customers(connection)
        products.create_products(connection)
        orders.create_orders(connection)
        customers.create_customer_changes(connection)
        products.create_product_changes(connection)
        orders.create_order_items(connection)
        return connection


class Sources(Protocol):
    """A place that stores the tables of the two systems."""

    def replace(self, tables: Iterable[tuple[SourceTable, pa.Table]]) -> None: ...

    def apply(self, changes: Iterable[Changes]) -> None: ...


def create_day_1(world: World, sources: Sources) -> None:
    """Write both systems in their state at `DAY_1`; an earlier demo's tables are replaced."""
    sources.replace((table, world.rows(table, 1)) for table in TABLES)


def apply_day_2(world: World, sources: Sources) -> list[Trouble]:
    """
    Change the systems from their state at day 1 to `DAY_2`, and return the faults that were added.

    Raises:
        ConfigurationError: the systems of day 1 do not exist.
    """
    sources.apply(world.changes(table) for table in TABLES)
    return world.troubles()


def _sizes(scale: float) -> dict[str, int]:
    """Return the number of rows of each kind at the end of day 1, and of changes on day 2."""
    if not scale > 0:
        raise ValueError(f"scale must be greater than 0, not {scale}")

    def sized(count: int, at_least: int) -> int:
        return max(at_least, round(count * scale))

    return {
        "customers": sized(2_000, 400),
        "products": sized(300, 90),
        "orders": sized(20_000, 6_000),
        "new_customers": sized(25, 20),
        "moved_customers": sized(18, 12),
        "resegmented_customers": sized(10, 8),
        "repriced_products": sized(8, 5),
    }


def _state(table: SourceTable, day: Day, columns: Iterable[tuple[str, str]]) -> str:
    """Return the query of a table at the end of a day, with the source's names and types."""
    listed = ", ".join(f'{name.lower()}::{type_} as "{name}"' for name, type_ in columns)
    return f"select {listed} from {table.entity}_at(day_{day}()) order by {', '.join(table.keys)}"


def _arrow(connection: Connection, statement: str) -> pa.Table:
    return connection.sql(statement).to_arrow_table()
