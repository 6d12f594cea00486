"""A stream into a table of an Oracle database that AIRFLOW_CONN_ORACLE_TEST names."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sources.oracle_fixtures import OracleDesk
from tests.streams.world import StreamWorld, contract

COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"logicalType": "integer", "physicalType": "NUMBER(18)", "primaryKey": True, "required": True},
    "amount": {"logicalType": "number", "physicalType": "NUMBER(38,2)"},
    "name": {"logicalType": "string", "physicalType": "VARCHAR2(5 CHAR)"},
    "at": {"logicalType": "timestamp", "physicalType": "TIMESTAMP(6) WITH TIME ZONE"},
    "note": {"logicalType": "string", "physicalType": "CLOB"},
    "done": {"logicalType": "boolean", "physicalType": "NUMBER(1)"},
}


class OracleWorld(StreamWorld):
    """A stream into a table of Oracle."""

    desk: OracleDesk
    table: str

    def contract(self, mode: str = "merge", columns: dict[str, dict[str, Any]] = COLUMNS, **stream: Any) -> str:
        return contract(mode, columns, table=f"{self.desk.owner}.{self.table}", kind="oracle", **stream)

    def target(self, query: str) -> list[tuple[Any, ...]]:
        with self.desk.driver().cursor() as cursor:
            cursor.execute(query.replace("{}", self.table))
            return list(cursor.fetchall())

    def letters(self) -> list[tuple[Any, ...]]:
        places = (
            "SELECT MESSAGE_OFFSET, BREAKS FROM LAKE_DEAD_LETTER WHERE REPLAYED = 0 AND STREAM = '{name}' ORDER BY 1"
        )
        return self.target(places.format(name=self.name))


@pytest.fixture
def oracle_world(tmp_path: Path, oracle: OracleDesk) -> Iterator[OracleWorld]:
    name = f"t{uuid.uuid4().hex[:8]}"
    uri = f"oracle://{oracle.connection.login}:{oracle.connection.password}@{oracle.connection.host}:{oracle.connection.port}/{oracle.connection.schema}"
    made = OracleWorld(tmp_path, {"AIRFLOW_CONN_WAREHOUSE": uri}, name)
    made.desk, made.table = oracle, name.upper()
    yield made
    for table in (name, f"lake_stage_{name}_0", f"lake_stage_{name}_1", f"lake_stage_{name}_2", f"w_{name}"):
        made.desk.sql(f"DROP TABLE IF EXISTS {table.upper()}")
