"""Streams into Oracle: exact types, poison rows, and the rows that Oracle refuses."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from ingestion.sinks.database import Refused
from ingestion.sinks.oracle import OracleDatabase
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


def test_windows_and_repeated_events_are_kept_by_oracle(world: OracleWorld) -> None:
    columns = COLUMNS | {"at": COLUMNS["at"] | {"required": True}, "name": COLUMNS["name"] | {"required": True}}
    measures = ["sum(amount)", "avg(amount)", "min(amount)", "max(amount)"]
    window = {
        "table": f"W_{world.name}".upper(),
        "size": "PT20M",
        "slide": "PT10M",
        "by": ["name"],
        "measures": measures,
    }
    more = {"windows": [window], "dedupe": {"column": "id", "period": "PT1H"}, "time": "at", "budget": {"rows": 3}}
    world.write(world.contract("append", columns, **more))
    for number, minute in enumerate([5, 15, 15, 25, 3, 90]):
        at = f"2026-01-01T{minute // 60:02d}:{minute % 60:02d}:00Z"
        world.send({"id": min(number, 2 + number // 3), "amount": number + 0.5, "name": "a", "at": at}, at=at)
    world.send({"id": 2, "amount": 100, "name": "a", "at": "2026-01-01T00:16:00Z"})

    assert world.counts() == (7, 5, 2, 0, 0)
    query = (
        "SELECT TO_CHAR(WINDOW_START, 'HH24:MI'), ROW_COUNT, SUM_AMOUNT, AVG_AMOUNT, MIN_AMOUNT, MAX_AMOUNT, IS_FINAL "
        f"FROM W_{world.name.upper()} ORDER BY WINDOW_START"
    )
    assert world.target(query) == [
        ("23:50", 1, 0.5, 0.5, 0.5, 0.5, 1),
        ("00:00", 3, 4.5, 1.5, 0.5, 2.5, 1),
        ("00:10", 3, 7.5, 2.5, 1.5, 3.5, 1),
        ("00:20", 1, 3.5, 3.5, 3.5, 3.5, 1),
        ("01:20", 1, 5.5, 5.5, 5.5, 5.5, 0),
        ("01:30", 1, 5.5, 5.5, 5.5, 5.5, 0),
    ]


def test_a_replaced_row_leaves_its_window_and_a_tombstone_deletes_its_key(world: OracleWorld) -> None:
    columns = {
        "id": COLUMNS["id"] | {"physicalName": "@key"},
        "amount": COLUMNS["amount"],
        "name": COLUMNS["name"] | {"required": True},
    }
    window = {"table": f"W_{world.name}".upper(), "size": "PT1H", "by": ["name"], "measures": ["sum(amount)"]}
    world.write(world.contract("merge", columns, windows=[window], tombstones="delete", budget={"rows": 2}))
    world.send({"amount": 1, "name": "a"}, {"amount": 2, "name": "b"}, key="1")
    world.send({"amount": 4, "name": "a"}, key="2")
    world.send({"amount": 8, "name": "a"}, None, key="3")
    assert world.counts() == (5, 4, 1, 0, 0)
    world.send(None, key="2")
    assert world.counts() == (1, 1, 0, 0, 0)

    assert world.target("SELECT ID, AMOUNT, NAME, LAKE_DELETED FROM {} ORDER BY ID") == [
        (1, 2, "b", 0),
        (2, None, None, 1),
        (3, None, None, 1),
    ]
    assert world.target(f"SELECT NAME, ROW_COUNT, SUM_AMOUNT FROM W_{world.name.upper()}") == [("b", 1, 2)]


def test_two_topics_fill_different_columns_of_one_row(world: OracleWorld) -> None:
    topics = [{"topic": "orders", "columns": ["amount"]}, {"topic": "names", "columns": ["name"]}]
    world.write(world.contract("merge", {name: COLUMNS[name] for name in ("id", "amount", "name")}, topics=topics))
    world.send({"id": 1, "amount": 5}, {"id": 2, "amount": 6})
    world.send({"id": 1, "name": "x"}, {"id": 3, "name": "y"}, topic="names")

    assert world.counts() == (4, 4, 0, 0, 0)
    assert world.target("SELECT ID, AMOUNT, NAME FROM {} ORDER BY ID") == [(1, 5, "x"), (2, 6, None), (3, None, "y")]


def test_rows_are_enriched_from_a_reference_table_of_oracle_by_its_exact_numbers(world: OracleWorld) -> None:
    reference = world.desk.table("AMOUNT NUMBER(38,2), LABEL VARCHAR2(5)")
    world.desk.sql(f"INSERT INTO {reference} VALUES (90071992547409.93, 'five')")
    columns = {name: COLUMNS[name] for name in ("id", "amount")}
    columns["name"] = COLUMNS["name"] | {"physicalName": "@computed"}
    lookup = {"table": reference, "on": {"amount": "AMOUNT"}, "columns": {"name": "LABEL"}}
    world.write(world.contract("merge", columns, lookups=[lookup]))
    world.send('{"id": 1, "amount": 90071992547409.93}', '{"id": 2, "amount": 90071992547409.92}')

    world.run()
    assert world.target("SELECT ID, NAME FROM {} ORDER BY ID") == [(1, "five"), (2, None)]


def test_one_poison_row_among_many_costs_no_more_than_three_batches(
    world: OracleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.desk.sql(
        f"CREATE TABLE {world.table} (ID NUMBER(18) NOT NULL, AMOUNT NUMBER(38,2) NOT NULL, LAKE_TOPIC VARCHAR2(249), "
        "LAKE_PARTITION NUMBER(10), LAKE_OFFSET NUMBER(19), LAKE_AT TIMESTAMP(6), LAKE_SEQ NUMBER(19), "
        "LAKE_DELETED NUMBER(1), PRIMARY KEY (ID))"
    )
    world.write(world.contract(columns={name: COLUMNS[name] for name in ("id", "amount")}))
    world.send(*({"id": n, "amount": None if n == 777 else n} for n in range(1000)))
    rows: list[int] = []
    honest = OracleDatabase._many

    def counted(self: OracleDatabase, sql: str, table: pa.Table) -> Refused:
        rows.append(table.num_rows)
        return honest(self, sql, table)

    monkeypatch.setattr(OracleDatabase, "_many", counted)
    assert world.counts() == (1000, 999, 0, 0, 1)
    assert world.letters() == [(777, "(row):ORA-01400")]
    assert sum(rows) <= 3 * 1000 + 1


def test_offsets_and_sequences_of_nineteen_digits_are_compared_exactly(world: OracleWorld) -> None:
    columns = {name: COLUMNS[name] for name in ("id", "amount")}
    columns["version"] = {"logicalType": "integer", "physicalType": "NUMBER(18)", "required": True}
    world.write(world.contract("merge", columns, sequence="version"))
    path = world.folder / "messages" / "orders" / "0.jsonl"
    path.parent.mkdir(parents=True)
    versions = (900719925474099302, 900719925474099303, 900719925474099302)
    for number, version in enumerate(versions):
        value = f'{{"id": 1, "amount": {number}, "version": {version}}}'
        with path.open("a") as file:
            file.write(json.dumps({"offset": 9007199254740993 + number, "value": value}) + "\n")
        world.run()

    assert world.target("SELECT AMOUNT, VERSION, LAKE_OFFSET FROM {}") == [(1, versions[1], 9007199254740994)]
    assert world.counts() == (0, 0, 0, 0, 0)


def test_a_stream_whose_tables_are_there_creates_none(world: OracleWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write(world.contract())
    world.send({"id": 1})
    world.run()
    monkeypatch.setattr(OracleDatabase, "statements", lambda _, table: ["no statement"] * (2 if table.stage else 1))
    world.send({"id": 2})

    assert world.counts() == (1, 1, 0, 0, 0)
