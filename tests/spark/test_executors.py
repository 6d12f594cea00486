"""Chunks are read on Spark's executors by the adapters themselves: same rows, same quarantine, nothing of a secret."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ingestion.bronze.rows import Stamp
from ingestion.contracts.window import Window
from ingestion.errors import IntegrityError, SourceUnavailableError
from ingestion.extract.chunk_ledger import ChunkLedger, ChunkPlan, StagedRead
from ingestion.load.chunks import ChunkWork, read_chunk, read_chunks
from ingestion.settings import Connection
from ingestion.sources import open_source
from tests.engines.conftest import Company, company
from tests.spark.session import NEEDS_SPARK

__all__ = ["company"]
pytestmark = NEEDS_SPARK
SECRET = "do-not-tell-4711"


def chunk_work(company: Company, folder: str, chunks: int, **extra: str) -> tuple[ChunkWork, ChunkLedger]:
    """Plan to read `people` whole, `chunks` times over: a DuckDB file is not cut."""
    contract = company.context().contract("crm.people")
    given = company.settings.connection("crm")
    connection = Connection(given.type, schema=given.schema, password=SECRET, extra={**given.extra, **extra})
    with open_source("crm", connection).snapshot() as snapshot:
        found, point = snapshot.catalog(contract), snapshot.fixed_point
    context = company.context()
    state = context.table(contract).state()
    plan = ChunkPlan(point, Window(), datetime(2026, 3, 1, tzinfo=UTC), (("key", None, None),) * chunks)
    stamp = Stamp(state.next_batch, "R", point.moment, point.sequence, plan.ingested_at)
    path = str(company.folder / "lake" / folder)
    work = ChunkWork(contract, connection, context.lake, path, plan, found, stamp, None)
    ledger = ChunkLedger(context.lake.filesystem, path)
    ledger.begin(plan)
    return work, ledger


def rows_of(read: StagedRead) -> tuple[Any, Any, Any]:
    bad = None if read.bad is None else pq.read_table(read.bad.path)
    return pq.read_table(read.arrived.path), bad, read.tally


def test_executors_stage_the_same_rows_quarantine_and_counts(company: Company, spark: Any) -> None:
    company.sql(
        "alter table people alter score type decimal(20,5)",
        "insert into people values (4, 'a name too long', -1, '2026-03-01 10:30:00'), (5, 'x', 1.23456, null)",
    )
    here = read_chunks(*chunk_work(company, "here", 3))

    there = read_chunks(*chunk_work(company, "there", 3), on_spark=True)

    assert len(here) == len(there) == 3
    for one, other in zip(here, there, strict=True):
        assert rows_of(one) == rows_of(other)
    assert there[2].tally.broken == {
        "name:max_length": 1, "score:minimum": 1, "score:type": 1, "changed_at:required": 1
    }  # fmt: skip


def test_chunks_that_are_read_already_are_not_read_again(company: Company, spark: Any) -> None:
    work, ledger = chunk_work(company, "again", 2)
    read_chunk(work, 0)
    before = ledger.finished(0)

    after = read_chunks(work, ledger, on_spark=True)

    assert before is not None
    assert after[0].arrived.path == before.arrived.path


def test_no_more_chunks_are_read_at_a_time_than_the_source_allows(company: Company, spark: Any, tmp_path: Path) -> None:
    from ingestion.lake.spark.chunk_source import read_on_executors

    read_on_executors("crm.people", range(6), partial(note_process, tmp_path), sessions=1)

    noted = [json.loads((tmp_path / f"{number}").read_text()) for number in range(6)]
    assert [begin for begin, _ in noted] == sorted(begin for begin, _ in noted)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(noted))


def note_process(folder: Path, number: int) -> None:
    begin = datetime.now(UTC).timestamp()
    time.sleep(0.1)
    (folder / str(number)).write_text(json.dumps([begin, datetime.now(UTC).timestamp()]))


def test_an_error_of_ours_arrives_as_what_it_is(company: Company, spark: Any) -> None:
    work, ledger = chunk_work(company, "gone", 2)
    company.file.rename(company.folder / "away.duckdb")

    with pytest.raises(SourceUnavailableError, match="there is no file"):
        read_chunks(work, ledger, on_spark=True)


def test_the_words_of_any_other_error_stay_on_the_executor(spark: Any, capfd: pytest.CaptureFixture[str]) -> None:
    from ingestion.lake.spark.chunk_source import read_on_executors

    with pytest.raises(
        IntegrityError, match=r"crm\.people: chunk 0 was not read: ValueError at test_executors\.py"
    ) as told:
        read_on_executors("crm.people", [0], say_a_value, sessions=1)

    assert SECRET not in str(told.value)
    assert SECRET not in "".join(capfd.readouterr())


def say_a_value(_: int) -> None:
    raise ValueError(SECRET)


def test_neither_plan_nor_option_tells_the_connection(
    company: Company, spark: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    work, ledger = chunk_work(company, "secret", 1)
    reader = type(spark.read)
    load, option = reader.load, reader.option
    plans: list[str] = []
    options: dict[str, str] = {}
    modes: list[int] = []

    def loaded(given: Any) -> Any:
        frame = load(given)
        plans.append(frame._jdf.queryExecution().toString())
        modes.append(stat.S_IMODE(Path(options["work"]).stat().st_mode))
        return frame

    def noted(given: Any, name: str, value: str) -> Any:
        options[name] = value
        return option(given, name, value)

    monkeypatch.setattr(reader, "load", loaded)
    monkeypatch.setattr(reader, "option", noted)

    read_chunks(work, ledger, on_spark=True)

    assert len(plans) == 1
    assert modes == [0o600]
    assert not Path(options["work"]).exists()
    assert SECRET not in plans[0] + str(options) + "".join(capfd.readouterr())


def test_an_executor_process_that_dies_ends_the_load(company: Company, spark: Any, tmp_path: Path) -> None:
    from ingestion.lake.spark.chunk_source import read_on_executors

    with pytest.raises(Exception, match=r"(?s)Python worker exited|crashed|Job aborted"):
        read_on_executors("crm.people", [0], die, sessions=1)


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
