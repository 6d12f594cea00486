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
from ingestion.cli.progress import Steps, steps

SLOW = """
import time
from ingestion.cli.output import Output
from ingestion.cli.progress import steps
with steps(Output(False), "load", of=2, keep=KEEP) as current:
    for seconds, _ in zip((4, 1), current.over("load")(["crm.people", "crm.cities"])):
        current.observe("staging", 1234567)
        time.sleep(seconds)
print("result")
"""


def test_a_line_names_the_step_now_and_then_where_stderr_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINES_EVERY", 0.05)

    with steps(Output(as_json=False), "load", of=2) as current:
        for _ in current.over("load")(["crm.people", "crm.cities\x1b[2J"]):
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
    done = subprocess.run(
        [sys.executable, "-c", SLOW.replace("KEEP", "False")], stdout=subprocess.PIPE, stderr=given, check=True
    )
    os.close(given)
    drawn = os.read(terminal, 100_000).decode()
    os.close(terminal)

    assert done.stdout == b"result\n"
    assert "load crm.people (1 of 2): 1,234,567 rows, staging, 3 s" in drawn
    assert "load crm.cities (2 of 2): 1,234,567 rows, staging" in drawn
    assert drawn.rstrip().endswith("\x1b[2K")  # the line is erased


def test_a_step_tells_rows_rate_and_phase_of_a_load_as_far_as_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    current = Steps("load", 4, is_kept=True)
    current.begin("load erp.orders")
    told = [str(current)]
    for seconds, phase, rows in ((0.5, "staging", 310_000), (3.5, "staging", 930_000), (2, "comparing", 0)):
        now += seconds
        current.observe(phase, rows)
        told.append(str(current))
    current.begin("load erp.products")

    assert told == [
        "load erp.orders (1 of 4), 0 s",
        "load erp.orders (1 of 4): 310,000 rows, staging, 0 s",
        "load erp.orders (1 of 4): 1,240,000 rows, 310,000/s, staging, 4 s",
        "load erp.orders (1 of 4): 1,240,000 rows, 310,000/s, comparing, 6 s",
    ]
    assert list(current.finished) == ["load erp.orders (1 of 4): 1,240,000 rows, 310,000/s, 6 s"]
    assert str(current) == "load erp.products (2 of 4), 0 s"


def test_a_run_leaves_a_line_for_each_step_on_a_terminal() -> None:
    terminal, given = pty.openpty()
    subprocess.run(
        [sys.executable, "-c", SLOW.replace("KEEP", "True")], stdout=subprocess.PIPE, stderr=given, check=True
    )
    os.close(given)
    drawn = os.read(terminal, 100_000).decode()
    os.close(terminal)

    for line in (
        "load crm.people (1 of 2): 1,234,567 rows, 4 s\r\n",
        "load crm.cities (2 of 2): 1,234,567 rows, 1 s\r\n",
    ):
        assert line in drawn
