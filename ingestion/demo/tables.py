"""The four source tables with the two systems' columns, in DuckDB's types; and one day's changes of such a table."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table with its system's names. `id` is the contract's; the file has neither keys nor constraints."""

    id: str
    schema: str
    name: str
    keys: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]

    @property
    def system(self) -> str:
        return self.id.split(".")[0]

    @property
    def entity(self) -> str:
        """The name of the generator's table macro, without `_at`."""
        return self.id.split(".")[1]

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of one table on day 2. To apply: add columns, delete `deletes` and the keys of `updates`, insert both.

    `inserts` and `updates` have complete rows in column order, new columns last; `deletes` has keys. A key may occur
    twice in `inserts`.
    """

    table: SourceTable
    new_columns: tuple[tuple[str, str], ...]
    inserts: pa.Table
    updates: pa.Table
    deletes: pa.Table


CUSTOMERS = SourceTable(
    id="erp.customers",
    schema="RETAIL",
    name="CUSTOMERS",
    keys=("CUSTOMER_ID",),
    columns=(
        ("CUSTOMER_ID", "DECIMAL(12,0)"),
        ("CUSTOMER_NAME", "VARCHAR"),
        ("EMAIL", "VARCHAR"),
        ("PHONE", "VARCHAR"),
        ("TAX_ID", "VARCHAR"),
        ("SEGMENT", "VARCHAR"),
        ("REGION", "VARCHAR"),
        ("CITY", "VARCHAR"),
        ("CREDIT_LIMIT", "DECIMAL(14,2)"),
        ("CREATED_AT", "TIMESTAMP"),
        ("UPDATED_AT", "TIMESTAMP"),
    ),
)
PRODUCTS = SourceTable(
    id="erp.products",
    schema="RETAIL",
    name="PRODUCTS",
    keys=("PRODUCT_ID",),
    columns=(
        ("PRODUCT_ID", "DECIMAL(12,0)"),
        ("SKU", "VARCHAR"),
        ("PRODUCT_NAME", "VARCHAR"),
        ("CATEGORY", "VARCHAR"),
        ("BRAND", "VARCHAR"),
        ("UNIT_PRICE", "DECIMAL(12,2)"),
        ("UNIT_COST", "DECIMAL(12,2)"),
        ("CURRENCY", "VARCHAR"),
        ("IS_ACTIVE", "DECIMAL(1,0)"),
        ("CREATED_AT", "TIMESTAMP"),
        ("UPDATED_AT", "TIMESTAMP"),
    ),
)
ORDERS = SourceTable(
    id="shop.orders",
    schema="dbo",
    name="orders",
    keys=("order_id",),
    columns=(
        ("order_id", "BIGINT"),
        ("customer_id", "BIGINT"),
        ("order_date", "DATE"),
        ("status", "VARCHAR"),
        ("channel", "VARCHAR"),
        ("currency", "VARCHAR"),
        ("shipping_fee", "DECIMAL(12,2)"),
        ("ordered_at", "TIMESTAMP"),
        ("updated_at", "TIMESTAMP"),
    ),
)
ORDER_ITEMS = SourceTable(
    id="shop.order_items",
    schema="dbo",
    name="order_items",
    keys=("order_id", "line_number"),
    columns=(
        ("order_id", "BIGINT"),
        ("line_number", "INTEGER"),
        ("product_id", "BIGINT"),
        ("quantity", "INTEGER"),
        ("unit_price", "DECIMAL(12,2)"),
        ("discount", "DECIMAL(12,2)"),
        ("order_date", "DATE"),
        ("updated_at", "TIMESTAMP"),
    ),
)
TABLES = (CUSTOMERS, PRODUCTS, ORDERS, ORDER_ITEMS)
NEW_COLUMNS = {CUSTOMERS.id: (("LOYALTY_TIER", "VARCHAR"),)}
