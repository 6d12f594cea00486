"""The two days of the retail world on Spark leave the lake that the embedded engine leaves."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingestion.build import dbt as build
from ingestion.demo import show
from ingestion.lake import duck
from ingestion.lake.layout import open_lake
from ingestion.settings import Settings
from tests.dbt.warehouse import ROOT
from tests.spark.session import NEEDS_MINUTES, SETTINGS

pytestmark = NEEDS_MINUTES
GOLD = ["dim_customer", "dim_date", "dim_product", "fact_sales"]
SILVER = ["stg_customers", "stg_order_items", "stg_orders", "stg_products"]


def play(folder: Path, engine: str) -> show.Story:
    """Run the demo on one engine in a project of its own."""
    folder.mkdir()
    for part in ("data_contracts", "dbt_project"):
        (folder / part).symlink_to(ROOT / part)
    settings = Settings(folder, str(folder / "lake"), engine=engine, mask_salt="a salt of the tests")
    return show.run_demo(settings, scale=0.05)


def without_tests_of_day_1() -> Callable[..., list[str]]:
    """Leave out what day 2 tests again: every other build tests nothing."""
    given, left_out = build._arguments, itertools.cycle([["--exclude-resource-type", "test"], []])

    def arguments(*args: Any, **options: Any) -> list[str]:
        return [*given(*args, **options), *next(left_out)]

    return arguments


@pytest.fixture(scope="module")
def stories(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, show.Story]:
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        patch.setattr(build, "_arguments", without_tests_of_day_1())
        return {engine: play(folder / engine, engine) for engine in ("embedded", "spark")}


def test_gold_and_silver_are_equal_row_by_row(stories: dict[str, show.Story]) -> None:
    theirs, ours = (open_lake(stories[engine].lake) for engine in ("embedded", "spark"))
    with duck.connect() as connection:
        for name in [f"gold/{table}" for table in GOLD] + [f"silver/{table}" for table in SILVER]:
            one, other = (duck.scan(lake.uri(*name.split("/"))) for lake in (theirs, ours))
            columns = [connection.execute(f"describe select * from {rows}").fetchall() for rows in (one, other)]
            [(count, more, less)] = connection.execute(
                f"select (select count(*) from {one}), (select count(*) from (from {one} except all from {other})), "
                f"(select count(*) from (from {other} except all from {one}))"
            ).fetchall()

            assert columns[0] == columns[1]
            assert count > 80
            assert (more, less) == (0, 0), name


def test_the_days_themselves_went_alike(stories: dict[str, show.Story]) -> None:
    """Loads, planted troubles, gaps, repairs and revenue; not the runs' names and seconds."""
    theirs, ours = (stories[engine] for engine in ("embedded", "spark"))

    def told(story: show.Story) -> dict[str, Any]:
        loads = {f"{day} {name}": load for day, loads in story.loads.items() for name, load in loads.items()}
        return {
            "loads": {
                name: (x.batch, x.read, x.good, x.quarantined, x.appended, x.deleted) for name, x in loads.items()
            },
            "repaired": {name: (load.appended, load.deleted) for name, load in story.repaired.items()},
            "gaps": {name: (report.sync_gap, report.severity) for name, report in story.before.items()},
            "healed": {name: report.severity for name, report in story.after.items()},
            "troubles": story.troubles,
            "versions": story.versions,
            "revenue": story.revenue,
        }

    assert told(ours) == told(theirs)
    assert len(ours.revenue) > 10
