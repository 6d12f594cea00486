"""One bad table stops nothing: whatever its error is, the other tables are loaded, compared and shown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from ingestion import daily
from ingestion.admin.status import table_statuses
from ingestion.bronze.table import BronzeTable
from ingestion.cli import cli
from ingestion.errors import ConfigurationError, InvalidContractError, UnexpectedError
from ingestion.gaps.record import record_sync_gap
from ingestion.load.load_table import load_table
from ingestion.runs.each import each
from tests.engines.conftest import Company

SECRET = "Ada's own value"


def unforeseen(monkeypatch: pytest.MonkeyPatch, contract_id: str) -> None:
    """Let each load of one table end with an error that is not ours, whose text holds a row value."""
    create = BronzeTable.create  # a load begins with it, and a comparison does not call it

    def fail(table: BronzeTable) -> Any:
        if table.contract.id == contract_id:
            raise OverflowError(SECRET)
        return create(table)

    monkeypatch.setattr(BronzeTable, "create", fail)


@pytest.mark.parametrize("entity", ["cities", "people"])  # the first of the tables, and the last
def test_load_goes_on_after_an_error_of_any_kind_and_names_its_table(
    company: Company, monkeypatch: pytest.MonkeyPatch, entity: str
) -> None:
    unforeseen(monkeypatch, f"crm.{entity}")
    other = {"cities": "people", "people": "cities"}[entity]

    done = CliRunner().invoke(cli, ["load"], env=company.environ)

    assert done.exit_code == 1
    assert f"crm.{other}" in done.stdout
    assert f"error: crm.{entity}: unexpected error OverflowError" in done.stderr
    assert SECRET not in done.output
    assert company.lake(f"select count(*) > 0 from bronze.crm__{other}") == [(True,)]
    assert company.lake("select subject, status, error from ops.runs order by subject") == [
        (f"crm.{name}", *(("failed", "OverflowError") if name == entity else ("ok", None)))
        for name in ("cities", "people")
    ]


def test_json_of_many_loads_has_the_failures_beside_the_results(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    unforeseen(monkeypatch, "crm.cities")

    told = json.loads(CliRunner().invoke(cli, ["load", "--json"], env=company.environ).stdout)

    assert [(each["contract_id"], each.get("error")) for each in told] == [
        ("crm.people", None),
        ("crm.cities", "UnexpectedError"),
    ]


def test_several_failures_are_all_told_and_share_their_exit_code(company: Company) -> None:
    company.amend("people", "physicalName: main.people", "physicalName: main.persons")
    company.amend("cities", "physicalName: main.cities", "physicalName: main.towns")

    done = CliRunner().invoke(cli, ["load"], env=company.environ)

    assert done.exit_code == 12
    assert "2 of 2 tables failed." in done.stderr
    assert "crm.people: " in done.stderr
    assert "crm.cities: " in done.stderr


def test_an_unforeseen_error_tells_its_place_and_its_text_only_when_it_is_debugged(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    unforeseen(monkeypatch, "crm.people")

    with pytest.raises(UnexpectedError, match=r"OverflowError (at|in) .*\.py:\d+") as told:
        load_table(company.context(), "crm.people")
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__

    monkeypatch.setenv("LAKEHOUSE_DEBUG", "true")
    with pytest.raises(UnexpectedError) as told:
        load_table(company.context(), "crm.people")
    assert str(told.value.__cause__) == SECRET


def test_a_day_goes_on_after_an_error_of_any_kind(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    unforeseen(monkeypatch, "crm.cities")
    built: list[Any] = []
    monkeypatch.setattr(daily, "build_layer", lambda *_, without, **__: built.append(without))
    monkeypatch.setattr(daily, "shared_point", lambda *_: 1 / 0)

    result = daily.run_day(company.context())

    assert [done.contract_id for done in result.loads] == ["crm.people"]
    assert built == [["crm.cities"]]
    assert [gap.contract_id for gap in result.gaps] == ["crm.cities", "crm.people"]
    assert len(result.failures) == 1


def test_a_table_that_cannot_be_compared_for_any_reason_stands_as_unknown(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.gaps.record.compare_table", lambda *_: 1 / 0)

    with pytest.raises(UnexpectedError, match="ZeroDivisionError"):
        record_sync_gap(company.context(), "crm.people")

    assert company.lake("select contract_id, severity from ops.gaps") == [("crm.people", "UNKNOWN")]


def test_a_contract_that_is_broken_hides_no_other_table_from_status(company: Company) -> None:
    load_table(company.context(), "crm.people")
    company.amend("cities", "logicalType: string", "logicalType: sing")

    cities, people = table_statuses(company.context())

    assert "logicalType" in str(cities.fault)
    assert (people.batch, people.fault) == (1, None)


@pytest.mark.parametrize("command", ["maintain", "maintain --dry-run", "quarantine list"])
def test_a_contract_that_is_broken_stops_neither_maintenance_nor_the_list_of_the_quarantine(
    company: Company, command: str
) -> None:
    company.sql("insert into people values (4, 'a name too long', 1, '2026-03-01 10:30:00')")
    load_table(company.context(), "crm.people")
    company.amend("people", "domain: test", "domain: test\nslaProperties: [{property: retention, value: 5, unit: y}]")
    company.amend("cities", "logicalType: string", "logicalType: sing")
    litter = company.folder / "lake/bronze/crm/people/part-0.parquet#1"
    litter.write_text("Ada")
    os.utime(litter, (0, 0))

    done = CliRunner().invoke(cli, command.split(), env=company.environ)

    assert done.exit_code == InvalidContractError.exit_code
    assert "crm/cities.odcs.yaml" in done.stderr
    assert litter.exists() is (command != "maintain")
    if command != "maintain":
        assert "crm__people" in done.stdout or "crm.people" in done.stdout


PROCESS = """
import signal
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # it may be ignored where the tests were started

import sys, time
from ingestion.bronze.table import BronzeTable
BronzeTable.create = lambda _: (print("loading", flush=True), time.sleep(60))
from ingestion.cli import main
sys.argv = ["lakehouse", "load", "crm.people"]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_load_that_a_signal_stops_leaves_its_row_in_the_ledger(company: Company, number: signal.Signals) -> None:
    started = [sys.executable, "-c", PROCESS]
    with subprocess.Popen(started, env=os.environ | company.environ, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        code = process.wait(30)

    assert code == 128 + number
    assert company.lake("select subject, status, message from ops.runs") == [
        ("crm.people", "failed", f"stopped by {number.name}")
    ]


DAY = """
import sys
from ingestion import daily
daily.build_layer = lambda *_, **__: 1 / 0
from ingestion.cli import main
sys.argv = ["lakehouse", "run"]
main()
"""


def test_a_reader_that_goes_away_does_not_end_a_day_midway(company: Company) -> None:
    started = [sys.executable, "-c", DAY]
    with subprocess.Popen(
        started, env=os.environ | company.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.wait(60)
        told = process.stderr.read().decode() if process.stderr else ""

    assert process.returncode == 18
    assert "BrokenPipe" not in told
    assert company.lake("select step, count(*) from ops.runs group by step order by step") == [("gaps", 2), ("load", 2)]


def test_a_clock_before_1970_is_told_before_anything_is_read(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: -86400.0)

    with pytest.raises(ConfigurationError, match="Set the machine's clock"):
        company.context()


def test_a_panic_of_a_library_fails_its_table_alone(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    panic = type("PanicException", (BaseException,), {})
    monkeypatch.setattr(BronzeTable, "create", lambda _: (_ for _ in ()).throw(panic(SECRET)))

    results, failed = each(["crm.cities", "crm.people"], lambda name: load_table(company.context(), name))

    assert results == []
    assert [(each.subject, type(each.error)) for each in failed] == [
        ("crm.cities", UnexpectedError),
        ("crm.people", UnexpectedError),
    ]
