"""One session on an Oracle database. The only module that imports its driver; translates the driver's errors.

Thin mode: no client libraries. As a source no row is ever written: SELECT, settings of the session itself, and
DBMS_PARALLEL_EXECUTE, which keeps the chunks it finds in its own dictionary until they are read. What streams write,
`ingestion.sinks.oracle` writes on a session of its own.
Driver and server texts may quote row values and statements, so our errors have only the code and no chained cause.

A connection is oracle://user:password@host:1521/service. Its extras:
    service_name, sid, dsn              the database, if not the service in the URI; dsn replaces host and port
    protocol                            tcp (default) or tcps
    wallet_location, wallet_password    a folder with ewallet.pem, for tcps
    config_dir                          a folder with tnsnames.ora, for a dsn that is an alias
    ssl_server_dn_match                 true (default) or false
    call_timeout_seconds                how long one round trip may take; default 600
    fixed_point                         scn (default), or transaction if the user may not read AS OF SCN
    clock                               the moment of a copy of an earlier state; default the server's clock
    max_sessions                        how many sessions one load may hold at once; default 3
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any

import oracledb
import pyarrow as pa

from ingestion.contracts.model import Contract
from ingestion.errors import ConfigurationError, LakehouseError
from ingestion.settings import Connection
from ingestion.sources.driver_errors import reason_of, subject_of, translating, wrong_extra
from ingestion.sources.kept_sessions import session_of
from ingestion.sources.oracle.errors import error_of
from ingestion.sources.oracle.keys import NationalText

DEFAULT_CALL_TIMEOUT_SECONDS = 600
PROGRAM = "lakehouse"
MAX_NAME_BYTES = 64  # shown in V$SESSION

DRIVER_ERRORS = (oracledb.Error, OSError)
TIMESTAMP = oracledb.DB_TYPE_TIMESTAMP

# conversions must not depend on the database's locale: decimal point, calendar, comparison of characters
_SETTINGS = (
    "ALTER SESSION SET TIME_ZONE='+00:00' NLS_NUMERIC_CHARACTERS='.,' NLS_CALENDAR='GREGORIAN' "
    "NLS_SORT='BINARY' NLS_COMP='BINARY'"
)


class Session:
    """An open connection under a system's name. Statements are bound, results typed; serial. Use `open_session`."""

    def __init__(self, system: str, connection: oracledb.Connection) -> None:
        self._system = system
        self._connection = connection

    @property
    def version(self) -> str:
        return self._connection.version

    def serve(self, contract: Contract | None) -> None:
        """Show in V$SESSION which contract is being read."""
        self._connection.action = "" if contract is None else contract.id[:MAX_NAME_BYTES]

    def reset(self) -> None:
        """End the transaction. Raises SourceUnavailableError if the session is lost."""
        with translated(self._system):
            self._connection.rollback()

    def close(self) -> None:
        with suppress(oracledb.Error):
            self._connection.close()

    def execute(self, sql: str, binds: Mapping[str, Any] | None = None) -> None:
        """Run a statement without a result."""
        with translated(self._system), self._connection.cursor() as cursor:
            cursor.execute(sql, self._bound(binds))

    def rows(
        self, sql: str, binds: Mapping[str, Any] | None = None, contract: Contract | None = None
    ) -> list[tuple[Any, ...]]:
        """Return all rows of a small result. Raises what `error_of` returns."""
        with translated(self._system, contract), self._connection.cursor() as cursor:
            cursor.arraysize = cursor.prefetchrows = 1000
            cursor.execute(sql, self._bound(binds))
            return list(cursor.fetchall())

    def batches(
        self, sql: str, binds: Mapping[str, Any], *, requested: pa.Schema, size: int, contract: Contract
    ) -> Iterator[list[pa.Array]]:
        """Yield a result as lists of arrays of the requested types, `size` rows at a time, without empty ones."""
        frames = self._frames(sql, binds, requested, size)
        while True:
            with translated(self._system, contract):
                frame = next(frames, None)
                if frame is None:
                    return
                arrays = [pa.array(column) for column in frame.column_arrays()]
            if any(len(array) for array in arrays):
                yield arrays

    def _frames(self, sql: str, binds: Mapping[str, Any], requested: pa.Schema, size: int) -> Iterator[Any]:
        # without a size the driver would hold the whole result in memory
        return self._connection.fetch_df_batches(sql, self._bound(binds), size=size, requested_schema=requested)

    def _bound(self, binds: Mapping[str, Any] | None) -> dict[str, Any]:
        return {
            name: self._national(value) if isinstance(value, NationalText) else value
            for name, value in (binds or {}).items()
        }

    def _national(self, value: str) -> oracledb.Var:
        variable = self._connection.cursor().var(oracledb.DB_TYPE_NVARCHAR)
        variable.setvalue(0, str(value))
        return variable


def open_session(system: str, connection: Connection) -> AbstractContextManager[Session]:
    """
    Log in, and log out at the end, unless sessions are kept (`sources.kept_sessions`).

    Raises ConfigurationError, SourceUnavailableError.
    """

    def log_in(connection: Connection) -> Session:
        return Session(system, connected(system, connection))

    return session_of(system, connection, open_session=log_in, reset=Session.reset, close=Session.close)


def connected(system: str, connection: Connection) -> oracledb.Connection:
    """Log in as `connect` does, and make the session independent of the database's locale and time zone."""
    opened = connect(system, connection)
    session = Session(system, opened)
    try:
        session.execute(_SETTINGS)
    except BaseException:
        session.close()
        raise
    return opened


def connect(system: str, connection: Connection) -> oracledb.Connection:
    """Log in as the connection says. Raises ConfigurationError, SourceUnavailableError."""
    arguments, timeout = _arguments(system, connection)
    with translated(system, address=_told_address(arguments)):
        opened = oracledb.connect(**arguments)
    opened.call_timeout = int(timeout * 1000)
    opened.module = system[:MAX_NAME_BYTES]
    return opened


def translated(system: str, contract: Contract | None = None, address: str = "") -> AbstractContextManager[None]:
    """Raise the driver's errors as our own errors, without their text. `address`: of a log-in."""
    subject = subject_of(system, contract)

    def ours(exc: Exception) -> LakehouseError:
        reason = reason_of(exc) if address else None
        return error_of(code_of(exc, bool(address)), system, contract, address=address, reason=reason)

    return translating(subject, DRIVER_ERRORS, ours)


def code_of(error: BaseException, is_login: bool = False) -> str:
    """Return the code of one of DRIVER_ERRORS, e.g. `ORA-00942`."""
    if isinstance(error, OSError):
        return "DPY-6005" if is_login else "DPY-4011"
    details = error.args[0] if error.args else None
    code = getattr(details, "full_code", "") or type(error).__name__
    if code == "DPY-6005" and isinstance(error.__cause__, oracledb.Error):  # it wraps what the listener says
        return code_of(error.__cause__, is_login)
    return code


def _told_address(arguments: Mapping[str, Any]) -> str:
    """Return host and port for messages; a dsn is not shown, for it may hold a password."""
    return f"{arguments['host']}:{arguments['port']}" if "host" in arguments else "the dsn of the connection"


def _arguments(system: str, connection: Connection) -> tuple[dict[str, Any], float]:
    """Return the driver's arguments, and the time-out of a call in seconds. Raises ConfigurationError."""
    extra = connection.extra
    arguments: dict[str, Any] = {"user": connection.login, "password": connection.password, "program": PROGRAM}
    if extra.get("dsn"):
        arguments["dsn"] = extra["dsn"]
    else:
        arguments |= _address(system, connection)
    for name in ("wallet_location", "wallet_password", "config_dir"):
        if extra.get(name):
            arguments[name] = extra[name]
    if extra.get("ssl_server_dn_match"):
        arguments["ssl_server_dn_match"] = _yes_or_no(system, "ssl_server_dn_match", extra["ssl_server_dn_match"])
    try:
        timeout = float(extra.get("call_timeout_seconds") or DEFAULT_CALL_TIMEOUT_SECONDS)
    except ValueError:
        timeout = 0.0
    if not 0 < timeout < 2**31 / 1000:
        raise wrong_extra(system, "call_timeout_seconds", "a number of seconds above 0")
    return arguments, timeout


def _address(system: str, connection: Connection) -> dict[str, Any]:
    extra = connection.extra
    protocol = extra.get("protocol") or "tcp"
    if protocol not in ("tcp", "tcps"):
        raise wrong_extra(system, "protocol", "tcp or tcps")
    service = extra.get("service_name") or connection.schema
    if not connection.host or not (service or extra.get("sid")):
        raise ConfigurationError(
            f"{system}: the connection names {'no service' if connection.host else 'no host'}. Nothing was read. "
            f"Write AIRFLOW_CONN_{system.upper()} as oracle://user:password@host:1521/service (or extra sid, or dsn)."
        )
    place = {"sid": extra["sid"]} if extra.get("sid") else {"service_name": service}
    return {"host": connection.host, "port": connection.port or 1521, "protocol": protocol, **place}


def _yes_or_no(system: str, name: str, text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in known:
        raise wrong_extra(system, name, "true or false")
    return known[text.lower()]
