"""From source to validated Bronze, beside the driver's raw fetch, dlt and a pandas script: `make bench-load`.

Reaches the servers of AIRFLOW_CONN_ORACLE_TEST and AIRFLOW_CONN_SQLSERVER_TEST, and fills a table BENCH there.
Each way is a process of its own, and the ways of one size run one after the other. A server on the same machine takes
part of its cores: where `raw_wall` is far above `raw_cpu`, the server is the bottleneck and CPU seconds tell more.
Afterwards the lake's side alone: what finding the newest event of a key costs, as a share of a window function
(`tests/bench/newest.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.bench.measure import Cost, measure

RESULT = Path(__file__).parent / "results" / "load.json"
ROOT = Path(__file__).parents[2]
ROUNDS = 2  # each into a lake of its own; the cheaper one counts, for neighbours on a machine only ever add
KEYS = 1_000_000  # whose newest event is looked for


def case(python: str, way: str, system: str, argument: str) -> Cost:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "RUNTIME__DLTHUB_TELEMETRY": "false"}
    return measure([python, "-m", "tests.bench.load_cases", way, system, argument], cwd=ROOT, env=environ)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--system", choices=["oracle", "sqlserver"], action="append")
    chosen = parser.parse_args()
    systems = chosen.system or ["oracle", "sqlserver"]
    missing = [
        f"AIRFLOW_CONN_{s.upper()}_TEST" for s in systems if not os.environ.get(f"AIRFLOW_CONN_{s.upper()}_TEST")
    ]
    if missing:
        sys.exit(f"bench-load: set {' and '.join(missing)} to databases that it may fill")
    theirs = os.environ.get("BENCH_PYTHON")
    ratios: dict[str, float] = {}
    for system in systems:
        for rows in chosen.rows or [1_000_000]:
            case(sys.executable, "seed", system, str(rows))
            ratios |= compare(system, rows, theirs)
    ratios |= newest()
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(ratios, indent=2) + "\n")
    sys.stdout.write(" ".join(f"{name}={value:g}" for name, value in ratios.items()) + "\n")


def compare(system: str, rows: int, theirs: str | None) -> dict[str, float]:
    """Return the ratios of one size: above 1 means that ours is the faster, except for CPU, where less is better."""
    costs: dict[str, Cost] = {}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            case(sys.executable, "init", system, folder)
            for way in ("raw", "ours", "again", *(("dlt", "script") if theirs else ())):
                python = theirs if theirs and way in ("dlt", "script") else sys.executable
                cost = case(python, way, system, folder)
                if way not in costs or cost.cpu < costs[way].cpu:
                    costs[way] = cost
                sys.stdout.write(
                    f"{system} {rows:,} {way}: {cost.output.strip()} wall={cost.wall:.1f} cpu={cost.cpu:.1f} "
                    f"rows_per_s={rows / cost.wall:,.0f} peak_mb={cost.peak / 1e6:.0f}\n"
                )
                sys.stdout.flush()
    ours, mark = costs["ours"], f"{system}_{rows // 1_000_000}m"
    found = {
        f"{mark}_speed_of_raw": costs["raw"].wall / ours.wall,
        f"{mark}_cpu_of_raw": ours.cpu / costs["raw"].cpu,
        f"{mark}_raw_wall_of_cpu": costs["raw"].wall / costs["raw"].cpu,
        f"{mark}_peak_mb": ours.peak / 1e6,
        f"{mark}_start_cpu_s": float(costs["again"].output.split("load_cpu=")[1]),
    }
    for way in ("dlt", "script"):
        if way in costs:
            found[f"{mark}_speed_of_{way}"] = costs[way].wall / ours.wall
            found[f"{mark}_cpu_of_{way}"] = ours.cpu / costs[way].cpu
    return {name: round(value, 2) for name, value in found.items()}


def newest() -> dict[str, float]:
    """Return the CPU seconds of each way to the newest events as shares of a window function's."""
    command = [sys.executable, "-m", "tests.bench.newest", str(KEYS)]
    cost = measure(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    sys.stdout.write(f"newest event of {KEYS:,} keys: {cost.output.strip()} peak_mb={cost.peak / 1e6:.0f}\n")
    seconds = {name: float(text) for name, text in (pair.split("=") for pair in cost.output.split())}
    return {
        f"{name}_cpu_of_window": round(seconds[name] / seconds["window"], 2) for name in seconds if name != "window"
    }


if __name__ == "__main__":
    main()
