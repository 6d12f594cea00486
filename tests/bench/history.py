"""How fast history is kept: ours, dbt snapshot, SQLMesh and the floor, side by side in one run.

    python -m tests.bench.history [--keys N] [--lines N] [--rounds N]

A round changes 1 % of the keys at random on every side and measures each. Times are the least of the rounds, for
neighbours on a machine only ever add, net of an empty run of the same tool; memory is the most of the rounds. The last
line holds the ratios as key=value; they and all raw figures go to `results/history.json`. SQLMesh takes part where
BENCH_PYTHON names an interpreter that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb

from tests.bench.competitors import Competitor, DbtSnapshot, SqlMesh
from tests.bench.measure import Cost, measure
from tests.bench.ours import ROOT, Lakehouse

RESULTS = Path(__file__).with_name("results")
SAME_SETTINGS = ", parquet_version v2, compression zstd, compression_level 1"
Figures = dict[str, Any]


class Bench:
    """All raw figures of one run, by name of what was measured."""

    def __init__(self, folder: Path, keys: int, lines: int, rounds: int) -> None:
        self.folder, self.keys, self.lines, self.rounds = folder, keys, lines, rounds
        self.costs: dict[str, list[Figures]] = {}

    def note(self, name: str, cost: Cost, **more: float) -> None:
        figures = {key: round(value, 3) for key, value in asdict(cost).items() if key != "output"} | more
        self.costs.setdefault(name, []).append(figures)
        sys.stdout.write(f"{name:24} {' '.join(f'{key}={value}' for key, value in figures.items())}\n")
        sys.stdout.flush()

    def least(self, name: str, figure: str = "wall") -> float:
        return min(float(figures[figure]) for figures in self.costs[name])

    def most(self, name: str, figure: str) -> float:
        return max(float(figures[figure]) for figures in self.costs[name])

    def net(self, name: str, figure: str = "wall") -> float:
        """Return what a tool took beyond its empty runs."""
        return self.least(name, figure) - self.least(f"{name}_empty", figure)

    def child(self, name: str, module: str, *arguments: object) -> None:
        """Measure a module of the bench; it prints what its work took without start-up, by the clock and of CPU."""
        command = [sys.executable, "-m", f"tests.bench.{module}", *map(str, arguments)]
        cost = measure(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        seconds, cpu_seconds = cost.output.split()[-2:]
        self.note(name, cost, seconds=float(seconds), cpu_seconds=float(cpu_seconds))


def ours(bench: Bench, name: str, lakehouse: Lakehouse) -> None:
    before = lakehouse.written()
    cost = lakehouse.run()
    bench.note(name, cost, file_bytes=lakehouse.written() - before)


def dimension(bench: Bench) -> None:
    """1 % at random, side by side; then, on our side alone, changes that lie together, and history twice as long."""
    lakehouse = Lakehouse(_room(bench, "ours"), bench.keys)
    lakehouse.first_batch()
    ours(bench, "ours_first", lakehouse)
    others: dict[str, Competitor] = {"dbt_snapshot": DbtSnapshot(_room(bench, "snapshot"), bench.keys)}
    if os.environ.get("BENCH_PYTHON"):
        others["sqlmesh"] = SqlMesh(_room(bench, "sqlmesh"), bench.keys)
    for name, other in others.items():
        bench.note(f"{name}_first", other.run())
        other.empty()
    step = 0
    for step in range(1, bench.rounds + 1):
        ours(bench, "ours_empty", lakehouse)
        lakehouse.step(step)
        ours(bench, "ours", lakehouse)
        for name, options in (("floor", ""), ("floor_same_settings", SAME_SETTINGS)):
            bench.child(name, "floor", lakehouse.history, bench.folder / "floor.parquet", options)
        for name, other in others.items():
            bench.note(f"{name}_empty", other.empty())
            other.step(step)
            bench.note(name, other.run())
    for further in range(step + 1, step + bench.rounds + 1):
        ours(bench, "ours_recent_empty", lakehouse)
        lakehouse.step(further, recent=True)
        ours(bench, "ours_recent", lakehouse)
    lakehouse.step(step * 2 + 1, share="true")
    ours(bench, "ours_all", lakehouse)
    for further in range(step * 2 + 2, step * 3 + 2):
        ours(bench, "ours_doubled_empty", lakehouse)
        lakehouse.step(further)
        ours(bench, "ours_doubled", lakehouse)


def facts(bench: Bench) -> None:
    table = bench.folder / "fact_sales"
    changes = bench.lines // 400
    bench.child("fact_create", "facts", table, "create", bench.lines)
    for _ in range(bench.rounds):
        bench.child("fact_change", "facts", table, "change", bench.lines, changes)
    bench.child("fact_floor", "floor", table, bench.folder / "floor.parquet")
    bench.child("fact_whole", "facts", table, "whole", bench.lines, changes)


def ratios(bench: Bench) -> dict[str, float]:
    """Return the figures that goals are set for; `A_by_B` is how many times as
    much A takes, `A_over_B` likewise where A should be small; seconds by the clock unless the name ends in `cpu`."""
    net = bench.net("ours")
    net_cpu = bench.net("ours", "cpu")
    snapshot = bench.net("dbt_snapshot")
    found: dict[str, float] = {
        "ours_seconds": net,
        "ours_over_floor": net / bench.least("floor", "seconds"),
        "ours_over_floor_cpu": net_cpu / bench.least("floor", "cpu_seconds"),
        "ours_over_floor_same_settings_cpu": net_cpu / bench.least("floor_same_settings", "cpu_seconds"),
        "dbt_snapshot_by_ours": snapshot / net,
        "dbt_snapshot_by_ours_cpu": bench.net("dbt_snapshot", "cpu") / net_cpu,
        "dbt_snapshot_memory_by_ours": bench.most("dbt_snapshot", "peak") / bench.most("ours", "peak"),
        "dbt_snapshot_by_ours_recent": snapshot / bench.net("ours_recent"),
        "dbt_snapshot_by_ours_recent_cpu": bench.net("dbt_snapshot", "cpu") / bench.net("ours_recent", "cpu"),
        "doubled_over_ours": bench.net("ours_doubled") / net,
        "doubled_over_ours_cpu": bench.net("ours_doubled", "cpu") / net_cpu,
        "fact_floor_by_change": bench.least("fact_floor", "seconds") / bench.least("fact_change", "seconds"),
        "fact_whole_by_change": bench.least("fact_whole", "seconds") / bench.least("fact_change", "seconds"),
    }
    if "sqlmesh" in bench.costs:
        found["sqlmesh_by_ours"] = bench.net("sqlmesh") / net
        found["sqlmesh_memory_by_ours"] = bench.most("sqlmesh", "peak") / bench.most("ours", "peak")
    return {name: round(value, 2) for name, value in found.items()}


def _room(bench: Bench, name: str) -> Path:
    folder = bench.folder / name
    folder.mkdir()
    return folder


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="history")
    for name, default in (("keys", 5_000_000), ("lines", 20_000_000), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(Path(folder), options.keys, options.lines, options.rounds)
        parts: list[Callable[[Bench], None]] = [dimension, facts]
        for part in parts:
            part(bench)
        found = ratios(bench)
    machine = {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}
    result = {"machine": machine | {"duckdb": duckdb.__version__}, "options": vars(options), "ratios": found}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "history.json").write_text(json.dumps(result | {"costs": bench.costs}, indent=1) + "\n")
    sys.stdout.write(" ".join(f"{name}={value}" for name, value in found.items()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
