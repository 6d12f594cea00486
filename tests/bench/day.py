"""A whole day of one table on both sides: `lakehouse run` beside dlt and dbt's snapshot. `make bench-day`.

    python -m tests.bench.day [--keys N] [--rounds N]

The source is a DuckDB file. Ours loads, validates, looks for deleted keys, builds the history with its tests and the
audit tables, and compares the table with its source. Theirs loads by dlt (incremental by `updated_at`, merge by key,
into DuckDB) and keeps the history by dbt's snapshot (strategy `check`); it validates and compares nothing and does not
see deletions. Three days: the first, one with nothing new, and one on which 1 of 1,000 rows changed. The last line and
`results/day.json` have the ratios theirs / ours: above 1 means that ours is cheaper.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb

from tests.bench.measure import Cost, measure
from tests.bench.world import changed, customers

ROOT = Path(__file__).parents[2]
RESULT = Path(__file__).with_name("results") / "day.json"
DAYS = ("first", "nothing_new", "one_in_1000")
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: crm.customers
version: 1.0.0
servers: [{type: duckdb, database: "${CRM_FILE}"}]
schema:
  - name: customers
    physicalName: main.customers
    properties:
      - {name: customer_id, physicalName: customer_id, logicalType: integer, physicalType: BIGINT, primaryKey: true, required: true}
      - {name: customer_name, physicalName: customer_name, logicalType: string, physicalType: VARCHAR}
      - {name: email, physicalName: email, logicalType: string, physicalType: VARCHAR}
      - {name: segment, physicalName: segment, logicalType: string, physicalType: VARCHAR}
      - {name: city, physicalName: city, logicalType: string, physicalType: VARCHAR}
      - {name: credit_limit, physicalName: credit_limit, logicalType: number, physicalType: "DECIMAL(14,2)"}
      - {name: created_at, physicalName: created_at, logicalType: timestamp, physicalType: TIMESTAMP}
      - {name: updated_at, physicalName: updated_at, logicalType: timestamp, physicalType: TIMESTAMP, required: true}
customProperties: [{property: lake, value: {timezone: UTC, mode: incremental, watermark: updated_at, overlap: PT2H, deletes: keys}}]
"""
DLT = """\
import dlt, duckdb, pyarrow as pa

@dlt.resource(name="customers", primary_key="customer_id", write_disposition="merge")
def customers(updated=dlt.sources.incremental("updated_at")):
    with duckdb.connect("source.duckdb", read_only=True) as source:
        since = "true" if updated.last_value is None else f"updated_at >= timestamp '{updated.last_value}'"
        for batch in source.execute(f"select * from customers where {since}").to_arrow_reader(100_000):
            yield pa.Table.from_batches([batch])

dlt.pipeline("day", destination=dlt.destinations.duckdb("bench.duckdb"), dataset_name="raw").run(customers())
"""


class Source:
    """The DuckDB file of one side."""

    def __init__(self, file: Path, keys: int) -> None:
        self.file = file
        with duckdb.connect(str(file)) as connection:
            connection.execute(f"create table customers as {customers(keys)}")
            connection.execute("alter table customers add primary key (customer_id)")

    def change(self, day: str) -> None:
        if day != "one_in_1000":
            return
        with duckdb.connect(str(self.file)) as connection:
            rows = f"select {changed(1)} from customers where hash(customer_id * 31) % 1000 = 0"
            connection.execute(f"create temp table changed as {rows}")
            connection.execute(
                "update customers set city = changed.city, updated_at = changed.updated_at "
                "from changed where customers.customer_id = changed.customer_id"
            )


class Ours:
    def __init__(self, folder: Path, keys: int) -> None:
        self._folder, self.source = folder, Source(folder / "source.duckdb", keys)
        ignored = shutil.ignore_patterns("target", "logs", "models", "analyses")
        shutil.copytree(ROOT / "dbt_project", folder / "dbt_project", ignore=ignored)
        shutil.copytree(ROOT / "dbt_project/models/audit", folder / "dbt_project/models/audit")
        contract = folder / "data_contracts" / "crm" / "customers.odcs.yaml"
        contract.parent.mkdir(parents=True)
        contract.write_text(CONTRACT)
        self._lakehouse("contract", "sources")
        self._lakehouse("init")

    def day(self) -> list[Cost]:
        return [self._lakehouse("run")]

    def _lakehouse(self, *arguments: str) -> Cost:
        path = str(self.source.file).removeprefix("/")
        clock = {"clock": "2026-01-03T00:00:00+00:00"}
        environment = {
            **os.environ,
            "LAKEHOUSE_PROJECT": str(self._folder),
            "LAKEHOUSE_MASK_SALT": "a salt of the bench",
            "AIRFLOW_CONN_CRM": json.dumps({"conn_type": "duckdb", "schema": path, "extra": clock}),
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-c", "from ingestion.cli import main; main()", *arguments]
        return measure(command, cwd=self._folder, env=environment)


class Theirs:
    def __init__(self, folder: Path, keys: int) -> None:
        self._folder, self.source = folder, Source(folder / "source.duckdb", keys)
        (folder / "load.py").write_text(DLT)
        (folder / "snapshots").mkdir()
        (folder / "dbt_project.yml").write_text(
            "name: snap\nversion: 1.0.0\nprofile: snap\nsnapshot-paths: [snapshots]\n"
            "flags: {send_anonymous_usage_stats: false}\n"
        )
        (folder / "profiles.yml").write_text(
            "snap:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: bench.duckdb, schema: main, threads: 2}\n"
        )
        (folder / "snapshots" / "snapshots.yml").write_text(
            "version: 2\nsources:\n  - {name: raw, schema: raw, tables: [{name: customers}]}\nsnapshots:\n"
            "  - name: customers_history\n    relation: source('raw', 'customers')\n    config:\n"
            "      unique_key: customer_id\n      strategy: check\n      check_cols: [customer_name, email, segment, "
            "city, credit_limit, created_at]\n"
        )

    def day(self) -> list[Cost]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
        quiet = {"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": str(self._folder / "dlt")}
        load = [os.environ["BENCH_PYTHON"], "load.py"]
        snapshot = [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", "snapshot"]
        return [
            measure(load, cwd=self._folder, env={**environment, **quiet}),
            measure(snapshot, cwd=self._folder, env=environment),
        ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2, help="the cheaper one counts: neighbours only ever add")
    given = parser.parse_args(arguments)
    best: dict[tuple[str, str], tuple[float, float, int]] = {}
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
            sides: dict[str, Ours | Theirs] = {
                "ours": Ours(Path(ours), given.keys),
                "theirs": Theirs(Path(theirs), given.keys),
            }
            for day in DAYS:
                for name, side in sides.items():
                    side.source.change(day)
                    costs = side.day()
                    sums = (sum(c.cpu for c in costs), sum(c.wall for c in costs), max(c.peak for c in costs))
                    best[name, day] = min(best.get((name, day), sums), sums)
    ratios: dict[str, float] = {}
    for day in DAYS:
        (cpu, wall, peak), (their_cpu, their_wall, their_peak) = best["ours", day], best["theirs", day]
        sys.stdout.write(
            f"{day:12} ours {cpu:6.1f} s CPU {wall:6.1f} s {peak / 2**20:6.0f} MiB   "
            f"theirs {their_cpu:6.1f} s CPU {their_wall:6.1f} s {their_peak / 2**20:6.0f} MiB\n"
        )
        ratios |= {f"{day}_cpu": round(their_cpu / cpu, 2), f"{day}_wall": round(their_wall / wall, 2)}
    RESULT.write_text(json.dumps({"keys": given.keys, **ratios}, indent=2) + "\n")
    sys.stdout.write(" ".join(f"{name}={value:g}" for name, value in ratios.items()) + "\n")


if __name__ == "__main__":
    main()
