"""Drills: causes one fault at a time in a small demo world, and tests that it is found, explained and repaired.

Each drill has its own source files and lake in a temporary folder and changes nothing else. It loads one table, checks
that there is no gap, causes the fault, lets the source change further, checks twice as the monitor does, reads the
advice, and follows it. The result is tested twice: by a gap check, and by comparing all rows of lake and source.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from ingestion.build.dbt import build_layer
from ingestion.demo.files import SourceFiles
from ingestion.demo.world import World, create_day_1
from ingestion.drills.site import HOUR, Site
from ingestion.errors import ConfigurationError
from ingestion.gaps.repair import repair_table
from ingestion.lake import duck
from ingestion.load.load_table import load_table
from ingestion.runs.context import initialise
from ingestion.settings import Settings
from ingestion.sql.quoting import quote_standard
from monitoring.ledger_views import TableGap

SCALE = 0.05


@dataclass(frozen=True, slots=True)
class DrillResult:
    """
    The result of one drill. `planted` counts the rows of the fault; `found` is the table's state and severity after the
    second check, `named` the first cause that the advice gives. `ok`: everything is as expected.
    """

    trouble: str
    table: str
    planted: int
    found: str
    named: str
    healed: bool
    ok: bool
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Drill:
    """
    One kind of fault: `before` prepares the source, `plant` causes the fault and returns its number of rows.

    `cause` is what the advice must give first (empty: the fault must do no harm), `heal` does what the advice says,
    `proof` checks the rows afterwards. A load runs between the two gap checks, unless its absence is the fault.
    """

    table: str
    cause: str
    plant: Callable[[Site], int]
    heal: Callable[[Site], object]
    before: Callable[[Site], object] = lambda _site: None
    proof: Callable[[Site], bool] = lambda site: site.differing_rows() == 0
    is_loaded_between: bool = True


def run_drills(
    settings: Settings, kinds: Sequence[str] = (), *, progress: Callable[[str], None] = lambda _kind: None
) -> list[DrillResult]:
    """Run the drills of these kinds (default: all) in sequence. Raises ConfigurationError for an unknown kind."""
    unknown = sorted({*kinds} - {*DRILLS})
    if unknown:
        raise ConfigurationError(
            f"drill: there is no {', '.join(unknown)}; there are {', '.join(DRILLS)}. Nothing was planted."
        )
    results = []
    with tempfile.TemporaryDirectory(prefix="lakehouse-drill-") as name:
        folder = Path(name)
        create_day_1(World(scale=SCALE), SourceFiles(folder / "world"))
        for kind in kinds or DRILLS:
            progress(kind)
            shutil.copytree(folder / "world", folder / kind)
            results.append(_run(settings, kind, folder / kind))
    return results


def _run(settings: Settings, kind: str, folder: Path) -> DrillResult:
    drill = DRILLS[kind]
    here = replace(settings, lake_root=str(folder / "lake"))
    site = Site(folder, here, initialise(here).contract(drill.table))
    drill.before(site)
    load_table(site.context, drill.table)
    was_calm = _is_calm(site.check())
    start = time.monotonic()
    planted = drill.plant(site)
    gap = _second_look(site, drill)
    named = site.first_cause()
    drill.heal(site)
    healed = _is_calm(site.check()) and drill.proof(site)
    seconds = round(time.monotonic() - start, 1)
    found = "nothing" if _is_calm(gap) else f"{gap.state or 'seen'}, {gap.severity}"
    as_expected = named == drill.cause and _is_calm(gap) == (not drill.cause)
    ok = was_calm and as_expected and healed
    return DrillResult(kind, drill.table, planted, found, named, healed, ok, seconds)


def _second_look(site: Site, drill: Drill) -> TableGap:
    """Check twice, with an hour and a load between, as the monitor does before it confirms a difference."""
    site.check()
    if drill.is_loaded_between:
        site.go_on()
        load_table(site.context, drill.table)
    else:
        site.clock += HOUR
    return site.check()


def _is_calm(gap: TableGap) -> bool:
    differing = (gap.sync_gap, gap.missing_keys, gap.extra_keys, gap.differing_keys)
    return gap.severity == "OK" and not any(differing)


def _take(condition: str) -> Callable[[Site], object]:
    """Remove rows before the first load, so that the lake lacks them when they return with their old change times."""
    return lambda site: site.change(
        f"create table taken as select * from {{0}} where {condition}", f"delete from {{0}} where {condition}"
    )


def _put_back(site: Site) -> int:
    return site.change("insert into {0} from taken")


def _go_stale(site: Site) -> int:
    site.clock += timedelta(hours=60)
    return site.change(
        f"update {{0}} set updated_at = timestamp '{site.clock - HOUR:%Y-%m-%d %H:%M:%S}' "
        "where order_id in (select order_id from {0} order by 1 desc limit 40)"
    )


def _deliver_again(site: Site) -> int:
    """Append the first batch again without the checks that would refuse it."""
    context, contract = site.context, site.contract
    uri = context.lake.uri("bronze", contract.system, contract.entity)
    with duck.connect() as connection:
        rows = connection.execute(f"from {duck.scan(uri)}").to_arrow_table()
    context.engine.append(uri, rows.cast(context.engine.schema(uri)))
    return int(rows.num_rows)


def _has_no_doubled_version(site: Site) -> bool:
    contract = site.contract
    keys = ", ".join(quote_standard(name) for name in contract.key_names)
    with duck.connect(site.context.lake) as connection:
        query = f"select count(*), count(distinct ({keys})) from silver.{quote_standard(contract.silver_model)}"
        [(versions, distinct)] = connection.execute(query).fetchall()
    return site.differing_rows() == 0 and versions == distinct  # a newer watermark alone makes no new version


def _repair(site: Site) -> object:
    return repair_table(site.context, site.table, yes=True)


DRILLS = {
    "missing-partition": Drill(
        "shop.orders", "lost window", _put_back, _repair, before=_take("order_date = date '2026-01-15'")
    ),
    "lost-rows": Drill(
        "shop.order_items",
        "late or lost rows",
        _put_back,
        _repair,
        before=_take("order_id % 97 = 0 and order_date < date '2026-02-01' and updated_at < timestamp '2026-02-15'"),
    ),
    "stale-table": Drill(
        "shop.orders",
        "loads not running",
        _go_stale,
        lambda site: load_table(site.context, site.table),
        is_loaded_between=False,
    ),
    "duplicate-delivery": Drill(
        "erp.customers",
        "",
        _deliver_again,
        lambda site: build_layer(site.context, "silver"),
        proof=_has_no_doubled_version,
    ),
    "changed-rows": Drill(
        "erp.customers",
        "updates that keep the watermark",
        lambda site: site.change(
            "update {0} set CREDIT_LIMIT = coalesce(CREDIT_LIMIT, 0) + 1 "
            "where CUSTOMER_ID in (select CUSTOMER_ID from {0} order by 1 limit 12)"
        ),
        _repair,
    ),
    "orphan-deletes": Drill(
        "shop.orders",
        "hard deletes",
        lambda site: site.change("delete from {0} where order_id in (select order_id from {0} order by 1 limit 20)"),
        _repair,
    ),
}
