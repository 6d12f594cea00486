"""Others that keep the same history of the same rows, each as its own documentation sets it up, on DuckDB."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Protocol

import duckdb

from tests.bench.measure import Cost, measure
from tests.bench.world import changed, customers, is_changed, is_deleted

TRACKED = ["customer_name", "email", "segment", "city", "credit_limit", "created_at"]


class Competitor(Protocol):
    """Keeps the history of a table of its own. `empty` is a run with nothing to do: what starting costs."""

    def __init__(self, folder: Path, keys: int) -> None: ...

    def step(self, step: int, *, recent: bool = False) -> None: ...

    def run(self) -> Cost: ...

    def empty(self) -> Cost: ...


def create_source(database: Path, keys: int) -> None:
    """Write the first state, and a table of ten rows to start on."""
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"create table customers as {customers(keys)}")
        connection.execute("create table tiny as select * from customers limit 10")


def change_source(database: Path, step: int, keys: int, *, recent: bool) -> None:
    """Update and delete in place, as a source does."""
    condition = is_changed(step, keys, recent=recent)
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"create temp table changed as select {changed(step)} from customers where {condition}")
        connection.execute(
            "update customers set city = changed.city, updated_at = changed.updated_at "
            "from changed where customers.customer_id = changed.customer_id"
        )
        connection.execute(f"delete from customers where {condition} and {is_deleted(step)}")


class DbtSnapshot:
    """dbt's snapshot, strategy `check`, hard deletes found. The same dbt as ours."""

    def __init__(self, folder: Path, keys: int) -> None:
        self._folder, self._keys = folder, keys
        (folder / "snapshots").mkdir(parents=True)
        (folder / "dbt_project.yml").write_text(
            "name: snap\nversion: 1.0.0\nprofile: snap\nsnapshot-paths: [snapshots]\n"
            "flags: {send_anonymous_usage_stats: false}\n"
        )
        (folder / "profiles.yml").write_text(
            "snap:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: bench.duckdb, schema: main, threads: 2}\n"
        )
        snapshots = "".join(
            f"""
  - name: {name}_history
    relation: source('bench', '{name}')
    config:
      unique_key: customer_id
      strategy: check
      check_cols: [{", ".join(TRACKED)}]
      hard_deletes: invalidate
"""
            for name in ("customers", "tiny")
        )
        (folder / "snapshots" / "snapshots.yml").write_text(
            "version: 2\nsources:\n  - {name: bench, schema: main, tables: [{name: customers}, {name: tiny}]}\n"
            f"snapshots:{snapshots}"
        )
        create_source(folder / "bench.duckdb", keys)

    def step(self, step: int, *, recent: bool = False) -> None:
        change_source(self._folder / "bench.duckdb", step, self._keys, recent=recent)

    def run(self) -> Cost:
        return self._snapshot("customers_history")

    def empty(self) -> Cost:
        return self._snapshot("tiny_history")

    def _snapshot(self, name: str) -> Cost:
        dbt = [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", "snapshot", "-s", name]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
        return measure(dbt, cwd=self._folder, env=environment)


class SqlMesh:
    """SQLMesh's SCD_TYPE_2_BY_COLUMN, hard deletes found. Runs in the interpreter of BENCH_PYTHON."""

    def __init__(self, folder: Path, keys: int) -> None:
        self._folder, self._keys, self._day = folder, keys, 1
        (folder / "models").mkdir(parents=True)
        (folder / "config.yaml").write_text(
            "gateways:\n  local:\n    connection: {type: duckdb, database: bench.duckdb}\n"
            "default_gateway: local\nmodel_defaults: {dialect: duckdb, start: 2026-01-01}\n"
        )
        (folder / "models" / "history.sql").write_text(
            "MODEL (name bench.history, cron '@daily', kind SCD_TYPE_2_BY_COLUMN (unique_key customer_id, "
            f"columns [{', '.join(TRACKED)}], invalidate_hard_deletes true));\n"
            "SELECT customer_id::bigint, customer_name::text, email::text, segment::text, city::text, "
            "credit_limit::decimal(14,2), created_at::timestamp, updated_at::timestamp FROM main.customers\n"
        )
        (folder / "advance.py").write_text(
            "import sys\nfrom sqlmesh import Context\ncontext = Context(paths='.')\n"
            "if sys.argv[2] == 'plan':\n"
            "    context.plan(auto_apply=True, no_prompts=True, execution_time=sys.argv[1])\n"
            "else:\n    print(context.run(end=sys.argv[1], execution_time=sys.argv[1]))\n"
        )
        create_source(folder / "bench.duckdb", keys)

    def step(self, step: int, *, recent: bool = False) -> None:
        change_source(self._folder / "bench.duckdb", step, self._keys, recent=recent)
        self._day += 1

    def run(self) -> Cost:
        return self._advance()

    def empty(self) -> Cost:
        return self._advance()

    def _advance(self) -> Cost:
        verb = "plan" if self._day == 1 else "run"
        day = f"2026-01-{self._day + 1:02d}"
        environment = {**os.environ, "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "true"}
        return measure([os.environ["BENCH_PYTHON"], "advance.py", day, verb], cwd=self._folder, env=environment)
