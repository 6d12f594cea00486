"""A project of one's own: from an empty folder to tested Silver and Gold tables, by three commands and no file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from ingestion.cli import cli
from tests.dbt.warehouse import ROOT
from tests.examples import LONG

Run = Callable[..., Result]
CREATE = (
    'create table people (id bigint primary key, name varchar not null, email varchar, "order" int, '
    "score decimal(10,2), changed_at timestamp not null)",
    "comment on table people is 'One row per person.'",
    "comment on column people.score is 'Points; see {{ env_var(''HOME'') }}, \"all\" of them.'",
    "insert into people values (1, 'Ada', 'ada@example.org', 1, 1.5, '2026-03-01 10:00'), "
    "(2, 'Bea', null, 2, null, '2026-03-01 10:00'), (3, 'Cyd', 'cyd@example.org', 3, 2.5, '2026-03-01 11:00')",
)
PEOPLE = ("add", "crm.main.people", "--timezone", "UTC")
CONTRACT = "data_contracts/crm/people.odcs.yaml"


def source(folder: Path, *statements: str) -> None:
    with duckdb.connect(str(folder / "crm.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a runner of commands that must succeed, in the folder `own`, with a source file beside it."""
    source(tmp_path, *CREATE)
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"duckdb://{tmp_path}/crm.duckdb")

    def command(*arguments: str, code: int = 0) -> Result:
        monkeypatch.chdir(tmp_path / "own" if (tmp_path / "own").is_dir() else tmp_path)
        result = CliRunner().invoke(cli, list(arguments))
        assert result.exit_code == code, result.output + repr(result.exception)
        return result

    return command


def rows(run: Run, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("sql", query, "--json").stdout)
    return found


def test_three_commands_lead_from_an_empty_folder_to_tested_silver_and_gold(run: Run, tmp_path: Path) -> None:
    run("new", "own")
    added = run(*PEOPLE, "--dimension").stdout
    day = json.loads(run("run", "--json").stdout)

    assert "changed_at: proposed as the watermark" in added
    assert day["failures"] == []
    assert {"stg_crm__people", "dim_people", "gap_daily"} <= {*day["builds"][0]["models"]}
    assert day["builds"][0]["tests"] >= 9 + 1 + 2  # invariants, keys of Silver, key of Gold
    assert [gap["severity"] for gap in day["gaps"]] == ["OK"]

    source(
        tmp_path,
        "update people set name = 'Adele', changed_at = '2026-03-02 09:00' where id = 1",
        "delete from people where id = 2",
    )
    run("load", "--allow-deletes", "crm.people")
    run("build")

    history = "select id, name, is_current, is_deleted from silver.stg_crm__people order by id, valid_from"
    assert [tuple(row.values()) for row in rows(run, history)] == [
        (1, "Ada", False, False),
        (1, "Adele", True, False),
        (2, "Bea", False, False),
        (2, "Bea", False, True),
        (3, "Cyd", True, False),
    ]
    query = "select * from gold.dim_people order by id nulls first, valid_from nulls first, people_sk"
    members = rows(run, query)
    assert [row["people_sk"] for row in members[:3]] == ["-1", "-2", "-3"]
    assert [(row["name"], row["order"], row["is_current"], row["is_first_version"]) for row in members[3:]] == [
        ("Ada", 1, False, True),
        ("Adele", 1, True, False),
        ("Bea", 2, False, True),
        ("Bea", 2, False, False),
        ("Cyd", 3, True, True),
    ]
    assert "email" not in members[3]
    assert len({row["email_hash"] for row in members} - {None}) == 2


def test_a_second_add_changes_nothing_and_names_what_is_still_open(run: Run, tmp_path: Path) -> None:
    run("new", "own")
    first = json.loads(run(*PEOPLE, "--json").stdout)
    contract = tmp_path / "own" / CONTRACT
    contract.write_text(contract.read_text().replace("version: 1.0.0", "version: 1.1.0"))
    before = {path: path.read_bytes() for path in (tmp_path / "own").rglob("*") if path.suffix in (".yml", ".yaml")}

    again = json.loads(run("add", "crm.main.people", "--json").stdout)

    assert (first["new"], first["existing"]) == (["crm.people"], [])
    assert (again["new"], again["existing"], again["files"]) == ([], ["crm.people"], [])
    assert before == {path: path.read_bytes() for path in before}
    lines = contract.read_text().splitlines()
    places = {decision["text"]: lines[decision["line"] - 1] for decision in first["decisions"] if decision["line"]}
    [watermark] = [line for text, line in places.items() if "the watermark" in text]
    [personal] = [line for text, line in places.items() if "looks personal" in text]
    assert (watermark.strip(), personal.strip()) == ("watermark: changed_at", "- name: email")
    texts = [decision["text"] for decision in again["decisions"]]
    assert "describe id, name, email, order, changed_at" in texts
    assert sum("owner" in text or "freshness" in text or "draft" in text for text in texts) == 3


def test_a_whole_schema_is_added_and_a_table_without_a_key_is_left_out(run: Run, tmp_path: Path) -> None:
    source(tmp_path, "create table cities (code varchar primary key)", "create table notes (id int)")
    run("new", "own")

    added = json.loads(run("add", "crm.main", "--timezone", "UTC", "--json").stdout)

    assert added["new"] == ["crm.cities", "crm.people"]
    assert [sentence.partition(":")[0] for sentence in added["left_out"]] == ["main.notes"]
    refused = run("add", "crm.main.notes", code=10)
    assert "can be added. Nothing was written. Left out: main.notes: the catalog knows no primary key" in refused.stderr


def test_an_add_beside_an_invalid_contract_writes_nothing(run: Run, tmp_path: Path) -> None:
    run("new", "own")
    broken = tmp_path / "own" / "data_contracts" / "erp" / "orders.odcs.yaml"
    broken.parent.mkdir()
    broken.write_text("kind: DataContract\n")

    run(*PEOPLE, code=11)

    assert not (tmp_path / "own" / CONTRACT).exists()
    assert "a table is named as SYSTEM.SCHEMA.TABLE" in run("add", "people", code=10).stderr


def test_a_project_without_gold_is_built_without_a_salt(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAKEHOUSE_MASK_SALT")
    run("new", "own")

    assert "secret salt, LAKEHOUSE_MASK_SALT. Make one" in run(*PEOPLE).stdout
    run("load")
    assert "0 models built" in run("build", "gold").stdout
    run("add", "crm.main.people", "--dimension")
    assert "LAKEHOUSE_MASK_SALT" in run("build", "gold", code=10).stderr


def test_what_a_model_lacks_is_told_by_lint_plan_and_doctor_with_its_command(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("new", "own")
    run(*PEOPLE)
    (tmp_path / "own/dbt_project/models/silver/crm/stg_crm__people.yml").unlink()
    told = "its model stg_crm__people has none of the 9 tests of a history"

    [plan] = json.loads(run("plan", "--json").stdout)
    findings = json.loads(run("doctor", "--json").stdout)
    linted = run("contract", "lint").stdout
    strict = json.loads(run("contract", "lint", "--strict", "--json", code=11).stdout)

    assert plan["lacking"] == [f"{told}: lakehouse contract sources"]
    assert {"subject": "crm.people", "outcome": "warning", "finding": told, "advice": "lakehouse contract sources"} in (
        findings
    )
    assert f"warning: crm/people.odcs.yaml: {told}: lakehouse contract sources\n" in linted
    assert {fault["severity"] for fault in strict} == {"error"}
    monkeypatch.delenv("AIRFLOW_CONN_CRM")
    unconnected = run("contract", "lint").stdout.splitlines()
    assert [line for line in unconnected if line.endswith("export AIRFLOW_CONN_CRM=…")] == [
        "warning: crm: no connection is set here, so its table cannot be loaded: export AIRFLOW_CONN_CRM=…"
    ]


def test_a_missing_connection_fails_no_strict_lint(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(cli, ["contract", "lint", "--strict"])

    assert result.exit_code == 0, result.output
    assert result.stdout.count("no connection is set here") == 2


def test_an_upgrade_shows_a_difference_and_writes_it_when_asked(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ingestion.admin import project_files

    run("new", "own")
    assert "Every file of the project is as this version" in run("upgrade-project").stdout
    shown = {**project_files.project_files(), "README.md": "# Other\n", "requirements.txt": "contract-lakehouse==9\n"}
    monkeypatch.setattr(project_files, "project_files", lambda: shown)
    (tmp_path / "own" / "README.md").write_text("# Mine\n")

    looked = run("upgrade-project").stdout
    run("upgrade-project", "--apply")

    assert "README.md: you edited it; it stays so" in looked
    assert "+contract-lakehouse==9" in looked
    assert (tmp_path / "own" / "README.md").read_text() == "# Mine\n"
    assert (tmp_path / "own" / "requirements.txt").read_text() == "contract-lakehouse==9\n"


@pytest.mark.skipif(not LONG, reason="make test-long: starts each command anew")
def test_a_project_needs_the_files_of_the_wheel_and_no_checkout(tmp_path: Path) -> None:
    source(tmp_path, *CREATE)
    site = tmp_path / "site"
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for name, target in {**{name: name for name in wheel["packages"]}, **wheel["force-include"]}.items():
        (site / target).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, site / target)
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("LAKEHOUSE_", "DBT_"))},
        "PYTHONPATH": str(site),
        "AIRFLOW_CONN_CRM": f"duckdb://{tmp_path}/crm.duckdb",
        "LAKEHOUSE_MASK_SALT": "a salt of the tests",
    }

    def lakehouse(*arguments: str, folder: Path = tmp_path / "own") -> str:
        script = "from ingestion import shipped; from ingestion.cli import main; assert '_shipped' in str(shipped.DBT); main()"
        command = [sys.executable, "-c", script, *arguments]
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    lakehouse("new", "own", folder=tmp_path)
    lakehouse(*PEOPLE, "--dimension")
    assert json.loads(lakehouse("run", "--json"))["failures"] == []
    assert "Ada" in lakehouse("sql", "select name from gold.dim_people")
    lakehouse("dbt", "parse")
    lakehouse("contract", "sources", "--check")
