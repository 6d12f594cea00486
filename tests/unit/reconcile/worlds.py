"""Two DuckDB databases that stand for a source and its lake, and what was planted between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa

from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Column, Contract, Mode, Reconcile
from ingestion.reconcile.comparison import Comparison
from ingestion.reconcile.hashes import RowPlan, plan_row
from ingestion.reconcile.leaves import DETAILS, Finding
from ingestion.reconcile.ports import duckdb_lake, source_side
from ingestion.reconcile.sql_side import SqlSide

TYPES = {
    "id": (pa.int64(), "BIGINT"),
    "code": (pa.string(), "VARCHAR"),
    "line": (pa.int32(), "INTEGER"),
    "amount": (pa.decimal128(12, 2), "DECIMAL(12,2)"),
    "note": (pa.string(), "VARCHAR"),
    "day": (pa.date32(), "DATE"),
    "changed_at": (pa.timestamp("us"), "TIMESTAMP"),
}
Row = dict[str, Any]


def contract(keys: Sequence[str] = ("id",), *, partition: str | None = None, grain: str = "month") -> Contract:
    names = [*keys, *(name for name in ("amount", "note", "day", "changed_at"))]
    columns = tuple(
        Column(name, name, "string", TYPES[name][1], TYPES[name][0], key_position=at + 1 if name in keys else None)
        for at, name in enumerate(names)
    )
    return Contract(
        id="shop.sales",
        version="1.0.0",
        system="shop",
        entity="sales",
        dialect="duckdb",
        source_table=("sales",),
        columns=columns,
        timezone="UTC",
        mode=Mode.INCREMENTAL,
        silver_model="stg_sales",
        watermark="changed_at",
        reconcile=Reconcile(partition=partition, grain=grain),
    )


def row(**values: Any) -> Row:
    number = values.get("id", 1)
    day = date(2026, 1, 1) + timedelta(days=number % 90)
    return {
        "amount": Decimal(number) / 100,
        "note": f"n{number}",
        "day": day,
        "changed_at": datetime(2026, 1, 1) + timedelta(seconds=number),
    } | values


@dataclass
class World:
    """A source and a lake; both can be asked through `sides`, and by hand through `source` and `lake`."""

    contract: Contract
    source: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    lake: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    queries: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        columns = ", ".join(f'"{name}" {TYPES[name][1]}' for name in self.contract.arrow_schema.names)
        for connection in (self.source, self.lake):
            connection.execute("set timezone = 'UTC'")
            connection.execute(f"create table sales ({columns})")

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()
        self.lake.close()

    def fill(self, source: Iterable[Row], lake: Iterable[Row]) -> None:
        for connection, rows in ((self.source, source), (self.lake, lake)):
            arrived = pa.Table.from_pylist(list(rows), schema=self.contract.arrow_schema)
            connection.register("arrived", arrived)
            connection.execute("insert into sales by name select * from arrived")
            connection.unregister("arrived")

    @property
    def found(self) -> tuple[FoundColumn, ...]:
        return tuple(FoundColumn(c.name, c.physical_type, c.arrow_type, True, "duckdb") for c in self.contract.columns)

    @property
    def plan(self) -> RowPlan:
        return plan_row(self.contract, self.found)

    def sides(self, *, where: str = "", in_flight: str | None = None) -> tuple[SqlSide, SqlSide]:
        def run(query: str, schema: pa.Schema) -> pa.Table:
            self.queries.append(query)
            return self.source.execute(query).to_arrow_table().rename_columns(schema.names).cast(schema)

        there = source_side(self.contract, self.found, self.plan, run, relation="sales", where=where)
        return there, duckdb_lake(self.contract, self.plan, self.lake, rows="sales", in_flight=in_flight)


def keys_of(comparison: Comparison) -> dict[Finding, set[tuple[Any, ...]]]:
    """Return the keys of what was found as sets of tuples, kinds without any left out."""
    keys = {kind: found.drop_columns(list(DETAILS)) for kind, found in comparison.found.items()}
    return {kind: {tuple(r.values()) for r in table.to_pylist()} for kind, table in keys.items() if table.num_rows}
