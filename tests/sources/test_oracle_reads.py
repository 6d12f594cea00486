"""Windows, counts, keys and the fixed point, against a server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from ingestion.contracts.model import Contract
from ingestion.contracts.window import FixedPoint, Window
from ingestion.errors import BrokenContractError, ConfigurationError, SnapshotLostError
from ingestion.sources import open_source
from ingestion.sources.oracle import keys as oracle_keys
from ingestion.sources.oracle.source import OracleSnapshot, OracleSource
from tests.sources.oracle_fixtures import EVERYTHING, ID, OracleDesk, Promise, oracle, rows

__all__ = ["oracle"]

MOMENT = "TO_TIMESTAMP(:m,'YYYY-MM-DD HH24:MI:SS.FF6')"
CHANGED = Promise("changed_at", "TIMESTAMP(6)", "timestamp", required=True)


@pytest.fixture
def people(oracle: OracleDesk) -> Contract:
    """1 and 2 at 10:00, 3 at 11:00, 4 without a watermark."""
    table = oracle.table("ID NUMBER(12) PRIMARY KEY, NAME VARCHAR2(20), CHANGED_AT TIMESTAMP(6)")
    for key, moment in ((1, "10:00:00.000001"), (2, "10:00:00.000001"), (3, "11:00:00.000000"), (4, None)):
        put(oracle, table, key, f"2026-03-01 {moment}" if moment else None)
    return oracle.contract(table, ID, Promise("name", "VARCHAR2(20)"), CHANGED, mode="incremental", watermark="changed_at",
                           reconcile="{partition: changed_at, grain: day}")  # fmt: skip


@pytest.fixture
def snapshot(oracle: OracleDesk) -> Iterator[OracleSnapshot]:
    with OracleSource("erp", oracle.connection).snapshot() as opened:
        yield opened


def put(oracle: OracleDesk, table: str, key: int, moment: str | None) -> None:
    oracle.sql(f"INSERT INTO {table} VALUES (:k, 'n', {MOMENT})", k=key, m=moment)


def ids(
    snapshot: OracleSnapshot, contract: Contract, window: Window = EVERYTHING, keys: pa.Table | None = None
) -> list[int]:
    return sorted(row["id"] for row in rows(snapshot, contract, window, keys))


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Window(), [1, 2, 3, 4]),
        (Window(low="2026-03-01 10:00:00.000001"), [1, 2, 3, 4]),
        (Window(low="2026-03-01 10:00:00.000002"), [3, 4]),
        (Window(high="2026-03-01 10:00:00.000001", nulls=False), []),
        (Window(high="2026-03-01 10:00:00.000002", nulls=False), [1, 2]),
        (Window(low="2026-03-01 10:00:00.000001", high="2026-03-01 11:00:00", nulls=False), [1, 2]),
        (Window(low="2026-03-01"), [1, 2, 3, 4]),
        (Window(low="2026-03-01 10:00:00.000002", nulls=False, inverted=True), [1, 2, 4]),
        (
            Window(low="2026-03-01 10:00:00.000002", high="2026-03-01 11:00:00", nulls=False, inverted=True),
            [1, 2, 3, 4],
        ),
        (Window(low="9999-12-31 23:59:59.999999"), [4]),
        (Window(low="0001-01-01 00:00:00.000000"), [1, 2, 3, 4]),
    ],
)
def test_a_window_is_half_open_keeps_ties_and_counts_what_it_reads(
    people: Contract, snapshot: OracleSnapshot, window: Window, expected: list[int]
) -> None:
    assert ids(snapshot, people, window) == expected
    assert snapshot.count(people, window) == len(expected)
    assert sum(batch.num_rows for batch in snapshot.read_keys(people, window)) == len(expected)


def test_the_highest_watermark_keeps_the_digits_of_the_source(people: Contract, snapshot: OracleSnapshot) -> None:
    assert snapshot.highest_watermark(people, below="2030-01-01 00:00:00.000000") == "2026-03-01 11:00:00.000000"
    assert snapshot.highest_watermark(people, below="2026-03-01 11:00:00.000000") == "2026-03-01 10:00:00.000001"
    assert snapshot.highest_watermark(people, below="2020-01-01 00:00:00.000000") is None


@pytest.mark.parametrize(
    ("declared", "logical", "put_one", "highest", "low", "expected"),
    [
        ("DATE", "timestamp", "TO_DATE('2026-03-01 10:00:01','YYYY-MM-DD HH24:MI:SS')", "2026-03-01 10:00:01", "2026-03-01 10:00:00.000001", 1),
        ("DATE", "timestamp", "TO_DATE('2026-03-01 10:00:01','YYYY-MM-DD HH24:MI:SS')", "2026-03-01 10:00:01", "2026-03-01 10:00:01.000001", 0),
        ("DATE", "date", "TO_DATE('2026-03-01','YYYY-MM-DD')", "2026-03-01", "2026-03-01", 1),
        ("NUMBER(18)", "integer", "999999999999999999", "999999999999999999", "999999999999999999", 1),
        ("NUMBER(18)", "integer", "7", "7", "8", 0),
        (
            "TIMESTAMP(6) WITH TIME ZONE", "timestamp", "FROM_TZ(TIMESTAMP '2026-03-01 10:00:00.5','+00:00')",
            "2026-03-01 10:00:00.500000", "2026-03-01 10:00:00.500000+00:00", 1,
        ),
        (
            "TIMESTAMP(6) WITH LOCAL TIME ZONE", "timestamp", "FROM_TZ(TIMESTAMP '2026-03-01 10:00:00.5','+00:00')",
            "2026-03-01 10:00:00.500000", "2026-03-01 10:00:00.500001", 0,
        ),
    ],
)  # fmt: skip
def test_a_watermark_of_any_type_is_compared_in_the_source(
    oracle: OracleDesk, declared: str, logical: str, put_one: str, highest: str, low: str, expected: int
) -> None:
    table = oracle.table(f"ID NUMBER(12) PRIMARY KEY, W {declared} NOT NULL")
    oracle.sql(f"INSERT INTO {table} VALUES (1, {put_one})")
    contract = oracle.contract(
        table, ID, Promise("w", declared, logical, required=True), mode="incremental", watermark="w"
    )
    below = (
        str(2**63 - 1) if logical == "integer" else "2100-01-01" if logical == "date" else "2100-01-01 00:00:00.000000"
    )

    with OracleSource("erp", oracle.connection).snapshot() as opened:
        assert opened.highest_watermark(contract, below=below) == highest
        assert opened.count(contract, Window(low=low)) == expected


def test_all_reads_of_a_snapshot_see_one_state_while_another_session_writes(
    oracle: OracleDesk, people: Contract, snapshot: OracleSnapshot
) -> None:
    table = people.source_table[1]
    assert snapshot.count(people, Window()) == 4
    put(oracle, table, 5, "2026-03-01 12:00:00.000000")
    oracle.sql(f"DELETE FROM {table} WHERE ID = 1")

    assert ids(snapshot, people) == [1, 2, 3, 4]
    assert snapshot.count(people, Window()) == 4
    assert snapshot.highest_watermark(people, below="2100-01-01 00:00:00.000000") == "2026-03-01 11:00:00.000000"


def test_another_session_can_open_the_same_fixed_point(
    oracle: OracleDesk, people: Contract, snapshot: OracleSnapshot
) -> None:
    point = snapshot.fixed_point
    put(oracle, people.source_table[1], 5, "2026-03-01 12:00:00.000000")
    source = OracleSource("erp", oracle.connection)

    with source.snapshot(at=point) as other:
        assert other.fixed_point == point
        assert ids(other, people) == [1, 2, 3, 4]
    with source.snapshot() as newer:
        assert newer.fixed_point.sequence > point.sequence
        assert ids(newer, people) == [1, 2, 3, 4, 5]


def test_the_fixed_point_is_an_scn_at_the_servers_clock(snapshot: OracleSnapshot) -> None:
    point = snapshot.fixed_point

    assert (point.kind, point.value) == ("scn", str(point.sequence))
    assert abs((datetime.now(UTC) - point.moment).total_seconds()) < 3600
    assert snapshot.degraded is None


def test_a_fixed_point_of_one_session_cannot_be_shared(oracle: OracleDesk) -> None:
    point = FixedPoint("transaction", "x", datetime.now(UTC))

    with (
        pytest.raises(ConfigurationError, match="only its own session"),
        OracleSource("erp", oracle.connection).snapshot(at=point),
    ):
        pass


def test_an_scn_that_no_server_has_yet_is_lost(oracle: OracleDesk, people: Contract, snapshot: OracleSnapshot) -> None:
    ahead = replace(snapshot.fixed_point, value=str(snapshot.fixed_point.sequence + 10**6))

    with (
        OracleSource("erp", oracle.connection).snapshot(at=ahead) as opened,
        pytest.raises(SnapshotLostError, match="ORA-08181"),
    ):
        opened.count(people, Window())


def test_a_table_altered_after_the_fixed_point_is_lost(
    oracle: OracleDesk, people: Contract, snapshot: OracleSnapshot
) -> None:
    snapshot.catalog(people)
    oracle.sql(f"ALTER TABLE {people.source_table[1]} ADD (EXTRA NUMBER)")

    with pytest.raises(SnapshotLostError, match="ORA-01466"):
        snapshot.count(people, Window())


def test_rows_are_fetched_by_key_whatever_their_number(oracle: OracleDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle_keys, "KEYS_PER_STATEMENT", 8)
    table = oracle.table("ID NUMBER(12) PRIMARY KEY, NAME VARCHAR2(20), CHANGED_AT TIMESTAMP(6)")
    for key in range(1, 31):
        put(oracle, table, key, None)
    contract = oracle.contract(table, ID)
    wanted = [*range(1, 20), 99]

    with OracleSource("erp", oracle.connection).snapshot() as opened:
        assert ids(opened, contract, keys=pa.table({"id": pa.array([*wanted, None], pa.int64())})) == wanted[:-1]
        assert ids(opened, contract, keys=pa.table({"id": pa.array([], pa.int64())})) == []


@pytest.mark.parametrize(
    ("declared", "promise", "values"),
    [
        ("VARCHAR2(20)", Promise("k", "VARCHAR2(20)", key=1), ["a", "o'b", "😀"]),
        ("CHAR(5)", Promise("k", "CHAR(5)", key=1), ["a", "b", "ccccc"]),
        ("NVARCHAR2(20)", Promise("k", "NVARCHAR2(20)", key=1), ["a", "é", "😀"]),
        ("NUMBER(38)", Promise("k", "NUMBER(38)", key=1), [1, -2, int("9" * 38)]),
        (
            "DATE",
            Promise("k", "DATE", "date", key=1),
            [datetime(2026, 3, 1), datetime(2026, 3, 2), datetime(1999, 1, 1)],
        ),
        (
            "DATE",
            Promise("k", "DATE", "timestamp", key=1),
            [datetime(2026, 3, 1, 10, 0, 1), datetime(2026, 3, 2), datetime(1999, 1, 1)],
        ),
        (
            "TIMESTAMP(6)",
            Promise("k", "TIMESTAMP(6)", "timestamp", key=1),
            [datetime(2026, 3, 1), datetime(2026, 3, 2), datetime(1999, 1, 1)],
        ),
        ("RAW(16)", Promise("k", "RAW(16)", key=1), [b"\x00", b"\xff\x01", bytes(16)]),
    ],
    ids=lambda value: value.physical if isinstance(value, Promise) else "",
)
def test_keys_of_any_type_find_their_rows(
    oracle: OracleDesk, declared: str, promise: Promise, values: list[object]
) -> None:
    table = oracle.table(f"K {declared}, PART NUMBER(5), PRIMARY KEY (K, PART)")
    for value in values:
        for part in (1, 2):
            oracle.sql(f"INSERT INTO {table} VALUES (:v, :p)", v=value, p=part)
    contract = oracle.contract(table, promise, Promise("part", "NUMBER(5)", "integer", key=2))

    with OracleSource("erp", oracle.connection).snapshot() as opened:
        every = pa.Table.from_batches(opened.read_keys(contract, Window()))
        assert every.num_rows == 6
        some = every.filter(pa.array([True, False, True, False, False, False]))
        found = [
            batch.select(["k", "part"])
            for batch in opened.read(contract, Window(), found=opened.catalog(contract), keys=some)
        ]

    assert sorted(map(str, pa.Table.from_batches(found).to_pylist())) == sorted(map(str, some.to_pylist()))


def test_an_empty_table_yields_no_rows_and_no_error(oracle: OracleDesk) -> None:
    contract = oracle.contract(oracle.table("ID NUMBER(12) PRIMARY KEY, C CLOB"), ID, Promise("c", "CLOB"))

    with OracleSource("erp", oracle.connection).snapshot() as opened:
        assert rows(opened, contract) == []
        assert opened.count(contract, Window()) == 0


def test_the_catalog_spells_types_as_contracts_do(oracle: OracleDesk) -> None:
    declared = ["NUMBER(12,2)", "NUMBER(10)", "NUMBER", "NUMBER(5,-2)", "FLOAT(126)", "VARCHAR2(120)", "VARCHAR2(20 CHAR)", "CHAR(11)",
                "NVARCHAR2(30)", "RAW(16)", "DATE", "TIMESTAMP(6)", "TIMESTAMP(9)", "TIMESTAMP(6) WITH TIME ZONE",
                "TIMESTAMP(6) WITH LOCAL TIME ZONE", "CLOB", "BLOB", "BINARY_DOUBLE", "INTERVAL DAY TO SECOND"]  # fmt: skip
    table = oracle.table(", ".join(f"C{at} {type_}" for at, type_ in enumerate(declared)) + ", ID NUMBER(12) NOT NULL")
    contract = oracle.contract(table, ID)

    with OracleSource("erp", oracle.connection).snapshot() as opened:
        found = opened.catalog(contract)

    assert [column.physical_type for column in found] == [*declared, "NUMBER(12)"]
    assert [column.nullable for column in found] == [True] * len(declared) + [False]
    assert [str(column.arrow_type) for column in found[:5]] == ["decimal128(12, 2)", "int64", "None", "int64", "None"]


def test_a_name_in_another_case_finds_the_table_and_its_columns(
    oracle: OracleDesk, people: Contract, snapshot: OracleSnapshot
) -> None:
    lower = replace(people, source_table=tuple(part.lower() for part in people.source_table))

    assert ids(snapshot, lower) == [1, 2, 3, 4]
    assert ids(snapshot, replace(people, source_table=people.source_table[-1:])) == [1, 2, 3, 4]


def test_a_missing_table_breaks_the_contract_and_says_what_else_it_may_be(
    oracle: OracleDesk, snapshot: OracleSnapshot
) -> None:
    contract = oracle.contract("T_GONE", ID)

    with pytest.raises(BrokenContractError, match=r"no such table in the source, or no right to read it"):
        snapshot.catalog(contract)


def test_a_removed_column_is_all_nulls_where_the_policy_lets_it_pass(oracle: OracleDesk) -> None:
    table = oracle.table("ID NUMBER(12) PRIMARY KEY")
    oracle.sql(f"INSERT INTO {table} VALUES (1)")
    contract = oracle.contract(table, ID, Promise("gone", "NUMBER(12,2)", "number"))

    with OracleSource("erp", oracle.connection).snapshot() as opened:
        assert rows(opened, contract) == [{"id": 1, "gone": None}]


def test_large_objects_take_a_lane_of_their_own_and_no_row_is_read_twice(oracle: OracleDesk) -> None:
    table = oracle.table("ID NUMBER(12) PRIMARY KEY, C CLOB, B BLOB")
    for key, text, data in ((1, None, None), (2, "x" * 65_536, b""), (3, "x" * 65_537, None), (4, "s", bytes(70_000))):
        oracle.sql(f"INSERT INTO {table} VALUES (:k, :c, :b)", k=key, c=text, b=data)
    contract = oracle.contract(table, ID, Promise("c", "CLOB"), Promise("b", "BLOB", "array"))

    with OracleSource("erp", oracle.connection).snapshot() as opened:
        read = rows(opened, contract)

    assert [(row["id"], len(row["c"] or ""), len(row["b"] or b"")) for row in read] == [
        (1, 0, 0),
        (2, 65_536, 0),
        (3, 65_537, 0),
        (4, 1, 70_000),
    ]


def test_a_dba_sees_the_program_the_system_and_the_contract(
    oracle: OracleDesk, people: Contract, snapshot: OracleSnapshot
) -> None:
    snapshot.count(people, Window())

    with oracle.driver().cursor() as cursor:
        seen = cursor.execute("SELECT PROGRAM, MODULE, ACTION FROM V$SESSION").fetchall()
    assert ("lakehouse", "erp", people.id) in seen


def test_the_rights_that_reading_takes_are_listed(oracle: OracleDesk, people: Contract) -> None:
    table = ".".join(people.source_table)
    gone = oracle.contract("T_GONE", ID)

    grants = OracleSource("erp", oracle.connection).grants([people, gone])

    assert [(grant.what, grant.present) for grant in grants] == [
        ("EXECUTE on DBMS_FLASHBACK", True),
        ("SELECT on V$DATABASE", True),
        (f"SELECT on {table}", True),
        (f"FLASHBACK on {table}", True),
        (f"SELECT on {oracle.owner}.T_GONE", False),
    ]
    assert "cannot be loaded" in grants[-1].consequence


def test_the_probe_names_the_server_and_no_secret(oracle: OracleDesk) -> None:
    answer = open_source("erp", oracle.connection).probe()

    assert answer.startswith("Oracle Database ")
    assert oracle.connection.password not in answer
