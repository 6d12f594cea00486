"""A process with a time limit, and with nothing of it left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ingestion.build.dbt_process import output_of
from ingestion.errors import BuildError

FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open("pids", "w").write(f"{os.getpid()} {child.pid}")
time.sleep(60)
"""


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


def left_of(pids: list[int]) -> list[int]:
    """Return those that still run after some seconds."""
    deadline = time.monotonic() + 5
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [pid for pid in pids if is_running(pid)]


def test_what_ends_in_time_returns_its_code_and_both_outputs(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd(), os.environ['A']); print('e', file=sys.stderr); sys.exit(3)"

    found = output_of([sys.executable, "-c", code], folder=tmp_path, environment={"A": "b"}, seconds=60)

    assert found == (3, f"{tmp_path} b\ne\n")


def test_lines_of_both_outputs_are_handed_on_before_the_process_ends(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        "print('first', flush=True)\n"
        "while not pathlib.Path('seen').exists(): time.sleep(0.01)\n"
        "print('last', file=sys.stderr)"
    )
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        (tmp_path / "seen").touch()

    found = output_of([sys.executable, "-c", code], folder=tmp_path, environment={}, seconds=60, on_line=on_line)

    assert (found, lines) == ((0, "first\nlast\n"), ["first", "last"])


def test_what_takes_too_long_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"did not end within 3 s \(LAKEHOUSE_DBT_SECONDS\)"):
        output_of([sys.executable, "-c", FAMILY], folder=tmp_path, environment=dict(os.environ), seconds=3)

    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    assert left_of(pids) == []


PARENT = """
import os, sys
from pathlib import Path
from ingestion.build.dbt_process import output_of
output_of([sys.executable, "-c", sys.argv[1]], folder=Path.cwd(), environment=dict(os.environ), seconds=60)
"""
CHILD = """
import os, time
from ingestion.build.dbt_process import end_with_parent
end_with_parent()
open("new", "w").write(str(os.getpid()))
os.rename("new", "pid")
time.sleep(60)
"""


def test_dbt_ends_with_a_build_that_is_killed(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", PARENT, CHILD], cwd=tmp_path, env=environment) as parent:
        deadline = time.monotonic() + 30
        while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        parent.kill()

    assert left_of([int((tmp_path / "pid").read_text())]) == []
    for name in ("on_duckdb", "on_spark"):
        plugin = (Path(__file__).parents[2] / "dbt_project" / "plugins" / f"{name}.py").read_text()
        assert 'if __name__ == "__main__":\n    end_with_parent()' in plugin
