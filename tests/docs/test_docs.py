from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from deltalake import write_deltalake

from ingestion.cli import cli
from ingestion.contracts.types import UnknownTypeError, arrow_type
from tests.docs.queries import read_queries

ROOT = Path(__file__).parents[2]
PROMISING = [
    ROOT / "docs" / name
    for name in (
        "architecture.md",
        "guarantees.md",
        "history.md",
        "gold.md",
        "queries.md",
        "sources.md",
        "storage.md",
        "gaps.md",
        "drift.md",
        "streaming.md",
    )
]
TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))


def named_tests() -> list[str]:
    found = {name for file in PROMISING for name in re.findall(r"`(test_\w+)…?`", file.read_text())}
    assert found
    return sorted(found)


@pytest.mark.parametrize("name", named_tests())
def test_every_test_that_a_document_names_exists(name: str) -> None:
    assert re.search(rf"def {name}", TESTS)


def test_files_that_a_guarantee_names_exist() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text()

    for path in re.findall(r"`(tests/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path


def test_the_readme_lists_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    listed = re.search(r"`(new · .*?)`", text)

    assert listed is not None
    assert listed[1].split(" · ") == list(cli.commands)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_make_recipe_that_a_document_names_exists(document: str) -> None:
    recipes = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"make ([\w-]+)", (ROOT / document).read_text())) <= recipes


def test_every_word_of_the_glossary_is_explained_once() -> None:
    words = re.findall(r"^\| ([^|]+) \|", (ROOT / "GLOSSARY.md").read_text(), re.MULTILINE)

    assert len(words) == len(set(words)) > 20


def test_every_invariant_is_in_the_table_with_the_test_that_holds_it() -> None:
    text = (ROOT / "docs" / "history.md").read_text()
    rows = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", text, re.MULTILINE)
    generic = {path.stem for path in (ROOT / "dbt_project" / "tests" / "generic").glob("*.sql")}

    assert [int(number) for number, _ in rows] == list(range(1, 13))
    assert {name for _, held in rows for name in re.findall(r"data test `(\w+)`", held)} == generic


def test_every_kind_of_drift_is_in_the_table_with_the_test_that_holds_it() -> None:
    rows = re.findall(r"^\| (.*) \|$", (ROOT / "docs" / "drift.md").read_text(), re.MULTILINE)[2:]

    assert len(rows) > 10
    assert [row for row in rows if not re.fullmatch(r"(`test_\w+`(, )?)+", row.split(" | ")[-1])] == []


def test_every_query_of_the_documents_is_run() -> None:
    retail = (ROOT / "tests" / "dbt" / "test_retail_days.py").read_text()

    assert len(read_queries()) == 5
    assert [heading for heading in read_queries() if f'QUERIES["{heading}"]' not in retail] == []


def test_variables_that_the_documents_name_are_the_projects() -> None:
    project = yaml.safe_load((ROOT / "dbt_project" / "dbt_project.yml").read_text())
    documents = "\n".join(file.read_text() for file in PROMISING)

    assert [name for name in project["vars"] if f"`{name}`" not in documents] == []


def test_every_column_of_every_model_is_described() -> None:
    models = [
        model
        for file in (ROOT / "dbt_project" / "models").rglob("*.yml")
        for model in yaml.safe_load(file.read_text()).get("models", [])
    ]

    assert len(models) == len([*(ROOT / "dbt_project" / "models").rglob("*.sql")])
    assert [model["name"] for model in models if not model.get("description")] == []
    assert [f"{m['name']}.{c['name']}" for m in models for c in m["columns"] if not c.get("description")] == []


def documented_types() -> list[tuple[str, str, str]]:
    text = (ROOT / "docs" / "sources.md").read_text()
    return re.findall(r"^\| (oracle|sqlserver) \| `(.*?)` \| (.*?) \|", text, re.MULTILINE)


@pytest.mark.parametrize(("dialect", "declared", "becomes"), documented_types())
def test_types_become_what_the_document_says(dialect: str, declared: str, becomes: str) -> None:
    try:
        found = str(arrow_type(dialect, declared))
    except UnknownTypeError:
        found = "refused"

    assert found == becomes


def test_the_lake_is_read_in_a_duckdb_of_ones_own_as_the_documents_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_deltalake(tmp_path / "dim_customer", pa.table({"customer_id": [4711]}))
    [told] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "queries.md").read_text(), re.DOTALL)

    exec(told.replace("lake/gold", str(tmp_path)), {})

    assert "4711" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_module_and_folder_that_a_map_names_exists(name: str) -> None:
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_0-9.]+)+/?)`", (ROOT / name).read_text()))
    roots = [ROOT, ROOT / "ingestion", ROOT / "ingestion" / "contracts", ROOT / "dbt_project"]

    unknown = {
        path for path in named if not any((root / f"{path}{end}").exists() for root in roots for end in ("", ".py"))
    }

    assert unknown <= {"ops/_marks"}
