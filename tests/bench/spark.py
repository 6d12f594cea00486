"""When to move to Spark: load and build of one table on both engines, side by side: `make bench-spark`.

    python -m tests.bench.spark [--rows N ...] [--memory 4g] [--folder F]

Per size and engine: a first load and build of N customers, then a day on which 1 % of them changed. Each step is the
command that a user runs, start-up included: it is part of the price. The source is a DuckDB file, read by one connection
on both engines, so what is compared is the lake's side. The last line holds the ratios as key=value (`spark_by_embedded_x`
is how many times as much Spark takes) and, per step, `crossing_x`: the rows from which Spark would be the quicker if both
went on as straight lines, 0 where they never meet. They and the raw figures go to `results/spark.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from ingestion.settings import ENGINES
from tests.bench.measure import Cost, measure
from tests.bench.ours import ROOT, Lakehouse
from tests.bench.world import changed, customers, is_changed, is_deleted

RESULT = Path(__file__).parent / "results" / "spark.json"
STEPS = ("load", "build", "day_load", "day_build")
Costs = Mapping[tuple[int, str, str], Cost]  # by rows, engine and step


class Company(Lakehouse):
    """The bench's lake and project, and a database `bench` in a file that it is loaded from."""

    def __init__(self, folder: Path, rows: int, engine: str, memory: str) -> None:
        super().__init__(folder, rows)
        self._file = folder / "bench.duckdb"
        self._engine_name, self._memory = engine, memory

    def open(self) -> None:
        """Fill the database: so many customers, none of whom changed yet."""
        with duckdb.connect(str(self._file)) as connection:
            connection.execute("create schema dbo")
            connection.execute(f"create table dbo.customers as {customers(self.keys)}")

    def change(self) -> None:
        """Let a day pass: 1 % of the customers change, one of fifty of those goes."""
        condition = is_changed(1, self.keys)
        with duckdb.connect(str(self._file)) as connection:
            connection.execute(
                f"create temp table now as select {changed(1)} from dbo.customers where {condition} and not {is_deleted(1)}"
            )
            connection.execute(f"delete from dbo.customers where {condition}")
            connection.execute("insert into dbo.customers from now")

    def lakehouse(self, *arguments: str) -> Cost:
        """Measure a command of the product."""
        environment = {
            **self._environment(),
            "LAKEHOUSE_ENGINE": self._engine_name,
            "LAKEHOUSE_MEMORY": self._memory.upper() + "B",
            "LAKEHOUSE_SPARK_MEMORY": self._memory,
            "AIRFLOW_CONN_BENCH": json.dumps({"conn_type": "duckdb", "schema": str(self._file).removeprefix("/")}),
        }
        command = [sys.executable, "-c", "from ingestion.cli import main; main()", *arguments]
        return measure(command, cwd=ROOT, env=environment)


def measured(folder: Path, rows: int, engine: str, memory: str) -> dict[str, Cost]:
    """Return what the steps cost on one engine; the folder is empty again afterwards."""
    room = folder / f"{engine}_{rows}"
    room.mkdir()
    company = Company(room, rows, engine, memory)
    company.open()
    company.lakehouse("init")
    costs = {"load": company.lakehouse("load", "bench.customers"), "build": company.lakehouse("build", "silver")}
    company.change()
    costs |= {
        "day_load": company.lakehouse("load", "bench.customers"),
        "day_build": company.lakehouse("build", "silver"),
    }
    shutil.rmtree(room)
    return costs


def ratios(costs: Costs) -> dict[str, float]:
    """Return how many times as much Spark takes, by the clock, per step and size, and where the lines cross."""
    sizes = sorted({rows for rows, _, _ in costs})
    found = {
        f"spark_by_embedded_{step}_{rows / 1e6:g}m": costs[rows, "spark", step].wall
        / costs[rows, "embedded", step].wall
        for rows in sizes
        for step in STEPS
    }
    found |= {f"crossing_{step}": crossing(costs, sizes[0], sizes[-1], step) for step in STEPS if len(sizes) > 1}
    return {name: round(value, 2) for name, value in found.items()}


def crossing(costs: Costs, small: int, large: int, step: str) -> float:
    """Return the rows at which straight lines through both sizes meet; 0 where Spark's rises no slower."""
    line = {}
    for engine in ENGINES:
        low, high = costs[small, engine, step].wall, costs[large, engine, step].wall
        slope = (high - low) / (large - small)
        line[engine] = (low - slope * small, slope)
    more_at_start = line["spark"][0] - line["embedded"][0]
    less_per_row = line["embedded"][1] - line["spark"][1]
    return round(max(more_at_start, 0.0) / less_per_row) if less_per_row > 0 else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[5_000_000, 20_000_000])
    parser.add_argument("--memory", default="4g", help="Spark's heap, and DuckDB's limit in a build")
    parser.add_argument("--folder", help="where the lakes are made; they need about 1 GB per 5 million rows")
    chosen = parser.parse_args()
    costs: dict[tuple[int, str, str], Cost] = {}
    sys.stdout.write(f"{'rows':>12} {'engine':9} {'step':10} {'seconds':>8} {'peak MB':>8}\n")
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        for rows in chosen.rows:
            for engine in ENGINES:
                for step, cost in measured(Path(folder), rows, engine, chosen.memory).items():
                    costs[rows, engine, step] = cost
                    sys.stdout.write(f"{rows:12,} {engine:9} {step:10} {cost.wall:8.1f} {cost.peak / 1e6:8.0f}\n")
                    sys.stdout.flush()
    write(costs, vars(chosen))


def write(costs: Costs, options: Mapping[str, object]) -> None:
    """Print the ratios, and keep them and the raw figures."""
    raw = {
        f"{engine}_{step}_{rows}": {
            "wall": round(cost.wall, 2),
            "peak_mb": round(cost.peak / 1e6),
        }  # the JVM's CPU is nobody's
        for (rows, engine, step), cost in costs.items()
    }
    machine = {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}
    told: dict[str, Any] = {
        "machine": machine,
        "options": {**options, "folder": None},
        "ratios": ratios(costs),
        "raw": raw,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(told, indent=1) + "\n")
    sys.stdout.write(" ".join(f"{name}={value:g}" for name, value in told["ratios"].items()) + "\n")


if __name__ == "__main__":
    main()
