"""What the commands about gaps show, take and leave."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from deltalake import write_deltalake

from ingestion.cli import cli
from ingestion.cli.gap_tables import Standing
from ingestion.load.load_table import load_table
from tests.engines.conftest import Company

gap_rounds = importlib.import_module("ingestion.cli.gap_rounds")
gap_commands = importlib.import_module("ingestion.cli.gaps")  # the package's `gaps` is the command
Run = Callable[..., Result]


@pytest.fixture(scope="session")
def loaded(small_company: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small company, loaded once, by window only."""
    folder = tmp_path_factory.mktemp("loaded") / "company"
    company = Company(shutil.copytree(small_company, folder))
    company.amend("people", "deletes: keys\n", "deletes: none\n")
    company.amend("people", "      maxDeletePercent: 50\n", "")
    for contract_id in ("crm.cities", "crm.people"):
        load_table(company.context(), contract_id)
    return folder


@pytest.fixture
def company(loaded: Path, tmp_path: Path) -> Company:
    return Company(shutil.copytree(loaded, tmp_path / "company"))


@pytest.fixture
def run(company: Company, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a runner of commands on the loaded company."""
    for name, value in (company.environ | {"COLUMNS": "200"}).items():
        monkeypatch.setenv(name, value)

    def run_now(*arguments: str) -> Result:
        return CliRunner().invoke(cli, list(arguments))

    return run_now


def document(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def lose(company: Company) -> None:
    company.sql("insert into people values (4, 'Dee', 1, '2026-02-01 08:00:00')")


def test_tables_and_options_go_to_the_check_when_no_command_is_named(run: Run) -> None:
    short = document(run("gaps", "crm.people", "--json"))
    long = document(run("gaps", "check", "crm.people", "--json"))
    last = document(run("gaps", "--last", "--json"))

    assert [gap["contract_id"] for gap in short] == [gap["contract_id"] for gap in long] == ["crm.people"]
    assert [gap["contract_id"] for gap in last] == ["crm.people"]


def test_help_of_gaps_names_its_commands(run: Run) -> None:
    result = run("gaps", "--help")

    assert result.exit_code == 0
    for name in ("check", "advise", "waive"):
        assert f"\n  {name} " in result.output


def test_check_tells_partitions_and_differences_of_each_table(run: Run, company: Company) -> None:
    lose(company)

    [people] = document(run("gaps", "crm.people", "--json"), 30)

    assert (people["sync_gap"], people["missing_keys"]) == (1, 1)
    assert [(p["partition"], p["sync_gap"], p["missing_partitions"]) for p in people["partitions"]] == [
        ("2026-02-01", 1, 1)
    ]
    assert {d["contract_id"] for d in people["differences"]} == {"crm.people"}


def test_check_shows_people_what_differs_and_where_to_go_on(run: Run, company: Company) -> None:
    lose(company)

    shown = run("gaps").stdout

    assert "crm.people 2026-02-01: missing (source 1, lake 0, in quarantine 0)" in shown
    assert "Open differences" in shown
    assert "lakehouse gaps advise" in shown
    assert "Dee" not in shown


def test_what_was_not_compared_stands_under_the_table_and_is_no_fault(
    run: Run,
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    company.amend("people", "criticalGapPercent: 50}", "criticalGapPercent: 50, maxQueries: 2}")

    result = run("gaps")
    [cities, people] = document(run("gaps", "--last", "--json"))

    assert result.exit_code == 0
    assert "* was not compared:\n  crm.people: the budget of 2 queries is spent\n" in result.stdout
    assert "-- on the source" not in result.stdout
    assert "lakehouse gaps advise" not in result.stdout
    assert (people["severity"], people["sla_met"], cities["severity"], cities["sla_met"]) == ("OK*", None, "OK", True)
    assert "OK*: not all was compared; lakehouse gaps --last names what" in run("status").stdout


def test_last_asks_no_source(run: Run, company: Company) -> None:
    run("gaps")
    company.file.rename(company.file.with_suffix(".away"))

    last = document(run("gaps", "--last", "--json"))

    assert [(gap["contract_id"], gap["severity"]) for gap in last] == [("crm.cities", "OK"), ("crm.people", "OK")]


def test_history_is_newest_first_and_as_long_as_asked(run: Run) -> None:
    for _ in range(3):
        run("gaps", "crm.people")

    history = document(run("gaps", "crm.people", "--history", "--checks", "2", "--json"))

    assert len(history) == 2
    assert history[0]["checked_at"] > history[1]["checked_at"]
    assert run("gaps", "--history").stdout.count("crm.people") == 3


def test_table_that_cannot_be_compared_is_shown_unknown_and_stops_no_other(run: Run, company: Company) -> None:
    company.sql("drop table cities")

    result = run("gaps", "--json")

    assert {gap["contract_id"]: gap["severity"] for gap in json.loads(result.stdout)} == {
        "crm.cities": "UNKNOWN",
        "crm.people": "OK",
    }
    assert (result.exit_code, "crm.cities" in result.stderr) == (12, True)


def test_watch_goes_on_while_a_source_is_away(
    run: Run,
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds = []

    def next_round(_seconds: float) -> None:
        rounds.append(1)
        if len(rounds) == 1:
            company.file.rename(company.file.with_suffix(".away"))
        elif len(rounds) == 2:
            company.file.with_suffix(".away").rename(company.file)
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(gap_commands, "sleep", next_round)

    result = run("gaps", "crm.people", "--watch", "5", "--json")

    told = "[" + result.stdout.replace("]\n[", "],[") + "]"
    assert [check[0]["severity"] for check in json.loads(told)] == ["OK", "UNKNOWN", "OK"]


@pytest.mark.parametrize(("checks", "processes"), [(6, 1), (4, 2)])
def test_watch_changes_its_process_so_that_it_never_grows_large(
    run: Run, monkeypatch: pytest.MonkeyPatch, checks: int, processes: int
) -> None:
    seen: list[int | None] = []

    def next_round(_seconds: float) -> None:
        seen.extend(child.pid for child in multiprocessing.active_children())
        if len(seen) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(gap_rounds, "CHECKS", checks)
    monkeypatch.setattr(gap_commands, "sleep", next_round)

    run("gaps", "crm.people", "crm.cities", "--watch", "5", "--json")

    assert (len(set(seen)), multiprocessing.active_children()) == (processes, [])


def test_watch_ends_with_the_error_where_the_ledger_cannot_be_written(
    run: Run,
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gap_commands, "sleep", lambda _: (company.folder / "lake" / "_lakehouse.json").unlink())
    monkeypatch.setattr(gap_rounds, "CHECKS", 1)

    result = run("gaps", "crm.people", "--watch", "5", "--json")

    assert (result.exit_code, "_lakehouse.json" in result.stderr) == (15, True)


def _busy(*_: object) -> None:
    time.sleep(60)


def _killed(*_: object) -> None:
    os._exit(9)


def test_watch_that_is_stopped_in_the_middle_of_a_round_ends_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gap_rounds, "_serve", _busy)
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 1)
    began = time.monotonic()

    result = run("gaps", "--watch", "5", "--json")

    signal.signal(signal.SIGALRM, before)
    assert (result.exit_code, time.monotonic() - began < 40, multiprocessing.active_children()) == (1, True, [])


def _deaf(asked: Connection, *_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    asked.recv()
    asked.send(Standing((), (), (), ()))
    time.sleep(60)


def test_watch_whose_process_hears_no_signal_ends_all_the_same(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gap_rounds, "_serve", _deaf)
    monkeypatch.setattr(gap_rounds, "GRACE", 1)
    monkeypatch.setattr(gap_commands, "sleep", stop)
    began = time.monotonic()

    run("gaps", "--watch", "5", "--json")

    assert (time.monotonic() - began < 40, multiprocessing.active_children()) == (True, [])


def test_watch_whose_process_was_killed_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap_rounds, "_serve", _killed)

    result = run("gaps", "--watch", "5", "--json")

    assert (result.exit_code, "the process that checks ended (exit code 9)" in result.stderr) == (1, True)


def test_advice_names_the_cause_the_sql_and_the_command(run: Run, company: Company) -> None:
    lose(company)
    run("gaps", "crm.people")

    [advice] = document(run("gaps", "advise", "crm.people", "--json"))
    shown = run("gaps", "advise", "crm.people").stdout

    assert (advice["cause"], advice["commands"][0]) == ("lost window", "lakehouse repair crm.people")
    assert "1. crm.people: lost window" in shown
    assert "$ lakehouse repair crm.people" in shown
    assert 'select count(*)\nfrom "main"."people"' in shown


def test_sql_of_an_advice_was_tried_on_the_lake_and_names_the_model_that_dbt_makes(
    run: Run,
    company: Company,
) -> None:
    model = company.folder / "dbt_project" / "models" / "silver" / "crm" / "people_history.sql"
    model.parent.mkdir(parents=True)
    model.write_text("{{ scd2('crm', 'people') }}")
    lose(company)
    run("gaps", "crm.people")

    before = document(run("gaps", "advise", "crm.people", "--json"))[0]["sql"]
    store(company, "people_history", pa.table({"is_current": [True]}))
    half_built = document(run("gaps", "advise", "crm.people", "--json"))[0]["sql"]
    moment = pa.array([datetime(2026, 2, 1)], pa.timestamp("us"))
    store(company, "people_history", pa.table({"changed_at": moment, "is_current": [True]}))
    after = document(run("gaps", "advise", "crm.people", "--json"))[0]["sql"]

    assert "-- the lake has no table silver.people_history yet: lakehouse build silver" in before
    assert "-- silver.people_history has not all columns of the contract yet" in half_built
    query = after.split("-- on the lake: lakehouse sql\n")[1].removesuffix(";")
    assert document(run("sql", query, "--json")) == [{"count_star()": 1}]
    assert [contract.silver_model for contract in company.context().contracts()] == ["stg_cities", "people_history"]


def store(company: Company, model: str, rows: pa.Table) -> None:
    write_deltalake(company.context().lake.uri("silver", model), rows, mode="overwrite", schema_mode="overwrite")


def test_advice_on_a_table_that_is_well_is_that_nothing_is_to_do(run: Run) -> None:
    run("gaps")

    assert document(run("gaps", "advise", "--json")) == []
    assert "Nothing to do" in run("gaps", "advise").stdout


def test_waiver_keeps_who_why_and_until_and_stays_in_sight(run: Run, company: Company) -> None:
    lose(company)
    [people] = document(run("gaps", "crm.people", "--json"), 30)
    name = people["differences"][0]["difference_id"]

    waived = document(run("gaps", "waive", name, "--why", "purge [ticket 4711]", "--until", "2099-01-31", "--by", "ada", "--json"))  # fmt: skip

    assert (waived["state"], waived["by"], waived["why"]) == ("waived", "ada", "purge [ticket 4711]")
    assert waived["until"] == "2099-01-31T00:00:00+00:00"
    [people] = document(run("gaps", "crm.people", "--json"))
    assert (people["severity"], people["differences"], people["waived"]) == ("OK", [], [waived])
    [shown] = [line for line in run("gaps", "--last").stdout.splitlines() if name in line]
    assert re.split(r"  +", shown.strip())[-3:] == ["2099-01-31 00:00", "ada", "purge [ticket 4711]"]


def test_waiver_that_has_ended_is_shown_among_what_is_open(run: Run, company: Company) -> None:
    lose(company)
    [people] = document(run("gaps", "crm.people", "--json"), 30)
    name = people["differences"][0]["difference_id"]
    soon = datetime.now(UTC) + timedelta(seconds=2)
    assert run("gaps", "waive", name, "--why", "purge", "--until", soon.isoformat()).exit_code == 0
    time.sleep(max(0.0, (soon - datetime.now(UTC)).total_seconds()))

    [last] = document(run("gaps", "crm.people", "--last", "--json"), 30)
    shown = run("gaps", "--last").stdout
    [again] = document(run("gaps", "crm.people", "--json"), 30)

    assert ([d["difference_id"] for d in last["differences"]], last["waived"]) == ([name], [])
    assert f"waived until {soon:%Y-%m-%d %H:%M}: ended" in shown
    assert ([d["state"] for d in again["differences"]], again["severity"]) == (["confirmed"], "CRITICAL")


@pytest.mark.parametrize("missing", ["--why", "--until"])
def test_waiver_without_a_reason_or_an_end_is_refused(run: Run, missing: str) -> None:
    given = {"--why": "purge", "--until": "14d"}
    del given[missing]

    result = run("gaps", "waive", "d", *(text for pair in given.items() for text in pair))

    assert (result.exit_code, missing in result.stderr) == (2, True)


@pytest.mark.parametrize("text", ["soon", "-3d", "2026-13-01", "99999999999d"])
def test_end_of_a_waiver_is_a_date_or_a_number_of_days(text: str) -> None:
    with pytest.raises(click.BadParameter):
        gap_commands.until_moment(text)


def test_end_of_a_waiver_without_an_offset_is_utc() -> None:
    assert gap_commands.until_moment("2026-04-01").isoformat() == "2026-04-01T00:00:00+00:00"
    assert gap_commands.until_moment("2026-04-01T08:00:00-03:00").isoformat() == "2026-04-01T08:00:00-03:00"


def test_a_confirmed_critical_gap_has_an_exit_code_of_its_own_unless_it_is_not_wanted(
    run: Run,
    company: Company,
) -> None:
    company.amend("people", "criticalGapPercent: 50", "criticalGapPercent: 1")
    company.sql("delete from people where id = 2")

    suspected = run("gaps")
    run("load")
    confirmed = run("gaps")
    last, quiet, past = run("gaps", "--last", "--json"), run("gaps", "--exit-zero"), run("gaps", "--history")

    assert (suspected.exit_code, confirmed.exit_code, last.exit_code) == (0, 30, 30)
    assert (quiet.exit_code, past.exit_code) == (0, 0)
    assert confirmed.stderr.startswith("error: crm.people: a critical gap to the source is confirmed")
    assert json.loads(last.stdout)[1]["severity"] == "CRITICAL"
