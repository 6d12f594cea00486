"""Maintenance between loads: the same rows, the same next load, and no litter."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ingestion.admin.maintenance import maintain, plan_expiry
from ingestion.bronze import checkpoint
from ingestion.errors import ConfigurationError
from ingestion.lake.embedded import compaction
from ingestion.load.load_table import load_table
from tests.engines.conftest import Company

PEOPLE = "crm.people"
LOG = "select id, name, score, _op, _eff, _batch, _row from bronze.crm__people order by all"


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "ENOUGH", 2)


def days(company: Company, first: int, last: int) -> None:
    for number in range(first, last + 1):
        company.sql(f"update people set name = 'A{number}', changed_at = '2026-03-01 11:{number:02}:00' where id = 1")
        load_table(company.context(), PEOPLE)


def files(company: Company, table: str = "bronze/crm/people") -> list[Path]:
    return sorted((company.folder / "lake" / table).glob("*.parquet"))


def test_a_table_maintained_between_loads_holds_what_it_would_otherwise(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    days(company, 10, 12)
    before = company.lake(LOG)

    done = {each.table: each for each in maintain(company.context())}

    assert done["bronze.crm__people"].compacted == 4
    assert company.lake(LOG) == before
    days(company, 13, 13)
    assert company.lake("select id, name from bronze.crm__people where _batch = 5") == [(1, "A13")]


def test_what_was_known_before_can_be_told_after_compaction_and_vacuum(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    days(company, 10, 11)
    for path in (company.folder / "lake").rglob("*.parquet"):
        os.utime(path, (0, 0))

    maintain(company.context(), keep=timedelta(hours=1))

    names = company.lake("select _batch, name from bronze.crm__people where id = 1 order by 1")
    assert names == [(1, "Ada"), (2, "A10"), (3, "A11")]


def test_the_ledger_is_compacted_and_tells_of_it(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    days(company, 10, 12)
    before = company.lake("select count(*) from ops.runs")

    maintain(company.context(), ("ops.runs",))

    assert company.lake("select count(*) from ops.runs where step <> 'maintain'") == before
    assert company.lake("select subject, status from ops.runs where step = 'maintain'") == [("lake", "ok")]


def test_attempts_that_rest_are_swept_and_younger_ones_kept(company: Company) -> None:
    staging = company.folder / "lake/bronze/crm/people/_staging"
    for name in ("old", "young"):
        (staging / name).mkdir(parents=True)
        (staging / name / "arrived.parquet").touch()
    for path in (staging / "old" / "arrived.parquet", staging / "old"):
        os.utime(path, (0, 0))

    done = maintain(company.context(), ("bronze.crm__people",))

    assert [each.deleted for each in done] == [1]
    assert [path.name for path in staging.iterdir()] == ["young"]


def test_checkpoints_that_newer_ones_replace_are_swept(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "MIN_EVENTS", 0)
    monkeypatch.setattr(checkpoint, "WORTH_IT", 1.2)
    load_table(company.context(), PEOPLE)
    days(company, 10, 13)
    kept = sorted((company.folder / "lake/bronze/crm/people/_live").iterdir())
    assert len(kept) > 1
    for path in kept:
        os.utime(path, (0, 0))

    maintain(company.context(), ("bronze.crm__people",))

    assert list(kept[-1].parent.iterdir()) == kept[-1:]


def test_loads_and_maintenance_at_once_lose_and_double_nothing(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    ended = threading.Event()

    def keep_maintaining() -> None:
        while not ended.is_set():
            maintain(company.context(), ("bronze.crm__people",))

    beside = threading.Thread(target=keep_maintaining)
    beside.start()
    try:
        days(company, 10, 17)
    finally:
        ended.set()
        beside.join()

    names = [f"A{number}" for number in range(10, 18)]
    assert [name for (name,) in company.lake("select name from bronze.crm__people where id = 1 order by _batch")] == [
        "Ada",
        *names,
    ]


@pytest.mark.parametrize(
    ("tables", "keep", "said"),
    [(("bronze.nobody",), 24, "has no table bronze.nobody"), ((), 0.5, "with less than an hour")],
)
def test_what_cannot_be_done_is_said(company: Company, tables: tuple[str, ...], keep: float, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        maintain(company.context(), tables, keep=timedelta(hours=keep))


def test_what_a_killed_writer_did_not_finish_goes_with_the_next_maintenance(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    table = company.folder / "lake/bronze/crm/people"
    old, young = (
        [table / "_delta_log/00000000000000000009.json#1", table / "part-0.parquet#1"],
        table / "part-1.parquet#1",
    )
    for path in (*old, young):
        path.write_text("Ada")
    for path in old:
        os.utime(path, (0, 0))

    maintain(company.context())

    assert [path.exists() for path in (*old, young)] == [False, False, True]
    assert company.lake("select count(*) from bronze.crm__people") == [(3,)]


def test_kept_prompts_leave_when_their_time_is_over_and_their_files_with_them(company: Company) -> None:
    load_table(company.context(), PEOPLE)
    now = datetime.now(UTC)
    for call, expires_at in (("old", now - timedelta(minutes=1)), ("new", now + timedelta(days=1))):
        row = {"call_id": call, "called_at": now, "expires_at": expires_at, "prompt": f"the prompt of the {call} call"}
        company.context().journal.append("advisor_texts", [row])
    [planned], _ = plan_expiry(company.context(), ("ops.advisor_texts",))
    assert (planned.table, planned.rows) == ("ops.advisor_texts", 1)

    done = {each.table: each for each in maintain(company.context())}
    company.context().engine.vacuum(company.context().lake.uri("ops", "advisor_texts"), keep=timedelta(0))

    assert done["ops.advisor_texts"].expired == 1
    assert company.lake("select call_id from ops.advisor_texts") == [("new",)]
    [file] = files(company, "ops/advisor_texts")
    assert pq.read_table(file).column("call_id").to_pylist() == ["new"]
