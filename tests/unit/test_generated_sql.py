"""In generated SQL every column of a join or a subquery says whose it is: a bare name could mean the other side's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from ingestion.bronze import changes, entries
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Column, Contract, Mode
from ingestion.contracts.window import Window
from ingestion.gaps import lake_sql
from ingestion.settings import Connection
from ingestion.sources.duckdb import DuckDbSnapshot, DuckDbSource
from ingestion.sources.oracle import keys as oracle_keys
from ingestion.sources.sqlserver import keys as sqlserver_keys

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = pa.table({"w": pa.array([1, 2], pa.int64()), "k0": ["a", "b"]})


def contract(dialect: str, mode: Mode = Mode.INCREMENTAL) -> Contract:
    """A table whose columns are named like the aliases and derived columns of the generated statements."""
    types = {"duckdb": ("BIGINT", "VARCHAR", "TIMESTAMP"), "oracle": ("NUMBER(18)", "VARCHAR2(9)", "TIMESTAMP(6)"),
             "sqlserver": ("bigint", "nvarchar(9)", "datetime2(6)")}[dialect]  # fmt: skip
    columns = (
        Column("w", "w", "integer", types[0], pa.int64(), required=True, key_position=1),
        Column("k0", "k0", "string", types[1], pa.string(), required=True, key_position=2),
        Column("t", "t", "string", types[1], pa.string()),
        Column("s", "s", "timestamp", types[2], pa.timestamp("us"), required=True),
    )
    return Contract("crm.t", "1.0.0", "crm", "t", dialect, ("main", "t"), columns, "UTC", mode, "stg_t", watermark="s")


def bronze_statements() -> Iterator[str]:
    table = contract("duckdb")
    yield changes.live(table, table.content_names)
    for since in (None, MOMENT):
        new_rows = changes.changed_state(table, table.content_names, op=None, moment=MOMENT, since=since)
        yield from (new_rows.query, *(query for _, query in new_rows.steps))
    for statement in (
        changes.duplicates, changes.singles, changes.vanished_keys, changes.reported_keys, changes.lacking_keys,
        entries.newly_bad, entries.refused, lake_sql.missing_keys, lake_sql.extra_keys, lake_sql.repeated_keys, lake_sql.known_of_found,
    ):  # fmt: skip
        yield statement(table)
    yield entries.settled(table, whole=False)
    yield entries.open_keys(table, without="shown_keys")
    yield changes.delete_rows(table, moment=MOMENT, sequence=0, batch=1, first_row=1, ingested_at=MOMENT)


class _Recorder:
    """Stands between a snapshot and its connection and keeps the statements."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, said: list[str]) -> None:
        self._connection, self._said = connection, said

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, query: str, *binds: Any) -> Any:
        self._said.append(query)
        return self._connection.execute(query, *binds)


def duckdb_statements(folder: Path) -> Iterator[str]:
    said: list[str] = []
    file = folder / "t.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table t (w bigint, k0 varchar, t varchar, s timestamp)")
    source = DuckDbSource("crm", Connection("duckdb", schema=str(file).removeprefix("/")))
    with source.snapshot() as snapshot:
        recorded = DuckDbSnapshot(_Recorder(snapshot._connection, said), snapshot.fixed_point)  # type: ignore[arg-type]
        table = contract("duckdb")
        found = recorded.catalog(table)
        said.clear()
        for keys in (None, KEYS):
            list(recorded.read(table, Window(low="2026-01-01 00:00:00"), found=found, keys=keys))
    yield from (query for query in said if query.startswith("select ") and "duckdb_columns" not in query)


def key_conditions(dialect: str) -> Iterator[str]:
    table = contract(dialect)
    found = tuple(FoundColumn(c.source_name, c.physical_type, c.arrow_type, True, dialect) for c in table.columns)
    if dialect == "oracle":
        texts = [condition.sql for condition in oracle_keys.with_keys(table, found, KEYS)]
    else:
        texts = [condition.sql for condition in sqlserver_keys.with_keys(table, found, KEYS, table="[main].[t]")]
    yield from (f"SELECT 1 FROM main.t WHERE {text}" for text in texts)


def bare_columns(statement: str, dialect: str) -> set[str]:
    """Return the columns without a qualifier in selects that see more than one relation."""
    bare = set()
    for column in sqlglot.parse_one(statement, dialect=dialect).find_all(exp.Column):
        scope = column.find_ancestor(exp.Select)
        if scope is None or column.table:
            continue
        if isinstance(scope.parent, (exp.Exists, exp.In)) or scope.args.get("joins"):
            bare.add(column.name)
    return bare


def test_a_bare_column_of_a_subquery_or_a_join_is_noticed() -> None:
    assert bare_columns("select 1 from t where exists (select 1 from w where w.k = k)", "duckdb") == {"k"}
    assert bare_columns("select a from t join w on t.k = w.k", "duckdb") == {"a"}
    assert bare_columns("select a from t", "duckdb") == set()


@pytest.mark.parametrize("dialect", ["bronze", "duckdb", "oracle", "sqlserver"])
def test_columns_of_joins_and_subqueries_are_qualified(dialect: str, tmp_path: Path) -> None:
    if dialect == "bronze":
        statements = list(bronze_statements())
    else:
        statements = list(duckdb_statements(tmp_path) if dialect == "duckdb" else key_conditions(dialect))
    spoken = {"bronze": "duckdb", "sqlserver": "tsql"}.get(dialect, dialect)

    assert statements
    assert {statement: bare for statement in statements if (bare := bare_columns(statement, spoken))} == {}


def test_a_read_by_key_from_a_duckdb_file_yields_the_wanted_rows_only(tmp_path: Path) -> None:
    file = tmp_path / "t.duckdb"
    with closing(duckdb.connect(str(file))) as connection:
        connection.execute("create table t (w bigint, k0 varchar, t varchar, s timestamp)")
        connection.execute("insert into t select i, 'a', 't', '2026-01-01' from range(9) r(i)")
    source = DuckDbSource("crm", Connection("duckdb", schema=str(file).removeprefix("/")))
    table = contract("duckdb")
    with source.snapshot() as snapshot:
        rows = pa.Table.from_batches(snapshot.read(table, Window(), found=snapshot.catalog(table), keys=KEYS))

    assert rows.select(["w", "k0"]).to_pylist() == [{"w": 1, "k0": "a"}]


def test_entries_of_wide_tables_are_compared_by_one_digest() -> None:
    key, *_ = contract("duckdb").columns
    content = [Column(f"c{at}", f"c{at}", "string", "VARCHAR", pa.string()) for at in range(500)]
    wide = replace(contract("duckdb"), columns=(key, *content), watermark=None, mode=Mode.FULL)

    for statement in (entries.newly_bad(wide), entries.settled(wide, whole=False), entries.refused(wide)):
        compared = [
            c
            for c in sqlglot.parse_one(statement, read="duckdb").find_all(exp.EQ, exp.NullSafeEQ)
            if "_content" in c.sql()
        ]
        assert 1 <= len(compared) <= 2
        assert "distinct from" not in statement
