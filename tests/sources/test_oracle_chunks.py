"""A big table read in chunks: disjoint, complete, at one SCN, and not read again after a load broke off."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.contracts.model import Contract
from ingestion.contracts.window import FixedPoint
from ingestion.errors import SnapshotLostError, SourceUnavailableError
from ingestion.lake import duck
from ingestion.load.load_table import load_table
from ingestion.runs.context import Context, initialise, open_context
from ingestion.settings import Connection, Settings
from ingestion.sources.base import WHOLE, Chunk, cut
from ingestion.sources.oracle.chunks import CREATE_TASK, EXTENTS, in_chunk, key_bounds
from ingestion.sources.oracle.source import OracleSnapshot, OracleSource
from tests.sources.oracle_fixtures import (
    EVERYTHING,
    ID,
    FaultyServer,
    OracleDesk,
    Promise,
    faulty,
    faulty_server,
    oracle,
    true_server,
)
from tests.sources.test_oracle_sql import column, contract, found

__all__ = ["faulty", "faulty_server", "oracle"]

PROMISES = (ID, Promise("name", "VARCHAR2(20)", required=True))
ROWS = 2_000


def numbers(desk: OracleDesk, **lake: str) -> Contract:
    """Keys 1 to 2,000; every 500th has no name, which breaks its promise."""
    table = desk.table("ID NUMBER(12) PRIMARY KEY, NAME VARCHAR2(20)")
    with desk.driver().cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} VALUES (:1, :2)", [(n, f"n{n}" if n % 500 else None) for n in range(1, ROWS + 1)]
        )
    return desk.contract(table, *PROMISES, **({"chunkRows": "300"} | lake))


def company(desk: OracleDesk, subject: Contract, **extra: str) -> Context:
    connection = Connection("oracle", desk.connection.host, desk.connection.port, desk.connection.schema,
                            desk.connection.login, desk.connection.password, {**desk.connection.extra, **extra})  # fmt: skip
    settings = Settings(desk.folder.parent, str(desk.folder.parent / "lake"), "200MB", {"erp": connection})
    initialise(settings)
    assert subject.path
    return open_context(settings, "run-1")


def lake(context: Context, query: str) -> list[tuple[object, ...]]:
    with duck.connect(context.lake) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def snapshot(oracle: OracleDesk) -> Iterator[OracleSnapshot]:
    with OracleSource("erp", oracle.connection).snapshot() as opened:
        yield opened


@given(st.sets(st.integers(-5, 5)), st.one_of(st.none(), st.integers(-7, 7)))
def test_every_value_lies_in_one_chunk_whatever_the_bounds(bounds: set[int], value: int | None) -> None:
    chunks = cut("key", [str(bound) for bound in sorted(bounds)])

    def holds(chunk: Chunk) -> bool:
        if value is None:
            return chunk.low is None
        return (chunk.low is None or int(chunk.low) <= value) and (chunk.high is None or value < int(chunk.high))

    assert sum(holds(chunk) for chunk in chunks) == 1


def test_the_first_chunk_asks_for_rows_without_a_key_too() -> None:
    subject = contract(column("id", "NUMBER(12)", found("NUMBER(12)").arrow_type, key=1))
    first = in_chunk(subject, Chunk("key", None, "7"), (found("NUMBER(12)", "ID"),))
    other = in_chunk(subject, Chunk("key", "7", None), (found("NUMBER(12)", "ID"),))
    required = in_chunk(subject, Chunk("key", None, "7"), (found("NUMBER(12)", "ID", nullable=False),))

    assert (first.sql, first.binds) == ('("ID" < :chunk_high OR "ID" IS NULL)', {"chunk_high": 7})
    assert (other.sql, other.binds) == ('"ID" >= :chunk_low', {"chunk_low": 7})
    assert required.sql == '"ID" < :chunk_high'


def test_row_addresses_are_bound_and_compared_as_addresses() -> None:
    subject = contract(column("id", "NUMBER(12)", found("NUMBER(12)").arrow_type, key=1))
    chunk = in_chunk(subject, Chunk("rowid", "AAA", "BBB"), (found("NUMBER(12)", "ID"),))

    assert chunk.sql == "ROWID >= CHARTOROWID(:chunk_low) AND ROWID < CHARTOROWID(:chunk_high)"
    assert chunk.binds == {"chunk_low": "AAA", "chunk_high": "BBB"}


def test_statements_about_addresses_bind_every_name() -> None:
    for sql in (CREATE_TASK, EXTENTS):
        assert ":owner" in sql
        assert ":name" in sql
    assert "by_row => FALSE" in CREATE_TASK
    # the text of an address sorts otherwise than the address
    assert EXTENTS.rsplit("ORDER BY", 1)[1].strip().startswith("DBMS_ROWID.ROWID_CREATE(")


def test_a_key_without_an_order_of_its_own_is_not_cut(oracle: OracleDesk, snapshot: OracleSnapshot) -> None:
    table = oracle.table("ID RAW(16) PRIMARY KEY")
    oracle.sql(f"INSERT INTO {table} VALUES (HEXTORAW('01'))", f"INSERT INTO {table} VALUES (HEXTORAW('02'))")
    subject = oracle.contract(table, Promise("id", "RAW(16)", key=1))
    with OracleSource("erp", oracle.connection).snapshot() as opened:
        assert key_bounds(opened.catalog(subject)[0], opened._table(subject)) is None
        assert opened.chunks(subject, rows=1) == (WHOLE,)


@pytest.mark.parametrize("rows", [1, 7, 299, 1_999, 2_000, 10_000])
def test_chunks_together_hold_every_row_once(oracle: OracleDesk, rows: int) -> None:
    subject = numbers(oracle)
    with OracleSource("erp", oracle.connection).snapshot() as opened:
        catalog = opened.catalog(subject)
        chunks = opened.chunks(subject, rows=max(rows, 100))
        read = [
            key
            for chunk in chunks
            for batch in opened.read(subject, EVERYTHING, found=catalog, chunk=chunk)
            for key in batch.column("id").to_pylist()
        ]

    assert sorted(read) == list(range(1, ROWS + 1))
    assert len(chunks) == -(-ROWS // max(rows, 100))


@true_server
def test_a_true_oracle_cuts_by_row_address(oracle: OracleDesk) -> None:
    subject = numbers(oracle)
    with OracleSource("erp", oracle.connection).snapshot() as opened:
        catalog = opened.catalog(subject)
        chunks = opened.chunks(subject, rows=500)
        read = [n for c in chunks for b in opened.read(subject, EVERYTHING, found=catalog, chunk=c) for n in b["id"]]

    assert {chunk.kind for chunk in chunks} == {"rowid"}
    assert sorted(n.as_py() for n in read) == list(range(1, ROWS + 1))


@pytest.mark.parametrize("sessions", ["1", "3"])
def test_a_table_in_chunks_is_the_table_in_one_stream(oracle: OracleDesk, sessions: str) -> None:
    subject = numbers(oracle)
    context = company(oracle, subject, max_sessions=sessions)

    result = load_table(context, subject.id)

    view = f"erp__{subject.entity}"
    assert (result.read, result.good, result.quarantined, result.batch) == (ROWS, ROWS - 4, 4, 1)
    assert lake(context, f"select count(*), count(distinct id), count(distinct _row), min(_op), max(_seq) = min(_seq) "
                         f"from bronze.{view}") == [(ROWS - 4, ROWS - 4, ROWS - 4, "R", True)]  # fmt: skip
    assert lake(context, f"select id from quarantine.{view} order by cast(id as int)") == [
        ("500",), ("1000",), ("1500",), ("2000",)]  # fmt: skip
    assert load_table(context, subject.id).batch is None
    assert not list((Path(context.lake.root) / "bronze" / "erp" / subject.entity / "_staging").glob("*"))


def test_a_full_reload_in_chunks_appends_only_what_differs_and_sees_deletes(oracle: OracleDesk) -> None:
    subject = numbers(oracle, deletes="keys")
    context = company(oracle, subject)
    load_table(context, subject.id)
    table = subject.source_table[-1]
    oracle.sql(f"UPDATE {table} SET NAME = 'new' WHERE ID = 7", f"DELETE FROM {table} WHERE ID IN (1, 2)")

    result = load_table(context, subject.id)

    assert (result.appended, result.deleted, result.known) == (1, 2, ROWS - 2 - 4 - 1)


DEATH = """
import os, signal, sys
from ingestion.extract.chunk_ledger import ChunkLedger
from ingestion.runs.context import open_context
from ingestion.load.load_table import load_table
from ingestion.settings import Settings

honest, count = ChunkLedger.finish, 0

def deadly(*args):
    global count
    honest(*args)
    count += 1
    if count == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

ChunkLedger.finish = deadly
load_table(open_context(Settings.from_environ(os.environ), "run-0"), sys.argv[1])
"""


def test_a_killed_load_goes_on_at_its_own_scn_and_reads_no_chunk_twice(
    faulty: OracleDesk, faulty_server: FaultyServer
) -> None:
    subject = numbers(faulty)
    context = company(faulty, subject, max_sessions="1")
    die(context, subject, after_chunks=4)
    # the SCN is that of the killed load: what happens since is for the next one
    faulty.sql(f"UPDATE {subject.source_table[-1]} SET NAME = 'since' WHERE ID = 1999")
    before = len(faulty_server.statements())

    result = load_table(context, subject.id)

    reads = [sql for sql in faulty_server.statements()[before:] if sql.startswith('SELECT "ID", "NAME"')]
    assert (result.read, result.good, result.batch) == (ROWS, ROWS - 4, 1)
    assert len(reads) == 3  # of 7 chunks
    assert lake(context, f"select count(*), count(distinct id), count(distinct _ingested_at), "
                         f"count(*) filter (name = 'since') from bronze.erp__{subject.entity}"
                ) == [(ROWS - 4, ROWS - 4, 1, 0)]  # fmt: skip
    assert load_table(context, subject.id).appended == 1


def test_a_load_whose_scn_is_gone_throws_its_chunks_away_and_begins_anew(
    faulty: OracleDesk, faulty_server: FaultyServer
) -> None:
    subject = numbers(faulty)
    context = company(faulty, subject, max_sessions="1")
    die(context, subject, after_chunks=4)
    faulty.sql(f"UPDATE {subject.source_table[-1]} SET NAME = 'since' WHERE ID = 1")
    faulty_server.arm("fail_next_execute", code=1555, pattern="COUNT")

    result = load_table(context, subject.id)

    assert (result.read, result.batch) == (ROWS, 1)
    assert lake(context, f"select name from bronze.erp__{subject.entity} where id = 1") == [("since",)]


def test_a_chunk_that_fails_for_good_ends_the_load_and_keeps_the_others(
    faulty: OracleDesk, faulty_server: FaultyServer
) -> None:
    subject = numbers(faulty)
    context = company(faulty, subject)
    faulty_server.arm("drop_after_rows", rows=100, pattern="chunk_low", times=1)

    with pytest.raises(SourceUnavailableError):
        load_table(context, subject.id)
    result = load_table(context, subject.id)

    assert (result.read, result.good, result.batch) == (ROWS, ROWS - 4, 1)


def test_a_run_reads_all_its_tables_at_one_scn(oracle: OracleDesk) -> None:
    first, second = numbers(oracle), numbers(oracle)
    context = company(oracle, first)
    initialise(context.settings)
    with OracleSource("erp", oracle.connection).snapshot() as opened:
        point = opened.fixed_point
    oracle.sql(f"UPDATE {second.source_table[-1]} SET NAME = 'since' WHERE ID = 1")

    for subject in (first, second):
        load_table(context, subject.id, at=FixedPoint.from_dict(point.as_dict()))
        assert lake(context, f"select name, _seq from bronze.erp__{subject.entity} where id = 1") == [
            ("n1", int(point.value))
        ]


def test_a_fixed_point_that_stays_lost_ends_the_load(faulty: OracleDesk, faulty_server: FaultyServer) -> None:
    subject = numbers(faulty)
    context = company(faulty, subject)
    faulty_server.arm("fail_next_execute", code=1555, pattern="COUNT", times=3)

    with pytest.raises(SnapshotLostError):
        load_table(context, subject.id)


def die(context: Context, subject: Contract, *, after_chunks: int) -> None:
    """Load in a process that is killed as soon as it has read some chunks."""
    connection = context.settings.connection("erp")
    extra = "&".join(f"{name}={value}" for name, value in connection.extra.items())
    environ = {
        "LAKEHOUSE_ROOT": context.settings.lake_root,
        "LAKEHOUSE_PROJECT": str(context.settings.project),
        "AIRFLOW_CONN_ERP": f"oracle://{connection.login}:{connection.password}@{connection.host}:{connection.port}/"
        f"{connection.schema}?{extra}",
        "PATH": "",
    }
    command = [sys.executable, "-c", DEATH, subject.id, str(after_chunks)]
    root = Path(__file__).parents[2]
    ended = subprocess.run(command, cwd=root, env=environ, check=False, capture_output=True, text=True)
    assert ended.returncode == -9, ended.stderr
