"""The project's `.env`: what is taken from it, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ingestion.errors import ConfigurationError
from ingestion.settings.env_file import take_env_file

SETTINGS = "from ingestion.cli import main; main()"


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / ".env"
    file.write_text(text)
    file.chmod(mode)
    return folder


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    environ = {"A": "environment", "EMPTY": ""}
    text = "# a comment\nexport A=file\nEMPTY=file\nNEW='oracle://u:p#w$x@h/s'  # the rest\nNOTHING=\nCOMMENT=   # no value\n"

    taken, warning = take_env_file(written(tmp_path, text), environ)

    assert environ == {"A": "environment", "EMPTY": "file", "NEW": "oracle://u:p#w$x@h/s"}
    assert (taken, warning) == (frozenset({"EMPTY", "NEW"}), "")
    assert take_env_file(tmp_path, environ) == (frozenset(), "")


def test_a_project_without_a_file_has_nothing_to_take(tmp_path: Path) -> None:
    assert take_env_file(tmp_path, {}) == (frozenset(), "")


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("A=1\n\n\nthis is no setting\n", "has no NAME=value in line 4"),
        ("A=1\nB\n", "has no NAME=value in line 2"),
        ("A='never closed\n", "has no NAME=value in line 1"),
        ("A=1\nLAKEHOUSE_ROOT=$HOME/lake\n", "line 2 that a shell would expand"),
        ('SALT="$(cat salt)"\n', "line 1 that a shell would expand"),
        ("LAKEHOUSE_PROJECT=/elsewhere\n", "sets LAKEHOUSE_PROJECT to another folder"),
    ],
)
def test_a_malformed_file_is_an_error_with_its_line(tmp_path: Path, text: str, finding: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        take_env_file(written(tmp_path, text), {})

    assert finding in str(raised.value)
    assert "Nothing was done. " in str(raised.value)


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\n")

    with pytest.raises(ConfigurationError, match="cannot be read"):
        take_env_file(tmp_path, {})


def test_a_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="may be written by every user"):
        take_env_file(written(tmp_path, "A=1\n", 0o606), {})


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_a_file_that_others_may_read_is_read_with_a_warning(tmp_path: Path, mode: int) -> None:
    environ: dict[str, str] = {}

    _, warning = take_env_file(written(tmp_path, "A=geheim\n", mode), environ)

    assert environ == {"A": "geheim"}
    assert f"other users may read it (mode {mode:o})" in warning
    assert "chmod 600" in warning
    assert "geheim" not in warning


def test_a_command_and_its_child_processes_have_the_values_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "data_contracts").mkdir()
    written(tmp_path, "LAKEHOUSE_MEMORY=3GB\nAIRFLOW_CONN_ERP='oracle://u:geheim@h/s'\n")
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("LAKEHOUSE_", "AIRFLOW_CONN"))}
    child = "import os; from ingestion.cli.base import settings; settings(); os.system('echo $LAKEHOUSE_MEMORY')"

    def run(code: str, *arguments: str) -> str:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=bare, check=True, capture_output=True, text=True).stdout

    told = run(SETTINGS, "settings", "--json")
    assert '"name": "LAKEHOUSE_MEMORY", "value": "3GB", "origin": ".env"' in " ".join(told.split())
    assert '"name": "AIRFLOW_CONN_ERP", "value": "set", "origin": ".env"' in " ".join(told.split())
    assert "geheim" not in told
    assert run(child) == "3GB\n"
