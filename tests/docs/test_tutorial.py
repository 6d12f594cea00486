"""The tutorial is followed to the letter, in a folder of its own. The short form ends before the first build."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ingestion.contracts.odcs import read_contracts
from tests.docs.tutorial import Step, script, steps
from tests.examples import LONG

ROOT = Path(__file__).parents[2]
MARKER = "=== step "
LAKEHOUSE = f"""#!/bin/sh
exec "{sys.executable}" -c "from ingestion.cli import main; main()" "$@"
"""


def follow(chosen: list[Step], folder: Path) -> dict[int, str]:
    """Do the steps in a folder; return what each block of commands printed, by its number."""
    (folder / "bin").mkdir()
    (folder / "bin" / "lakehouse").write_text(LAKEHOUSE)
    (folder / "bin" / "lakehouse").chmod(0o755)
    path = [str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    foreign = ("LAKEHOUSE_", "AIRFLOW_", "DBT_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    done = subprocess.run(
        ["sh", "-c", script(chosen, MARKER)],
        cwd=folder,
        env={**kept, "PATH": os.pathsep.join(path), "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    numbered = re.split(rf"^{MARKER}(\d+)$", done.stdout, flags=re.MULTILINE)[1:]
    return {int(number): text for number, text in zip(numbered[::2], numbered[1::2], strict=True)}


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_the_tutorial_adds_two_tables_with_the_contract_that_it_shows(tmp_path: Path) -> None:
    follow(steps(sections=3), tmp_path)
    [shown] = [step.text for step in steps(sections=3) if step.kind == "text"]
    project = tmp_path / "tutorial" / "my-lake"

    assert (project / "data_contracts/shop/orders.odcs.yaml").read_text().endswith(f"\n{shown}")
    assert [contract.id for contract in read_contracts(project / "data_contracts")] == ["shop.customers", "shop.orders"]
    assert len([*(project / "lake" / "bronze" / "shop").iterdir()]) == 2


@pytest.mark.skipif(not LONG, reason="make test-long: starts each command anew, and dbt three times")
def test_the_tutorial_leads_from_nothing_to_a_gold_table_as_it_shows_it(tmp_path: Path) -> None:
    told = follow(steps(), tmp_path)

    shown = [(number, step.text) for number, step in enumerate(steps()) if "─" in step.text]
    assert len(shown) == 2
    for number, table in shown:
        [heading, _, *rows] = words(table)
        assert words(told[number - 1])[-len(rows) :] == rows
        assert heading in words(told[number - 1])
    assert words(told[max(told)])[-1][-1] == "-"
    assert told[max(told)].count("OK") == 4
