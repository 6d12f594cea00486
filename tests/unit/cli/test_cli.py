from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ingestion.cli import cli
from ingestion.errors import ConfigurationError, LakehouseError
from ingestion.load.load_table import load_table
from ingestion.shipped import DISTRIBUTION
from tests.engines.conftest import Company, company  # noqa: F401 - a fixture

Run = Callable[..., Result]


@pytest.fixture
def run(company: Company, monkeypatch: pytest.MonkeyPatch) -> Run:  # noqa: F811
    """Return a runner of commands on the small company."""
    for name, value in company.environ.items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(cli, list(arguments))


def document(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_a_table_goes_from_plan_to_load_to_gap(run: Run) -> None:
    planned = document(run("plan", "crm.people", "--json"))
    loaded = document(run("load", "--json"))
    gaps = document(run("gaps", "--json"))
    status = document(run("status", "--json"))

    assert [p["rows"] for p in planned] == [3]
    assert {load["contract_id"]: load["appended"] for load in loaded} == {"crm.cities": 2, "crm.people": 3}
    assert {gap["severity"] for gap in gaps} == {"OK"}
    assert [(s["contract_id"], s["batch"], s["severity"]) for s in status] == [
        ("crm.cities", 1, "OK"),
        ("crm.people", 1, "OK"),
    ]


def test_a_load_tells_what_it_does_and_how_many_rows_it_reads(company: Company) -> None:  # noqa: F811
    told: list[tuple[str, int]] = []

    load_table(replace(company.context(), observe=lambda *step: told.append(step)), "crm.people")

    assert told == [("staging", 3), ("comparing", 0), ("committing", 0)]


def test_people_read_the_same_as_tables(run: Run) -> None:
    for arguments in (("plan",), ("load",), ("gaps",), ("gaps", "--last"), ("status",), ("quarantine", "list")):
        result = run(*arguments)

        assert result.exit_code == 0, result.output
        assert "crm." in result.stdout or arguments[0] == "quarantine"


def test_sql_reads_the_lake_and_writes_nothing(run: Run) -> None:
    run("load")

    assert document(run("sql", "select count(*) as n from bronze.crm__people", "--json")) == [{"n": 3}]
    for statement in (
        "create table t (x int)",
        "copy (select 1) to 'x.csv'",
        "select 1; select 2",
        "delete from ops.runs",
    ):
        refused = run("sql", statement)

        assert (refused.exit_code, "Nothing was changed" in refused.stderr) == (10, True), statement


def test_a_query_that_is_wrong_says_what_is_wrong(run: Run) -> None:
    result = run("sql", "select nothing from nowhere")

    assert result.exit_code == 10
    assert "nowhere" in result.stderr


def test_a_repair_needs_a_name_and_above_the_limits_approval_and_closes_the_gap(run: Run, company: Company) -> None:  # noqa: F811
    company.amend("people", "deletes: keys\n", "deletes: none\n")
    company.amend("people", "      maxDeletePercent: 50\n", "")
    run("load")
    company.sql("insert into people select i, 'Dee', 1, '2026-02-01 08:00:00' from range(4, 8) r(i)")

    assert run("repair").exit_code == 2
    assert document(run("gaps", "crm.people", "--json"), 30)[0]["missing_keys"] == 4
    assert run("repair", "crm.people").exit_code == 19
    assert document(run("repair", "crm.people", "--yes", "--json"))[0]["fetched"] == 4
    assert document(run("gaps", "crm.people", "--json"))[0]["missing_keys"] == 0


def test_the_quarantine_is_listed_without_values_and_replayed(run: Run, company: Company) -> None:  # noqa: F811
    company.sql("insert into people values (4, 'a name too long', 1, '2026-03-01 11:00:00')")
    run("load")

    listed = run("quarantine", "list", "crm.people", "--json")
    company.amend("people", "maxLength: 10", "maxLength: 20")
    replayed = document(run("quarantine", "replay", "crm.people", "--json"))

    assert [(row["column"], row["rule"], row["rows"]) for row in document(listed)] == [("name", "max_length", 1)]
    assert "too long" not in listed.stdout
    assert replayed[0]["appended"] == 1


def test_every_error_is_one_paragraph_and_its_own_exit_code(run: Run, company: Company) -> None:  # noqa: F811
    company.sql("alter table people drop column score")

    result = run("load", "crm.people")

    assert result.exit_code == 12
    assert result.stderr.startswith("error: crm.people: the source no longer keeps the contract.")
    assert "Traceback" not in result.output


def test_a_drift_is_accepted_by_name_and_says_what_follows(run: Run, company: Company) -> None:  # noqa: F811
    company.sql("alter table people add column tier varchar", "alter table people alter score type decimal(20, 5)")

    unnamed = run("contract", "accept", "crm.people")
    accepted = run("contract", "accept", "crm.people", "--column", "score")
    again = document(run("contract", "accept", "crm.people", "--column", "tier", "--json"))

    assert (unnamed.exit_code, "tier: expected no such column, found VARCHAR (--column tier)" in unnamed.stderr) == (
        10,
        True,
    )
    assert "version 1.0.0 -> 2.0.0" in accepted.stdout
    assert "score: DECIMAL(10,2) -> DECIMAL(20,5). The next load retypes Bronze" in accepted.stdout
    assert "tier: left as it is (VARCHAR in the source); --column tier takes it" in accepted.stdout
    assert (again["version"], again["accepted"], again["left"]) == ("2.1.0", ["tier"], [])


def test_full_and_allow_deletes_want_tables_by_name(run: Run) -> None:
    assert run("load", "--full").exit_code == 10


def test_a_command_without_a_lake_says_how_to_make_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(tmp_path / "nowhere"))

    result = run("status")

    assert (result.exit_code, "lakehouse init" in result.stderr) == (15, True)


def test_init_twice_is_once(run: Run) -> None:
    assert document(run("init", "--json")) == document(run("init", "--json"))


def test_a_drift_is_accepted_into_the_next_version(run: Run, company: Company) -> None:  # noqa: F811
    company.sql("alter table people add column tier varchar", "update people set tier = 'gold' where id = 1")

    accepted = document(run("contract", "accept", "crm.people", "--json"))
    load_table(company.context(), "crm.people")

    assert accepted["version"] == "1.1.0"
    assert company.lake("select id, tier from bronze.crm__people where tier is not null") == [(1, "gold")]


def test_a_column_accepted_later_is_added_to_the_lakes_tables(run: Run, company: Company) -> None:  # noqa: F811
    load_table(company.context(), "crm.people")
    company.sql(
        "alter table people add column tier varchar",
        "insert into people values (4, 'Dee', 1, '2026-03-01 11:30:00', 'gold')",
    )
    run("contract", "accept", "crm.people")

    load_table(company.context(), "crm.people")

    assert company.lake("select id, tier from bronze.crm__people order by id, tier") == [
        (1, None),
        (2, None),
        (3, None),
        (4, "gold"),
    ]


def test_two_versions_are_compared_wherever_they_lie(run: Run, company: Company, tmp_path: Path) -> None:  # noqa: F811
    here = company.folder / "data_contracts" / "crm" / "people.odcs.yaml"
    older = tmp_path / "elsewhere" / "people from main.txt"
    older.parent.mkdir()
    older.write_text(here.read_text().replace("maxLength: 10", "maxLength: 11"))

    compared = run("contract", "diff", str(older), str(here))
    two = run("contract", "diff", str(older), str(here.with_name("cities.odcs.yaml")))

    assert compared.exit_code == 0, compared.output
    assert "the rules of name changed" in compared.stdout
    assert two.exit_code == ConfigurationError.exit_code
    assert "crm.people and crm.cities are two contracts, not two versions of one" in two.output


def test_lint_lists_faults_with_file_and_line(run: Run, company: Company) -> None:  # noqa: F811
    company.amend("people", "overlap: PT2H", "overlap: soon")

    result = run("contract", "lint")

    assert result.exit_code == 11
    assert "crm/people.odcs.yaml:" in result.output


def test_the_doctor_names_what_is_missing_and_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_CRM")

    result = run("doctor", "--json")

    missing = {f["subject"]: f["advice"] for f in json.loads(result.stdout) if f["outcome"] == "missing"}
    assert [*missing] == ["source crm"]
    assert missing["source crm"].startswith("Set AIRFLOW_CONN_CRM to duckdb:///folder/file.duckdb")
    assert result.exit_code == 10


def test_gold_with_persons_is_not_built_without_a_salt_and_the_doctor_says_so(
    run: Run,
    company: Company,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contract = company.folder / "data_contracts" / "crm" / "people.odcs.yaml"
    contract.write_text(contract.read_text().replace("name: name,", "name: name, classification: pii,"))
    run("init")
    monkeypatch.delenv("LAKEHOUSE_MASK_SALT")
    built = [run("build", layer) for layer in ("gold", "all")]
    looked = json.loads(run("doctor", "--json").stdout)
    [row] = document(run("sql", "select message from ops.runs where step = 'gold' and status = 'failed'", "--json"))
    monkeypatch.setenv("LAKEHOUSE_MASK_SALT", "a salt of the tests")
    healed = json.loads(run("doctor", "--json").stdout)

    assert [result.exit_code for result in built] == [10, 10]
    assert "LAKEHOUSE_MASK_SALT: must be a secret of 16 characters or more" in built[0].stderr
    assert row["message"].startswith("LAKEHOUSE_MASK_SALT: must be a secret")
    [finding] = [finding for finding in looked if finding["subject"] == "salt of Gold"]
    assert (finding["outcome"], finding["advice"].startswith("Set a random one")) == ("missing", True)
    assert ("salt of Gold", "ok") in {(finding["subject"], finding["outcome"]) for finding in healed}


def test_the_doctor_looks_for_packages_that_their_extras_install() -> None:
    from importlib.metadata import metadata

    from ingestion.admin.doctor import PACKAGES

    required = [text.replace('"', "'") for text in metadata(DISTRIBUTION).get_all("Requires-Dist") or []]
    for package, extra in PACKAGES.items():
        found = [text for text in required if package in text and f"extra == '{extra}'" in text]
        assert found, package


def test_a_salt_is_changed_for_all_of_gold_or_not_at_all(run: Run) -> None:
    for arguments in (["silver"], ["gold", "--without", "crm.people"]):
        result = run("build", *arguments, "--new-salt")

        assert (result.exit_code, "rewrites all of Gold" in result.stderr) == (10, True)


def test_a_connection_that_is_no_connection_does_not_show_its_value(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CRM", "{hunter2")

    result = run("load")

    assert result.exit_code == 10
    assert "AIRFLOW_CONN_CRM is neither a URI" in result.stderr
    assert "hunter2" not in result.output


def commands(group: Any, name: str = "lakehouse") -> list[tuple[str, Any]]:
    found = []
    for key, command in group.commands.items():
        found += commands(command, f"{name} {key}") if hasattr(command, "commands") else [(f"{name} {key}", command)]
    return found


@pytest.mark.parametrize(("name", "command"), commands(cli), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_has_help_and_json(name: str, command: Any) -> None:
    assert command.help
    takes_json = any(option.name == "as_json" for option in command.params)
    assert takes_json or name in ("lakehouse dbt", "lakehouse serve"), name  # dbt's own options; a server


def test_exit_codes_tell_errors_apart() -> None:
    def below(kind: type[LakehouseError]) -> list[type[LakehouseError]]:
        return [kind, *(found for child in kind.__subclasses__() for found in below(child))]

    codes = [kind.exit_code for kind in below(LakehouseError)[1:] if "exit_code" in vars(kind)]

    assert len(codes) == len(set(codes))
    assert not {0, 1, 2} & set(codes)
