"""Tests run where ODBC's libraries are missing: what needs them is skipped, everything else is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LACKING = 'raise OSError("libodbc.so.2: cannot open shared object file: No such file or directory")\n'


def test_without_odbc_its_tests_are_skipped_with_what_to_install_and_no_other_is(tmp_path: Path) -> None:
    (tmp_path / "arrow_odbc.py").write_text(LACKING)
    tests = ["tests/sources/test_sqlserver_types.py", "tests/unit/contracts/test_moments.py"]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-n", "0", *tests],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "needs libodbc.so.2: apt-get install unixodbc libltdl7 libkrb5-3 libgssapi-krb5-2" in done.stdout
    assert ", 1 skipped" in done.stdout.splitlines()[-1]
