from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from ingestion.cli import cli
from monitoring.advisor.ask import Advisor, Asked
from monitoring.advisor.budget import Budget
from monitoring.advisor.calls import Calls
from monitoring.advisor.doc_writer import from_contracts, patch, undescribed
from monitoring.advisor.retrieval import Library
from monitoring.advisor.roles import DocGenerator
from monitoring.advisor.values import Names
from tests.advisor.model_server import Reply, serving
from tests.advisor.test_models import opened
from tests.unit.monitoring.conftest import Ledger

MODELS = """version: 2
models:
  - name: dim_customer
    description: Customers.
    columns:
      - name: segment   # of the sales desk
        data_type: varchar
      - name: city
        description: Where they live.
      - {name: region}
      - data_type: varchar
        name: note
      - name: city_code
"""
CONTRACT = """schema:
- physicalName: RETAIL.CUSTOMERS
  properties:
  - {name: segment, description: 'Segment: of the sales desk.'}
  - {name: note, description: "A note, with \\"quotes\\""}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("dbt_project/models/gold.yml", MODELS), ("data_contracts/erp/customers.odcs.yaml", CONTRACT)):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    monkeypatch.setenv("LAKEHOUSE_PROJECT", str(tmp_path))
    return tmp_path


def test_only_columns_without_a_description_that_a_line_can_follow_are_found(project: Path) -> None:
    assert [place.column for place in undescribed(project / "dbt_project")] == ["segment", "note", "city_code"]


def test_the_patch_adds_the_contracts_words_and_nothing_else(project: Path) -> None:
    made = DocGenerator(project).suggest()
    assert (project / "dbt_project/models/gold.yml").read_text() == MODELS  # nothing was written

    subprocess.run(["git", "apply", "-"], cwd=project, input=made, text=True, check=True)

    patched = (project / "dbt_project/models/gold.yml").read_text()
    columns = {each["name"]: each.get("description") for each in yaml.safe_load(patched)["models"][0]["columns"]}
    assert columns == {
        "segment": "Segment: of the sales desk.",
        "city": "Where they live.",
        "region": None,
        "note": 'A note, with "quotes"',
        "city_code": None,
    }
    assert "# of the sales desk" in patched
    assert len(patched.splitlines()) == len(MODELS.splitlines()) + 2


def test_a_file_whose_patch_would_read_otherwise_is_left_out(project: Path) -> None:
    file = project / "dbt_project/models/gold.yml"
    file.write_text("models:\n  - name: a\n    columns:\n      - name: >-\n          segment\n      - name: city\n")

    assert [place.column for place in undescribed(project / "dbt_project")] == ["segment", "city"]
    assert DocGenerator(project).suggest() == ""


def test_contracts_that_disagree_propose_nothing(project: Path) -> None:
    other = project / "data_contracts/shop/customers.odcs.yaml"
    other.parent.mkdir()
    other.write_text("schema: [{properties: [{name: segment, description: Another thing}]}]\n")

    found = from_contracts(undescribed(project / "dbt_project"), project / "data_contracts")

    assert [proposal.place.column for proposal in found] == ["note"]


def test_the_command_prints_a_patch_and_writes_nothing(project: Path) -> None:
    told = CliRunner().invoke(cli, ["docs", "suggest", "--diff"])

    assert told.exit_code == 0
    assert told.output.startswith("--- a/dbt_project/models/gold.yml\n")
    assert "\n+        description: 'Segment: of the sales desk.'\n" in told.output
    assert (project / "dbt_project/models/gold.yml").read_text() == MODELS


def test_a_model_proposes_for_the_columns_that_it_was_asked_for_alone(project: Path, ledger: Ledger) -> None:
    answer = {
        "descriptions": [
            {"model": "dim_customer", "column": "city_code", "text": "Code of the city\n  - name: injected"},
            {"model": "dim_customer", "column": "city", "text": "It has one already."},
            {"model": "ghost", "column": "x", "text": "There is none."},
        ]
    }
    places = [place for place in undescribed(project / "dbt_project") if place.column == "city_code"]
    with serving(Reply(json.dumps(answer))) as served:
        asked = Asked(opened("openai", served.url), Calls(ledger.journal, Budget(10**5, 10**6, 10**6)))
        found, why = Advisor(Names(), Library([]), asked).describe(places)

    assert why == ""
    assert [(p.place.column, p.text, p.by) for p in found] == [
        ("city_code", "Code of the city - name: injected", "openai:m")
    ]
    assert "\n+        description: 'Code of the city - name: injected'\n" in patch(found, project)
    [row] = ledger.journal.select("select role, outcome from ops.advisor_calls where outcome <> 'begun'")
    assert row == {"role": "doc_writer", "outcome": "answered"}


def test_a_model_that_fails_proposes_nothing_and_it_is_said(project: Path, ledger: Ledger) -> None:
    places = list(undescribed(project / "dbt_project"))
    with serving(Reply("prose")) as served:
        asked = Asked(opened("openai", served.url), Calls(ledger.journal, Budget(10**5, 10**6, 10**6)))
        found, why = Advisor(Names(), Library([]), asked).describe(places)

    assert found == []
    assert "does not have the asked form" in why
