"""A SQL Server for tests: reached through AIRFLOW_CONN_SQLSERVER_TEST only, whichever server that names.

Tests of faults start a server of their own, if STAND_INS_PYTHON and STAND_INS_PATH say how.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ingestion.contracts.model import Contract
from ingestion.contracts.odcs import read_contract
from ingestion.runs.context import Context, initialise, open_context
from ingestion.settings import Connection, Settings, parse_connection
from tests.sources.oracle_fixtures import EVERYTHING, Promise, contract_text, rows, true_server

__all__ = [
    "EVERYTHING",
    "ID",
    "Desk",
    "FaultyServer",
    "Promise",
    "desk",
    "faulty",
    "faulty_server",
    "rows",
    "true_server",
]

VARIABLE = "AIRFLOW_CONN_SQLSERVER_TEST"
HOW = (
    f"set {VARIABLE}=mssql://user:password@host:1433/database?TrustServerCertificate=yes (a database that tests may "
    "fill, with snapshot isolation and Change Tracking allowed), or run make test-sources"
)

ID = Promise("id", "bigint", "integer", key=1)


@dataclass
class Desk:
    """A database to fill, and contracts on what is in it."""

    connection: Connection
    folder: Path
    tables: list[str] = field(default_factory=list)
    _driver: Any = None

    def connect(self) -> Any:
        """Return a plain driver connection, which commits by itself."""
        import arrow_odbc

        from ingestion.sources.sqlserver.session import connection_string

        return arrow_odbc.connect(connection_string("test", self.connection))

    def sql(self, *statements: str, binds: list[str | None] | None = None) -> None:
        from arrow_odbc import TextEncoding

        if self._driver is None:
            self._driver = self.connect()
        for statement in statements:
            self._driver.execute(statement, parameters=binds, payload_text_encoding=TextEncoding.UTF16)

    def table(self, columns: str) -> str:
        """Create a table under a name of its own."""
        name = f"t_{uuid.uuid4().hex[:10]}"
        self.sql(f"CREATE TABLE dbo.{name} ({columns})")
        self.tables.append(name)
        return name

    def track(self, table: str) -> None:
        """Let the database keep a log of the table's changes."""
        with suppress(Exception):  # it may be allowed already
            self.sql("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)")
        self.sql(f"ALTER TABLE dbo.{table} ENABLE CHANGE_TRACKING")

    def contract(self, table: str, *promises: Promise, **lake: str) -> Contract:
        path = self.folder / "shop" / f"{table.replace('_', '')}.odcs.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        entity = table.replace("_", "")
        path.write_text(contract_text(entity, f"dbo.{table}", promises, system="shop", dialect="sqlserver", **lake))
        return read_contract(path)

    def context(self) -> Context:
        """Return a run on a lake with every contract written so far."""
        settings = Settings(self.folder.parent, str(self.folder.parent / "lake"), "200MB", {"shop": self.connection})
        initialise(settings)
        return open_context(settings, "run-1")

    def close(self) -> None:
        for name in self.tables:
            with suppress(Exception):
                self.sql(f"DROP TABLE dbo.{name}")
        self._driver = None


def reachable() -> Connection:
    value = os.environ.get(VARIABLE)
    if not value:
        pytest.skip(HOW)
    return parse_connection(VARIABLE, value)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(reachable(), tmp_path / "data_contracts")
    yield opened
    opened.close()


_SERVER = """
import json, sys
from sqlserver_stand_in import SqlServerStandIn
if __name__ == "__main__":
    server = SqlServerStandIn(user="lake", password="secret", database="lake")
    server.start()
    print(server.port, flush=True)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        answer = getattr(server.faults, name)(**arguments)
        print(json.dumps(None), flush=True)
    server.stop()
"""


class FaultyServer:
    """A server of the tests' own that does wrong on demand."""

    def __init__(self, folder: Path) -> None:
        python, path = os.environ.get("STAND_INS_PYTHON"), os.environ.get("STAND_INS_PATH")
        if not python or not path:
            pytest.skip("needs a server that can be told to fail: STAND_INS_PYTHON and STAND_INS_PATH")
        script = folder / "server.py"
        script.write_text(_SERVER)
        self._process = subprocess.Popen(
            [python, str(script)],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.connection = Connection(
            "mssql", "127.0.0.1", int(self._line()), "lake", "lake", "secret", {"Encrypt": "no"}
        )

    def arm(self, fault: str, **arguments: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([fault, arguments]) + "\n")
        self._process.stdin.flush()
        self._line()

    def with_extra(self, **extra: str) -> Connection:
        return replace(self.connection, extra={**self.connection.extra, **extra})

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()  # the server stops its own child
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


SHARED = pytest.StashKey[FaultyServer]()


@pytest.fixture
def faulty_server(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    """The one faulty server of this worker; no test leaves a fault behind."""
    if SHARED not in pytestconfig.stash:
        pytestconfig.stash[SHARED] = FaultyServer(tmp_path_factory.mktemp("server"))
        pytestconfig.add_cleanup(pytestconfig.stash[SHARED].close)
    yield pytestconfig.stash[SHARED]
    pytestconfig.stash[SHARED].arm("clear")


@pytest.fixture
def faulty(faulty_server: FaultyServer, tmp_path: Path) -> Iterator[Desk]:
    """A desk at the faulty server."""
    opened = Desk(faulty_server.connection, tmp_path / "data_contracts")
    yield opened
    faulty_server.arm("clear")
    opened.close()
