"""A small company for load tests: one DuckDB file `crm` with people (incremental) and cities (full)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import duckdb
import pytest

from ingestion.lake import duck
from ingestion.load.load_table import load_table
from ingestion.runs.context import Context, initialise, open_context
from ingestion.settings import Connection, Settings
from tests.examples import LONG_FORM
from tests.spark.session import NEEDS_SPARK

HEAD = """
apiVersion: v3.1.0
kind: DataContract
id: crm.{entity}
version: 1.0.0
status: active
name: {entity}
domain: test
description: {{purpose: Test.}}
servers:
  - {{server: crm, type: duckdb, database: "${{CRM_FILE}}"}}
schema:
  - name: {entity}
    physicalName: main.{table}
    logicalType: object
    physicalType: table
    description: Test.
    properties:
"""
PEOPLE = (
    HEAD.format(entity="people", table="people")
    + """
      - {name: id, physicalName: id, logicalType: integer, physicalType: BIGINT, primaryKey: true, primaryKeyPosition: 1, required: true, description: Key.}
      - {name: name, physicalName: name, logicalType: string, physicalType: VARCHAR, logicalTypeOptions: {maxLength: 10}, description: Name.}
      - {name: score, physicalName: score, logicalType: number, physicalType: "DECIMAL(10,2)", logicalTypeOptions: {minimum: 0}, description: Score.}
      - {name: changed_at, physicalName: changed_at, logicalType: timestamp, physicalType: TIMESTAMP, required: true, description: Watermark.}
customProperties:
  - property: lake
    value:
      timezone: UTC
      mode: incremental
      watermark: changed_at
      overlap: PT2H
      deletes: keys
      maxDeletePercent: 50
      silver: stg_people
      quarantine: {warnPercent: 0, failPercent: 60}
      reconcile: {partition: changed_at, grain: day, warningGapPercent: 0, criticalGapPercent: 50}
"""
)
CITIES = (
    HEAD.format(entity="cities", table="cities")
    + """
      - {name: code, physicalName: code, logicalType: string, physicalType: VARCHAR, primaryKey: true, primaryKeyPosition: 1, required: true, description: Key.}
      - {name: label, physicalName: label, logicalType: string, physicalType: VARCHAR, description: Label.}
customProperties:
  - property: lake
    value: {timezone: UTC, mode: full, deletes: keys, maxDeletePercent: 100, silver: stg_cities}
"""
)


@dataclass
class Company:
    """A project folder, its source file and its lake; `clock` is the moment the source shows, `engine` who loads."""

    folder: Path
    clock: str = "2026-03-01T12:00:00+00:00"
    engine: str = "embedded"

    @property
    def file(self) -> Path:
        return self.folder / "crm.duckdb"

    @property
    def settings(self) -> Settings:
        connection = Connection("duckdb", schema=str(self.file).removeprefix("/"), extra={"clock": self.clock})
        return Settings(self.folder, str(self.folder / "lake"), "200MB", {"crm": connection}, engine=self.engine)

    @property
    def environ(self) -> dict[str, str]:
        """The variables with which a command finds this company."""
        clock = self.clock.replace("+", "%2B")
        return {
            "LAKEHOUSE_PROJECT": str(self.folder),
            "LAKEHOUSE_ROOT": str(self.folder / "lake"),
            "AIRFLOW_CONN_CRM": f"duckdb://{self.file}?clock={clock}",
        }

    def context(self, run_id: str = "run-1") -> Context:
        return open_context(self.settings, run_id)

    def sql(self, *statements: str) -> None:
        """Change the source."""
        with duckdb.connect(str(self.file)) as connection:
            for statement in statements:
                connection.execute(statement)

    def lake(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the lake."""
        with duck.connect(self.context().lake) as connection:
            return connection.execute(query).fetchall()

    def contract(self, entity: str, text: str) -> None:
        path = self.folder / "data_contracts" / "crm" / f"{entity}.odcs.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip())

    def amend(self, entity: str, old: str, new: str) -> None:
        """Replace a text of a contract that must be there."""
        path = self.folder / "data_contracts" / "crm" / f"{entity}.odcs.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def versions(self, layer: str = "bronze", entity: str = "people") -> int:
        """Return the Delta version of a table."""
        context = self.context()
        return context.engine.version(context.lake.uri(layer, "crm", entity))


def make_company(folder: Path) -> Company:
    """people: 1 Ada 10:00, 2 Bea 10:00, 3 Cyd 11:00; cities: A, B."""
    made = Company(folder)
    made.contract("people", PEOPLE)
    made.contract("cities", CITIES)
    made.sql(
        "create table people (id bigint, name varchar, score decimal(10,2), changed_at timestamp)",
        "insert into people values (1, 'Ada', 1.10, '2026-03-01 10:00:00'), (2, 'Bea', null, '2026-03-01 10:00:00'), "
        "(3, 'Cyd', 3, '2026-03-01 11:00:00')",
        "create table cities (code varchar, label varchar)",
        "insert into cities values ('A', 'Aachen'), ('B', 'Bonn')",
    )
    initialise(made.settings)
    return made


def load_by_window(folder: Path) -> Path:
    """Load people by window alone, so that key sets are compared by gap checks only; repairs need no approval."""
    made = Company(folder)
    made.amend("people", "deletes: keys\n", "deletes: none\n")
    made.amend("people", "      maxDeletePercent: 50\n", "")
    made.amend("people", "criticalGapPercent: 50}", "criticalGapPercent: 50, maxRepairPercent: 100}")
    load_table(made.context(), "crm.people")
    return folder


ON_BOTH_ENGINES = pytest.mark.parametrize(
    "company", ["embedded", pytest.param("spark", marks=NEEDS_SPARK)], indirect=True
)
"""Marks a test as one of those that either engine has to pass."""
ON_BOTH_ENGINES_IN_THE_LONG_FORM = pytest.mark.parametrize(
    "company", ["embedded", pytest.param("spark", marks=[*NEEDS_SPARK, LONG_FORM])], indirect=True
)
"""The same for a test whose statements on Spark are those of others that `make test` runs there."""


@pytest.fixture
def company(tmp_path: Path, small_company: Path, request: pytest.FixtureRequest) -> Company:
    """The company of `make_company`, with nothing loaded yet; its loads run on the engine that a test may name."""
    engine = getattr(request, "param", "embedded")
    if engine == "spark":
        request.getfixturevalue("spark")
    shutil.copytree(small_company, tmp_path, dirs_exist_ok=True)
    return Company(tmp_path, engine=engine)


@pytest.fixture
def loaded(tmp_path: Path, loaded_company: Path) -> Company:
    """The company of `make_company` after `load_by_window`."""
    shutil.copytree(loaded_company, tmp_path, dirs_exist_ok=True)
    return Company(tmp_path)


@pytest.fixture
def at(company: Company) -> Callable[[str], Company]:
    """Return the company at another moment of its source's clock."""

    def moved(clock: str) -> Company:
        return replace(company, clock=clock)

    return moved
