"""Streams into Oracle: exact types, poison rows, and the rows that Oracle refuses."""

from __future__ import annotations

import pytest

from tests.sources.oracle_fixtures import oracle
from tests.streams.oracle_world import COLUMNS, OracleWorld, oracle_world

__all__ = ["oracle", "oracle_world"]


@pytest.fixture
def world(oracle_world: OracleWorld) -> OracleWorld:
    return oracle_world


def test_values_arrive_exactly_and_an_empty_text_is_null_before_oracle_sees_it(world: OracleWorld) -> None:
    columns = COLUMNS | {"name": COLUMNS["name"] | {"required": True}}
    world.write(world.contract(columns=columns))
    exact = '"amount": 123456789012345678901234567890123456.78, "at": "2026-01-01T02:00:00.123456+02:00"'
    world.send(
        '{"id": 1, '
        + exact
        + ', "name": "\u05d0\u05d1\u05d2\u05d3\u05d4", "note": "'
        + "x" * 50_000
        + '", "done": true}'
    )
    world.send({"id": 2, "name": ""}, {"id": 3, "name": "c", "note": "", "at": "2026-01-01T00:00:00.1234567Z"})

    assert world.counts() == (3, 1, 0, 0, 2)
    query = "SELECT TO_CHAR(AMOUNT), TO_CHAR(AT, 'YYYY-MM-DD HH24:MI:SS.FF6'), NAME, LENGTH(NOTE), DONE FROM {}"
    assert world.target(query) == [
        (
            "123456789012345678901234567890123456.78",
            "2026-01-01 00:00:00.123456",
            "\u05d0\u05d1\u05d2\u05d3\u05d4",
            50_000,
            1,
        )
    ]
    assert world.letters() == [(1, "name:required"), (2, "at:type")]


def test_rows_that_oracle_refuses_become_dead_letters_and_a_replay_brings_them_in(world: OracleWorld) -> None:
    world.desk.sql(
        f"CREATE TABLE {world.table} (ID NUMBER(18) NOT NULL, AMOUNT NUMBER(38,2) NOT NULL, NAME VARCHAR2(3 CHAR), "
        "AT TIMESTAMP(6) WITH TIME ZONE, NOTE CLOB, DONE NUMBER(1), LAKE_TOPIC VARCHAR2(249), LAKE_PARTITION NUMBER(10), "
        "LAKE_OFFSET NUMBER(19), LAKE_AT TIMESTAMP(6), LAKE_SEQ NUMBER(19), LAKE_DELETED NUMBER(1), PRIMARY KEY (ID))"
    )
    world.write(world.contract())
    world.send(*({"id": n, "amount": n, "name": "abc"} for n in range(50)))
    world.send(
        {"id": 50, "name": "x"}, {"id": 51, "amount": 1, "name": "abcd"}, {"id": 52, "amount": 1, "name": "toolong"}
    )

    assert world.counts() == (53, 50, 0, 0, 3)
    assert world.letters() == [(50, "(row):ORA-01400"), (51, "(row):ORA-12899"), (52, "(row):ORA-12899")]
    assert world.target("SELECT COUNT(*), SUM(AMOUNT) FROM {}") == [(50, sum(range(50)))]

    world.desk.sql(f"ALTER TABLE {world.table} MODIFY (AMOUNT NULL)")
    assert world.replay("ORA-01400") == {"merged": 1, "superseded": 0, "filtered": 0, "dead": 0}
    assert world.replay() == {"merged": 0, "superseded": 0, "filtered": 0, "dead": 2}
    assert world.letters() == [(51, "(row):ORA-12899"), (52, "(row):ORA-12899")]


def test_an_append_and_a_second_init_leave_what_is_there(world: OracleWorld) -> None:
    world.write(world.contract("append"))
    world.send({"id": 1, "amount": 1.5}, {"id": 1, "amount": 2})
    assert world.counts() == (2, 2, 0, 0, 0)
    world.send({"id": 1, "name": "toolong"}, {"id": 2})
    assert world.counts() == (2, 1, 0, 0, 1)
    assert world.target("SELECT ID, AMOUNT, LAKE_OFFSET FROM {} ORDER BY LAKE_OFFSET") == [
        (1, 1.5, 0),
        (1, 2, 1),
        (2, None, 3),
    ]
