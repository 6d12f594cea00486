"""A contract without a Silver model gets one, and every history its invariants as tests; what is there stays."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jinja2
import pytest
import yaml

from ingestion.contracts.model import BronzeMode, Contract
from ingestion.contracts.names import UNDESCRIBED
from ingestion.contracts.silver_models import silver_models
from ingestion.contracts.writing.dbt_silver import HEADER, INVARIANTS, LOG_INVARIANTS, write_silver_models

ROOT = Path(__file__).parents[3]


@pytest.fixture
def people(make_contract: Callable[..., Contract]) -> Contract:
    return make_contract(silver_model="stg_crm__people")


def history(project: Path, model: str = "stg_crm__people") -> dict[str, object]:
    document = yaml.safe_load((project / "models" / "silver" / "crm" / f"{model}.yml").read_text())
    (described,) = document["models"]
    return described  # type: ignore[no-any-return]


def names_of_tests(described: dict[str, object]) -> list[str]:
    return [name for test in described["data_tests"] for name in test]  # type: ignore[attr-defined]


def test_a_contract_without_a_model_gets_its_line_and_its_nine_invariants(people: Contract, tmp_path: Path) -> None:
    told = write_silver_models([people], tmp_path, check=True)
    assert not (tmp_path / "models").exists()

    assert write_silver_models([people], tmp_path) == told
    assert silver_models(tmp_path) == {"crm.people": ["stg_crm__people"]}
    described = history(tmp_path)
    assert described["name"] == "stg_crm__people"
    assert names_of_tests(described) == [*INVARIANTS, *LOG_INVARIANTS]
    assert described["data_tests"][-1]["history_ends_as_its_log"] == {  # type: ignore[index]
        "arguments": {"source_name": "crm", "table_name": "people"}
    }
    assert write_silver_models([people], tmp_path) == []


def test_the_invariants_are_those_that_the_document_promises() -> None:
    promised = re.findall(r"data test `(\w+)`", (ROOT / "docs" / "history.md").read_text())

    assert sorted(promised) == sorted([*INVARIANTS, *LOG_INVARIANTS])


def test_a_table_that_keeps_no_log_is_not_compared_with_one(people: Contract, tmp_path: Path) -> None:
    write_silver_models([replace(people, bronze=BronzeMode.MERGE)], tmp_path)

    assert names_of_tests(history(tmp_path)) == list(INVARIANTS)


def test_a_model_of_another_name_keeps_it_and_gains_its_tests(people: Contract, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "silver" / "crm"
    folder.mkdir(parents=True)
    (folder / "persons.sql").write_text("{{ scd2('crm', 'people') }}")

    assert write_silver_models([people], tmp_path) == [folder / "persons.yml"]
    assert history(tmp_path, "persons")["name"] == "persons"


def test_what_somebody_wrote_stays_and_what_was_generated_follows(people: Contract, tmp_path: Path) -> None:
    write_silver_models([people], tmp_path)
    generated = tmp_path / "models" / "silver" / "crm" / "stg_crm__people.yml"
    generated.write_text(generated.read_text().replace("not_null", "unique"))
    assert write_silver_models([people], tmp_path) == [generated]

    own = generated.read_text().removeprefix(HEADER).replace("not_null", "unique")
    generated.write_text(own)
    assert write_silver_models([people], tmp_path) == []
    assert generated.read_text() == own


def test_a_model_that_makes_its_history_otherwise_is_left_alone(people: Contract, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "intermediate"
    folder.mkdir(parents=True)
    (folder / "stg_crm__people.sql").write_text("select 1 as id")

    assert write_silver_models([people], tmp_path) == []


def test_the_columns_have_the_contracts_descriptions_as_texts(people: Contract, tmp_path: Path) -> None:
    told = 'Points, "all" of them: {{ env_var("HOME") }} # not a comment'
    columns = tuple(
        replace(column, description=text) for column, text in zip(people.columns, ("", told, UNDESCRIBED), strict=True)
    )
    write_silver_models([replace(people, columns=columns, description="One row per person.")], tmp_path)

    described = history(tmp_path)
    found = {column["name"]: column["description"] for column in described["columns"]}  # type: ignore[attr-defined]
    assert str(described["description"]).startswith("One row per person. Every version")
    assert (found["id"], "changed_at" in found) == ("Merge key.", False)
    assert jinja2.Template(found["name"]).render() == told
