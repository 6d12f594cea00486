"""What goes wrong on the way: refused log-ins, lost connections, deadlocks. Nothing of it tells a value."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Iterator

import pytest

from ingestion.contracts.model import Contract
from ingestion.contracts.window import Window
from ingestion.errors import (
    BrokenContractError,
    ConfigurationError,
    LakehouseError,
    LoginRefusedError,
    SnapshotLostError,
    SourceUnavailableError,
)
from ingestion.settings import Connection
from ingestion.sources import open_source
from ingestion.sources.sqlserver import session as sqlserver_session
from ingestion.sources.sqlserver import sizes as sqlserver_sizes
from ingestion.sources.sqlserver.errors import diagnose, error_of
from ingestion.sources.sqlserver.session import connection_string, open_session
from ingestion.sources.sqlserver.source import SqlServerSource
from tests.sources.sqlserver_fixtures import ID, Desk, FaultyServer, Promise, desk, faulty, faulty_server, rows

__all__ = ["desk", "faulty", "faulty_server"]


@pytest.fixture
def things(faulty: Desk) -> Iterator[Contract]:
    """A table of a thousand rows that a fault can hit."""
    table = faulty.table("ID bigint PRIMARY KEY, NAME nvarchar(40)")
    faulty.sql(f"INSERT INTO dbo.{table} SELECT value, CONCAT(N'classified ', value) FROM GENERATE_SERIES(1, 1000)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlserver_sizes, "MAX_ROWS", 100)
        yield faulty.contract(table, ID, Promise("name", "nvarchar(40)"))


def told(error: pytest.ExceptionInfo[LakehouseError]) -> str:
    """Return all that a log would show of an error."""
    return "".join(traceback.format_exception(error.value))


def read(connection: Connection, contract: Contract) -> int:
    with SqlServerSource("shop", connection).snapshot() as snapshot:
        return len(rows(snapshot, contract))


def test_a_connection_that_is_cut_while_rows_come_is_not_taken_for_their_end(
    faulty_server: FaultyServer, things: Contract
) -> None:
    faulty_server.arm("drop_after_rows", rows=250, pattern=r"\[NAME\]")

    with pytest.raises(SourceUnavailableError, match="connection was lost while rows were read") as error:
        read(faulty_server.connection, things)

    assert "classified" not in told(error)
    assert read(faulty_server.connection, things) == 1000


def test_keys_that_were_cut_short_are_never_taken_for_deletes(faulty_server: FaultyServer, things: Contract) -> None:
    faulty_server.arm("drop_after_rows", rows=250, pattern="AS c0 FROM")

    with (
        SqlServerSource("shop", faulty_server.connection).snapshot() as snapshot,
        pytest.raises(SourceUnavailableError),
    ):
        list(snapshot.read_keys(things, Window()))


def test_a_deadlock_is_tried_again(faulty_server: FaultyServer, things: Contract) -> None:
    faulty_server.arm("raise_error", number=1205, pattern=r"\[NAME\]")

    with pytest.raises(SourceUnavailableError, match=r"lost a deadlock \(error 1205\)"):
        read(faulty_server.connection, things)

    assert read(faulty_server.connection, things) == 1000


@pytest.mark.parametrize("number", [3957, 3958, 3961, 3966])
def test_a_lost_snapshot_asks_for_a_new_one(faulty_server: FaultyServer, things: Contract, number: int) -> None:
    faulty_server.arm("raise_error", number=number, pattern=r"\[NAME\]")

    with pytest.raises(SnapshotLostError, match=rf"\(error {number}\).* read again at a new fixed point"):
        read(faulty_server.connection, things)


def test_a_statement_slower_than_its_time_out_is_tried_again(faulty_server: FaultyServer, things: Contract) -> None:
    faulty_server.arm("delay", seconds=8, pattern="AS c0")

    with pytest.raises(SourceUnavailableError, match="time-out"):
        read(faulty_server.with_extra(query_timeout_seconds="1"), things)


def test_an_unknown_error_is_permanent_and_tells_its_number_only(faulty_server: FaultyServer, things: Contract) -> None:
    faulty_server.arm("raise_error", number=50001, pattern=r"\[NAME\]")

    with pytest.raises(ConfigurationError, match=r"error 50001") as error:
        read(faulty_server.connection, things)

    assert "NAME" not in told(error).replace("__NAME__", "")


def test_a_wrong_password_is_refused_without_being_shown(desk: Desk) -> None:
    connection = Connection("mssql", desk.connection.host, desk.connection.port, desk.connection.schema,
                            desk.connection.login, "opensesame", desk.connection.extra)  # fmt: skip

    with pytest.raises(ConfigurationError, match=r":\d+ answers, but user or password were refused") as error:
        open_source("shop", connection).probe()

    assert "opensesame" not in told(error)


def test_a_port_where_nobody_listens_is_unavailable() -> None:
    connection = Connection("mssql", "127.0.0.1", 1, "lake", "sa", "x", {"Encrypt": "no"})

    with pytest.raises(SourceUnavailableError, match=r"127\.0\.0\.1:1: nothing accepts connections on this port"):
        open_source("shop", connection).probe()


def test_a_certificate_that_nobody_vouches_for_is_refused(desk: Desk) -> None:
    extra = {name: value for name, value in desk.connection.extra.items() if name != "TrustServerCertificate"}
    connection = Connection("mssql", desk.connection.host, desk.connection.port, desk.connection.schema,
                            desk.connection.login, desk.connection.password, {**extra, "Encrypt": "yes"})  # fmt: skip

    with pytest.raises(ConfigurationError, match="certificate is not trusted"):
        open_source("shop", connection).probe()


def test_a_column_that_is_gone_breaks_the_contract(faulty_server: FaultyServer, things: Contract) -> None:
    faulty_server.arm("raise_error", number=207, pattern=r"\[NAME\]")

    with pytest.raises(BrokenContractError, match=r"a column that is gone or was renamed \(error 207\)"):
        read(faulty_server.connection, things)


def test_encryption_is_on_unless_the_connection_says_otherwise() -> None:
    plain = Connection("mssql", "db", None, "shop", "sa", "p;w}d", {})
    text = connection_string("shop", plain)

    assert "Encrypt=yes;" in text
    assert "TrustServerCertificate" not in text
    assert "Server=db,1433;" in text
    assert "PWD={p;w}}d};" in text
    assert "APP=lakehouse shop;" in text


def test_only_known_extras_reach_the_driver() -> None:
    given = {"Encrypt": "strict", "HostNameInCertificate": "db.example", "Trace": "yes", "max_sessions": "2"}
    text = connection_string("shop", Connection("mssql", "db", 1444, "shop", "sa", "x", given))

    assert "Encrypt=strict;" in text
    assert "HostNameInCertificate=db.example;" in text
    assert "Trace" not in text
    assert "max_sessions" not in text


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        (Connection("mssql"), "the connection names no host"),
        (Connection("mssql", "db", extra={"query_timeout_seconds": "soon"}), "query_timeout_seconds must be"),
        (Connection("mssql", "db", extra={"fixed_point": "scn"}), "fixed point is snapshot or statement"),
    ],
)
def test_a_connection_that_cannot_be_is_named(connection: Connection, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message), open_source("shop", connection).snapshot():
        pass


def test_a_machine_without_the_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(sqlserver_session, "get_libs_dir", lambda: str(tmp_path))

    with (
        pytest.raises(ConfigurationError, match=r"apt-get install unixodbc libltdl7 libkrb5-3 libgssapi-krb5-2"),
        open_session("shop", Connection("mssql", "db")),
    ):
        pass


def test_a_driver_that_cannot_be_loaded_says_what_to_install(tmp_path: object) -> None:
    extra = {"driver": f"{tmp_path}/libnothing.so"}

    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(ConfigurationError, match="needs Microsoft's ODBC driver 18; there is none that could be loaded"),
        open_session("shop", Connection("mssql", "127.0.0.1", server.getsockname()[1], extra=extra)),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("State: 08S01, Native error: 104, Message: gone", SourceUnavailableError),
        ("State: HYT00, Native error: 0, Message: slow", SourceUnavailableError),
        ("State: 28000, Native error: 18456, Message: no", LoginRefusedError),
        ("State: 42000, Native error: 229, Message: no", ConfigurationError),
        ("State: 42000, Native error: 3952, Message: no", ConfigurationError),
    ],
)
def test_an_error_of_the_driver_is_told_by_number_or_state(text: str, kind: type[LakehouseError]) -> None:
    assert type(error_of(diagnose(f"ODBC emitted an error calling 'X':\n{text}"), "shop")) is kind
