"""A load may die at any of its commits' edges; the next one must make the lake whole, once."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ingestion.load.load_table import load_table
from tests.engines.conftest import Company
from tests.examples import LONG

PEOPLE = "crm.people"
DEATHS = {
    "before the quarantine commit": ("ingestion.bronze.table.BronzeTable.publish", 1, "before"),
    "between quarantine and Bronze": ("ingestion.bronze.table.BronzeTable.publish", 2, "before"),
    "after the Bronze commit": ("ingestion.bronze.table.BronzeTable.publish", 2, "after"),
    "while files move": ("ingestion.bronze.table.BronzeTable.adopt", 2, "after"),
    "before the ledger": ("ingestion.ledger.journal.Journal.append", 1, "before"),
}
SCRIPT = """
import sys
from pathlib import Path
from ingestion.gaps.record import record_sync_gap
from ingestion.load.load_table import load_table
from tests.engines.conftest import Company
from tests.engines.deadly import die_at
from tests.examples import LONG

die_at(sys.argv[2], int(sys.argv[3]), sys.argv[4])
company = Company(Path(sys.argv[1]), engine=sys.argv[6])
load_table(company.context(), "crm.people") if sys.argv[5] == "load" else record_sync_gap(company.context(), "crm.people")
"""


def kill(
    company: Company, target: str, call: int, when: str, *, step: str, **environ: str
) -> subprocess.CompletedProcess[bytes]:
    """Let a step kill its process at a call of a method."""
    command = [sys.executable, "-c", SCRIPT, str(company.folder), target, str(call), when, step, company.engine]
    environment = {**os.environ, **environ}
    return subprocess.run(command, cwd=Path(__file__).parents[2], check=False, capture_output=True, env=environment)


@pytest.mark.parametrize("death", DEATHS if LONG else ["between quarantine and Bronze", "while files move"])
def test_a_load_that_is_killed_is_finished_once_by_the_next(company: Company, death: str) -> None:
    company.sql("insert into people values (4, 'a name too long', 1, '2026-03-01 10:30:00')")
    target, call, when = DEATHS[death]

    killed = kill(company, target, call, when, step="load")
    company.sql("insert into people values (5, 'too long a name', 1, '2026-03-01 10:40:00')")
    load_table(company.context(), PEOPLE)
    again = load_table(company.context(), PEOPLE)

    assert killed.returncode == -9, killed.stderr
    assert company.lake("select id, count(*) from bronze.crm__people group by 1 order by 1") == [(1, 1), (2, 1), (3, 1)]
    assert company.lake("select id from quarantine.crm__people order by id") == [("4",), ("5",)]
    assert again.batch is None


def test_rows_that_a_killed_comparison_held_in_clear_are_gone_with_the_next_command(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_table(company.context(), PEOPLE)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    held = "ingestion.gaps.lake_side.EmbeddedRows.hold"

    killed = kill(company, held, 1, "after", step="gaps", TMPDIR=str(scratch))
    left = [path for path in scratch.rglob("*") if path.is_file()]
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    company.context()

    assert killed.returncode == -9, killed.stderr
    assert "live_rows.parquet" in {path.name for path in left}
    assert [path for path in scratch.rglob("*") if path.is_file() and path.stat().st_size] == []
