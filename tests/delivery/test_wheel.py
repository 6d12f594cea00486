"""The package alone, installed outside of the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.examples import LONG_FORM

ROOT = Path(__file__).parents[2]
UV = shutil.which("uv", path=f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")


@LONG_FORM
@pytest.mark.skipif(UV is None, reason="needs uv, and a registry of packages or its cache")
def test_the_wheel_runs_the_demo_from_an_empty_folder_and_serves_the_page(tmp_path: Path) -> None:
    assert UV is not None
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    shutil.copy(ROOT / "constraints.txt", tmp_path)
    subprocess.run([UV, "build", "-q", "--wheel", "-o", tmp_path / "dist"], cwd=ROOT, check=True, timeout=120)

    done = subprocess.run(
        [tmp_path / ".ci" / "wheel_demo", "--scale", "0.05"],
        env={**os.environ, "UV": UV},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "The page answers: 200" in done.stdout
