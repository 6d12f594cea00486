"""Persons are erased from the retail lake: no file holds them, and all other rows are as they were."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.build.dbt import build_layer
from ingestion.demo import show
from ingestion.demo.files import SourceFiles
from ingestion.demo.world import DAY_1, DAY_2, World, create_day_1
from ingestion.erasure.erase import erase
from ingestion.erasure.keys import Keys, keys_of, merged
from ingestion.erasure.plan import ErasurePlan, plan_erasure
from ingestion.gaps.record import record_sync_gap
from ingestion.lake import duck
from ingestion.load.load_table import load_table
from ingestion.runs.context import Context, open_context
from ingestion.settings import Settings
from tests.dbt.data_tests import without_data_tests
from tests.dbt.gold import lake_facts
from tests.dbt.macros import load_macros
from tests.files import Searched, search

pytestmark = pytest.mark.xdist_group("erasure")
ROOT = Path(__file__).parents[2]
CUSTOMERS = "erp.customers"
PERSON, TWICE = 770_031_337, 770_042_424
KEYS = (PERSON, TWICE)


class Played:
    """A small retail world after two days, with two persons whose every free text is a marker."""

    def __init__(self, folder: Path) -> None:
        for name in ("data_contracts", "dbt_project"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("target", "logs"))
        self.settings = Settings(project=folder, lake_root=str(folder / "lake"))
        show.initialise_demo(self.settings)
        self.world = show.world_folder(self.settings)
        self.world.mkdir()
        create_day_1(World(seed=11, scale=0.02), SourceFiles(self.world))
        for table in ("orders", "order_items"):
            self.sql(f"delete from dbo.{table} where hash(order_id) % 20 > 0", system="shop")
        self.person(PERSON, "one", "2026-03-01 10:00")
        for contract_id in self.context(1).contract_ids():
            load_table(self.context(1), contract_id)
        build_layer(self.context(1), "all")
        self.person(PERSON, "two", "2026-03-02 10:00")
        self.person(TWICE, "three", "2026-03-02 10:10")
        self.person(TWICE, "four", "2026-03-02 10:10", again=True)
        load_table(self.context(2), CUSTOMERS)
        self.person(PERSON, "five", "2026-03-02 23:50", email="MARKBROKENfive")
        load_table(self.context(2), CUSTOMERS)
        build_layer(self.context(2), "silver")

    def sql(self, statement: str, *, system: str = "erp") -> None:
        with duckdb.connect(str(self.world / f"{system}.duckdb")) as connection:
            connection.execute(statement)

    def person(self, key: int, word: str, changed: str, *, email: str | None = None, again: bool = False) -> None:
        if not again:
            self.sql(f"delete from RETAIL.CUSTOMERS where CUSTOMER_ID = {key}")
        digits = f"{sum(map(ord, word)):04}"
        values = {
            "CUSTOMER_ID": key, "CUSTOMER_NAME": f"MARKNAME{word}", "EMAIL": email or f"markmail{word}@x.example",
            "PHONE": f"+5577{digits}7777", "TAX_ID": f"9191919{digits}", "SEGMENT": "Consumer", "REGION": "South",
            "CITY": f"MARKCITY{word}", "CREDIT_LIMIT": 987_654.32, "CREATED_AT": "2026-01-05 09:09:09", "UPDATED_AT": changed,
        }  # fmt: skip
        listed = ", ".join(f"'{value}'" for value in values.values())
        self.sql(f"insert into RETAIL.CUSTOMERS ({', '.join(values)}) values ({listed})")

    def context(self, day: int = 2) -> Context:
        settings = show.demo_settings(self.settings, DAY_1 if day == 1 else DAY_2)
        return open_context(replace(settings, mask_salt=settings.mask_salt or "a salt of the tests"))

    def lake(self, query: str) -> list[tuple[Any, ...]]:
        with duck.connect(self.context().lake) as connection:
            return connection.execute(query).fetchall()

    def markers(self) -> list[str]:
        """Return all by which the persons could be found: their texts, keys, and the hashes made of them."""
        hashes = self.lake(
            f"select sk from silver.stg_customers where customer_id in {KEYS} union all "
            f"select row_hash from silver.stg_customers where customer_id in {KEYS} and row_hash is not null union all "
            f"select email_hash from gold.dim_customer where customer_id in {KEYS} and email_hash is not null"
        )
        return ["MARK", "markmail", "+5577", "9191919", "987654", *map(str, KEYS), *(text for (text,) in hashes)]

    def others(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all rows of all tables but the ledger and those of the persons."""
        tables = [t for t in self.context().lake.tables() if t.schema not in ("ops", "audit")]
        found = {}
        for table in tables:
            names = self.context().engine.schema(table.uri).names
            others = f"where customer_id::varchar not in {tuple(map(str, KEYS))}" if "customer_id" in names else ""
            name = f"{table.schema}.{table.name}"
            found[name] = self.lake(f"select * from {name} {others} order by all")
        return found

    def keys(self) -> Keys:
        contract = self.context().contract(CUSTOMERS)
        return merged(contract, [keys_of(contract, [f"customer_id={key}" for key in KEYS])])


class Erased:
    """The retail lake before and after an erasure."""

    def __init__(self, folder: Path) -> None:
        with without_data_tests():
            self.played = Played(folder)
            played = self.played
            self.before, self.markers = played.others(), played.markers()
            self.found_before = search(folder / "lake", self.markers)
            played.sql(f"delete from RETAIL.CUSTOMERS where CUSTOMER_ID in {KEYS}")
            self.plan: ErasurePlan = plan_erasure(played.context(), played.keys())
            self.done = erase(played.context(), played.keys(), by="ana", reason="request 7")
        self.found: Searched = search(folder / "lake", self.markers)


@pytest.fixture(scope="module")
def erased(tmp_path_factory: pytest.TempPathFactory) -> Erased:
    return Erased(tmp_path_factory.mktemp("erased"))


def test_no_file_of_the_lake_holds_an_erased_person(erased: Erased) -> None:
    layers = {name.split("/")[0] for name, _ in erased.found_before.found}

    assert {marker for _, marker in erased.found_before.found} == {*erased.markers}
    assert layers == {"bronze", "quarantine", "silver", "gold"}
    assert erased.found.found == []


def test_all_other_rows_are_as_they_were(erased: Erased) -> None:
    assert erased.played.others() == erased.before


def test_the_plan_tells_what_then_leaves(erased: Erased) -> None:
    silver_to_quarantine = [place for place in erased.plan.places if place.rows is not None]

    assert silver_to_quarantine == [place for place in erased.done.places if place.rows is not None]
    assert [place.rows for place in silver_to_quarantine] == [2, 2, 3]
    assert not any(marker in str(erased.plan) for marker in erased.markers)


def test_the_ledger_keeps_who_and_why_and_no_key(erased: Erased) -> None:
    rows = erased.played.lake(
        'select state, "by", reason, count(*), count(distinct key_digest), any_value(rows) from ops.erasures '
        "group by all order by 1"
    )

    assert [row[:5] for row in rows] == [("begun", "ana", "request 7", 2, 2), ("finished", "ana", "request 7", 2, 2)]
    assert '"silver.stg_customers": 2' in rows[1][5]


def test_what_bronze_has_left_tells_the_history_that_silver_has_left(erased: Erased) -> None:
    history = load_macros()["scd2_history"]("bronze.erp__customers", lake_facts(CUSTOMERS))

    lake = erased.played.lake
    assert lake(f"from ({history}) order by sk") == lake("from silver.stg_customers order by sk")


def test_the_next_day_goes_on_and_the_source_has_no_gap(erased: Erased) -> None:
    played = erased.played
    loaded = load_table(played.context(), CUSTOMERS)

    assert (loaded.appended, loaded.deleted) == (0, 0)
    assert record_sync_gap(played.context(), CUSTOMERS).severity == "OK"
    assert search(Path(played.settings.lake_root), erased.markers).found == []
