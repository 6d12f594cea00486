"""The data tests of Silver, each against a history that breaks its invariant, and the invariants no one state can show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import jinja2
import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.dbt.gold import lake_facts
from tests.dbt.macros import PROJECT, load_macros
from tests.examples import examples

GENERIC = PROJECT / "tests" / "generic"
FACTS = lake_facts("erp.products")
MACROS = load_macros()
HISTORY = MACROS["scd2_history"]("bronze", FACTS)
TESTS = [
    "versions_run_forward",
    "versions_do_not_overlap",
    "versions_leave_no_gap",
    "one_version_is_current",
    "neighbours_differ",
    "versions_have_keys_of_their_own",
    "history_begins_alive",
    "history_is_what_its_log_tells",
    "history_ends_as_its_log",
]
TYPES = {"int64": "bigint", "string": "varchar", "bool": "boolean", "timestamp[us]": "timestamp"}
COLUMNS = ", ".join(f"{name} {TYPES.get(type_, 'decimal(12, 2)')}" for name, type_ in FACTS.types.items())
DDL = f"create table bronze ({COLUMNS}, _op varchar, _eff timestamptz, _seq bigint, _batch bigint, _row bigint)"
LOG = """
    insert into bronze by name
    select product_id, price as unit_price, op as _op, timestamptz '2026-01-01 00:00:00+00' + to_hours(hour) as _eff,
        0 as _seq, batch as _batch, row_number() over () as _row
    from (values (1, 10, 'R', 0, 1), (1, 12, 'U', 4, 2), (1, 14, 'U', 8, 3), (2, 10, 'R', 0, 1), (2, null, 'D', 6, 2))
        as events(product_id, price, op, hour, batch)
"""


def asked(name: str, parts: int = 1) -> str:
    """Return the SQL of a generic test on the history `silver` and the log `bronze`, one part of `parts` looked at."""
    text = (PROJECT / "macros" / "tested_rows.sql").read_text() + (GENERIC / f"{name}.sql").read_text()
    text = text.replace("{% test ", "{% macro ").replace("{% endtest %}", "{% endmacro %}")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, extensions=["jinja2.ext.do"])
    known = {**MACROS, "lake_facts": lambda *_: FACTS, "source": lambda *_: "bronze", "execute": True}
    known |= {"run_query": None, "load_relation": None, "var": None}
    # the number of parts comes from a count that dbt asks for
    text = text.replace("tested_parts(model)", str(parts), 1)
    rendered: Callable[..., str] = getattr(environment.from_string(text).make_module(known), name)
    return rendered("silver", "erp", "products")


@pytest.fixture
def silver() -> Any:
    """A sound history: product 1 in three versions, product 2 in one and a tombstone."""
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(DDL)
        connection.execute(LOG)
        connection.execute(f"create table silver as {HISTORY}")
        yield connection


def broken(connection: duckdb.DuckDBPyConnection, parts: int = 1) -> set[str]:
    return {name for name in TESTS if connection.execute(asked(name, parts)).fetchall()}


def test_a_sound_history_breaks_none(silver: duckdb.DuckDBPyConnection) -> None:
    assert silver.execute("select count(*) from silver").fetchone() == (5,)
    assert broken(silver) == broken(silver, parts=3) == set()


FIRST, SECOND, THIRD = (
    f"product_id = 1 and valid_from = timestamptz '2026-01-01 {hour}:00:00+00'" for hour in ("00", "04", "08")
)
TOMBSTONE = "product_id = 2 and is_deleted"
BREAKS = {
    "versions_run_forward": f"update silver set valid_to = valid_from where {SECOND}",
    "versions_do_not_overlap": f"update silver set valid_to = valid_to + interval 1 second where {FIRST}",
    "versions_leave_no_gap": f"update silver set valid_to = valid_to - interval 1 second where {FIRST}",
    "one_version_is_current": f"update silver set is_current = true where {SECOND}",
    "neighbours_differ": f"update silver set row_hash = (select row_hash from silver where {FIRST}) where {SECOND}",
    "versions_have_keys_of_their_own": f"update silver set sk = (select sk from silver where {FIRST}) where {SECOND}",
    "history_begins_alive": f"delete from silver where product_id = 2 and not ({TOMBSTONE})",
    "history_is_what_its_log_tells": f"update silver set unit_price = 11 where {SECOND}",
    "history_ends_as_its_log": f"delete from silver where {TOMBSTONE}",
}
FURTHER = {
    "an end before the last": (
        "versions_leave_no_gap",
        f"update silver set valid_to = valid_from + interval 1 hour where {THIRD}",
    ),
    "nobody current": ("one_version_is_current", f"update silver set is_current = false where {THIRD}"),
    "a current tombstone": ("one_version_is_current", f"update silver set is_current = true where {TOMBSTONE}"),
    "a version without key": ("versions_have_keys_of_their_own", f"update silver set sk = null where {FIRST}"),
    "a version more": ("history_is_what_its_log_tells", "insert into silver (product_id, sk) values (3, 'x')"),
    "a version twice": ("versions_have_keys_of_their_own", f"insert into silver select * from silver where {FIRST}"),
    "an open end before the last": ("versions_do_not_overlap", f"update silver set valid_to = null where {FIRST}"),
    "two tombstones": (
        "neighbours_differ",
        f"insert into silver by name select * replace (valid_from + interval 1 hour as valid_from, 'x' as sk) from silver where {TOMBSTONE}",
    ),
}


@pytest.mark.parametrize("name", TESTS)
def test_each_data_test_finds_what_breaks_its_invariant(silver: duckdb.DuckDBPyConnection, name: str) -> None:
    silver.execute(BREAKS[name])

    assert name in broken(silver)


@pytest.mark.parametrize("what", FURTHER)
def test_a_data_test_finds_this_too(silver: duckdb.DuckDBPyConnection, what: str) -> None:
    name, change = FURTHER[what]
    silver.execute(change)

    assert name in broken(silver)


@pytest.mark.parametrize("name", [name for name in TESTS if name != "history_ends_as_its_log"])
def test_no_break_hides_among_versions_that_a_sample_leaves_out_if_its_key_changed(
    silver: duckdb.DuckDBPyConnection, name: str
) -> None:
    """Both keys have events in the newest batches, so a thousandth part looks at them all the same."""
    silver.execute(BREAKS[name])

    assert name in broken(silver, parts=1000)


def test_a_sample_comes_round_to_every_key(silver: duckdb.DuckDBPyConnection) -> None:
    silver.execute(BREAKS["history_is_what_its_log_tells"])
    silver.execute(
        "insert into bronze by name select 99 as product_id, 'D' as _op, now() as _eff, 0 as _seq, 50 as _batch, 1 as _row"
    )
    found = []
    for batch in range(50, 54):
        silver.execute(f"update bronze set _batch = {batch} where product_id = 99")
        found.append("history_is_what_its_log_tells" in broken(silver, parts=4))

    assert sorted(found) == [False, False, False, True]


def test_every_silver_model_carries_every_invariant() -> None:
    for file in (PROJECT / "models" / "silver").rglob("*.yml"):
        for model in yaml.safe_load(file.read_text())["models"]:
            assert [next(iter(test)) for test in model["data_tests"]] == TESTS, model["name"]
    assert sorted(path.stem for path in GENERIC.glob("*.sql")) == sorted(TESTS)


events = st.tuples(st.integers(1, 2), st.integers(0, 5), st.sampled_from([None, 1, 2]))
batches = st.lists(st.lists(events, min_size=1, max_size=4), min_size=2, max_size=5)


@examples(25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=batches, order=st.randoms(use_true_random=False))
def test_batches_that_arrive_in_another_order_tell_the_same_history(
    log: list[list[tuple[int, int, int | None]]], order: Any
) -> None:
    """Events carry the source's own order (`_seq`); the batch decides only between events that the source cannot tell apart."""
    numbered = [
        [(*event, 10 * number + place) for place, event in enumerate(batch)] for number, batch in enumerate(log)
    ]
    shuffled = list(numbered)
    order.shuffle(shuffled)

    assert told(numbered) == told(shuffled)


def told(log: list[list[tuple[int, int, int | None, int]]]) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(DDL)
        for batch, rows in enumerate(log, 1):
            for number, (product_id, hour, price, sequence) in enumerate(rows):
                connection.execute(
                    "insert into bronze (product_id, unit_price, _op, _eff, _seq, _batch, _row) "
                    "values (?, ?, ?, timestamptz '2026-01-01 00:00:00+00' + to_hours(?), ?, ?, ?)",
                    [product_id, price, "D" if price is None else "U", hour, sequence, batch, number],
                )
        return connection.execute(f"select * from ({HISTORY}) order by product_id, valid_from").fetchall()
