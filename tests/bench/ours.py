"""Our side: a lake with one Bronze table under a contract, and the shipped dbt project with one model of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ingestion.bronze.rows import METADATA, bronze_schema, unindexed_columns
from ingestion.bronze.table import BronzeTable
from ingestion.contracts.odcs import read_contracts
from ingestion.lake import duck
from ingestion.lake.base import Commit
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.embedded.parquet_files import FileWriter
from ingestion.lake.layout import create_lake
from ingestion.lake.statistics import indexed_columns
from tests.bench.measure import Cost, measure
from tests.bench.world import changed, customers, is_changed, is_deleted

ROOT = Path(__file__).parents[2]
CONTRACT = Path(__file__).with_name("customers.odcs.yaml")


class Lakehouse:
    """A lake and a project in `folder`. Steps are batches of Bronze; `run` builds the history of what is there."""

    def __init__(self, folder: Path, keys: int) -> None:
        self.keys = keys
        self._folder = folder
        self._project = folder / "dbt_project"
        self._write_project()
        [self._contract] = read_contracts(folder / "data_contracts")
        self._engine = DeltaRs()
        self.lake = create_lake(folder / "lake")
        table = BronzeTable(self.lake, self._engine, self._contract)
        table.create()
        self._uri = table.uri
        self._batch = 0

    @property
    def history(self) -> str:
        """URI of the history's table."""
        return self.lake.uri("silver", "stg_customers")

    def first_batch(self) -> None:
        self._append(f"select *, false as _gone from ({customers(self.keys)})")

    def step(self, step: int, *, share: str | None = None, recent: bool = False) -> None:
        """Append one batch: 1 % of the keys, or those of the condition `share`."""
        condition = share or is_changed(step, self.keys, recent=recent)
        self._append(
            f"select {changed(step)}, {is_deleted(step)} as _gone from ({customers(self.keys)}) where {condition}"
        )

    def run(self) -> Cost:
        """Build the history. The command's outcome (OVERWRITE, MERGE, UNCHANGED) is in the output."""
        dbt = [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", "run", "-s", "stg_customers"]
        return measure(dbt, cwd=self._project, env=self._environment())

    def written(self) -> int:
        """Return the bytes of all data files under the history's table, committed or not."""
        return sum(file.stat().st_size for file in Path(self.history).rglob("*.parquet"))

    def _append(self, rows: str) -> None:
        self._batch += 1
        schema = bronze_schema(self._contract)
        indexed = indexed_columns(schema, unindexed_columns(self._contract))
        business = [name for name in schema.names if name not in METADATA.names]
        values = ", ".join(
            name if name in self._contract.key_names else f"case when not _gone then {name} end as {name}"
            for name in business
        )
        with duck.connect() as connection:
            query = f"""
                select
                    {values},
                    case when _gone then 'D' else 'U' end as _op,
                    updated_at::timestamptz as _eff,
                    0 as _seq, {self._batch} as _batch, row_number() over () as _row, 'bench' as _source_system,
                    timestamptz '2026-01-01' + to_days({self._batch}) as _ingested_at, '1.0.0' as _contract_version
                from ({rows})
            """
            files = FileWriter(connection, self._uri, schema, (), indexed).write(query, partition_values={})
        self._engine.publish(self._uri, files, commit=Commit(self._contract.app_id, self._batch))

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "LAKEHOUSE_"))}
        return {
            **inherited,
            "LAKEHOUSE_ROOT": self.lake.root,
            "LAKEHOUSE_PROJECT": str(self._folder),
            "LAKEHOUSE_SPILL": str(self._folder / "spill"),
            "PYTHONPATH": str(ROOT),
            "DBT_TARGET_PATH": str(self._folder / "target"),
            "DBT_LOG_PATH": str(self._folder / "logs"),
        }

    def _write_project(self) -> None:
        """Copy the shipped project without its models, and add the one of the bench's contract."""
        left_out = shutil.ignore_patterns("target", "logs", "models", "tests", "analyses")
        shutil.copytree(ROOT / "dbt_project", self._project, ignore=left_out)
        (self._folder / "data_contracts" / "bench").mkdir(parents=True)
        shutil.copy(CONTRACT, self._folder / "data_contracts" / "bench")
        (self._project / "models" / "bronze").mkdir(parents=True)
        model = self._project / "models" / "silver" / "stg_customers.sql"
        model.parent.mkdir()
        model.write_text("{{ scd2('bench', 'customers') }}\n")
        sources = [sys.executable, "-c", "from ingestion.cli import main; main()", "contract", "sources"]
        environment = {**os.environ, "LAKEHOUSE_PROJECT": str(self._folder), "PYTHONPATH": str(ROOT)}
        subprocess.run(sources, cwd=self._folder, env=environment, check=True, capture_output=True)
