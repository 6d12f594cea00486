"""Silver is a function of Bronze: an incremental run, a rebuild and an independent fold give the same history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.dbt.macros import load_macros
from tests.examples import examples

BESIDE = 10  # random logs that go through one build, each under keys of its own
FACTS: dict[str, Any] = {
    "key": ["id", "part"],
    "columns": ["id", "part", "colour", "size", "note"],
    "types": {"id": "int64", "part": "string", "colour": "string", "size": "decimal128(10, 2)", "note": "string"},
    "tracked": ["colour", "size"],
}


class Facts(dict):  # type: ignore[type-arg]
    """A dict whose keys read as attributes, as in Jinja under dbt."""

    __getattr__ = dict.__getitem__


PLACED = "(select *, 'silver' as _file, rowid as _pos from silver)"
BASE = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = "id, part, colour, size::varchar, note, valid_from, valid_to, is_current, is_deleted"
DDL = (
    "create table bronze (id bigint, part varchar, colour varchar, size decimal(10,2), note varchar, _op varchar, "
    "_eff timestamptz, _seq bigint, _batch bigint, _row bigint)"
)

ARRIVED: dict[str, pa.DataType] = {
    **dict.fromkeys(["id", "seq", "batch", "row"], pa.int64()),
    **dict.fromkeys(["part", "colour", "size", "note", "op"], pa.string()),
    "eff": pa.timestamp("us", "UTC"),
}


@dataclass(frozen=True)
class Event:
    id: int
    part: str
    colour: str | None
    size: str | None
    note: str | None
    op: str
    hour: int
    seq: int
    batch: int = 0
    row: int = 0

    @property
    def order(self) -> tuple[int, int, int, int]:
        return (self.seq, int(self.op == "D"), self.batch, self.row)

    @property
    def state(self) -> tuple[str | None, str | None] | None:
        return None if self.op == "D" else (self.colour, self.size)


events = st.builds(
    Event,
    id=st.integers(1, 2),
    part=st.sampled_from(["x", "y"]),
    colour=st.sampled_from([None, "", "red", "blue", "a=1:b;"]),
    size=st.sampled_from([None, "0.00", "1.10", "-1.10"]),
    note=st.sampled_from([None, "n1", "n2"]),
    op=st.sampled_from(["R", "U", "U", "I", "D"]),
    hour=st.integers(0, 8),
    seq=st.integers(0, 2),
)
logs = st.lists(st.lists(events, max_size=8), min_size=1, max_size=5)


def beside(logs: list[list[list[Event]]]) -> list[list[Event]]:
    """Return one log whose batch n holds the batches n of several, which share no key."""
    return [
        [
            replace(event, id=event.id + 10 * place)
            for place, log in enumerate(logs)
            for batch in log[at : at + 1]
            for event in batch
        ]
        for at in range(max(len(log) for log in logs))
    ]


def numbered(log: list[list[Event]], again: list[int]) -> list[list[Event]]:
    """Number batches and rows; batches named in `again` are delivered once more as later batches."""
    batches = [*log, *(log[i % len(log)] for i in again)]
    return [
        [replace(event, batch=number, row=row) for row, event in enumerate(batch, 1)]
        for number, batch in enumerate(batches, 1)
    ]


def fold(log: list[Event]) -> list[tuple[Any, ...]]:
    """Return the history by another road than SQL: plain Python, key by key, moment by moment."""
    by_key: dict[tuple[int, str], dict[int, list[Event]]] = defaultdict(lambda: defaultdict(list))
    for event in log:
        by_key[event.id, event.part][event.hour].append(event)
    rows = []
    for (id_, part), by_hour in by_key.items():
        versions: list[Event] = []
        known: Event | None = None
        for hour in sorted(by_hour):
            event = max(by_hour[hour], key=lambda e: e.order)
            if known is None and event.op == "D":
                continue
            if known is None or event.state != known.state:
                versions.append(event)
            known = event
        for place, event in enumerate(versions):
            shown = versions[place - 1] if event.op == "D" else event
            end = BASE + timedelta(hours=versions[place + 1].hour) if place + 1 < len(versions) else None
            rows.append(
                (id_, part, shown.colour, shown.size, shown.note, BASE + timedelta(hours=event.hour), end,
                 end is None and event.op != "D", event.op == "D")
            )  # fmt: skip
    return sorted(rows, key=lambda r: (r[0], r[1], r[5]))


@dataclass(frozen=True)
class Sql:
    """The project's SQL for one table: its whole history, and what `target` lacks since a batch."""

    full: str
    macros: Mapping[str, Callable[..., str]]

    def difference(self, connection: duckdb.DuckDBPyConnection, since: int, target: str = PLACED) -> str | None:
        """Return the difference as the materialization asks for it; None where no batch after `since` has rows."""
        news = connection.execute(self.macros["scd2_news"]("bronze", since)).fetchone()
        if news is None or news[0] == 0:
            return None
        return self.macros["scd2_difference"]("bronze", target, Facts(FACTS), since, news[1])


@pytest.fixture(scope="module")
def sql() -> Sql:
    macros = load_macros()
    return Sql(macros["scd2_history"]("bronze", Facts(FACTS)), macros)


def insert(connection: duckdb.DuckDBPyConnection, batch: list[Event]) -> None:
    names = ["id", "part", "colour", "size", "note", "op", "eff", "seq", "batch", "row"]
    rows = [[getattr(e, name) if name != "eff" else BASE + timedelta(hours=e.hour) for e in batch] for name in names]
    arrived = pa.Table.from_arrays([pa.array(row, ARRIVED[n]) for n, row in zip(names, rows, strict=True)], names)
    connection.register("arrived", arrived)
    connection.execute("insert into bronze select * from arrived")
    connection.unregister("arrived")


def apply(connection: duckdb.DuckDBPyConnection, difference: str | None) -> int:
    """Apply a difference to `silver` by the keys of its rows; return how many they are."""
    if difference is None:
        return 0
    connection.execute(f"create or replace temp table difference as {difference}")
    connection.execute("delete from silver where sk in (select sk from difference where _change <> 'I')")
    connection.execute(
        "insert into silver by name select * exclude (_change, _file, _pos) from difference where _change <> 'D'"
    )
    return len(connection.execute("from difference").fetchall())


def history(connection: duckdb.DuckDBPyConnection, source: str) -> list[tuple[Any, ...]]:
    return connection.execute(f"select {COLUMNS} from {source} order by id, part, valid_from").fetchall()


@examples(30, suppress_health_check=list(HealthCheck))
@given(
    some=st.lists(logs, min_size=BESIDE, max_size=BESIDE),
    again=st.lists(st.integers(0, 9), max_size=2),
    pause=st.integers(1, 3),
)
def test_incremental_run_rebuild_and_fold_give_the_same_history(
    sql: Sql, some: list[list[list[Event]]], again: list[int], pause: int
) -> None:
    batches = numbered(beside(some), again)
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(DDL)
        connection.execute(f"create table silver as {sql.full}")
        since = 0
        for number, batch in enumerate(batches, 1):
            insert(connection, batch)
            if number % pause and number < len(batches):
                continue  # several batches between two builds
            apply(connection, sql.difference(connection, since))
            assert apply(connection, sql.difference(connection, since)) == 0, (
                "a second run of the same range found a difference"
            )
            since = number

        expected = fold([event for batch in batches for event in batch])
        assert history(connection, f"({sql.full})") == expected
        assert history(connection, "silver") == expected
        stored = connection.execute("select sk, row_hash from silver order by sk").fetchall()
        assert stored == connection.execute(f"select sk, row_hash from ({sql.full}) order by sk").fetchall()


@examples(20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=logs, seed=st.randoms(use_true_random=False))
def test_the_order_in_which_rows_lie_in_the_log_does_not_matter(sql: Sql, log: list[list[Event]], seed: Any) -> None:
    rows = [event for batch in numbered(log, []) for event in batch]
    found = []
    for _ in range(2):
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            connection.execute(DDL)
            insert(connection, rows)
            found.append(history(connection, f"({sql.full})"))
        seed.shuffle(rows)

    assert found[0] == found[1]


def test_a_new_column_that_is_null_changes_no_hash() -> None:
    macros = load_macros()
    types = {"a": "string", "b": "string"}
    before, after = (macros["sparse_text"](columns, types) for columns in (["a"], ["a", "b"]))
    with duckdb.connect() as connection:
        connection.execute("create table t as select 'x' as a, null::varchar as b")

        assert connection.execute(f"select ({before}) = ({after}) from t").fetchone() == (True,)


def test_two_rows_that_differ_never_share_a_text() -> None:
    """Lengths leave no room: 'x;b=1:y' in one column is not 'x' and 'y' in two."""
    macros = load_macros()
    text = macros["sparse_text"](["a", "b"], {"a": "string", "b": "string"})
    with duckdb.connect() as connection:
        connection.execute(
            "create table t as select * from (values ('x;b=1:y', null), ('x;b=:y', null), ('x', 'y'), (null, 'x'), ('', null), (null, null)) v(a, b)"
        )

        assert connection.execute(f"select count(distinct ({text})) from t").fetchone() == (6,)
