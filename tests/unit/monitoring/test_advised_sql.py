"""Every SQL that an advice shows runs where it is to be run, and counts what the check counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pytest

from ingestion.contracts.model import Contract
from ingestion.contracts.types import TYPE_PLAN
from ingestion.contracts.window import Window
from ingestion.runbook import statements as runbook
from ingestion.runbook.statements import Runbook
from ingestion.settings import Connection
from ingestion.sources.duckdb import DuckDbSource
from monitoring.advisor.gap_rules import advise
from tests.runbooks import by_window, contract_of, every_state, in_partitions, lake_tables

KEY = 'the "key"'
TABLE = ("main", 'odd ] " table')
VALUES = {
    **dict.fromkeys(["TINYINT", "UTINYINT"], "127"),
    **dict.fromkeys(["SMALLINT", "USMALLINT"], "32767"),
    **dict.fromkeys(["INTEGER", "INT", "UINTEGER"], "2147483647"),
    "BIGINT": "9223372036854775807",
    "UBIGINT": "18446744073709551615",
    **dict.fromkeys(["HUGEINT", "UHUGEINT"], "99999999999999999999999999999999999999"),
    "DECIMAL(12,2)": "9999999999.99",
    "NUMERIC(38,10)": "9999999999999999999999999999.9999999999",
    **dict.fromkeys(["FLOAT", "REAL", "DOUBLE"], "1.5"),
    "BOOLEAN": "true",
    "DATE": "date '2026-03-01'",
    **dict.fromkeys(
        ["TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATETIME"], "timestamp '2026-03-01 10:00:00'"
    ),
    **dict.fromkeys(["TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"], "timestamptz '2026-03-01 10:00:00+00'"),
    **dict.fromkeys(["VARCHAR", "CHAR", "TEXT", "STRING"], "'x'"),
    "UUID": "uuid()",
    "TIME": "time '10:00:00'",
    "INTERVAL": "interval 1 day",
    "JSON": "'{}'",
    **dict.fromkeys(["BLOB", "BYTEA", "VARBINARY"], "'x'::blob"),
}
"""A value of each type of the plan; of numbers one that is too large for a sum in its own type."""
MOMENTS = [name for name in VALUES if name.startswith(("DATE", "TIMESTAMP"))]
PARTITIONS = ["2026-03-01", "2026-03", "2026"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DuckDB file with a table of every type: two rows of values, one of nulls, one at the calendar's end."""
    path = tmp_path_factory.mktemp("source") / "crm.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("set timezone = 'UTC'")
        columns = ", ".join([f"{quoted(KEY)} varchar", *(f"{quoted(name)} {name}" for name in VALUES)])
        connection.execute(f"create table {'.'.join(map(quoted, TABLE))} ({columns})")
        for key, values in (("a", VALUES.values()), ("b", VALUES.values()), ("c", ["null"] * len(VALUES))):
            connection.execute(f"insert into {'.'.join(map(quoted, TABLE))} values ('{key}', {', '.join(values)})")
        ends = dict.fromkeys(MOMENTS, "timestamp '9999-12-31'") | {"TIMESTAMP_NS": "timestamp '2262-04-11'"}
        last = ", ".join(ends.get(name, "null") for name in VALUES)
        connection.execute(f"insert into {'.'.join(map(quoted, TABLE))} values ('d', {last})")
    return path


@pytest.fixture(scope="module")
def source(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(file), read_only=True) as connection:
        yield connection


@pytest.fixture
def lake() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def everything() -> Contract:
    return contract_of("duckdb", TABLE, {KEY: "VARCHAR", **{name: name for name in VALUES}})


def contracts() -> list[tuple[Contract, str | None]]:
    """Return the contract with each column that can be one as watermark and as partition, and a bound."""
    plain = everything()
    made: list[tuple[Contract, str | None]] = [(plain, None)]
    made += [(by_window(plain, name), bound_of(name)) for name in [*MOMENTS, "BIGINT", "UINTEGER"]]
    made += [(in_partitions(plain, name, "day"), None) for name in MOMENTS]
    return made


def bound_of(name: str) -> str:
    if name == "DATE":
        return "2026-03-02"
    if name in MOMENTS:
        return "2026-03-01 10:00:00.000001" + ("+00" if "TZ" in name or "ZONE" in name else "")
    return "9000000000000000000"


def test_every_type_of_the_plan_has_a_value_here() -> None:
    assert {name.split("(")[0] for name in VALUES} | {"DECIMAL", "NUMERIC"} == set(TYPE_PLAN["duckdb"])


@pytest.mark.parametrize(("contract", "bound"), contracts())
def test_sql_of_every_advice_runs_on_both_sides(
    contract: Contract,
    bound: str | None,
    source: duckdb.DuckDBPyConnection,
    lake: duckdb.DuckDBPyConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runbook, "MOST_COLUMNS", 1_000)
    for statement in lake_tables(contract):
        lake.execute(statement)
    partition = contract.reconcile.partition
    ends_early = partition is not None and contract.column(partition).physical_type == "TIMESTAMP_NS"  # in 2262
    labels = PARTITIONS if ends_early else [*PARTITIONS, "9999", "9999-12", "9999-12-31", "10000"]

    for asked in asked_of(contract, bound, labels):
        if asked.source:
            source.execute(asked.source).fetchall()
        if asked.lake:
            lake.execute(asked.lake).fetchall()


def asked_of(contract: Contract, bound: str | None, labels: Sequence[str]) -> set[Runbook]:
    """Return every question that an advice on the table can show."""
    asked = {advice.runbook for facts in every_state(contract, bound, labels) for advice in advise(facts)} - {Runbook()}
    assert {type(each.source) for each in asked} == {str}
    return asked


@pytest.mark.parametrize("name", [*MOMENTS, "BIGINT"])
def test_rows_below_a_bound_are_those_that_the_check_counts(
    name: str, file: Path, source: duckdb.DuckDBPyConnection
) -> None:
    contract, bound = by_window(everything(), name), bound_of(name)
    with DuckDbSource("crm", Connection("duckdb", schema=str(file).removeprefix("/"))).snapshot() as snapshot:
        expected = snapshot.count(contract, Window(high=bound))

    shown = source.execute(runbook.count_rows(contract, bound).source).fetchall()

    assert shown == [(expected,)]


@pytest.mark.parametrize("name", MOMENTS)
def test_rows_of_a_partition_are_those_of_its_label(name: str, source: duckdb.DuckDBPyConnection) -> None:
    contract = in_partitions(everything(), name, "day")
    asked = {label: runbook.count_partition(contract, None, label).source for label in [*PARTITIONS, None]}

    counted = {label: source.execute(sql).fetchall()[0][0] for label, sql in asked.items()}

    assert counted == {"2026-03-01": 2, "2026-03": 2, "2026": 2, None: 1}
