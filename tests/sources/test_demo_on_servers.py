"""The demo's two days on real servers are the demo's two days in files, to the last row of Gold."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

import pytest

from ingestion.build.dbt import build_layer
from ingestion.demo import show, world
from ingestion.demo.servers import SourceServers
from ingestion.demo.tables import CUSTOMERS, TABLES
from ingestion.demo.world import World
from ingestion.errors import ConfigurationError
from ingestion.lake import duck
from ingestion.lake.layout import open_lake
from ingestion.runs.context import initialise
from ingestion.settings import Settings, parse_connection
from tests.dbt.data_tests import without_data_tests
from tests.examples import LONG
from tests.sources.oracle_fixtures import FaultyServer as OracleServer
from tests.sources.sqlserver_fixtures import FaultyServer as SqlServer

ROOT = Path(__file__).parents[2]
PROJECT = ("data_contracts", "dbt_project")


def settings(folder: Path, **connections: object) -> Settings:
    """Return a project of its own with the shipped contracts and models."""
    for name in PROJECT:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("target", "logs"))
    return Settings(folder, str(folder / "lake"), connections=connections, mask_salt="a salt of the tests")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Two servers of this module's own, for the demo claims tables by name."""
    oracle, sqlserver = OracleServer(retention=64), SqlServer(tmp_path_factory.mktemp("server"))
    yield {"erp": oracle.connection, "shop": sqlserver.connection}
    oracle.close()
    sqlserver.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless in the long form, a demo with a fifth of its orders, and with one build at its end."""
    if LONG:
        return
    sizes, days = world._sizes, count()
    monkeypatch.setattr(world, "_sizes", lambda scale: sizes(scale) | {"orders": 1_200})
    monkeypatch.setattr(
        "ingestion.demo.show.build_layer", lambda *given: build_layer(*given) if next(days) % 2 else None
    )


def contents(lake_root: str) -> dict[str, list[tuple[object, ...]]]:
    """Return every Silver and Gold table, row by row."""
    found = {}
    lake = open_lake(lake_root)
    with duck.connect(lake) as connection:
        for table in lake.tables():
            if table.schema in ("silver", "gold"):
                found[f"{table.schema}.{table.name}"] = connection.execute(
                    f'select * from {table.schema}."{table.name}" order by all'
                ).fetchall()
    return found


@pytest.mark.xdist_group("demo_on_servers")
@pytest.mark.usefixtures("small")
def test_gold_over_the_wire_is_gold_from_files_row_by_row(tmp_path: Path, servers: dict[str, object]) -> None:
    files, wire = settings(tmp_path / "files"), settings(tmp_path / "wire", **servers)

    from_files = show.run_demo(files, scale=0.05)
    with without_data_tests():
        over_wire = show.run_demo(wire, scale=0.05, wire=True)

    assert contents(wire.lake_root) == contents(files.lake_root)
    assert over_wire.versions == from_files.versions
    assert over_wire.troubles == from_files.troubles
    for day in (1, 2):
        for contract_id, load in from_files.loads[day].items():
            other = over_wire.loads[day][contract_id]
            names = ("read", "good", "quarantined", "appended", "deleted", "known", "breaks")
            assert [getattr(other, n) for n in names] == [getattr(load, n) for n in names], contract_id


@pytest.mark.xdist_group("demo_on_servers")
def test_tables_that_no_demo_made_are_left_alone(tmp_path: Path) -> None:
    oracle = OracleServer()
    try:
        here = settings(tmp_path, erp=oracle.connection, shop=parse_connection("x", "mssql://a:b@127.0.0.1:1/c"))
        contracts = {contract.id: contract for contract in initialise(here).contracts()}
        from ingestion.sources.oracle.session import connect

        with connect("erp", oracle.connection) as theirs, theirs.cursor() as cursor:
            cursor.execute('CREATE TABLE "RETAIL"."CUSTOMERS" (ID NUMBER(12))')
            cursor.execute('INSERT INTO "RETAIL"."CUSTOMERS" VALUES (1)')
            theirs.commit()
            with pytest.raises(ConfigurationError, match=r"already has RETAIL.CUSTOMERS, which no demo made"):
                SourceServers(here, contracts).replace([(CUSTOMERS, World(scale=0.05).rows(CUSTOMERS, 1))])
            cursor.execute('SELECT COUNT(*) FROM "RETAIL"."CUSTOMERS"')
            assert cursor.fetchone() == (1,)
    finally:
        oracle.close()


def test_a_demo_on_servers_says_which_kinds_there_are(tmp_path: Path) -> None:
    here = settings(
        tmp_path, erp=parse_connection("x", "duckdb:///x.duckdb"), shop=parse_connection("x", "duckdb:///x")
    )
    rows = [(table, World(scale=0.05).rows(table, 1)) for table in TABLES[:1]]

    with pytest.raises(ConfigurationError, match="Oracle and SQL Server, but AIRFLOW_CONN_ERP begins with duckdb"):
        SourceServers(here, {}).replace(rows)
