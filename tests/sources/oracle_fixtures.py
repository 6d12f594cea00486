"""An Oracle database for tests: reached through AIRFLOW_CONN_ORACLE_TEST only, whichever server that names.

Tests of faults start a server of their own, if STAND_INS_PYTHON and STAND_INS_PATH say how.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingestion.contracts.model import Contract
from ingestion.contracts.odcs import read_contract
from ingestion.contracts.window import Window
from ingestion.settings import Connection, parse_connection
from ingestion.sources.base import Snapshot

VARIABLE = "AIRFLOW_CONN_ORACLE_TEST"
HOW = (
    f"set {VARIABLE}=oracle://user:password@host:1521/service (a schema that tests may fill), or run make test-sources"
)

IS_TRUE = os.environ.get("LAKEHOUSE_TEST_SERVERS") == "true"  # make test-sources: true servers, in containers
true_server = pytest.mark.skipif(not IS_TRUE, reason="only a true server shows this: LAKEHOUSE_TEST_SERVERS=true")

EVERYTHING = Window()

HEAD = """
apiVersion: v3.1.0
kind: DataContract
id: {system}.{entity}
version: 1.0.0
status: active
name: {entity}
domain: test
description: {{purpose: Test.}}
servers: [{{server: {system}, type: {dialect}, host: "${{HOST}}"}}]
schema:
  - name: {entity}
    physicalName: {table}
    logicalType: object
    physicalType: table
    description: Test.
    properties:
"""
LAKE = """
customProperties:
  - property: lake
    value:
      timezone: America/Sao_Paulo
      silver: stg_{entity}
"""


@dataclass(frozen=True)
class Promise:
    """One column as a contract writes it; the source's name is the same in upper case."""

    name: str
    physical: str
    logical: str = "string"
    key: int | None = None
    required: bool = False
    source: str = ""

    @property
    def line(self) -> str:
        key = f", primaryKey: true, primaryKeyPosition: {self.key}" if self.key else ""
        required = ", required: true" if self.key or self.required else ""
        return (
            f"      - {{name: {self.name}, physicalName: {self.source or self.name.upper()}, logicalType: {self.logical}, "
            f'physicalType: "{self.physical}", description: Test.{key}{required}}}\n'
        )


ID = Promise("id", "NUMBER(12)", "integer", key=1)


def contract_text(
    entity: str, table: str, promises: Sequence[Promise], *, system: str = "erp", dialect: str = "oracle", **lake: str
) -> str:
    lines = "".join(f"      {key}: {value}\n" for key, value in ({"mode": "full"} | lake).items())
    return (
        HEAD.format(entity=entity, table=table, system=system, dialect=dialect).lstrip()
        + "".join(promise.line for promise in promises)
        + LAKE.format(entity=entity).lstrip("\n")
        + lines
    )


@dataclass
class OracleDesk:
    """A schema to fill, and contracts on what is in it."""

    connection: Connection
    folder: Path
    tables: list[str] = field(default_factory=list)
    _driver: Any = None

    @property
    def owner(self) -> str:
        return self.connection.login.upper()

    def driver(self) -> Any:
        """Return one plain driver connection, which commits by itself."""
        if self._driver is None:
            self._driver = self.connect()
        return self._driver

    def connect(self) -> Any:
        import oracledb

        opened = oracledb.connect(
            user=self.connection.login,
            password=self.connection.password,
            host=self.connection.host,
            port=self.connection.port or 1521,
            service_name=self.connection.schema,
        )
        opened.autocommit = True
        return opened

    def sql(self, *statements: str, **binds: Any) -> None:
        import oracledb

        with self.driver().cursor() as cursor:
            for statement in statements:
                if any(isinstance(value, float) for value in binds.values()):  # a NUMBER has no infinity
                    cursor.setinputsizes(**dict.fromkeys(binds, oracledb.DB_TYPE_BINARY_DOUBLE))
                cursor.execute(statement, binds)

    def table(self, columns: str) -> str:
        """Create a table under a name of its own."""
        name = f"T_{uuid.uuid4().hex[:10].upper()}"
        self.sql(f"CREATE TABLE {name} ({columns})")
        self.tables.append(name)
        return name

    def contract(self, table: str, *promises: Promise, owner: str | None = None, **lake: str) -> Contract:
        entity = table.lower().replace("t_", "t")
        path = self.folder / "erp" / f"{entity}.odcs.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contract_text(entity, f"{owner or self.owner}.{table}", promises, **lake))
        return read_contract(path)

    def close(self) -> None:
        if self._driver is None:
            return
        import oracledb

        for name in self.tables:
            try:
                self.sql(f"DROP TABLE {name}")
            except oracledb.Error:
                break
        with suppress(oracledb.Error):
            self._driver.close()


def rows(
    snapshot: Snapshot, contract: Contract, window: Window = EVERYTHING, keys: pa.Table | None = None
) -> list[dict[str, Any]]:
    """Read all rows of a window, ordered by the first key column."""
    batches = list(snapshot.read(contract, window, found=snapshot.catalog(contract), keys=keys))
    for batch in batches:
        batch.validate(full=True)
    read = [row for batch in batches for row in batch.to_pylist()]
    return sorted(read, key=lambda row: str(row[contract.key_names[0]]))


def reachable() -> Connection:
    value = os.environ.get(VARIABLE)
    if not value:
        pytest.skip(HOW)
    return parse_connection(VARIABLE, value)


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[OracleDesk]:
    desk = OracleDesk(reachable(), tmp_path / "data_contracts")
    yield desk
    desk.close()


_SERVER = """
import json, sys
from oracle_stand_in import OracleStandIn
server = OracleStandIn(user="lake", password="secret", service="FREEPDB1", **json.loads(sys.argv[1]))
server.start()
print(server.dsn.split(":")[1].split("/")[0], flush=True)
for line in sys.stdin:
    name, arguments = json.loads(line)
    answer = server.statements if name == "statements" else getattr(server.faults, name)(**arguments)
    print(json.dumps(answer), flush=True)
server.stop()
"""


class FaultyServer:
    """A server of the tests' own that does wrong on demand."""

    def __init__(self, **options: Any) -> None:
        python, path = os.environ.get("STAND_INS_PYTHON"), os.environ.get("STAND_INS_PATH")
        if not python or not path:
            pytest.skip("needs a server that can be told to fail: STAND_INS_PYTHON and STAND_INS_PATH")
        self._process = subprocess.Popen(
            [python, "-c", _SERVER, json.dumps(options)],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.connection = Connection("oracle", "127.0.0.1", int(self._line()), "FREEPDB1", "lake", "secret")

    def arm(self, fault: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([fault, arguments]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    def statements(self) -> list[str]:
        """Return every statement that the server was sent so far."""
        return list(self.arm("statements"))

    def with_extra(self, **extra: str) -> Connection:
        return replace(self.connection, extra=extra)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


SHARED = pytest.StashKey[FaultyServer]()


@pytest.fixture
def faulty_server(pytestconfig: pytest.Config) -> Iterator[FaultyServer]:
    """The one faulty server of this worker; no test leaves a fault behind."""
    if SHARED not in pytestconfig.stash:
        pytestconfig.stash[SHARED] = FaultyServer(retention=4)
        pytestconfig.add_cleanup(pytestconfig.stash[SHARED].close)
    yield pytestconfig.stash[SHARED]
    pytestconfig.stash[SHARED].arm("clear")


@pytest.fixture
def faulty(faulty_server: FaultyServer, tmp_path: Path) -> Iterator[OracleDesk]:
    """A desk at the faulty server."""
    desk = OracleDesk(faulty_server.connection, tmp_path / "data_contracts")
    yield desk
    faulty_server.arm("clear")
    desk.close()
