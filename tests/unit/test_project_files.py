"""`lakehouse new` writes an empty project; `upgrade-project` renews what nobody edited and shows the rest."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from ingestion import shipped
from ingestion.admin import project_files
from ingestion.admin.project_files import RECORD, State, apply_changes, find_changes, write_project
from ingestion.contracts.odcs import list_contract_ids
from ingestion.demo.project import write_example
from ingestion.errors import ConfigurationError
from ingestion.settings import Settings
from ingestion.settings.registry import GROUPS

ROOT = Path(__file__).parents[2]


def offer(monkeypatch: pytest.MonkeyPatch, **texts: str) -> None:
    """Let the installed version write these files; `_` in a name stands for a dot."""
    files = {name.replace("_", "."): text for name, text in texts.items()}
    monkeypatch.setattr(project_files, "project_files", lambda: files)


def states(project: Path) -> dict[str, State]:
    return {change.path: change.state for change in find_changes(project)}


def test_a_new_project_is_found_from_within_and_holds_no_retail_model(tmp_path: Path) -> None:
    written = write_project(tmp_path / "own")

    found = sorted(str(p.relative_to(tmp_path / "own")) for p in (tmp_path / "own").rglob("*") if p.is_file())
    assert found == sorted([*written, RECORD])
    assert Settings.from_environ({}, cwd=tmp_path / "own" / "dags").project == tmp_path / "own"
    assert [path for path in written if path.startswith("dbt_project/models/") and "/audit/" not in path] == []
    assert find_changes(tmp_path / "own") == []


def test_only_a_folder_without_files_becomes_a_project(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert write_project(tmp_path) != []

    for taken in (tmp_path, tmp_path / "README.md"):
        with pytest.raises(ConfigurationError, match="not a new or empty folder"):
            write_project(taken)


def test_every_setting_is_in_the_example_of_the_environment() -> None:
    groups = [GROUPS[group] for group in ("Cloud and flags", "Lake and engine", "Secrets")]
    named = [each.name for members in groups for each in members if each.name.startswith("LAKEHOUSE_")]
    example = (shipped.TEMPLATES / "env.example").read_text()

    assert [name for name in named if not re.search(rf"^# {name}=", example, re.MULTILINE)] == []


def test_the_dbt_project_of_a_new_project_is_configured_as_ours() -> None:
    ours, theirs = (
        yaml.safe_load(file.read_text())
        for file in (ROOT / "dbt_project" / "dbt_project.yml", shipped.TEMPLATES / "dbt_project.yml")
    )
    del ours["models"]["lakehouse"]["gold"]["sales"]  # the example's area of Gold
    differing = {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}

    assert differing == {"macro-paths", "vars"}
    assert theirs["vars"].items() <= ours["vars"].items()


def test_a_new_project_sets_every_variable_that_shared_code_reads() -> None:
    files = [
        file for part in ("macros", "tests/generic", "models/audit") for file in (shipped.DBT / part).rglob("*.sql")
    ]
    read = {name for file in files for name in re.findall(r"\bvar\('(\w+)'\)", file.read_text())}

    assert read
    assert read <= yaml.safe_load((shipped.TEMPLATES / "dbt_project.yml").read_text())["vars"].keys()


def test_the_ci_of_a_new_project_pins_the_actions_that_ours_uses() -> None:
    ours = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    theirs = (shipped.TEMPLATES / "ci.yml").read_text()

    used = re.findall(r"uses: (.*)", theirs)
    assert len(used) == 2
    assert {*used} <= {*re.findall(r"uses: (.*)", ours)}
    assert "lakehouse contract lint --strict" in [
        step.get("run") for step in yaml.safe_load(theirs)["jobs"]["check"]["steps"]
    ]


def test_the_wheel_holds_what_a_new_project_needs_and_the_example_apart_from_it() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    included: dict[str, str] = wheel["force-include"]
    example = {source for source, target in included.items() if target == f"ingestion/_shipped/example/{source}"}
    shared = {source for source, target in included.items() if target == f"ingestion/_shipped/{source}"}

    assert included.keys() - example - shared == {"dags/lakehouse_dags"}
    assert {source for source in shared if source.startswith("dags/")} == {
        f"dags/{path.name}" for path in (ROOT / "dags").glob("*.py")
    }
    parts = {source.removeprefix("dbt_project/") for source in shared if source.startswith("dbt_project/")}
    assert parts == {"macros", "models/audit", "plugins", "profiles.yml", "tests/generic"}
    assert {"docs", "GLOSSARY.md"} <= {*included}  # the pages show runbooks, the advisor quotes all of it
    assert all((ROOT / source).exists() for source in included)
    files = {path for source in included for path in ((ROOT / source), *(ROOT / source).rglob("*")) if path.is_file()}
    ours = [path for folder in ("data_contracts", "dbt_project") for path in (ROOT / folder).rglob("*")]
    of_a_run = {"target", "logs", "__pycache__"}
    assert [path for path in ours if path.is_file() and not of_a_run & {*path.parts} and path not in files] == []


def test_the_example_is_written_only_into_an_empty_folder_outside_of_a_project(tmp_path: Path) -> None:
    new, taken, named = (tmp_path / name for name in ("new", "taken", "named"))
    for folder in (new, taken, named):
        folder.mkdir()
    (taken / "a.txt").touch()

    assert write_example(new, {})
    assert not write_example(taken, {})
    assert not write_example(named, {"LAKEHOUSE_PROJECT": str(new)})
    (below := new / "below").mkdir()
    assert not write_example(below, {})

    assert [path.name for path in taken.iterdir()] == ["a.txt"]
    assert list_contract_ids(new / "data_contracts") == list_contract_ids(ROOT / "data_contracts")
    assert (new / "dbt_project" / "models" / "audit").is_dir()
    assert not (new / "dbt_project" / "target").exists()


def test_what_nobody_edited_is_renewed_and_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "own"
    offer(monkeypatch, a_txt="old\n", gone_txt="old\n")
    write_project(project)
    offer(monkeypatch, a_txt="new\n", b_txt="more\n")

    changes = find_changes(project)

    assert {change.path: change.state for change in changes} == {
        "a.txt": State.CHANGED,
        "b.txt": State.NEW,
        "gone.txt": State.OBSOLETE,
    }
    assert "-old\n+new\n" in changes[0].diff
    assert (project / "a.txt").read_text() == "old\n"
    apply_changes(project, changes)
    assert sorted(path.name for path in project.iterdir()) == [RECORD, "a.txt", "b.txt"]
    assert (project / "a.txt").read_text() == "new\n"
    assert find_changes(project) == []


def test_what_somebody_edited_or_deleted_is_shown_once_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "own"
    offer(monkeypatch, a_txt="old\n", b_txt="old\n", gone_txt="old\n", same_txt="same\n")
    write_project(project)
    for name in ("a.txt", "gone.txt", "same.txt"):
        (project / name).write_text("mine\n")
    (project / "b.txt").unlink()
    (project / "c.txt").write_text("mine too\n")
    offer(monkeypatch, a_txt="new\n", b_txt="new\n", c_txt="new\n", same_txt="same\n")

    assert states(project) == {
        "a.txt": State.EDITED,
        "b.txt": State.DELETED,
        "c.txt": State.EDITED,
        "gone.txt": State.EDITED,
    }
    apply_changes(project, find_changes(project))
    assert [(project / name).read_text() for name in ("a.txt", "c.txt", "gone.txt", "same.txt")] == [
        "mine\n",
        "mine too\n",
        "mine\n",
        "mine\n",
    ]
    assert not (project / "b.txt").exists()
    assert find_changes(project) == []


def test_an_edit_that_equals_the_new_version_is_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, a_txt="old\n")
    write_project(tmp_path / "own")
    (tmp_path / "own" / "a.txt").write_text("new\n")
    offer(monkeypatch, a_txt="new\n")

    assert find_changes(tmp_path / "own") == []


@pytest.mark.parametrize("record", [None, "{", '{"files": 1}', "[]"])
def test_a_project_without_a_record_is_not_compared(tmp_path: Path, record: str | None) -> None:
    if record is not None:
        (tmp_path / RECORD).write_text(record)

    with pytest.raises(ConfigurationError, match="Restore it from version control"):
        find_changes(tmp_path)
