"""Temporary folders hold rows in clear: only their user may enter them, and no killed process leaves one for long."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ingestion import scratch
from ingestion.errors import ConfigurationError

HOLD = "from ingestion import scratch\nwith scratch.folder('bench') as at: print(at, flush=True); input()"


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def held() -> tuple[subprocess.Popen[str], Path]:
    """Start a process that holds a folder, with somebody's name in it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    (folder / "live_rows.parquet").write_text("Ada Lovelace")
    return process, folder


def test_only_the_user_can_enter_a_folder_and_it_goes_with_the_block(tmp_path: Path) -> None:
    with scratch.folder("bench") as folder:
        (folder / "spill").mkdir()
        modes = [stat.S_IMODE(at.stat().st_mode) for at in (folder, folder.parent)]

    assert modes == [0o700, 0o700]
    assert folder.parent.parent == tmp_path
    assert not folder.exists()


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_holds_is_not() -> None:
    (living, kept), (killed, left) = held(), held()
    with living, killed:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert left.exists()

        assert scratch.sweep() == 1
        assert (kept.exists(), left.exists()) == (True, False)
        living.communicate("\n")

    assert not kept.exists()


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / f"lakehouse-{os.getuid()}"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)

    with pytest.raises(ConfigurationError, match="belongs to others"), scratch.folder("bench"):
        pass

    open_to_all.rmdir()
    open_to_all.symlink_to(tmp_path)
    with pytest.raises(ConfigurationError, match="belongs to others"):
        scratch.sweep()


def test_a_check_that_passed_runs_once_and_one_that_failed_again(tmp_path: Path) -> None:
    runs: list[str] = []

    def failing() -> None:
        runs.append("failed")
        raise OSError

    with pytest.raises(OSError):
        scratch.check_once("file 1", failing)
    for subject in ("file 1", "file 1", "file 2"):
        scratch.check_once(subject, lambda: runs.append("passed"))
        scratch.sweep()

    assert runs == ["failed", "passed", "passed"]


def test_a_check_runs_each_time_where_no_note_can_be_trusted(tmp_path: Path) -> None:
    (tmp_path / f"lakehouse-{os.getuid()}").mkdir(mode=0o755)
    runs: list[int] = []

    for number in range(2):
        scratch.check_once("file", lambda number=number: runs.append(number))  # type: ignore[misc]

    assert runs == [0, 1]
