"""A lake with real Bronze tables of the shipped contracts, and dbt as a user runs it: as a command, on the shipped project."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingestion.bronze.rows import bronze_schema
from ingestion.bronze.table import BronzeTable
from ingestion.contracts.model import Contract
from ingestion.contracts.odcs import read_contracts
from ingestion.lake import duck
from ingestion.lake.base import Commit
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import Lake, create_lake
from tests.dbt.warm import run_dbt

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "dbt_project"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Build:
    """The result of a dbt command: its exit code, its output, and the folder of its artifacts."""

    code: int
    printed: str
    errors: str
    target: Path

    @property
    def output(self) -> str:
        return self.printed + self.errors

    def artifact(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.target / name).read_text())
        return found

    def outcomes(self) -> dict[str, str]:
        """Return the outcome of each model: OVERWRITE, MERGE, UNCHANGED, or its error message."""
        results = self.artifact("run_results.json")["results"]
        return {
            result["unique_id"].split(".")[2]: result["adapter_response"].get("code") or str(result["message"])
            for result in results
            if result["unique_id"].startswith("model.")
        }


@dataclass
class Warehouse:
    """
    A lake in a temporary folder. `append` writes Bronze batches as a load would, `dbt` runs the shipped project.

    Its first dbt run uses the saved parse of `tests.dbt.parsed`, unless `parsed` is false.
    """

    folder: Path
    project: Path = PROJECT
    batches: dict[str, int] = field(default_factory=dict)
    parsed: bool = True

    def __post_init__(self) -> None:
        self.engine = DeltaRs()
        self.lake: Lake = create_lake(self.folder / "lake")
        self.contracts: dict[str, Contract] = {c.id: c for c in read_contracts(ROOT / "data_contracts")}
        for contract in self.contracts.values():
            BronzeTable(self.lake, self.engine, contract).create()

    def copied_to(self, folder: Path) -> Warehouse:
        """Copy the lake, and the shipped project, which may be changed there."""
        shutil.copytree(self.folder / "lake", folder / "lake")
        return Warehouse(folder, own_project(folder), dict(self.batches))

    def append(self, contract_id: str, rows: Sequence[Row]) -> None:
        """Commit one batch. Columns that a row does not name are null; `_op` is R unless the row names it."""
        contract = self.contracts[contract_id]
        batch = self.batches[contract_id] = self.batches.get(contract_id, 0) + 1
        whole = [
            {"_op": "R", "_seq": 0, "_batch": batch, "_row": number, "_source_system": contract.system} | dict(row)
            for number, row in enumerate(rows)
        ]
        uri = self.lake.uri("bronze", contract.system, contract.entity)
        table = pa.Table.from_pylist(whole, schema=bronze_schema(contract))
        names = self.engine.schema(uri).names  # columns that a contract gained later are at the end
        self.engine.append(uri, table.select(names), commit=Commit(contract.app_id, batch))

    def dbt(self, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Build:
        """Run dbt in the project's folder (or `cwd`), with the variables of `environment` and `env`."""
        outputs = self.folder / "printed.txt", self.folder / "errors.txt"
        given = ["--no-use-colors", *arguments]
        code = run_dbt(given, cwd or self.project, self.environment(env or {}), outputs, parsed=self.parsed)
        printed, errors = (path.read_text() for path in outputs)
        assert code is not None, "dbt was still at work after ten minutes"
        return Build(code, printed, errors, self.folder / "target")

    def environment(self, further: Mapping[str, str]) -> dict[str, str]:
        """Return dbt's variables: this process's without those of dbt and the lakehouse, the lake's, and `further`."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "LAKEHOUSE_"))},
            "LAKEHOUSE_ROOT": self.lake.root,
            "LAKEHOUSE_MASK_SALT": "a salt of the tests",
            "PYTHONPATH": str(ROOT),
            "DBT_TARGET_PATH": str(self.folder / "target"),
            "DBT_LOG_PATH": str(self.folder / "logs"),
            "DBT_LOG_LEVEL_FILE": "none",  # as `lakehouse build` has it; a log is written for a test that reads it
            "LAKEHOUSE_SPILL": str(self.folder / "spill"),
            **further,
        }

    def succeed(self, *arguments: str, **options: Any) -> Build:
        """Run dbt and assert that it succeeds without warnings."""
        done = self.dbt("--warn-error", *arguments, **options)
        assert done.code == 0, done.output
        return done

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Run a query on the lake's tables as they are now."""
        with duck.connect(self.lake) as connection:
            names, rows = duck.select(connection, sql)
            return [dict(zip(names, row, strict=True)) for row in rows]

    def versions(self) -> dict[str, int]:
        """Return the Delta version of every Silver and Gold table."""
        tables = [table for table in self.lake.tables() if table.schema in ("silver", "gold")]
        return {f"{table.schema}.{table.name}": self.engine.version(table.uri) for table in tables}


def own_project(folder: Path) -> Path:
    """Copy the shipped project into a folder, for a test that changes it; return the copy."""
    copy = folder / "dbt_project"
    return Path(shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("target", "logs")))


def at(text: str) -> datetime:
    """Return the UTC moment of `2026-01-31` or `2026-01-31 12:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
