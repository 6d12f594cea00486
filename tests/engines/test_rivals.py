"""Two loads of one table at once: what one of them committed, the other does not commit again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from ingestion.bronze.table import BronzeTable
from ingestion.errors import ConcurrentWriteError
from ingestion.load.load_table import load_table
from ingestion.load.publish import publish
from tests.engines.conftest import ON_BOTH_ENGINES_IN_THE_LONG_FORM, Company

PEOPLE = "crm.people"


@ON_BOTH_ENGINES_IN_THE_LONG_FORM
@pytest.mark.parametrize("is_bad", [True, False], ids=["with a bad row", "with good rows alone"])
def test_a_load_that_looks_between_the_two_commits_of_another_doubles_no_row(
    company: Company, monkeypatch: pytest.MonkeyPatch, is_bad: bool
) -> None:
    """The rival begins after the quarantine commit and before Bronze's, and commits after both."""
    name = "a name too long" if is_bad else "Dan"
    company.sql(f"insert into people values (4, '{name}', 1, '2026-03-01 10:30:00')")
    committed, rivals = threading.Event(), list[Future[Any]]()
    honest: Callable[..., Any] = BronzeTable.publish

    def first(table: BronzeTable, uri: str, *given: Any, **named: Any) -> Any:
        if uri == table.uri and not rivals:
            waiting = threading.Event()
            rivals.append(pool.submit(load, waiting))
            assert waiting.wait(60)
        return honest(table, uri, *given, **named)

    def load(waiting: threading.Event) -> None:
        def last(*given: Any, **named: Any) -> Any:
            waiting.set()
            assert committed.wait(60)
            return publish(*given, **named)

        with monkeypatch.context() as patch:
            patch.setattr("ingestion.load.attempt.publish", last)
            load_table(company.context("rival"), PEOPLE)

    monkeypatch.setattr(BronzeTable, "publish", first)
    with ThreadPoolExecutor(1) as pool:
        load_table(company.context(), PEOPLE)
        committed.set()
        with pytest.raises(ConcurrentWriteError, match="Run it again"):
            rivals[0].result()

    load_table(company.context(), PEOPLE)
    found = company.lake("select id, count(*) from bronze.crm__people group by 1 order by 1")
    assert found == [(number, 1) for number in range(1, 4 if is_bad else 5)]
    entries = company.lake("select id, count(*) from quarantine.crm__people group by 1")
    assert entries == ([("4", 1)] if is_bad else [])
