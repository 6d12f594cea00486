"""A contract that nobody models, a model without its tests, a system without a connection: each with its command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion.contracts.lacks import Lacking, find_lacks, find_unconnected
from ingestion.contracts.model import BronzeMode, Contract
from ingestion.contracts.odcs import lint
from ingestion.contracts.writing.dbt_silver import HEADER, INVARIANTS, LOG_INVARIANTS, write_silver_models
from ingestion.errors import Fault

APPEND = {"crm.people": BronzeMode.APPEND}
MODEL = Path("models", "silver", "crm", "stg_crm__people.sql")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path, make_contract: Callable[..., Contract]) -> Path:
    """A dbt project with the model of crm.people and its generated YAML."""
    folder = tmp_path / "dbt_project"
    folder.mkdir()
    (folder / "dbt_project.yml").touch()
    write_silver_models([make_contract(silver_model="stg_crm__people")], folder)
    return folder


def by_hand(project: Path, *tests: str) -> Path:
    file = (project / MODEL).with_suffix(".yml")
    file.write_text(f"models: [{{name: stg_crm__people, data_tests: [{', '.join(tests)}]}}]")
    return file


def test_a_model_with_its_generated_tests_lacks_nothing(project: Path) -> None:
    assert find_lacks(APPEND, project) == []


def test_a_contract_without_a_model_is_named_with_the_command_that_writes_it(project: Path) -> None:
    (project / MODEL).unlink()

    [lack] = find_lacks(APPEND, project)

    assert (lack.subject, lack.what, lack.command) == ("crm.people", Lacking.MODEL, "lakehouse contract sources")


def test_a_project_without_dbt_lacks_nothing(project: Path) -> None:
    (project / "dbt_project.yml").unlink()

    assert find_lacks({"crm.cities": BronzeMode.APPEND}, project) == []


def test_a_model_without_its_tests_is_named_with_those_that_it_lacks(project: Path) -> None:
    file = by_hand(
        project, *INVARIANTS[1:], "{history_is_what_its_log_tells: {}}", "{test_name: history_ends_as_its_log}"
    )

    [lack] = find_lacks(APPEND, project)

    assert "lacks 1 of the 9 tests of a history (versions_run_forward)" in lack.finding
    assert lack.command.startswith("add them in dbt_project/models/silver/crm/stg_crm__people.yml")
    file.unlink()
    [lack] = find_lacks(APPEND, project)
    assert "has none of the 9 tests" in lack.finding
    assert lack.command == "lakehouse contract sources"


def test_a_table_that_keeps_no_log_needs_no_test_against_it(project: Path) -> None:
    by_hand(project, *INVARIANTS)

    assert find_lacks({"crm.people": BronzeMode.MERGE}, project) == []
    assert [lack.what for lack in find_lacks(APPEND, project)] == [Lacking.TESTS]


def test_a_generated_file_that_lost_tests_is_noticed(project: Path) -> None:
    file = (project / MODEL).with_suffix(".yml")
    assert file.read_text().startswith(HEADER)
    file.write_text(file.read_text().replace(f"      - {LOG_INVARIANTS[1]}: *log\n", ""))

    assert [lack.command for lack in find_lacks(APPEND, project)] == ["lakehouse contract sources"]


def test_a_system_without_a_connection_is_named_once_with_its_variable() -> None:
    tables = dict.fromkeys(("crm.people", "crm.cities", "erp.orders"), BronzeMode.APPEND)

    [lack] = find_unconnected(tables, {"erp"})

    assert (lack.subject, lack.command) == ("crm", "export AIRFLOW_CONN_CRM=…")
    assert "its 2 tables" in lack.finding


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("  purpose: One row per customer", "  purpose: Rows; say what one of them stands for.\n  usage: X", "purpose"),
        (
            "        description: Merge key",
            '        description: "Describe it."\n        businessName: X',
            "no description",
        ),
        (
            "  name: sales-data\n  members:\n    - {username: sales-data@retail.example, role: owner}",
            "  members: []",
            "owner",
        ),
        ("property: freshness,", "property: latency,", "freshness"),
    ],
)
def test_what_readers_lack_is_a_fault_where_the_lint_is_strict(
    customers_text: str, tmp_path: Path, old: str, new: str, fault: str
) -> None:
    file = tmp_path / "erp" / "customers.odcs.yaml"
    file.parent.mkdir()
    assert old in customers_text
    file.write_text(customers_text)
    assert lint(tmp_path, strict=True) == []
    file.write_text(customers_text.replace(old, new, 1))

    told: list[Fault] = lint(tmp_path, strict=True)

    assert lint(tmp_path) == []
    assert [(fault in each.message, each.severity) for each in told] == [(True, "error")]


def test_an_owner_may_be_a_list_of_members_as_in_the_standards_version_3_0(customers_text: str, tmp_path: Path) -> None:
    head, _, rest = customers_text.partition("team:\n")
    file = tmp_path / "erp" / "customers.odcs.yaml"
    file.parent.mkdir()
    file.write_text(f"{head}team:\n  - {{username: ana, role: owner}}\n{rest[rest.index('customProperties') :]}")

    assert [fault.message for fault in lint(tmp_path, strict=True) if "owner" in fault.message] == []
