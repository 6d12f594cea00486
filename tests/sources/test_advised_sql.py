"""Every SQL that an advice shows runs on the database that it is for, and counts what the check counted."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ingestion.contracts.model import Contract
from ingestion.contracts.window import Window
from ingestion.runbook import statements as runbook
from ingestion.sources.base import Source
from monitoring.advisor.gap_rules import advise
from tests.runbooks import by_window, contract_of, every_state, in_partitions
from tests.sources.oracle_fixtures import OracleDesk, oracle
from tests.sources.sqlserver_fixtures import Desk, desk

__all__ = ["desk", "oracle"]

ORACLE = {
    "NUMBER(9)": "999999999",
    "NUMBER(18)": "999999999999999999",
    "NUMBER(12,2)": "9999999999.99",
    "NUMBER(38)": "9" * 38,
    "BINARY_DOUBLE": "1.5",
    "DATE": "TO_DATE('2026-03-01 10:00:00','YYYY-MM-DD HH24:MI:SS')",
    **dict.fromkeys(["TIMESTAMP(0)", "TIMESTAMP(3)", "TIMESTAMP(6)"], "TIMESTAMP '2026-03-01 10:00:00'"),
    "TIMESTAMP(6) WITH TIME ZONE": "TIMESTAMP '2026-03-01 10:00:00 +00:00'",
    "TIMESTAMP(6) WITH LOCAL TIME ZONE": "TIMESTAMP '2026-03-01 10:00:00 +00:00'",
    "VARCHAR2(20)": "'x'",
    "NCHAR(3)": "'x'",
    "CLOB": "'x'",
    "BLOB": "HEXTORAW('00')",
    "RAW(4)": "HEXTORAW('00')",
}
SQLSERVER = {
    "tinyint": "255",
    "smallint": "32767",
    "int": "2147483647",
    "bigint": "9223372036854775807",
    "bit": "1",
    "decimal(12,2)": "9999999999.99",
    "decimal(38,0)": "9" * 38,
    "money": "922337203685477.5807",
    "smallmoney": "214748.3647",
    "real": "1.5",
    "float": "1.5",
    "date": "'2026-03-01'",
    "time(7)": "'10:00:00'",
    **dict.fromkeys(["datetime", "smalldatetime", "datetime2(0)", "datetime2(3)"], "'2026-03-01 10:00:00'"),
    **dict.fromkeys(["datetime2(6)", "datetime2(7)"], "'2026-03-01 10:00:00'"),
    **dict.fromkeys(["datetimeoffset(0)", "datetimeoffset(7)"], "'2026-03-01 10:00:00 +00:00'"),
    "nvarchar(20)": "N'x'",
    "varchar(max)": "'x'",
    "ntext": "N'x'",
    "text": "'x'",
    "xml": "'<a/>'",
    "uniqueidentifier": "NEWID()",
    "varbinary(8)": "0x00",
    "image": "0x00",
}
LABELS = ["2026-03-01", "2026-03", "2026", "2079", "9999", "9999-12", "9999-12-31", "10000"]


@dataclass
class Server:
    """A table of every type on a server: two rows of values, one of nulls."""

    contract: Contract
    source: Source
    ask: Callable[[str], list[tuple[Any, ...]]]

    def watermarks(self) -> list[str]:
        return [c.source_name for c in self.contract.columns if is_moment(c.source_name)] + self.numbers

    @property
    def numbers(self) -> list[str]:
        return ["NUMBER(18)"] if self.contract.dialect == "oracle" else ["bigint", "rowversion"]


def is_moment(name: str) -> bool:
    return name.upper().startswith(("DATE", "SMALLDATE", "TIMESTAMP"))


def bound_of(name: str) -> str:
    """Return a bound that the two rows of values lie below, in the digits that the source would give it."""
    if is_moment(name) and name.upper() != "DATE":
        return "2026-03-01 10:00:00.000001" if name.startswith("TIMESTAMP") else "2026-03-01 10:00:00.0000011"
    return "2026-03-02" if is_moment(name) else "9223372036854775807"


@pytest.fixture
def sqlserver(desk: Desk) -> Iterator[Server]:
    from ingestion.sources.sqlserver.session import open_session
    from ingestion.sources.sqlserver.source import SqlServerSource

    key, table = "the ] key", f'odd ] " {uuid.uuid4().hex[:8]}'
    quoted = "[" + table.replace("]", "]]") + "]"
    declared = ", ".join(f"[{name}] {name} NULL" for name in SQLSERVER)
    desk.sql(f"CREATE TABLE dbo.{quoted} ([the ]] key] nvarchar(10) NOT NULL, {declared}, [rowversion] rowversion)")
    names = ", ".join(f"[{name}]" for name in SQLSERVER)
    for text, values in (("a", SQLSERVER.values()), ("b", SQLSERVER.values()), ("c", ["NULL"] * len(SQLSERVER))):
        desk.sql(f"INSERT INTO dbo.{quoted} ([the ]] key], {names}) VALUES (N'{text}', {', '.join(values)})")
    columns = {key: "nvarchar(10)", **{name: name for name in SQLSERVER}, "rowversion": "rowversion"}
    with open_session("crm", desk.connection) as session:
        contract = contract_of("sqlserver", ("dbo", table), columns)
        yield Server(contract, SqlServerSource("crm", desk.connection), session.rows)
    desk.sql(f"DROP TABLE dbo.{quoted}")


@pytest.fixture
def on_oracle(oracle: OracleDesk) -> Server:
    from ingestion.sources.oracle.source import OracleSource

    declared = ", ".join(f'"{name}" {name}' for name in ORACLE)
    table = oracle.table(f'"the ] key" VARCHAR2(10) NOT NULL, {declared}')
    for text, values in (("a", ORACLE.values()), ("b", ORACLE.values()), ("c", ["NULL"] * len(ORACLE))):
        oracle.sql(f"INSERT INTO {table} VALUES ('{text}', {', '.join(values)})")
    columns = {"the ] key": "VARCHAR2(10)", **{name: name for name in ORACLE}}

    def ask(sql: str) -> list[tuple[Any, ...]]:
        with oracle.driver().cursor() as cursor:
            return list(cursor.execute(sql).fetchall())

    contract = contract_of("oracle", (oracle.owner, table), columns)
    return Server(contract, OracleSource("crm", oracle.connection), ask)


@pytest.fixture(params=["on_oracle", "sqlserver"])
def server(request: pytest.FixtureRequest) -> Server:
    made: Server = request.getfixturevalue(request.param)
    return made


def test_sql_of_every_advice_runs_on_its_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runbook, "MOST_COLUMNS", 1_000)
    plain = server.contract
    tables: list[tuple[Contract, str | None]] = []
    tables += [(by_window(plain, name), bound_of(name)) for name in server.watermarks()]
    tables += [(in_partitions(plain, name, "day"), None) for name in server.watermarks() if is_moment(name)]
    asked = {
        advice.runbook.source
        for table, bound in [(plain, None), *tables]
        for facts in every_state(table, bound, LABELS)
        for advice in advise(facts)
    }
    failed = {}
    for sql in filter(None, asked):
        try:
            server.ask(sql)
        except Exception as exc:
            failed[sql] = str(exc)

    assert failed == {}
    assert len(asked) > 3 * len(tables)


def test_rows_below_a_bound_are_those_that_the_check_counts_on_its_server(server: Server) -> None:
    with server.source.snapshot() as snapshot:
        expected = {
            name: snapshot.count(by_window(server.contract, name), Window(high=bound_of(name)))
            for name in server.watermarks()
        }

    shown = {
        name: server.ask(runbook.count_rows(by_window(server.contract, name), bound_of(name)).source)[0][0]
        for name in server.watermarks()
    }

    assert {name: int(rows) for name, rows in shown.items()} == expected
    assert {expected[name] for name in expected if is_moment(name)} == {3}  # two, and the row without a value


def test_rows_of_a_partition_are_those_of_its_label_on_its_server(server: Server) -> None:
    for name in filter(is_moment, server.watermarks()):
        contract = in_partitions(server.contract, name, "day")
        counted = {
            label: int(server.ask(runbook.count_partition(contract, None, label).source)[0][0])
            for label in [*LABELS[:3], None]
        }

        assert counted == {"2026-03-01": 2, "2026-03": 2, "2026": 2, None: 1}, name
