"""The cached fold over history: used when it fits, never needed, never trusted when Bronze is not what it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from deltalake import DeltaTable
from pyarrow.fs import LocalFileSystem

from ingestion.bronze import checkpoint
from ingestion.gaps.record import record_sync_gap
from ingestion.lake import duck
from ingestion.load.load_table import load_table
from tests.engines.conftest import Company
from tests.examples import LONG_FORM

PEOPLE = "crm.people"


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a checkpoint as soon as there are two events to a key."""
    monkeypatch.setattr(checkpoint, "MIN_EVENTS", 0)
    monkeypatch.setattr(checkpoint, "WORTH_IT", 1.2)


def files(company: Company) -> list[str]:
    return sorted(path.name for path in (company.folder / "lake/bronze/crm/people/_live").glob("*"))


def days(company: Company, number: int) -> Iterator[int]:
    """Live through some days: person 1 changes, 2 goes and comes back, 9 is new and goes."""
    changes = [
        [
            "update people set name = 'A1', changed_at = '2026-03-01 11:10:00' where id = 1",
            "delete from people where id = 2",
        ],
        ["insert into people values (2, 'Bea', null, '2026-03-01 10:00:00'), (9, 'Ida', 1, '2026-03-01 11:20:00')"],
        [
            "update people set name = 'A2', changed_at = '2026-03-01 11:30:00' where id = 1",
            "delete from people where id = 9",
        ],
        ["update people set name = 'A3', changed_at = '2026-03-01 11:40:00' where id = 1"],
        ["delete from people where id = 2", "insert into people values (9, 'Ida', 2, '2026-03-01 11:50:00')"],
    ]
    load_table(company.context(), PEOPLE)
    for statements in changes[:number]:
        company.sql(*statements)
        load_table(company.context(), PEOPLE)
        yield 1


def log(company: Company) -> list[tuple[object, ...]]:
    return company.lake("select id, name, score, _op, _eff, _batch from bronze.crm__people order by all")


def test_loads_with_and_without_checkpoints_write_the_same_log(
    company: Company, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(days(company, 5))
    with_checkpoints = log(company)
    assert files(company)

    monkeypatch.setattr(checkpoint, "MIN_EVENTS", 10**9)
    company.sql(
        "delete from people",
        "insert into people values (1, 'Ada', 1.10, '2026-03-01 10:00:00'), (2, 'Bea', null, '2026-03-01 10:00:00'), (3, 'Cyd', 3, '2026-03-01 11:00:00')",
    )
    (company.folder / "lake/bronze/crm/people").rename(company.folder / "first")
    (company.folder / "lake/quarantine/crm/people").rename(company.folder / "second")
    list(days(company, 5))

    assert not files(company)
    assert log(company) == with_checkpoints


def test_a_gap_is_counted_the_same_through_a_checkpoint(company: Company) -> None:
    list(days(company, 5))

    report = record_sync_gap(company.context(), PEOPLE)

    assert (report.source_count, report.lake_count, report.severity) == (3, 3, "OK")


def test_a_lost_checkpoint_is_missed_by_nobody(company: Company) -> None:
    for _ in days(company, 5):
        for path in (company.folder / "lake/bronze/crm/people/_live").glob("*"):
            path.unlink()

    assert load_table(company.context(), PEOPLE).batch is None


def test_a_checkpoint_of_rows_that_bronze_lost_is_not_trusted(company: Company) -> None:
    list(days(company, 5))
    uri = company.folder / "lake/bronze/crm/people"
    known = checkpoint.find_checkpoint(LocalFileSystem(), f"{uri}/_live", up_to=99)
    assert known is not None

    for version, trusted in ((None, True), (1, False)):
        if version is not None:
            DeltaTable(uri).restore(version)
        with duck.connect() as connection:
            connection.execute(f"create view bronze as select * from {duck.scan(str(uri))}")
            checkpoint.create_events_view(connection, known, known.path)
            definition = connection.execute("select sql from duckdb_views() where view_name = 'events'").fetchone()

        assert definition is not None
        assert ("read_parquet" in definition[0]) is trusted


@LONG_FORM
def test_a_checkpoint_of_a_million_keys_is_written(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "WORTH_IT", 0.9)
    company.sql(
        "insert into people select 10 + r, 'Ana', 1, timestamp '2026-02-01' + to_seconds(r % 80000) "
        "from range(1200000) as t(r)"
    )

    load_table(company.context(), PEOPLE)
    load_table(company.context(), PEOPLE)

    assert files(company)
