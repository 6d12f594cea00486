"""What is printed is shown and never obeyed, by a terminal or by a reader of JSON."""

from __future__ import annotations

import io
import json
import math
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from ingestion.cli.base import cli
from ingestion.cli.output import Output, span
from ingestion.cli.output.states import state, urgency
from ingestion.cli.output.table import FittingTable
from ingestion.cli.output.terminal import Terminal, print_labelled
from ingestion.errors import ConfigurationError
from ingestion.printable import shown

STEERING = {
    "clears the screen": "\x1b[2J",
    "sets the window's title": "\x1b]0;owned\x07",
    "an eight-bit introducer": "\x9b31m",
    "turns the direction": "abc\u202edcb",
    "isolates a direction": "\u2066abc\u2069",
    "rings": "\a",
    "goes back": "true\rfalse",
}


def printed(*things: object) -> str:
    terminal = Terminal()
    terminal.file = io.StringIO()
    for thing in things:
        terminal.print(thing)
    return terminal.file.getvalue()


@pytest.mark.parametrize("text", STEERING.values(), ids=STEERING)
def test_text_that_steers_a_terminal_is_shown(text: str) -> None:
    out = printed(text, FittingTable(["name", text], [(text, "x")]), FittingTable(["a"], [(text * 200,)]))

    assert shown(out) == out
    assert not {*text} & {*out} - {*map(chr, range(32, 127))}


@pytest.mark.parametrize("text", ["[abc] text", "[/]", "[bold]x[/b]", "[link=http://x]y[/link]"])
def test_nothing_is_markup(text: str) -> None:
    assert printed(text) == text + "\n"
    assert text in printed(FittingTable(["name"], [(text,)]))


@pytest.mark.parametrize("text", STEERING.values(), ids=STEERING)
def test_an_error_that_names_such_a_text_is_shown(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ConfigurationError(text)

    monkeypatch.setattr("ingestion.cli.around.settings", fail)

    done = CliRunner().invoke(cli, ["status"])

    assert done.exit_code == ConfigurationError.exit_code
    assert done.stderr == shown(f"error: {text}\n")


def test_json_has_numbers_and_texts_that_every_reader_takes(capsys: pytest.CaptureFixture[str]) -> None:
    values = [math.nan, math.inf, -math.inf, 1.5, *STEERING.values(), "ä€😀"]

    Output(True).result({"values": values}, lambda _: None)

    out = capsys.readouterr().out
    assert shown(out) == out
    assert "ä€😀" in out
    refused = pytest.fail
    assert json.loads(out, parse_constant=refused)["values"] == ["NaN", "Infinity", "-Infinity", *values[3:]]


def test_no_module_writes_markup_that_would_be_shown() -> None:
    root = Path(__file__).parents[3]
    tags = re.compile(r"\[(bold|dim|red|green|yellow|\{colour\}|/)\]")

    found = [file.name for room in ("ingestion", "monitoring") for file in (root / room).rglob("*.py")
             if tags.search(file.read_text())]  # fmt: skip

    assert found == []


@pytest.mark.parametrize("word", ["OK", "OK*", "WARNING", "CRITICAL", "UNKNOWN", "failed", "confirmed", "waived"])
def test_a_state_is_a_word_with_a_colour_and_the_word_alone_where_colours_are_not_wanted(
    word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn() -> str:
        terminal = Terminal(file=io.StringIO())
        terminal.print(state(word))
        return str(terminal.file.getvalue())  # type: ignore[attr-defined]

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert re.fullmatch(rf"\x1b\[3\dm{re.escape(word)}\x1b\[0m\n", drawn())
    monkeypatch.setenv("NO_COLOR", "1")
    assert drawn() == f"{word}\n"


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_a_duration_reads_as_people_say_it(seconds: float, told: str) -> None:
    assert span(seconds) == told


def test_of_many_tables_those_that_need_somebody_come_first() -> None:
    tables = {
        "a": ("ok", "OK"),
        "b": ("ok", "UNKNOWN"),
        "c": ("failed", "OK"),
        "d": (None, "WARNING"),
        "e": (None, None),
    }

    assert sorted(tables, key=lambda name: urgency(*tables[name])) == ["c", "b", "d", "a", "e"]


def test_a_text_beside_its_label_is_wrapped_on_a_terminal_only_and_a_command_never() -> None:
    long, command = "[red]one two three four five six", "lakehouse quarantine list erp.customers"
    for is_terminal in (True, False):
        terminal, written = Terminal(), io.StringIO()
        terminal.file, terminal._width, terminal._height, terminal._force_terminal = written, 30, 20, is_terminal
        print_labelled(terminal, "Cause", long)
        print_labelled(terminal, "Try", command, is_command=True)

        cause = ["Cause     [red]one two three", "          four five six"] if is_terminal else [f"Cause     {long}"]
        assert [line.rstrip() for line in written.getvalue().splitlines()] == [*cause, f"Try       {command}"]
