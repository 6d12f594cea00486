"""What a day costs where many tables have nothing new: CPU per table of each command, on a generated system.

    python -m tests.bench.many [--tables N] [--rows N]

One DuckDB file has the tables; contracts come from `lakehouse contract import`. Every tenth table gets one new row
before the second day. Each command is a process; its cost per table is what it takes beyond the same command on one
table. `run` loads, builds the models of audit and checks every gap, after a day without news. The last line and
`results/many.json` have the figures: seconds of CPU and milliseconds of CPU per table.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb

from tests.bench.measure import measure

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("results")


class Company:
    """A project in `folder` whose system `crm` has so many tables."""

    def __init__(self, folder: Path, tables: int, rows: int) -> None:
        self._folder = folder
        self.tables = [f"crm.t{number:04}" for number in range(tables)]
        self._source = folder / "crm.duckdb"
        self._write(
            statement
            for name in self._names()
            for statement in (
                f"create table {name} (id bigint primary key, name varchar not null, amount decimal(12, 2), "
                "day date, changed_at timestamp not null)",
                f"insert into {name} select r, 'row ' || r, r * 1.5, date '2026-01-01' + (r % 300)::int, "
                f"timestamp '2026-01-01' + to_hours(r::int) from range({rows}) as t(r)",
            )
        )
        shutil.copytree(
            ROOT / "dbt_project", folder / "dbt_project", ignore=shutil.ignore_patterns("target", "models", "analyses")
        )
        shutil.copytree(ROOT / "dbt_project/models/audit", folder / "dbt_project/models/audit")
        (folder / "data_contracts").mkdir()

    def change(self, every: int, rows: int) -> None:
        """Add a row to every so manieth table."""
        self._write(
            f"insert into {name} values ({rows}, 'new', 1, '2026-02-01', '2026-02-28 12:00:00')"
            for name in self._names()[::every]
        )

    def cpu(self, *arguments: str) -> float:
        """Run a command of `lakehouse`; return its seconds of CPU."""
        connection = {
            "conn_type": "duckdb",
            "schema": str(self._source).removeprefix("/"),
            "extra": {"clock": "2026-03-01T00:00:00+00:00"},
        }
        environment = {
            **os.environ,
            "LAKEHOUSE_PROJECT": str(self._folder),
            "LAKEHOUSE_MASK_SALT": "a salt of the bench",
            "AIRFLOW_CONN_CRM": json.dumps(connection),
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-c", "from ingestion.cli import main; main()", *arguments]
        return measure(command, cwd=self._folder, env=environment).cpu

    def _names(self) -> list[str]:
        return [table.removeprefix("crm.") for table in self.tables]

    def _write(self, statements: Iterable[str]) -> None:
        with duckdb.connect(str(self._source)) as connection:
            for statement in statements:
                connection.execute(statement)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", type=int, default=500)
    parser.add_argument("--rows", type=int, default=200)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        company = Company(Path(folder), given.tables, given.rows)
        figures = run(company, given.rows)
    each = {
        name: round(1000 * (cpu - figures.get(f"{name} of one", 0)) / given.tables)
        for name, cpu in figures.items()
        if not name.endswith("of one")
    }
    totals = {name: round(cpu, 2) for name, cpu in figures.items()}
    document = {"tables": given.tables, "rows": given.rows, "cpu_seconds": totals, "cpu_ms_per_table": each}
    RESULTS.joinpath("many.json").write_text(json.dumps(document, indent=2) + "\n")
    sys.stdout.write(" ".join(f"{name.replace(' ', '_')}={ms}ms" for name, ms in each.items()) + "\n")


def run(company: Company, rows: int) -> dict[str, float]:
    """Return the CPU seconds of each command, in the order of a life: set-up, first day, a day with little news."""
    figures: dict[str, float] = {}

    def note(name: str, *command: str) -> None:
        figures[name] = company.cpu(*command)
        sys.stdout.write(f"{name:24} {figures[name]:8.2f} s\n")
        sys.stdout.flush()

    note("import", "contract", "import", "crm", "main", "--timezone", "UTC")
    note("lint", "contract", "lint")
    company.cpu("init")
    note("first load", "load")
    company.change(10, rows)
    note("load", "load")
    for name in ("load", "gaps"):
        note(f"{name} of one", name, company.tables[1])
    note("gaps", "gaps")
    note("status", "status")
    note("run", "run")
    return figures


if __name__ == "__main__":
    main()
