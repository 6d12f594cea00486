"""Long commands say on stderr what they are doing; stdout has results only."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time

import pytest

from ingestion.cli import progress
from ingestion.cli.output import Output
from ingestion.cli.progress import steps, watched

SLOW = """
import time
from ingestion.cli.output import Output
from ingestion.cli.progress import watched
with watched(Output(False), "load", ["crm.people", "crm.cities"]) as begun:
    for seconds, _ in zip((4, 1), begun):
        time.sleep(seconds)
print("result")
"""


def test_a_line_names_the_step_now_and_then_where_stderr_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINES_EVERY", 0.05)

    with watched(Output(as_json=False), "load", ["crm.people", "crm.cities\x1b[2J"]) as begun:
        for _ in begun:
            time.sleep(0.2)

    told = capsys.readouterr()
    assert told.out == ""
    assert "load crm.people (1 of 2), 0 s\n" in told.err
    assert "load crm.cities\\x1b[2J (2 of 2), 0 s\n" in told.err


def test_nothing_is_told_with_json_and_of_quick_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with steps(Output(as_json=False), "build silver") as current:
        current.begin("build gold")
    monkeypatch.setattr(progress, "LINES_EVERY", 0.01)
    with steps(Output(as_json=True), "build silver") as current:
        current.begin("build gold")
        time.sleep(0.1)

    assert capsys.readouterr() == ("", "")


def test_a_terminal_has_one_line_that_is_removed_at_the_end() -> None:
    terminal, given = pty.openpty()
    done = subprocess.run([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=given, check=True)
    os.close(given)
    drawn = os.read(terminal, 100_000).decode()
    os.close(terminal)

    assert done.stdout == b"result\n"
    assert "load crm.people (1 of 2), 3 s" in drawn
    assert "load crm.cities (2 of 2)" in drawn
    assert drawn.rstrip().endswith("\x1b[2K")  # the line is erased
