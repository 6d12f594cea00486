"""Runs both days of the retail world through the product and notes what happened."""

from __future__ import annotations

import os
import re
import secrets
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.fs as pafs

from ingestion.build.dbt import build_layer
from ingestion.contracts.model import Contract
from ingestion.demo.files import SourceFiles
from ingestion.demo.servers import SourceServers
from ingestion.demo.world import DAY_1, DAY_2, Trouble, World, apply_day_2, create_day_1
from ingestion.errors import LakeError
from ingestion.gaps.record import record_sync_gap
from ingestion.gaps.repair import repair_table
from ingestion.lake import duck
from ingestion.lake.layout import DEMO_MARKER, MARKER, lake_at
from ingestion.lake.mask_salt import SALT
from ingestion.lake.names import LAYERS
from ingestion.lake.storage.filesystem import listed
from ingestion.lake.storage.provider import is_remote
from ingestion.load.load_table import load_table
from ingestion.load.result import LoadResult
from ingestion.reconcile.gap import OK, OK_IN_PART, GapReport
from ingestion.runs.context import Context, initialise, open_context
from ingestion.settings import Connection, Settings
from ingestion.sql.quoting import quote_standard

SALT_FILE = "mask_salt"
SYSTEMS = ("erp", "shop")


@dataclass(slots=True)
class Story:
    """The results of both days, by table, and Gold's revenue at the end."""

    lake: str
    world: str
    loads: dict[int, dict[str, LoadResult]] = field(default_factory=lambda: {1: {}, 2: {}})
    troubles: list[Trouble] = field(default_factory=list)
    before: dict[str, GapReport] = field(default_factory=dict)
    repaired: dict[str, LoadResult] = field(default_factory=dict)
    after: dict[str, GapReport] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    revenue: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "lake": self.lake,
            "world": self.world,
            "loads": {str(day): {k: v.as_dict() for k, v in loads.items()} for day, loads in self.loads.items()},
            "troubles": [asdict(trouble) for trouble in self.troubles],
            "gaps_before_repair": {k: v.as_dict() for k, v in self.before.items()},
            "repaired": {k: v.as_dict() for k, v in self.repaired.items()},
            "gaps_after_repair": {k: v.as_dict() for k, v in self.after.items()},
            "versions": self.versions,
            "revenue": self.revenue,
        }


def demo_settings(settings: Settings, moment: datetime, *, wire: bool = False) -> Settings:
    """
    Return the settings with the two systems in the demo's files or (`wire`) on their servers, as of `moment`.

    If no salt of masked values is set, the demo's own is used: made once, in a file that only its user can read.
    """
    connections = {}
    for system in SYSTEMS:
        file = str(world_folder(settings) / f"{system}.duckdb").removeprefix("/")
        found = settings.connection(system) if wire else Connection(type="duckdb", schema=file)
        connections[system] = replace(found, extra={**found.extra, "clock": moment.isoformat()}, origin=None)
    connections = {**settings.connections, **connections}
    return replace(settings, connections=connections, mask_salt=settings.salt() or _own_salt(settings))


def world_folder(settings: Settings) -> Path:
    """Return the folder of the demo's two systems: `<lake>-world` beside the lake, or in the project for a bucket."""
    root = settings.lake_root.rstrip("/")
    if is_remote(root):
        return settings.project / f"{re.sub(r'[^A-Za-z0-9.]+', '-', root)}-world"
    lake = Path(lake_at(root).root)
    return lake.with_name(f"{lake.name}-world")


def _own_salt(settings: Settings) -> str:
    file = world_folder(settings) / SALT_FILE
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_urlsafe(32))
    return file.read_text()


def exports(settings: Settings) -> list[str]:
    """Return shell lines that set the demo's lake and connections, with the clock at the end of day 2."""
    lines = [f"export LAKEHOUSE_ROOT={shlex.quote(settings.lake_root)}"]
    salt = world_folder(settings) / SALT_FILE
    if salt.exists():
        lines.append(f'export {SALT}="$(cat {shlex.quote(str(salt))})"')
    if settings.engine != "embedded":
        lines.append(f"export LAKEHOUSE_ENGINE={settings.engine}")
    for system in SYSTEMS:
        path = world_folder(settings) / f"{system}.duckdb"
        clock = DAY_2.isoformat().replace("+", "%2B")
        lines.append(
            f"export AIRFLOW_CONN_{system.upper()}={shlex.quote(f'duckdb://{quote(str(path))}?clock={clock}')}"
        )
    return lines


def run_demo(
    settings: Settings,
    *,
    seed: int = 7,
    scale: float = 1.0,
    wire: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Story:
    """
    Run both days on a new lake. `progress` is called at the start of each step with its name.

    The systems are two files, or (`wire`) the servers of their connections. An earlier demo's lake and sources are
    replaced. Raises LakeError if the lake is not a demo's, ConfigurationError if a server's tables are not.
    """
    _clear(settings)
    world = World(seed=seed, scale=scale)
    place = f"the files in {world_folder(settings)}"
    story = Story(settings.lake_root, " and ".join(f"the server of {s}" for s in SYSTEMS) if wire else place)
    contracts = initialise_demo(settings)
    ids = [contract.id for contract in contracts]
    sources = SourceServers(settings, {c.id: c for c in contracts}) if wire else SourceFiles(world_folder(settings))
    step = progress or (lambda _name: None)
    step("day 1: the source systems fill")
    create_day_1(world, sources)
    first = open_context(demo_settings(settings, DAY_1, wire=wire))
    _load(first, story, 1, ids, step)
    step("day 1: Silver and Gold")
    build_layer(first, "all")
    step("day 2: the source systems change")
    story.troubles = apply_day_2(world, sources)
    second = open_context(demo_settings(settings, DAY_2, wire=wire))
    _load(second, story, 2, ids, step)
    story.before = _gaps(second, ids, step, "before repair")
    for contract_id, report in story.before.items():
        if report.severity not in (OK, OK_IN_PART):
            story.repaired[contract_id] = repair_table(second, contract_id)
    step("day 2: repaired; Silver and Gold")
    build_layer(second, "all")
    story.after = _gaps(second, ids, step, "after repair")
    step("reading Gold")
    _read_lake(second, story)
    return story


def initialise_demo(settings: Settings) -> tuple[Contract, ...]:
    """Create the lake, mark it as a demo's, and return the contracts."""
    context = initialise(settings)
    with context.lake.filesystem.open_output_stream(context.lake.path(DEMO_MARKER)):
        pass
    return context.contracts()


def refuse_foreign(settings: Settings) -> bool:
    """
    Return whether the lake exists and is an earlier demo's.

    Raises LakeError if it is not a demo's lake, or if it or the folder of the systems has files that no demo made.
    """
    lake, world = lake_at(settings.lake_root), world_folder(settings)
    infos = lake.filesystem.get_file_info([lake.path(MARKER), lake.path(DEMO_MARKER)])
    is_lake, is_demo = (info.type == pafs.FileType.File for info in infos)
    if is_lake and not is_demo:
        raise LakeError(
            f"{lake.root}: this is a lake of yours and not a demo's. Nothing was changed. "
            "Set LAKEHOUSE_ROOT to another folder for the demo."
        )
    inside = listed(lake.filesystem, lake.path()) if is_lake else []
    _refuse(lake.root, [i.base_name for i in inside if i.base_name not in LAYERS and not i.base_name.startswith("_")])
    found = os.listdir(world) if world.is_dir() else []
    _refuse(world, found if DEMO_MARKER not in found else [name for name in found if not _is_of_world(name)])
    return bool(is_lake)


def _refuse(folder: str | Path, foreign: Sequence[str]) -> None:
    if foreign:
        raise LakeError(
            f"{folder}: this folder has {len(foreign)} files or folders that no demo made, "
            f"e.g. {min(foreign)}. Nothing was changed. Move them, or set LAKEHOUSE_ROOT to another folder: the demo's "
            "systems lie beside its lake."
        )


def _is_of_world(name: str) -> bool:
    return name in (DEMO_MARKER, SALT_FILE) or name.removesuffix(".wal") in {f"{system}.duckdb" for system in SYSTEMS}


def open_world(settings: Settings) -> Path:
    """Create the folder of the demo's systems, mark it as the demo's, and return it."""
    folder = world_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DEMO_MARKER).touch()
    return folder


def _clear(settings: Settings) -> None:
    if refuse_foreign(settings):
        lake = lake_at(settings.lake_root)
        lake.filesystem.delete_dir(lake.path())
    folder = open_world(settings)
    for name in os.listdir(folder):
        if name != DEMO_MARKER and _is_of_world(name):
            (folder / name).unlink()


def _load(context: Context, story: Story, day: int, ids: list[str], step: Callable[[str], None]) -> None:
    for contract_id in ids:
        step(f"day {day}: load {contract_id}")
        story.loads[day][contract_id] = load_table(context, contract_id)


def _gaps(context: Context, ids: list[str], step: Callable[[str], None], when: str) -> dict[str, GapReport]:
    reports = {}
    for contract_id in ids:
        step(f"day 2: sync gap of {contract_id} {when}")
        reports[contract_id] = record_sync_gap(context, contract_id)
    return reports


def _read_lake(context: Context, story: Story) -> None:
    with duck.connect(context.lake) as connection:
        for contract in context.contracts():
            _, rows = duck.select(connection, f"select count(*) from silver.{quote_standard(contract.silver_model)}")
            story.versions[contract.id] = int(str(rows[0][0]))
        names, rows = duck.select(
            connection,
            "select strftime(d.date_day, '%Y-%m') as month, c.segment, sum(f.net_revenue) as net_revenue, "
            "sum(f.gross_profit) as gross_profit, sum(f.units_sold) as units_sold from gold.fact_sales f "
            "join gold.dim_date d on d.date_key = f.order_date_key "
            "join gold.dim_customer c on c.customer_sk = f.customer_sk group by all order by all",
        )
        story.revenue = [dict(zip(names, row, strict=True)) for row in rows]
