"""Both days of one small world as files, opened side by side."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import yaml

from ingestion.demo.files import SourceFiles
from ingestion.demo.tables import CUSTOMERS, ORDER_ITEMS, ORDERS, PRODUCTS, SourceTable
from ingestion.demo.world import DAY_1, DAY_2, Trouble, World, apply_day_2, create_day_1

CONTRACTS = Path(__file__).parents[3] / "data_contracts"
SMALL = 0.3
DAY_1_END = DAY_1.replace(tzinfo=None)
DAY_2_END = DAY_2.replace(tzinfo=None)
PLACES = {
    CUSTOMERS.id: "erp.RETAIL.CUSTOMERS",
    PRODUCTS.id: "erp.RETAIL.PRODUCTS",
    ORDERS.id: "shop.dbo.orders",
    ORDER_ITEMS.id: "shop.dbo.order_items",
}


class Sources:
    """Both files as they stood on day 1 (`erp_1`, `shop_1`) and on day 2 (`erp`, `shop`)."""

    def __init__(self, folder: Path) -> None:
        world = world_of()
        create_day_1(world, SourceFiles(folder / "before"))
        create_day_1(world, SourceFiles(folder / "after"))
        self.troubles = apply_day_2(world, SourceFiles(folder / "after"))
        self.connection = duckdb.connect()
        for system in ("erp", "shop"):
            self.connection.execute(f"attach '{folder / 'before' / system}.duckdb' as {system}_1 (read_only)")
            self.connection.execute(f"attach '{folder / 'after' / system}.duckdb' as {system} (read_only)")

    def one(self, statement: str) -> Any:
        (row,) = self.connection.execute(statement).fetchall()
        return row[0]

    def all(self, statement: str) -> list[Any]:
        return [row[0] for row in self.connection.execute(statement).fetchall()]

    def planted(self, kind: str, table: SourceTable) -> list[Trouble]:
        return [t for t in self.troubles if (t.kind, t.table) == (kind, table.id)]

    def count(self, kind: str, table: SourceTable) -> int:
        return sum(t.rows for t in self.planted(kind, table))


@cache
def world_of(seed: int = 7, scale: float = SMALL) -> World:
    return World(seed=seed, scale=scale)


def contract_of(table: SourceTable) -> dict[str, Any]:
    text = (CONTRACTS / table.system / f"{table.entity}.odcs.yaml").read_text("utf-8")
    schema: dict[str, Any] = yaml.safe_load(text)["schema"][0]
    return schema


def fingerprint(table: pa.Table) -> str:
    return hashlib.sha256(repr(table.to_pydict()).encode()).hexdigest()


def broken_rules(sources: Sources, table: SourceTable, place: str) -> list[str]:
    """Return `column rule` for each promise of the contract that rows break, and how many rows."""
    broken = []
    for promise in contract_of(table)["properties"]:
        name, options = promise["physicalName"], promise.get("logicalTypeOptions", {})
        faults = {"required": f"{name} is null"} if promise.get("required") else {}
        if "pattern" in options:
            faults["pattern"] = f"not regexp_matches({name}, '{options['pattern']}')"
        if "maxLength" in options:
            faults["maxLength"] = f"length({name}) > {options['maxLength']}"
        if "minimum" in options:
            faults["minimum"] = f"{name} < {options['minimum']}"
        for check in promise.get("quality", []):
            if check["metric"] == "invalidValues":
                faults["enum"] = f"{name} not in {tuple(check['arguments']['validValues'])}".replace(",)", ")")
        for rule, fault in faults.items():
            rows = sources.one(f"select count(*) from {place} where {fault}")
            if rows:
                broken.append(f"{name.lower()} {rule} {rows}")
    return broken
