"""Where a comparison stores and hashes the lake's live rows: in this process, or on Spark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow.fs as pafs

from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.bronze.workbench.embedded import Workbench
from ingestion.bronze.workbench.spark import SparkWorkbench, open_spark_workbench
from ingestion.contracts.model import Contract
from ingestion.lake.storage.filesystem import listed, make_folder
from ingestion.reconcile.hashes import RowPlan
from ingestion.reconcile.ports import duckdb_lake, spark_lake
from ingestion.reconcile.sides import Side

LIVE_ROWS, IN_FLIGHT = "live_rows", "in_flight"


class LakeRows(Protocol):
    """The lake's side of one comparison."""

    def hold(self, query: str) -> None:
        """Compute the live rows once and store them; the comparison's workbench reads them as `live_rows`."""
        ...

    def side(self, contract: Contract, plan: RowPlan, *, in_flight: Path | None) -> Side:
        """Return the side that hashes the live rows. `in_flight` is a local file with the keys to leave out."""
        ...


@dataclass(frozen=True, slots=True)
class EmbeddedRows:
    """Live rows in a local file, hashed by DuckDB."""

    bench: Workbench

    def hold(self, query: str) -> None:
        self.bench.keep(LIVE_ROWS, query)

    def side(self, contract: Contract, plan: RowPlan, *, in_flight: Path | None) -> Side:
        keys = None if in_flight is None else IN_FLIGHT
        return duckdb_lake(contract, plan, self.bench.connection, rows=LIVE_ROWS, in_flight=keys)


@dataclass(frozen=True, slots=True)
class SparkRows:
    """
    Live rows in the lake's storage, computed and hashed by Spark.

    Queries about single keys run in the comparison's workbench, on the files that Spark wrote, because each query on
    Spark takes at least a third of a second.
    """

    bench: Workbench
    spark: SparkWorkbench

    def hold(self, query: str) -> None:
        self.spark.table(LIVE_ROWS, query)
        written = listed(self.spark.lake.filesystem, self.spark.folder, recursive=True)
        files = [at.path for at in written if f"/{LIVE_ROWS}-" in at.path and at.base_name.endswith(".parquet")]
        self.bench.staged(LIVE_ROWS, files)

    def side(self, contract: Contract, plan: RowPlan, *, in_flight: Path | None) -> Side:
        if in_flight is not None:
            self._share(in_flight)
        keys = None if in_flight is None else IN_FLIGHT
        return spark_lake(contract, plan, self.spark.session, rows=LIVE_ROWS, in_flight=keys)

    def _share(self, file: Path) -> None:
        """Copy the keys to the lake's storage, where executors can read them."""
        target, filesystem = f"{self.spark.folder}/{file.name}", self.spark.lake.filesystem
        make_folder(filesystem, self.spark.folder)
        pafs.copy_files(str(file), target, source_filesystem=pafs.LocalFileSystem(), destination_filesystem=filesystem)
        self.spark.staged(IN_FLIGHT, [target])


@contextmanager
def open_rows(table: BronzeTable, state: BronzeState, bench: Workbench) -> Iterator[LakeRows]:
    """Open the lake's side on the table's engine, at the table versions of `state`."""
    if table.engine.name == "spark":
        with open_spark_workbench(table, state) as spark:
            yield SparkRows(bench, spark)
    else:
        yield EmbeddedRows(bench)
