"""A system that cannot be reached is told once for all its tables, before any is started; other systems go on."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ingestion import daily
from ingestion.build.dbt import BuildResult
from ingestion.cli import cli, gap_rounds
from ingestion.errors import LakehouseError
from ingestion.runs.context import initialise
from ingestion.runs.reach import reach
from ingestion.settings import Settings
from tests.engines.conftest import CITIES, Company

ERP = ("erp.bills", "erp.cities", "erp.lands", "erp.towns")
MISSING = "erp (4 tables: erp.bills, erp.cities, erp.lands and 1 more): no connection is set."


@pytest.fixture
def two(company: Company) -> Company:
    """The company, with four tables of an Oracle database `erp` that has no connection."""
    folder = company.folder / "data_contracts" / "erp"
    folder.mkdir()
    for contract_id in ERP:
        entity = contract_id.removeprefix("erp.")
        text = CITIES.replace("crm", "erp").replace("cities", entity).replace("type: duckdb", "type: oracle")
        text = (
            text.replace("VARCHAR", "VARCHAR2(20)").replace("main.", "MAIN.").replace(f"stg_{entity}", f"erp_{entity}")
        )
        text = text.replace('database: "${CRM_FILE}"', 'host: "${ERP_HOST}", port: 1521, serviceName: "${ERP_SERVICE}"')
        folder.joinpath(f"{entity}.odcs.yaml").write_text(text.lstrip())
    initialise(company.settings)
    return company


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nothing listens, and which nobody else gets."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def run(company: Company, *arguments: str, erp: str = "") -> Result:
    given = {**company.environ, "AIRFLOW_CONN_ERP": erp} if erp else company.environ
    return CliRunner().invoke(cli, list(arguments), env=given)


def ledger(company: Company) -> list[tuple[Any, ...]]:
    return company.lake("select step, subject, status from ops.runs order by all")


def told(company: Company, erp: str) -> str:
    """Return the one message for the tables of `erp` with this connection."""
    settings = Settings.from_environ({**company.environ, "AIRFLOW_CONN_ERP": erp})
    _, failed = reach(settings, ERP)
    [message] = {str(each.error) for each in failed}
    return message


def test_a_missing_connection_is_told_once_and_nothing_is_recorded(two: Company) -> None:
    for command in ("plan", "load", "gaps", "repair"):
        done = run(two, command, *ERP)

        assert done.exit_code == 10, done.output
        [line] = done.stderr.strip().splitlines()
        assert "erp." not in done.stdout
        assert line.startswith(f"error: {MISSING} Nothing was read. Set AIRFLOW_CONN_ERP to oracle://user:password@")
    assert ledger(two) == []
    assert two.lake("select count(*) from ops.gaps") == [(0,)]


def test_other_systems_are_loaded_and_compared(two: Company) -> None:
    loaded, compared = run(two, "load"), run(two, "gaps", "--json")

    assert (loaded.exit_code, compared.exit_code) == (10, 10)
    for done in (loaded, compared):
        assert "4 of 6 tables failed; the other 2 are done." in done.stderr
        assert done.stderr.count("no connection is set") == 1
    assert ledger(two) == [
        *(("gaps", table, "ok") for table in ("crm.cities", "crm.people")),
        *(("load", table, "ok") for table in ("crm.cities", "crm.people")),
    ]
    severities = {gap["contract_id"]: gap["severity"] for gap in json.loads(compared.stdout)}
    assert severities == {"crm.cities": "OK", "crm.people": "OK", **dict.fromkeys(ERP, "UNKNOWN")}


def test_a_day_leaves_out_the_tables_that_cannot_be_read_and_says_why_once(
    two: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Any] = []

    def build(*_: Any, without: Any, **__: Any) -> BuildResult:
        built.append(without)
        return BuildResult("all", "run-1", (), 0, (), 0.0)

    monkeypatch.setattr(daily, "build_layer", build)

    done = run(two, "run")

    assert (done.exit_code, done.stderr.count("no connection is set")) == (18, 1)
    assert built == [[*ERP]]
    assert "erp" not in str(ledger(two))


def test_a_day_without_any_reachable_system_builds_nothing(two: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily, "build_layer", lambda *_, **__: pytest.fail("nothing is new, so nothing is built"))
    two.file.unlink()
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda _: None))

    done = run(two, "run")

    assert done.exit_code == 18
    assert f"there is no file {two.file}" in done.stderr
    assert MISSING in done.stderr
    assert ledger(two) == [
        (step, f"crm.{name}", "failed") for step in ("gaps", "load") for name in ("cities", "people")
    ]


def test_a_run_that_was_named_records_what_it_could_not_load(two: Company) -> None:
    run(two, "load", "erp.towns", "--run-id", "run-7")

    assert ledger(two) == [("load", "erp.towns", "failed")]


def test_the_watch_shows_tables_that_cannot_be_read_as_unknown(two: Company) -> None:
    context = two.context()
    run(two, "load")

    standing = gap_rounds.standing_of(context, ERP, gap_rounds.check_all(context, ERP))

    assert [(gap.contract_id, gap.severity, gap.sync_gap) for gap in standing.gaps] == [
        (table, "UNKNOWN", None) for table in ERP
    ]
    assert [line.startswith(MISSING) for line in standing.unread] == [True]


def test_an_outage_is_in_the_ledger_of_each_table(two: Company, closed_port: int) -> None:
    pytest.importorskip("oracledb")
    erp = f"oracle://lake:hunter2@127.0.0.1:{closed_port}/free"
    for command in ("load", "gaps"):
        assert run(two, command, *ERP, erp=erp).exit_code == 20

    assert ledger(two) == [(step, table, "failed") for step in ("gaps", "load") for table in ERP]
    assert two.lake("select contract_id, severity from ops.gaps order by all") == [(table, "UNKNOWN") for table in ERP]
    assert two.lake("select count(*) from ops.runs where message like '%hunter2%' or message is null") == [(0,)]


@pytest.mark.parametrize("scheme", ["oracle", "mssql"])
def test_a_server_that_is_not_there_is_told_with_host_and_port(two: Company, closed_port: int, scheme: str) -> None:
    pytest.importorskip("oracledb" if scheme == "oracle" else "arrow_odbc")

    message = told(two, f"{scheme}://lake:hunter2@127.0.0.1:{closed_port}/free")

    assert f"no connection to 127.0.0.1:{closed_port}: nothing accepts connections on this port" in message
    assert (
        "Check that the database runs, and host, port and database in the connection erp (AIRFLOW_CONN_ERP)." in message
    )
    assert "hunter2" not in message
    assert "Set AIRFLOW_CONN_ERP" not in message
    assert ("it should begin with oracle://" in message) == (scheme == "mssql")


@pytest.mark.parametrize("scheme", ["oracle", "mssql"])
def test_a_host_that_nobody_knows_is_told_by_its_name(two: Company, scheme: str) -> None:
    pytest.importorskip("oracledb" if scheme == "oracle" else "arrow_odbc")

    message = told(two, f"{scheme}://lake:hunter2@nowhere.invalid/free")

    port = 1521 if scheme == "oracle" else 1433
    assert f"no connection to nowhere.invalid:{port}: this machine finds no address for the host's name" in message


def test_an_unknown_scheme_is_answered_with_the_right_one(two: Company) -> None:
    message = told(two, "postgresql://lake:hunter2@127.0.0.1/free")

    assert "AIRFLOW_CONN_ERP begins with postgresql://, which is no known kind of database." in message
    assert "Write it as oracle://user:password@host:1521/service." in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "uri",
    [
        "oracle://lake:hun/ter2@127.0.0.1:1521/free",
        "oracle://lake:12#hunter2@127.0.0.1:1521/free",
        "oracle://lake:12?hunter2@127.0.0.1:1521/free",
        "oracle://lake:hun@ter/2@127.0.0.1:1521/free",
        "lake:hunter2@127.0.0.1:1521/free",
    ],
)
def test_a_part_of_a_password_is_never_taken_for_a_host(two: Company, uri: str) -> None:
    message = told(two, uri)

    assert "AIRFLOW_CONN_ERP is neither a URI" in message
    assert not {"hun", "ter", "12"} & {*message.replace("/", " ").replace(":", " ").split()}


@pytest.mark.parametrize(
    "text",
    ["{hunter2", '{"hunter2":' * 10_000, '{"conn_type": "oracle", "extra": ["hunter2"]}', '{"conn_type": ["hunter2"]}'],
    ids=["no JSON", "deep JSON", "extra that is a list", "type that is a list"],
)
def test_a_connection_that_cannot_be_read_stops_its_own_system_only(two: Company, text: str) -> None:
    done = run(two, "load", erp=text)

    assert (done.exit_code, "hunter2" in done.output) == (10, False)
    assert {subject for _, subject, _ in ledger(two)} == {"crm.cities", "crm.people"}


def test_the_file_that_a_connection_names_is_told(two: Company, tmp_path: Path) -> None:
    message = told(two, f"duckdb://{tmp_path}/nowhere.duckdb")

    assert f"there is no file {tmp_path}/nowhere.duckdb." in message


def test_a_password_is_tried_once_and_not_once_per_table(two: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database locks a user after a few log-ins with a wrong password."""
    tries: list[str] = []

    def refused(system: str, _: object) -> Any:
        tries.append(system)
        raise LakehouseError(f"{system}: refused")

    monkeypatch.setattr("ingestion.runs.reach.open_source", refused)

    run(two, "load", *ERP, erp="oracle://lake:hunter2@127.0.0.1:1/free")

    assert tries == ["erp"]
