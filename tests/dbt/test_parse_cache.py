"""dbt's parse is used again for the very same project, and only for that."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion.build import parse_cache
from ingestion.build.dbt import build_layer
from ingestion.build.parse_cache import FOLDER, ParseCache
from ingestion.runs.context import initialise
from ingestion.settings import Settings
from tests.dbt.test_dbt_commands import SILVER, fill
from tests.dbt.warehouse import ROOT, Build, Warehouse

ANEW = "Starting full parse"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the shipped project, with its contracts beside it."""
    shutil.copytree(ROOT / "data_contracts", tmp_path / "data_contracts")
    return Path(
        shutil.copytree(ROOT / "dbt_project", tmp_path / "dbt", ignore=shutil.ignore_patterns("target", "logs"))
    )


@pytest.fixture
def parse(tmp_path: Path, project: Path) -> Callable[[], Build]:
    """Return a function that parses the project as a build does, in a target folder of its own."""
    warehouse = Warehouse(tmp_path / "warehouse", project, parsed=False)

    def parse_once() -> Build:
        cache, target = cache_of(project), warehouse.folder / "target"
        shutil.rmtree(target, ignore_errors=True)
        cache.lay_out(target)
        done = warehouse.succeed("parse")
        cache.keep(target)
        return done

    return parse_once


def cache_of(project: Path, output: str = "embedded") -> ParseCache:
    return ParseCache(project, project.parent / "data_contracts", output)


def kept(project: Path) -> list[Path]:
    return sorted((project / FOLDER).glob("*"))


def test_the_second_build_uses_the_parse_of_the_first_and_an_edit_is_seen(
    parse: Callable[[], Build], project: Path
) -> None:
    assert ANEW in parse().output
    assert ANEW not in parse().output
    [first] = kept(project)

    first.write_bytes(first.read_bytes()[:1000])  # torn
    parse()

    file = project / "models" / "gold" / "sales" / "dim_customer.yml"
    file.write_text(file.read_text().replace("Customers with their history", "Another text"))
    changed = parse()

    assert ANEW in changed.output
    described = changed.artifact("manifest.json")["nodes"]["model.lakehouse.dim_customer"]["description"]
    assert described.startswith("Another text")
    assert [*kept(project)] != [first]
    assert len(kept(project)) == 1


@pytest.mark.usefixtures("started_anew")
def test_a_build_by_dbts_own_command_keeps_a_parse_for_the_next(tmp_path: Path) -> None:
    folder, warehouse = tmp_path / "project", Warehouse(tmp_path)
    for name in ("data_contracts", "dbt_project"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("target", "logs"))
    fill(warehouse)
    context = initialise(Settings(folder, warehouse.lake.root, mask_salt="a salt of the tests"))

    results, parses = [], []
    for _ in range(2):
        results.append(build_layer(context, "silver"))
        parses.append(kept(folder / "dbt_project"))

    assert [result.models for result in results] == [tuple(SILVER)] * 2
    assert results[0].tests == results[1].tests > 0
    assert parses[0] == parses[1] != []
    assert warehouse.query("select count(*) as n from silver.stg_customers") == [{"n": 1}]


@pytest.mark.parametrize(
    "file",
    [
        "models/silver/*/*.sql",
        "models/gold/*/*.yml",
        "models/bronze/*.yml",
        "macros/*/*.sql",
        "tests/*.sql",
        "dbt_project.yml",
        "profiles.yml",
        "plugins/lake.py",
        "../data_contracts/erp/customers.odcs.yaml",
    ],
)
def test_a_parse_is_not_used_after_an_edit_of_any_kind_of_file(file: str, project: Path, tmp_path: Path) -> None:
    save(project, tmp_path / "before")

    edited = next(project.glob(file)) if "*" in file else project / file
    edited.write_text(f"{edited.read_text()}\n")

    assert not used(cache_of(project), tmp_path / "after")


def test_a_parse_is_not_used_by_another_output_version_or_set_of_contracts(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(project, tmp_path / "before")
    assert used(cache_of(project), tmp_path / "same")

    assert not used(cache_of(project, "spark"), tmp_path / "output")

    (project.parent / "data_contracts" / "erp" / "new.odcs.yaml").touch()
    assert not used(cache_of(project), tmp_path / "contracts")
    (project.parent / "data_contracts" / "erp" / "new.odcs.yaml").unlink()

    monkeypatch.setattr(parse_cache, "version", lambda _: "another")
    assert not used(cache_of(project), tmp_path / "version")


def test_a_parse_is_not_used_after_an_edit_of_the_shipped_code(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    macro = tmp_path / "shipped" / "macros" / "one.sql"
    macro.parent.mkdir(parents=True)
    macro.write_text("{% macro one() %}1{% endmacro %}")
    monkeypatch.setattr(parse_cache, "DBT", tmp_path / "shipped")
    save(project, tmp_path / "before")
    assert used(cache_of(project), tmp_path / "same")

    macro.write_text("{% macro one() %}2{% endmacro %}")

    assert not used(cache_of(project), tmp_path / "after")


def test_a_project_that_cannot_be_written_to_is_parsed_each_time(project: Path, tmp_path: Path) -> None:
    (project / "target").touch()  # no folder can be made of that name

    save(project, tmp_path / "before")

    assert not used(cache_of(project), tmp_path / "after")


def save(project: Path, target: Path) -> None:
    """Keep a parse as a build does that has just ended."""
    target.mkdir()
    (target / "partial_parse.msgpack").write_bytes(b"a parse")
    cache_of(project).keep(target)


def used(cache: ParseCache, target: Path) -> bool:
    cache.lay_out(target)
    return (target / "partial_parse.msgpack").exists()
