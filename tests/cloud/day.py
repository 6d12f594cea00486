"""Both days of the retail world on a lake anywhere: everything the product does with a lake, once."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pytest

from ingestion.admin.maintenance import maintain
from ingestion.build import dbt as build
from ingestion.build.as_of import build_as_of
from ingestion.build.dbt import build_layer
from ingestion.demo import show
from ingestion.demo.files import SourceFiles
from ingestion.demo.world import DAY_1, DAY_2, World, apply_day_2, create_day_1
from ingestion.gaps.record import record_sync_gap
from ingestion.gaps.repair import repair_table
from ingestion.lake import duck
from ingestion.lake.base import Commit
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import open_lake
from ingestion.lake.storage.filesystem import open_files
from ingestion.load.load_table import load_table
from ingestion.runs.context import Context, open_context
from ingestion.settings import Settings
from tests.cloud.servers import ROOT
from tests.dbt.data_tests import without_data_tests

WORLD = World(seed=11, scale=0.1)
LOST_A_DAY = ("shop.orders", "shop.order_items")
FEW = (*LOST_A_DAY, "erp.customers")
"""Tables that stand for all where each request of the storage costs more than the rows."""
Rows = dict[str, list[tuple[Any, ...]]]


@dataclass
class Played:
    """The lake at `root` after both days; what each gap check found, before and after the repair; dbt's files."""

    settings: Settings
    contracts: list[str]
    dbt: Path
    gaps: dict[str, list[int]] = field(default_factory=dict)

    @property
    def root(self) -> str:
        return self.settings.lake_root

    def context(self, day: int) -> Context:
        return open_context(show.demo_settings(self.settings, DAY_1 if day == 1 else DAY_2))

    def load(self, day: int) -> None:
        for contract_id in self.contracts:
            load_table(self.context(day), contract_id)

    def check_gaps(self, contracts: Sequence[str]) -> None:
        for contract_id in contracts:
            report = record_sync_gap(self.context(2), contract_id)
            self.gaps.setdefault(contract_id, []).append(report.sync_gap)

    def repair(self) -> None:
        for contract_id in LOST_A_DAY:
            repair_table(self.context(2), contract_id)


def erase_number(engine: DeltaRs, uri: str) -> tuple[list[int], set[str]]:
    """
    Take one of three numbers out of a new append-only table, and then its past; return its numbers and its files'
    kinds.
    """
    schema = pa.schema([("id", pa.int64())])
    engine.create(uri, schema, append_only=True)
    for number in (1, 770_031_337, 3):
        engine.append(uri, pa.table({"id": [number]}, schema))
    engine.remove(
        uri, pa.table({"id": [770_031_337]}, schema), key=["id"], commit=Commit("erased", None), expected_version=3
    )
    engine.forget(uri)
    filesystem, folder = open_files(uri)
    left = filesystem.get_file_info(pafs.FileSelector(folder, recursive=True))
    kinds = {info.base_name.removeprefix(f"{4:020d}") for info in left if info.is_file}
    with duck.connect(at=uri) as connection:
        rows = connection.execute(f"select id from {duck.scan(uri)} order by id").fetchall()
    return [number for (number,) in rows], {name for name in kinds if not name.startswith("part-")}


def play(
    folder: Path, root: str, then: str, patch: pytest.MonkeyPatch, *, whole: bool = True, builds: bool = True
) -> Played:
    """
    Play both days into `root` and build at the end; unless it `builds`, play few tables only. If `whole`, compare
    all tables and not few, build after each day, and build the Silver of day 1 again into `then`.
    """
    played = _begin(folder, root)
    if not builds:
        played.contracts = [*FEW]
    patch.setattr(build, "_run_dbt", _keeping(played.dbt))
    played.load(1)
    if whole:
        with without_data_tests():
            build_layer(played.context(1), "all")
    apply_day_2(WORLD, SourceFiles(show.world_folder(played.settings)))
    played.load(2)
    played.check_gaps(played.contracts if whole else FEW)
    played.repair()
    played.check_gaps(LOST_A_DAY)
    if builds:
        with without_data_tests():
            build_layer(played.context(2), "all")
    if whole:
        with without_data_tests():
            build_as_of(played.context(2), [f"{contract}=1" for contract in played.contracts], then, layer="silver")
    maintain(played.context(2), ("bronze.shop__orders", *(["silver.stg_orders"] if builds else []), "ops.runs"))
    return played


def play_plainly(folder: Path, root: str) -> Played:
    """Load both days into `root`, and build once at the end."""
    played = _begin(folder, root)
    played.load(1)
    apply_day_2(WORLD, SourceFiles(show.world_folder(played.settings)))
    played.load(2)
    played.repair()
    with without_data_tests():
        build_layer(played.context(2), "all")
    return played


def content(root: str, *layers: str) -> Rows:
    """Return all rows of Silver and Gold, or of some layers, of the lake at `root`."""
    lake = open_lake(root)
    names = [f"{t.schema}.{t.name}" for t in lake.tables() if t.schema in (layers or ("silver", "gold"))]
    with duck.connect(lake) as connection:
        return {name: connection.execute(f"from {name} order by all").fetchall() for name in names}


def _begin(folder: Path, root: str) -> Played:
    for name in ("data_contracts", "dbt_project"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("target", "logs"))
    settings = Settings(project=folder, lake_root=root, mask_salt="a salt of the tests")
    contracts = [contract.id for contract in show.initialise_demo(settings)]
    world = show.world_folder(settings)
    world.mkdir()
    create_day_1(WORLD, SourceFiles(world))
    return Played(settings, contracts, folder / "dbt")


def _keeping(folder: Path) -> Any:
    """Return dbt's starter that keeps what dbt wrote: a log of all, compiled models, artifacts, and what it said."""
    run_dbt = build._run_dbt

    def run(context: Context, arguments: Any, target: Path, further: Any = None, *rest: Any) -> tuple[int, str]:
        all_of_it = {"DBT_LOG_LEVEL_FILE": "debug", "DBT_LOG_LEVEL": "info", "DBT_WRITE_JSON": "true"}
        code, output = run_dbt(context, arguments, target, {**all_of_it, **(further or {})}, *rest)
        shutil.copytree(target, folder / target.name, ignore=shutil.ignore_patterns("spill"))
        (folder / target.name / "said.txt").write_text(output)
        return code, output

    return run
