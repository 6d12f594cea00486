"""One session on a SQL Server. The only module that imports its driver; translates the driver's errors.

arrow-odbc reads Arrow batches through Microsoft's ODBC driver and also runs the control statements. One connection
holds the snapshot that all reads of a load share. It sends only SELECT statements, settings of the session itself and
its transaction, which is rolled back.
Driver and server texts may quote row values and statements, so our errors have only the code and no chained cause.

A connection is mssql://user:password@host:1433/database. Its extras:
    Encrypt                     yes (default), no, or strict
    TrustServerCertificate      no (default) or yes
    HostNameInCertificate, ServerCertificate, ApplicationIntent, MultiSubnetFailover, Authentication   as the driver's
    driver                      an installed driver's name or path; default the one of mssql-python-odbc
    login_timeout_seconds       how long a log-in may take; default 15
    query_timeout_seconds       how long a statement may take to its first row; default 600
    lock_timeout_seconds        how long a statement waits for a lock; default 60
    fixed_point                 snapshot (default), or statement if the database does not allow snapshot isolation
    clock                       the moment of a copy of an earlier state; default the server's clock
    max_sessions                how many sessions one load may hold at once; default 3
"""

from __future__ import annotations

import platform
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import arrow_odbc
import pyarrow as pa
from arrow_odbc import TextEncoding
from mssql_python_odbc import get_libs_dir
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from ingestion.contracts.model import Contract
from ingestion.errors import ConfigurationError, IntegrityError, LakehouseError
from ingestion.settings import Connection
from ingestion.sources.driver_errors import (
    reason_of,
    subject_of,
    translating,
    unavailable,
    undeliverable,
    wrong_extra,
)
from ingestion.sources.kept_sessions import session_of
from ingestion.sources.sqlserver.errors import diagnose, error_of, no_driver

PROGRAM = "lakehouse"
MOST_SECONDS_BUSY = 30
DEFAULT_PORT = 1433

_PASSED_ON = (
    "TrustServerCertificate",
    "HostNameInCertificate",
    "ServerCertificate",
    "ApplicationIntent",
    "MultiSubnetFailover",
    "Authentication",
)
_BRACED = frozenset("{}[]();?*=!@")
_NOT_A_HOST = frozenset("\\,:()")
"""Characters of the driver's other ways to name a server: an instance, a port, a protocol; and of IPv6 addresses."""
_SHORT_ANSWER = 1_000
_SHORT_TEXT = 4_000
# conversions must not depend on the login's language, and an error must end the statement
_SETTINGS = "SET LANGUAGE us_english; SET XACT_ABORT ON; SET DEADLOCK_PRIORITY LOW; SET LOCK_TIMEOUT {milliseconds}"


class Session:
    """An open connection under a system's name. Statements are bound, results typed; serial. Use `open_session`."""

    def __init__(self, system: str, connection: arrow_odbc.Connection, query_timeout: int) -> None:
        self._system = system
        self._connection = connection
        self._query_timeout = query_timeout
        self._reader: Any = None
        self._reading: object = None

    def reset(self) -> None:
        """End the transaction. Raises SourceUnavailableError if the session is lost."""
        self.execute("IF @@TRANCOUNT > 0 ROLLBACK")

    def close(self) -> None:
        """End the transaction and log out; the session is of no use any more."""
        with suppress(LakehouseError):
            self.reset()
        del self._connection

    def execute(self, sql: str) -> None:
        """Run statements that change settings of the session."""
        self._reader = None
        with translated(self._system):
            _when_free(self._connection.execute, query=sql, query_timeout_sec=self._query_timeout)

    def rows(self, sql: str, binds: Sequence[str] = (), contract: Contract | None = None) -> list[tuple[Any, ...]]:
        """Return all rows of a small result with short texts. Raises what `error_of` returns."""
        found: list[tuple[Any, ...]] = []
        for arrays in self.batches(sql, binds, size=_SHORT_ANSWER, contract=contract):
            found += zip(*(array.to_pylist() for array in arrays), strict=True)
        return found

    def batches(
        self,
        sql: str,
        binds: Sequence[str],
        *,
        size: int,
        requested: pa.Schema | None = None,
        longest: int = _SHORT_TEXT,
        contract: Contract | None = None,
    ) -> Iterator[list[pa.Array]]:
        """
        Yield a result as lists of arrays, `size` rows at a time, of the requested types or else the driver's own.

        `longest` is the most bytes that a value of unbounded length has. To the driver a lost connection looks
        like the end of the rows. The server's own row count, sent after them, distinguishes the two.
        """
        statement, parameters = spelled_statement(sql, binds)
        seen = 0
        with translated(self._system, contract):
            self._reader = None  # one statement at a time: this ends the one before
            self._reader = _when_free(
                self._connection.read_arrow_batches,
                query=f"{statement}; SELECT ROWCOUNT_BIG() AS [rows]",
                batch_size=size,
                parameters=parameters,
                max_text_size=longest,
                max_binary_size=longest,
                schema=requested,
                map_schema=None if requested is not None else _nullable,
                fetch_concurrently=size > 1,
                query_timeout_sec=self._query_timeout,
                payload_text_encoding=TextEncoding.UTF16,
            )
        reading = self._reading = object()
        while (batch := self._next(reading, contract)) is not None:
            seen += batch.num_rows
            if batch.num_rows:
                yield list(batch.columns)
        with translated(self._system, contract):
            sent = self._count_sent()
        if sent != seen:
            why = "the connection was lost while rows were read"
            raise unavailable(subject_of(self._system, contract), self._system, why)

    def _next(self, reading: object, contract: Contract | None) -> pa.RecordBatch | None:
        if self._reading is not reading:
            raise IntegrityError(
                f"{self._system}: rows were asked for of a statement that another has ended. Nothing was committed. "
                "This is a fault of the program; report it."
            )
        with translated(self._system, contract):
            return next(self._reader, None)

    def _count_sent(self) -> int | None:
        """Return the server's count of the rows that have been read; None if it was not received."""
        reader, self._reader = self._reader, None
        if not reader.more_results(fetch_concurrently=False, payload_text_encoding=TextEncoding.UTF16):
            return None
        return int(next(reader).column(0)[0].as_py())


def open_session(system: str, connection: Connection) -> AbstractContextManager[Session]:
    """
    Log in, and log out at the end, unless sessions are kept (`sources.kept_sessions`).

    Raises ConfigurationError, SourceUnavailableError.
    """

    def log_in(connection: Connection) -> Session:
        _, query, lock = (_seconds(system, connection, *of) for of in _TIMEOUTS)
        session = Session(system, connect(system, connection), query)
        try:
            session.execute(_SETTINGS.format(milliseconds=lock * 1000))
        except BaseException:
            session.close()
            raise
        return session

    return session_of(system, connection, open_session=log_in, reset=Session.reset, close=Session.close)


def connect(system: str, connection: Connection) -> arrow_odbc.Connection:
    """Log in as the connection says; statements commit by themselves. Raises as `open_session` does."""
    text = connection_string(system, connection)
    seconds = _seconds(system, connection, *_TIMEOUTS[0])
    address = f"{connection.host}:{connection.port or DEFAULT_PORT}"
    _knock(system, connection, address, seconds)
    with translated(system, address=address):
        return arrow_odbc.connect(text, login_timeout_sec=seconds)


def _knock(system: str, connection: Connection, address: str, seconds: int) -> None:
    """
    Raise SourceUnavailableError if nothing accepts connections at the address.

    The driver itself goes on trying until its time-out, even if the port is closed, and does not say why it failed.
    """
    if set(connection.host) & _NOT_A_HOST:
        return
    try:
        with socket.create_connection((connection.host, connection.port or DEFAULT_PORT), timeout=seconds):
            pass
    except OSError as exc:
        why = reason_of(exc) or type(exc).__name__
        raise unavailable(system, system, why, address) from None


_TIMEOUTS = (("login_timeout_seconds", 15), ("query_timeout_seconds", 600), ("lock_timeout_seconds", 60))


def translated(system: str, contract: Contract | None = None, address: str = "") -> AbstractContextManager[None]:
    """Raise the driver's errors as our own errors, without their text. `address`: of a log-in."""
    subject = subject_of(system, contract)

    def ours(exc: Exception) -> LakehouseError:
        found = diagnose(str(exc))
        if found.is_library:
            return no_driver(system, "none that could be loaded")
        return error_of(found, system, contract, address) if found.state else undeliverable(subject, "Error")

    return translating(subject, (arrow_odbc.Error,), ours)


def connection_string(system: str, connection: Connection) -> str:
    """Return the driver's connection string. Holds the password: never show it. Raises ConfigurationError."""
    if not connection.host:
        raise ConfigurationError(
            f"{system}: the connection names no host. Nothing was read. "
            f"Write AIRFLOW_CONN_{system.upper()} as mssql://user:password@host:1433/database."
        )
    extra = connection.extra
    attributes = {
        "Driver": extra.get("driver") or packaged_driver(system),
        "Server": f"{connection.host},{connection.port or DEFAULT_PORT}",
        "Database": connection.schema,
        "UID": connection.login,
        "PWD": connection.password,
        "APP": f"{PROGRAM} {system}",
        "Encrypt": extra.get("Encrypt") or "yes",
        "ConnectRetryCount": "0",  # a silently reconnected session has lost its snapshot
        **{name: extra[name] for name in _PASSED_ON if extra.get(name)},
    }
    return "".join(f"{name}={_braced(value)};" for name, value in attributes.items() if value)


def packaged_driver(system: str) -> str:
    """Return the path of the driver in mssql-python-odbc. Raises ConfigurationError if there is no usable one."""
    machine = {"amd64": "x86_64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    found = sorted(Path(get_libs_dir()).glob(f"linux/*/{machine}/lib/libmsodbcsql-18*.so*"))
    preferred = [path for path in found if path.parts[-4] == _distribution()]
    if not found:
        raise no_driver(system, f"none for {platform.system()} {machine}")
    return str((preferred or found)[-1])


def _distribution() -> str:
    """Return which of the package's builds fits this Linux."""
    try:
        family = " ".join(platform.freedesktop_os_release().get(key, "") for key in ("ID", "ID_LIKE"))
    except OSError:
        return "debian_ubuntu"
    names = {"alpine": "alpine", "suse": "suse", "rhel": "rhel", "fedora": "rhel", "centos": "rhel"}
    return next((folder for name, folder in names.items() if name in family), "debian_ubuntu")


def _when_free(call: Callable[..., Any], **arguments: Any) -> Any:
    """Call the driver; wait until it has released a statement that was ended before its last row."""
    patient = Retrying(
        retry=retry_if_exception(lambda exc: isinstance(exc, arrow_odbc.Error) and diagnose(str(exc)).is_busy),
        wait=wait_fixed(0.02),
        stop=stop_after_delay(MOST_SECONDS_BUSY),
        reraise=True,
    )
    return patient(call, **arguments)


def spelled_statement(sql: str, binds: Sequence[str]) -> tuple[str, list[str | None]]:
    """Return the statement to send: the driver sends statement texts as ASCII, but bound texts as UTF-16."""
    if sql.isascii():
        return sql, list(binds)
    if not binds:
        return "EXEC sp_executesql ?", [sql]
    parts = sql.split("?")
    if len(parts) != len(binds) + 1:
        raise ConfigurationError(
            "a name of the source holds a question mark beside characters beyond ASCII, which cannot be bound. "
            "Nothing was read. Read the table through a view with other names."
        )
    named = "".join(part + (f"@p{at}" if at < len(binds) else "") for at, part in enumerate(parts))
    declared = ", ".join(f"@p{at} nvarchar(max)" for at in range(len(binds)))
    return f"EXEC sp_executesql ?, N'{declared}'{', ?' * len(binds)}", [named, *binds]


def _nullable(schema: pa.Schema) -> pa.Schema:
    # the driver's "not null" is only an estimate for expressions
    return pa.schema([field.with_nullable(True) for field in schema])


def _braced(value: str) -> str:
    return "{" + value.replace("}", "}}") + "}" if _BRACED & set(value) or value != value.strip() else value


def _seconds(system: str, connection: Connection, name: str, default: int) -> int:
    text = connection.extra.get(name) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 2**31 // 1000:
        raise wrong_extra(system, name, "a whole number of seconds above 0")
    return int(text)
