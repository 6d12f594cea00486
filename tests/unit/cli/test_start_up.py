"""What a command imports before it answers: only what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "pyarrow",
    "duckdb",
    "deltalake",
    "numpy",
    "pandas",
    "pydantic",
    "yaml",
    "rich",
    "dotenv",
    "boto3",
    "azure",
    "google",
    "ingestion.lake",
    "monitoring",
}
SCRIPT = """
import sys
from ingestion.cli import main
sys.argv = ["lakehouse", *sys.argv[1:]]
try:
    main()
finally:
    print("\\n".join(sys.modules), file=sys.stderr)
"""


def imported(*arguments: str) -> set[str]:
    """Return the names of the modules that a command has imported when it ends."""
    command = [sys.executable, "-c", SCRIPT, *arguments]
    return {*subprocess.run(command, check=True, capture_output=True, text=True).stderr.splitlines()}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["load", "--help"], ["contract", "--help"], ["add", "--help"]]
)
def test_help_needs_no_engine(arguments: list[str]) -> None:
    modules = imported(*arguments)

    assert modules & HEAVY == set()
    assert len(modules) < 250


def test_lint_needs_neither_a_database_nor_a_lake() -> None:
    modules = imported("contract", "lint")

    assert (
        modules
        & {"duckdb", "deltalake", "pandas", "boto3", "azure", "ingestion.load", "ingestion.bronze", "ingestion.sources"}
        == set()
    )


def test_pandas_is_left_alone_where_it_is_installed() -> None:
    bind = "import duckdb, pyarrow as pa; pa.array([1]); duckdb.connect().execute('select ?', [1]).fetchall()"
    hide = "from ingestion.no_pandas import hide_pandas; hide_pandas()"
    told = "import sys; sys.exit('pandas' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", f"{hide}; {bind}; {told}"], check=False).returncode == 0
