"""Each kind of fault has a runbook, and the commands and queries of the runbooks are real."""

from __future__ import annotations

import re
import shlex
from itertools import takewhile
from pathlib import Path

import click
import pytest

from ingestion.cli import cli
from monitoring.findings import Kind, runbook_of
from tests.web.worlds import World

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
PAGES = sorted(RUNBOOKS.glob("*.md"))
FENCED = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
OTHERS = {"df", "du", "cp", "git", "find", "journalctl", "airflow"}
FINDINGS = re.compile(r"""(?:Finding|\.finding)\(\s*["']""")


def lines(page: Path) -> list[str]:
    return [line for block in FENCED.findall(page.read_text()) for line in block.splitlines()]


def commands(page: Path) -> list[list[str]]:
    """Return the `lakehouse` commands of a page, of its blocks and its text, without the program's name."""
    text = FENCED.sub("", page.read_text())
    quoted = [code for code in re.findall(r"`(lakehouse [^`]+)`", text) if code.split()[1] != "…"]
    found = [shlex.split(line)[1:] for line in [*lines(page), *quoted] if line.startswith("lakehouse ")]
    return [[*takewhile(lambda word: word != ">", words)] for words in found]


def parse(args: list[str]) -> None:
    """Parse a command's arguments as the command line does, down to the last subcommand. Runs nothing."""
    command: click.Command = cli
    context = command.make_context("lakehouse", list(args))
    while isinstance(command, click.Group):
        name, below, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert below is not None
        command, context = below, below.make_context(name, rest, parent=context)


def test_each_kind_of_fault_has_a_runbook_that_the_overview_lists_and_there_is_no_other() -> None:
    overview = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \|", (RUNBOOKS / "index.md").read_text(), re.MULTILINE)

    assert {page.stem for page in PAGES} == {*Kind, "index"}
    assert overview == [(kind, kind) for kind in Kind]
    assert [kind for kind in Kind if not (ROOT / runbook_of(kind)).exists()] == []


def test_findings_are_made_with_a_kind_and_never_with_a_text() -> None:
    made = [path for path in (ROOT / "monitoring").rglob("*.py") if FINDINGS.search(path.read_text())]
    unused = [
        kind
        for kind in Kind
        if not any(f"Kind.{kind.name}" in p.read_text() for p in (ROOT / "monitoring").rglob("*.py"))
    ]

    assert FINDINGS.search('Finding(\n    "gap", ')
    assert (made, unused) == ([], [])


@pytest.mark.parametrize("kind", Kind)
def test_a_runbook_is_short_and_says_what_to_see_to_look_at_to_do_and_to_prove(kind: Kind) -> None:
    text = (ROOT / runbook_of(kind)).read_text()

    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Symptoms", "Look", "Mend", "Prove"]
    assert text.startswith(f"# `{kind}`: ")
    assert text.count("\n") <= 45


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_runbook_exist_with_their_options(page: Path) -> None:
    assert commands(page)
    for args in commands(page):
        parse(args)
    assert {line.split()[0] for line in lines(page)} <= OTHERS | {"lakehouse"}


@pytest.mark.parametrize("args", [["contract", "acept", "TABLE"], ["load", "--ful"], ["quarantine", "waive", "TABLE"]])
def test_a_command_that_does_not_exist_is_noticed(args: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(args)


def test_the_queries_of_the_runbooks_run_on_a_ledger(tmp_path: Path) -> None:
    journal = World(tmp_path).written().journal
    queries = [args[1] for page in PAGES for args in commands(page) if args[0] == "sql"]

    assert len(queries) > 15
    for query in queries:
        assert journal.select(query) == []
