"""Oracle and SQL Server read by Spark's executors: the source tests' own promises, kept on the other engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ingestion.load.load_table import load_table
from ingestion.runs import context
from ingestion.runs.context import Context
from ingestion.settings import Settings
from tests.examples import LONG_FORM
from tests.sources import test_oracle_chunks, test_sqlserver_load
from tests.sources.oracle_fixtures import OracleDesk, oracle
from tests.sources.sqlserver_fixtures import Desk, desk
from tests.spark.session import NEEDS_SPARK

__all__ = ["desk", "oracle"]
pytestmark = NEEDS_SPARK


@pytest.fixture
def lanes(spark: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Turn the source tests to Spark; holds how many chunks went to executors in each read."""
    from ingestion.lake.spark import chunk_source

    honest, asked = chunk_source.read_on_executors, []

    def watched(subject: str, chunks: Any, read: Callable[[int], object], *, sessions: int) -> None:
        asked.append(len(chunks))
        honest(subject, chunks, read, sessions=sessions)

    def opened(settings: Settings, run_id: str | None = None) -> Context:
        return context.open_context(replace(settings, engine="spark"), run_id)

    monkeypatch.setattr(chunk_source, "read_on_executors", watched)
    monkeypatch.setattr(test_oracle_chunks, "open_context", opened)
    return asked


def test_chunks_of_oracle_are_one_state_on_executors(oracle: OracleDesk, lanes: list[int]) -> None:
    test_oracle_chunks.test_a_table_in_chunks_is_the_table_in_one_stream(oracle, "3")

    assert lanes[0] == 7


@LONG_FORM
def test_a_full_reload_of_oracle_on_executors_appends_only_what_differs(oracle: OracleDesk, lanes: list[int]) -> None:
    test_oracle_chunks.test_a_full_reload_in_chunks_appends_only_what_differs_and_sees_deletes(oracle)

    assert len(lanes) == 2


@LONG_FORM
def test_a_first_load_of_sqlserver_on_executors_is_followed_by_what_changed(desk: Desk, lanes: list[int]) -> None:
    table, contract_id, embedded = test_sqlserver_load.tracked(desk, 1000, chunkRows="300")
    opened = context.open_context(replace(embedded.settings, engine="spark"))

    first = load_table(opened, contract_id)
    desk.sql(f"DELETE FROM {table} WHERE id = 7")
    second = load_table(opened, contract_id)

    assert lanes == [4]
    assert (first.appended, second.deleted, second.appended) == (1000, 1, 0)
    assert [key for key, _ in test_sqlserver_load.live(opened, contract_id)] == [n for n in range(1, 1001) if n != 7]
