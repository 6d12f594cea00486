from __future__ import annotations

import re
from pathlib import Path

import pytest

from ingestion.cli import cli

ROOT = Path(__file__).parents[2]
TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))


def named_tests() -> list[str]:
    found = re.findall(r"`(test_\w+)…?`", (ROOT / "docs" / "guarantees.md").read_text())
    assert found
    return found


@pytest.mark.parametrize("name", named_tests())
def test_every_test_that_a_guarantee_names_exists(name: str) -> None:
    assert re.search(rf"def {name}", TESTS)


def test_files_that_a_guarantee_names_exist() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text()

    for path in re.findall(r"`(tests/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path


def test_the_readme_lists_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    listed = re.search(r"`(init · .*?)`", text)

    assert listed is not None
    assert listed[1].split(" · ") == list(cli.commands)


def test_every_make_recipe_that_the_readme_names_exists() -> None:
    recipes = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"make ([\w-]+)", (ROOT / "README.md").read_text())) <= recipes


def test_every_word_of_the_glossary_is_explained_once() -> None:
    words = re.findall(r"^\| ([^|]+) \|", (ROOT / "GLOSSARY.md").read_text(), re.MULTILINE)

    assert len(words) == len(set(words)) > 20
