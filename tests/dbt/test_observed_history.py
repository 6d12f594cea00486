"""Silver tells what the loads saw, in the order in which they saw it, whatever watermarks and clocks say."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from ingestion.bronze import changes
from ingestion.bronze.rows import Stamp, bronze_rows, bronze_schema, effective_time
from ingestion.contracts.model import Column, Contract, Mode, NullWatermark
from tests.dbt.macros import load_macros
from tests.dbt.test_history import Facts
from tests.examples import examples

ZONE = "America/New_York"
BASE = datetime(2026, 10, 31, 20)  # the hour from 1 to 2 o'clock comes twice on the next day
COLUMNS = (
    Column("id", "id", "integer", "BIGINT", pa.int64(), required=True, key_position=1),
    Column("colour", "colour", "string", "VARCHAR", pa.string()),
    Column("changed_at", "changed_at", "timestamp", "TIMESTAMP", pa.timestamp("us")),
)
CONTRACT = Contract(
    "s.t", "1.0.0", "s", "t", "duckdb", ("main", "t"), COLUMNS, ZONE, Mode.INCREMENTAL, "stg_t", watermark="changed_at",
    null_watermark=NullWatermark.INCLUDE,
)  # fmt: skip
FACTS = Facts(
    key=["id"], columns=["id", "colour", "changed_at"], tracked=["colour"],
    types={"id": "int64", "colour": "string", "changed_at": "timestamp[us]"},
)  # fmt: skip


Row = tuple[str, int | None]


@dataclass(frozen=True)
class Load:
    """A state of the source (per key colour and watermark, None: no row), its clock, and where the window begins."""

    rows: tuple[Row | None, ...]
    clock: int
    low: int | None


rows = st.none() | st.tuples(st.sampled_from(["red", "blue"]), st.none() | st.integers(0, 12))
loads = st.lists(
    st.builds(
        Load, rows=st.tuples(rows, rows), clock=st.integers(0, 12), low=st.none() | st.integers(0, 12)
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip


def wall(hour: int | None) -> datetime | None:
    return None if hour is None else BASE + timedelta(hours=hour)


class Loader:
    """A load's statements over tables in memory: the window, the deletes, and the rows that the lake lacks."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, contract: Contract) -> None:
        self.connection = connection
        self.contract = contract
        self.batch = 0
        self.seen: dict[int, list[Row | None]] = defaultdict(lambda: [None])
        self.offer("empty", [], datetime(2026, 1, 1, tzinfo=UTC))
        connection.execute("create table bronze as from empty")
        connection.execute("create view events as from bronze")

    def offer(self, view: str, keys: list[tuple[int, str, int | None]], moment: datetime, op: str = "U") -> None:
        columns = [[k for k, *_ in keys], [c for _, c, _ in keys], [wall(w) for *_, w in keys]]
        good = pa.RecordBatch.from_arrays(
            [pa.array(values, c.arrow_type) for values, c in zip(columns, COLUMNS, strict=True)],
            [c.name for c in COLUMNS],
        )
        stamped = bronze_rows(self.contract, good, Stamp(self.batch, op, moment, 0, moment), first_row=1)
        self.connection.register("offered", pa.Table.from_batches([stamped], bronze_schema(self.contract)))
        self.connection.execute(f"create or replace table {view} as from offered")

    def found(self, news: changes.NewRows) -> str:
        for name, query in news.steps:
            self.connection.execute(f"create or replace table {name} as {query}")
        return news.query

    def load(self, load: Load) -> None:
        self.batch += 1
        moment = wall(load.clock).replace(tzinfo=UTC)  # type: ignore[union-attr]
        there = {k: row for k, row in enumerate(load.rows, 1) if row is not None}
        since = None if load.low is None else effective_time(self.contract, str(wall(load.low)))
        window = {k: r for k, r in there.items() if load.low is None or r[1] is None or r[1] >= load.low}
        self.offer("staged", [(k, *row) for k, row in window.items()], moment)
        content = self.contract.content_names
        news = changes.changed_state(self.contract, content, op="U", moment=moment, since=since)
        self.connection.execute(f"create or replace table news as {self.found(news)}")
        self.connection.register("keys", pa.table({"id": pa.array(list(there), pa.int64())}))
        self.connection.execute("create or replace table source_keys as from keys")
        self.connection.execute("create or replace table refused_keys as from source_keys limit 0")
        self.connection.execute(f"create or replace table gone_keys as {changes.vanished_keys(self.contract)}")
        lacking = [key for (key,) in self.connection.execute(changes.lacking_keys(self.contract)).fetchall()]
        gone = changes.delete_rows(
            self.contract, moment=moment, sequence=0, batch=self.batch, first_row=50, ingested_at=moment
        )
        self.connection.execute(f"insert into news by name {gone}")
        self.offer("staged", [(k, *there[k]) for k in lacking], moment, op="R")
        fetched = changes.changed_state(self.contract, content, op="R", moment=moment)
        self.connection.execute(
            f"insert into bronze by name select * from news union all by name {self.found(fetched)}"
        )
        for key in range(1, len(load.rows) + 1):
            last = self.seen[key][-1]
            if key not in there or key in window or last is None or last[1] is None:
                self.seen[key].append(there.get(key))


def told(states: list[Row | None]) -> list[str | None]:
    """Return the colours of a sequence of states without repetitions and without what came before the first row."""
    kept: list[str | None] = [None]
    for state in states:
        colour = state[0] if state is not None else None
        if colour != kept[-1]:
            kept.append(colour)
    return kept[1:]


@pytest.fixture(scope="module")
def history() -> str:
    return load_macros()["scd2_history"]("bronze", FACTS)


@examples(20, suppress_health_check=list(HealthCheck))
@given(some=loads)
@example(some=[Load((("red", None),), 1, None), Load((("blue", 2),), 3, None), Load((("red", None),), 12, 4)])
@example(some=[Load((("red", None),), 5, None), Load((("blue", 2),), 6, 4)])
def test_history_tells_the_states_that_the_loads_saw_in_their_order(history: str, some: list[Load]) -> None:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        has_nulls = any(row is not None and row[1] is None for load in some for row in load.rows)
        loader = Loader(connection, CONTRACT if has_nulls else replace(CONTRACT, null_watermark=NullWatermark.FAIL))
        for load in some:
            loader.load(load)
        query = f"select id, case when not is_deleted then colour end from ({history}) order by id, valid_from"
        found: dict[int, list[Any]] = defaultdict(list)
        for key, colour in connection.execute(query).fetchall():
            found[key].append(colour)

    assert dict(found) == {key: told(states) for key, states in loader.seen.items() if told(states)}
