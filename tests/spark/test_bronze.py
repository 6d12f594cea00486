"""What loads on Spark promise beside the tests that run on both engines (`ON_BOTH_ENGINES`), and both in turn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ingestion.bronze import checkpoint
from ingestion.gaps.repair import repair_table
from ingestion.load.load_table import load_table
from ingestion.runs.context import initialise
from tests.engines import test_checkpoint, test_drift, test_kill
from tests.engines.conftest import Company, company
from tests.examples import LONG, LONG_FORM
from tests.spark.session import NEEDS_SPARK, SETTINGS

__all__ = ["company"]
pytestmark = NEEDS_SPARK

PEOPLE = "crm.people"
DAYS = 3 if LONG else 2  # that leave a checkpoint


@pytest.fixture
def moved(company: Company, spark: Any) -> Company:
    """The company whose lake the embedded engine made, loaded by Spark from now on."""
    return replace(company, engine="spark")


@LONG_FORM
def test_a_wider_type_retypes_bronze_and_no_reader_loses_a_row(moved: Company, spark: Any) -> None:
    test_drift.test_a_wider_type_that_is_accepted_retypes_bronze_and_everything_goes_on(moved, *test_drift.WIDER[2])
    context = moved.context()
    uri = context.lake.uri("bronze", "crm", "people")

    rows = spark.read.format("delta").load(uri)

    assert rows.where("val = 12345678901234567.1234").count() == 1
    assert (dict(rows.dtypes)["val"], rows.count()) == ("decimal(30,4)", len(moved.lake("from bronze.crm__people")))
    assert "val" not in context.engine.tip(uri, "").properties["delta.dataSkippingStatsColumns"].split(",")


@LONG_FORM
def test_a_lake_that_spark_made_is_loaded_by_both_in_turn(company: Company, spark: Any) -> None:
    """Three loads, engines taking turns: every event once, batches counted on, nothing to repair."""
    there = replace(company, engine="spark")
    (company.folder / "lake").rename(company.folder / "unused")
    initialise(there.settings)
    assert load_table(there.context(), PEOPLE).batch == 1
    company.sql("update people set name = 'Ava', changed_at = '2026-03-01 11:30:00' where id = 1")
    assert load_table(company.context(), PEOPLE).batch == 2
    company.sql(
        "insert into people values (4, 'a name too long', 1, '2026-03-01 11:30:00')", "delete from people where id = 2"
    )
    third = load_table(there.context(), PEOPLE)

    assert (third.batch, third.deleted, third.quarantined) == (3, 1, 1)
    assert company.lake("select id, _op, _batch from bronze.crm__people order by _batch, id") == [
        (1, "R", 1), (2, "R", 1), (3, "R", 1), (1, "U", 2), (2, "D", 3)
    ]  # fmt: skip
    assert {engine.engine: load_table(engine.context(), PEOPLE).batch for engine in (company, there)} == {
        "embedded": None,
        "spark": None,
    }
    assert repair_table(there.context(), PEOPLE).batch is None
    log = company.folder / "lake" / "bronze" / "crm" / "people" / "_delta_log"
    assert ["Spark" in file.read_text() for file in sorted(log.glob("*.json"))] == [True, True, False, True]
    assert company.lake("select count(*) from ops.runs where status in ('ok', 'warning')") == [(6,)]


def test_the_same_days_leave_the_same_log_on_both_engines(
    moved: Company, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a checkpoint of the fold as soon as there can be one: Spark writes and reads it like DuckDB."""
    monkeypatch.setattr(checkpoint, "MIN_EVENTS", 0)
    monkeypatch.setattr(checkpoint, "WORTH_IT", 1.2)
    list(test_checkpoint.days(company, DAYS))
    expected, kept = test_checkpoint.log(company), test_checkpoint.files(company)
    company.sql(
        "delete from people",
        "insert into people values (1, 'Ada', 1.10, '2026-03-01 10:00:00'), (2, 'Bea', null, '2026-03-01 10:00:00'), "
        "(3, 'Cyd', 3, '2026-03-01 11:00:00')",
    )
    for layer in ("bronze", "quarantine"):
        (company.folder / "lake" / layer / "crm/people").rename(company.folder / f"old-{layer}")

    list(test_checkpoint.days(moved, DAYS))

    assert test_checkpoint.log(moved) == expected
    assert test_checkpoint.files(moved) == kept != []


def test_a_load_that_is_killed_on_one_engine_is_finished_once_by_the_other(company: Company, spark: Any) -> None:
    """Killed between quarantine and Bronze, each in its turn; Spark, which starts a JVM for it, in the long form."""
    target, call, when = test_kill.DEATHS["between quarantine and Bronze"]
    turns = (("embedded", "spark", 4), ("spark", "embedded", 5)) if LONG else (("embedded", "spark", 4),)
    for engine, other, key in turns:
        company.sql(f"insert into people values ({key}, 'a name too long', 1, '2026-03-01 11:30:00')")
        company.sql(f"insert into people values ({key + 10}, 'new', 1, '2026-03-01 11:30:00')")
        killed = test_kill.kill(replace(company, engine=engine), target, call, when, step="load", **SETTINGS)
        assert killed.returncode == -9, killed.stderr

        done = load_table(replace(company, engine=other).context(), PEOPLE)

        assert done.appended >= 1
        assert company.lake("select max(n) from (select count(*) as n from bronze.crm__people group by id)") == [(1,)]
        assert company.lake(f"select count(*) from quarantine.crm__people where id = '{key}'") == [(1,)]
    assert company.lake("select count(*) from bronze.crm__people") == [(3 + len(turns),)]
