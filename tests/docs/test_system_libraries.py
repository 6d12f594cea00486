"""Tests run where ODBC's libraries are missing: what needs them is skipped, everything else is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ingestion.errors import ConfigurationError
from ingestion.sources import needs_extra
from tests.system_libraries import reason

ROOT = Path(__file__).parents[2]
TEXT = "cannot load library '/packages/libarrow_odbc.so': libodbc.so.2: cannot open shared object file: No such file"


def test_without_odbc_its_tests_are_skipped_with_what_to_install_and_no_other_is(tmp_path: Path) -> None:
    (tmp_path / "arrow_odbc.py").write_text(f"raise OSError({TEXT!r})\n")
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


def test_a_test_that_opens_sql_server_without_odbc_is_skipped_for_the_library_that_the_error_names() -> None:
    with pytest.raises(ConfigurationError) as told, needs_extra("shop", "sqlserver"):
        raise OSError(TEXT)

    assert "shop: the driver for sqlserver needs libodbc.so.2, which this machine lacks." in str(told.value)
    assert (
        reason(str(told.value))
        == "Skipped: needs libodbc.so.2: apt-get install unixodbc libltdl7 libkrb5-3 libgssapi-krb5-2"
    )
