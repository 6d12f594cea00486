"""The workflow files: what they call exists, what they use is pinned, and no job may do more than it needs."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()
RECIPES = {*re.findall(r"^([\w-]+):(?!=)", MAKEFILE, re.MULTILINE)}
GLUE = {'cat contracts.md >> "$GITHUB_STEP_SUMMARY"'}  # what only GitHub can be told
ACTIONLINT = shutil.which("actionlint", path=os.pathsep.join([str(ROOT / ".venv" / "bin"), os.environ["PATH"]]))
TEXTS = [
    path for kind in ("*.md", "docs/**/*.md", "infra/**/*.md", "infra/**/*.tf", "*.yml") for path in ROOT.glob(kind)
]
JOBS: list[tuple[str, dict[str, Any]]] = [
    (f"{file.stem}:{name}", job) for file in FILES for name, job in yaml.safe_load(file.read_text())["jobs"].items()
]


def wrong_commands(commands: list[str]) -> list[str]:
    """Return the commands that are no recipe, or give a recipe a variable that the Makefile does not read."""
    wrong = []
    for command in commands:
        words = command.split()
        given = [word.split("=")[0] for word in words[2:]]
        is_recipe = words[0] == "make" and words[1] in RECIPES and all(f"$({name})" in MAKEFILE for name in given)
        if command not in GLUE and not is_recipe:
            wrong.append(command)
    return wrong


def commands_of(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


@pytest.mark.parametrize(("name", "job"), JOBS, ids=[name for name, _ in JOBS])
def test_every_command_is_a_recipe_that_reads_the_variables_it_is_given(name: str, job: dict[str, Any]) -> None:
    assert commands_of(job), name
    assert wrong_commands(commands_of(job)) == []


@pytest.mark.parametrize("command", ["make demoo", "make build LAYRE=gold", "lakehouse build", 'make build "BASE=x"'])
def test_a_typo_in_a_recipe_or_a_variable_is_found(command: str) -> None:
    assert wrong_commands([command]) == [command]


def recipes_in(text: str) -> set[str]:
    """Return the recipes that a text names: as code, or at the beginning of a line of commands or of a comment."""
    return {*re.findall(r"(?:`|^|^#\s+)make ([a-z][\w-]*)", text, re.MULTILINE)}


def test_every_recipe_that_a_document_or_a_configuration_names_exists() -> None:
    missing = {
        f"{path.relative_to(ROOT)}: make {name}" for path in TEXTS for name in recipes_in(path.read_text()) - RECIPES
    }

    assert len(TEXTS) > 50
    assert missing == set()
    assert recipes_in("# x\n#   make terraform-plan CLOUD=aws\n`make demoo` makes one") == {"terraform-plan", "demoo"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_every_action_is_pinned_by_its_hash_and_says_its_version(file: Path) -> None:
    used = re.findall(r"uses: (.*)", file.read_text())

    assert used
    assert [each for each in used if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_a_workflow_may_do_nothing_until_a_job_says_what_it_needs(file: Path) -> None:
    document = yaml.safe_load(file.read_text())

    assert document["permissions"] == {}
    assert document["concurrency"]
    for name, job in document["jobs"].items():
        assert job["permissions"], name
        assert job["timeout-minutes"] <= 350, name
        may_write = {right for right, how in job["permissions"].items() if how == "write"}
        assert may_write <= {"id-token", "packages"}, name
        assert not may_write or "pull_request" not in str(job.get("if", "")), name


def test_no_long_lived_key_of_a_cloud_is_given_to_a_workflow() -> None:
    secrets = {each for file in FILES for each in re.findall(r"secrets\.(\w+)", file.read_text())}

    assert secrets == {"LAKEHOUSE_MASK_SALT"}


def test_the_libraries_of_the_recipe_are_those_that_ci_and_the_documents_name() -> None:
    libraries = re.search(r"^LIBRARIES := (.*)$", MAKEFILE, re.MULTILINE)
    assert libraries
    assert libraries[1] in (ROOT / ".ci" / "run").read_text()


@pytest.mark.skipif(ACTIONLINT is None, reason="needs actionlint: make workflows installs it")
def test_actionlint_finds_nothing() -> None:
    assert ACTIONLINT is not None
    done = subprocess.run([ACTIONLINT, *map(str, FILES)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_what_a_machine_without_docker_cannot_run_is_a_recipe_that_a_workflow_calls() -> None:
    commands = {" ".join(command.split()[:2]) for _, job in JOBS for command in commands_of(job)}

    assert {*runpy.run_path(str(ROOT / ".ci" / "try_workflows"))["NOT_HERE"]} <= commands


def test_the_commands_of_a_job_run_in_order_and_the_first_failure_ends_it(tmp_path: Path) -> None:
    script = tmp_path / ".ci" / "try_workflows"
    script.parent.mkdir()
    shutil.copy(ROOT / ".ci" / "try_workflows", script)
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    steps = "".join(f"      - run: {run}\n" for run in ("touch a", "make libraries", "test -e c", "touch b"))
    (tmp_path / ".github" / "workflows" / "ci.yml").write_text(f"jobs:\n  one:\n    steps:\n{steps}")

    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)

    assert (done.returncode, re.findall(r"^\w+", done.stdout, re.MULTILINE)) == (
        1,
        ["ran", "not", "failed"],
    )
    assert (tmp_path / "a").exists()
    assert not (tmp_path / "b").exists()
