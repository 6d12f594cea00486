"""What goes wrong on the way: refused log-ins, lost connections, lost fixed points. Nothing of it tells a value."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest

from ingestion.contracts.model import Contract
from ingestion.contracts.window import Window
from ingestion.errors import (
    BrokenContractError,
    ConfigurationError,
    IntegrityError,
    LakehouseError,
    SnapshotLostError,
    SourceUnavailableError,
)
from ingestion.settings import Connection
from ingestion.sources import open_source
from ingestion.sources.oracle import sizes as oracle_sizes
from ingestion.sources.oracle.session import open_session
from ingestion.sources.oracle.source import OracleSource
from tests.sources.oracle_fixtures import ID, FaultyServer, OracleDesk, Promise, faulty, faulty_server, oracle, rows

__all__ = ["faulty", "faulty_server", "oracle"]


@pytest.fixture
def things(faulty: OracleDesk) -> Iterator[Contract]:
    """A table of a thousand rows that a fault can hit."""
    table = faulty.table("ID NUMBER(12) PRIMARY KEY, NAME VARCHAR2(40)")
    with faulty.driver().cursor() as cursor:
        cursor.executemany(f"INSERT INTO {table} VALUES (:1, :2)", [(at, f"classified {at}") for at in range(1000)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracle_sizes, "MAX_ROWS", 100)
        yield faulty.contract(table, ID, Promise("name", "VARCHAR2(40)"))


def told(error: pytest.ExceptionInfo[LakehouseError]) -> str:
    """Return all that a log would show of an error."""
    return "".join(traceback.format_exception(error.value))


def read(server: FaultyServer, contract: Contract, **extra: str) -> int:
    with OracleSource("erp", server.with_extra(**extra)).snapshot() as snapshot:
        return len(rows(snapshot, contract))


def test_a_connection_that_is_cut_while_rows_come_is_tried_again(faulty_server: FaultyServer, things: Contract) -> None:
    faulty_server.arm("drop_after_rows", rows=250, pattern='"NAME"')

    with pytest.raises(SourceUnavailableError, match=r"the connection was lost \(DPY-4011\)") as error:
        read(faulty_server, things)

    assert "classified" not in told(error)
    assert read(faulty_server, things) == 1000


def test_a_fetch_slower_than_the_time_out_of_a_call_is_tried_again(
    faulty_server: FaultyServer, things: Contract
) -> None:
    faulty_server.arm("delay_fetch", seconds=5, pattern='"NAME"')

    with pytest.raises(SourceUnavailableError, match=r"time-out of a call \(DPY-4024\)"):
        read(faulty_server, things, call_timeout_seconds="0.3")


@pytest.mark.parametrize("code", [1555, 1466, 8103, 22924])
def test_a_lost_fixed_point_asks_for_a_new_one(faulty_server: FaultyServer, things: Contract, code: int) -> None:
    faulty_server.arm("fail_next_execute", code=code, pattern='"NAME"')

    with pytest.raises(SnapshotLostError, match=rf"erp\..* \(ORA-{code:05}\).* read again at a new fixed point"):
        read(faulty_server, things)


def test_an_scn_beyond_the_undo_retention_is_lost(
    faulty: OracleDesk, faulty_server: FaultyServer, things: Contract
) -> None:
    source = OracleSource("erp", faulty_server.connection)
    with source.snapshot() as snapshot:
        for key in range(2000, 2010):
            faulty.sql(f"INSERT INTO {things.source_table[1]} VALUES ({key}, 'late')")

        with pytest.raises(SnapshotLostError, match="ORA-01555"):
            rows(snapshot, things)


@pytest.mark.parametrize("code", [60, 3113, 12537])
def test_a_passing_trouble_of_the_server_is_tried_again(
    faulty_server: FaultyServer, things: Contract, code: int
) -> None:
    faulty_server.arm("fail_next_execute", code=code, pattern="COUNT")

    with OracleSource("erp", faulty_server.connection).snapshot() as snapshot, pytest.raises(SourceUnavailableError):
        snapshot.count(things, Window())


@pytest.mark.parametrize("code", [942, 1031])
def test_a_table_that_may_not_be_read_breaks_the_contract(
    faulty_server: FaultyServer, things: Contract, code: int
) -> None:
    faulty_server.arm("fail_next_execute", code=code, pattern="COUNT")

    with (
        OracleSource("erp", faulty_server.connection).snapshot() as snapshot,
        pytest.raises(BrokenContractError, match=f"ORA-{code:05}"),
    ):
        snapshot.count(things, Window())


def test_an_error_that_nobody_listed_is_permanent_and_keeps_its_text_to_itself(
    faulty_server: FaultyServer, things: Contract
) -> None:
    faulty_server.arm(
        "fail_next_execute",
        code=1722,
        pattern="COUNT",
        text="ORA-01722: unable to convert string value containing 'classified'",
    )

    with (
        OracleSource("erp", faulty_server.connection).snapshot() as snapshot,
        pytest.raises(ConfigurationError, match="ORA-01722") as error,
    ):
        snapshot.count(things, Window())

    assert "classified" not in told(error)


def test_refused_log_ins_are_tried_again(faulty_server: FaultyServer) -> None:
    faulty_server.arm("refuse_connections", count=1, code=12514)
    source = OracleSource("erp", faulty_server.connection)

    with pytest.raises(
        SourceUnavailableError,
        match=r"no connection to .*: the listener does not know the service now \(DPY-6001\)",
    ):
        source.probe()

    assert source.probe()


def test_without_the_right_to_learn_the_scn_a_transaction_takes_its_place(
    faulty_server: FaultyServer, things: Contract
) -> None:
    faulty_server.arm("fail_next_execute", code=904, pattern="DBMS_FLASHBACK", times=99)
    faulty_server.arm("fail_next_execute", code=942, pattern=r"V\$DATABASE", times=99)
    source = OracleSource("erp", faulty_server.connection)

    with source.snapshot() as snapshot:
        assert (snapshot.fixed_point.kind, snapshot.fixed_point.sequence) == ("transaction", 0)
        assert "DBMS_FLASHBACK" in (snapshot.degraded or "")
        assert len(rows(snapshot, things)) == 1000
    grants = source.grants([things])
    assert [grant.present for grant in grants] == [False, False, True]
    assert "read-only transaction" in grants[0].consequence


def test_the_second_way_to_the_scn_is_as_good_as_the_first(faulty_server: FaultyServer, things: Contract) -> None:
    faulty_server.arm("fail_next_execute", code=904, pattern="DBMS_FLASHBACK", times=99)
    source = OracleSource("erp", faulty_server.connection)

    with source.snapshot() as snapshot:
        assert (snapshot.fixed_point.kind, snapshot.degraded) == ("scn", None)
    assert [(grant.present, grant.consequence) for grant in source.grants()] == [(False, ""), (True, "")]


def test_a_table_without_the_flashback_right_says_what_to_do(faulty_server: FaultyServer, things: Contract) -> None:
    faulty_server.arm("fail_next_execute", code=1031, pattern="AS OF SCN", times=99)

    *_, flashback = OracleSource("erp", faulty_server.connection).grants([things])

    assert (flashback.what, flashback.present) == (f"FLASHBACK on {'.'.join(things.source_table)}", False)
    assert "fixed_point to transaction" in flashback.consequence
    assert read(faulty_server, things, fixed_point="transaction") == 1000


def test_a_source_that_goes_away_while_the_scn_is_asked_for_is_not_taken_for_a_missing_right(
    faulty_server: FaultyServer,
) -> None:
    faulty_server.arm("fail_next_execute", code=1033, pattern="DBMS_FLASHBACK")

    with (
        pytest.raises(SourceUnavailableError, match="ORA-01033"),
        OracleSource("erp", faulty_server.connection).snapshot(),
    ):
        pass


def test_nothing_but_selects_and_settings_of_the_session_is_ever_sent(
    faulty_server: FaultyServer, things: Contract
) -> None:
    before = len(faulty_server.statements())
    source = OracleSource("erp", faulty_server.connection)
    source.grants([things])
    with source.snapshot() as snapshot:
        keys = pa.Table.from_batches(snapshot.read_keys(things, Window()))
        rows(snapshot, things, keys=keys.slice(0, 3))
    read(faulty_server, things, fixed_point="transaction")

    sent = {" ".join(statement.split()[:3]) for statement in faulty_server.statements()[before:]}
    assert {first for first in sent if not first.startswith("SELECT ")} == {"ALTER SESSION SET", "SET TRANSACTION READ"}


def test_a_wrong_password_is_permanent_and_not_repeated(oracle: OracleDesk) -> None:
    connection = replace(oracle.connection, password="hunter2-wrong")

    with pytest.raises(ConfigurationError, match=r"erp: .*:\d+ answers, but .*refused \(ORA-01017\)") as error:
        OracleSource("erp", connection).probe()

    assert "hunter2" not in told(error)


def test_a_server_that_is_not_there_is_tried_again(oracle: OracleDesk) -> None:
    with pytest.raises(SourceUnavailableError, match=r":1: nothing accepts connections on this port \(DPY-6005\)"):
        OracleSource("erp", replace(oracle.connection, port=1)).probe()


def test_a_value_that_the_driver_cannot_convert_is_not_quoted(oracle: OracleDesk) -> None:
    """DPY-4042 names the value; a guard that failed us must not put it into a log."""
    table = oracle.table("ID NUMBER(12), N NUMBER(12,2)")
    oracle.sql(f"INSERT INTO {table} VALUES (1, 98765.43)")
    contract = oracle.contract(table, ID)
    requested = pa.schema([("n", pa.decimal128(4, 1))])

    with open_session("erp", oracle.connection) as session, pytest.raises(IntegrityError, match="DPY-4042") as error:
        list(session.batches(f"SELECT N FROM {table}", {}, requested=requested, size=10, contract=contract))

    assert "98765" not in told(error)


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        (Connection("oracle", "h", None, "s", "u", "hidden", {"protocol": "udp"}), "protocol must be tcp or tcps"),
        (Connection("oracle", "h", None, "", "u", "hidden"), "the connection names no service"),
        (Connection("oracle", "", None, "s", "u", "hidden"), "the connection names no host"),
        (
            Connection("oracle", "h", None, "s", "u", "hidden", {"call_timeout_seconds": "soon"}),
            "call_timeout_seconds must be",
        ),
        (
            Connection("oracle", "h", None, "s", "u", "hidden", {"ssl_server_dn_match": "maybe"}),
            "ssl_server_dn_match must be",
        ),
        (
            Connection("oracle", "", None, "", "u", "hidden", {"dsn": "nowhere", "config_dir": "/nonexistent"}),
            r"DPY-40\d\d",
        ),
    ],
)
def test_a_connection_that_cannot_be_right_says_which_part(connection: Connection, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as error:
        OracleSource("erp", connection).probe()

    assert "hidden" not in told(error)


def test_a_fixed_point_of_an_unknown_kind_is_a_wrong_setting() -> None:
    source = OracleSource("erp", Connection("oracle", "h", extra={"fixed_point": "someday"}))

    with pytest.raises(ConfigurationError, match="extra fixed_point"), source.snapshot():
        pass


def test_a_machine_without_the_driver_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("ingestion.sources.oracle")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "oracledb", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'contract-lakehouse\[oracle\]'"):
        open_source("erp", Connection("oracle", "h", schema="s"))
