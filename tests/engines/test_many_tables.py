"""What the tables of one command share: sessions on their sources, writes to the ledger, instances of DuckDB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.errors import LakeError, SourceUnavailableError
from ingestion.lake import duck
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import create_lake, lake_at
from ingestion.ledger import journal as ledger
from ingestion.ledger.journal import Journal
from ingestion.load.load_table import load_table
from ingestion.settings import Connection
from ingestion.sources.duckdb import DuckDbSource
from ingestion.sources.kept_sessions import keeping_sessions, session_of
from tests.engines.conftest import Company

TABLES = ("crm.cities", "crm.people")


@pytest.fixture
def root(tmp_path: Path) -> str:
    root = create_lake(tmp_path / "lake").root
    Journal(lake_at(root), DeltaRs()).create()
    return root


def noted(root: str) -> list[str]:
    """Return the steps that another process finds in the ledger."""
    return [row["step"] for row in Journal(lake_at(root), DeltaRs()).select("select step from ops.runs order by 1")]


def versions(root: str) -> int:
    return DeltaRs().version(lake_at(root).uri("ops", "runs"))


def test_gathered_rows_are_read_at_once_and_written_in_one_commit(root: str) -> None:
    journal, before = Journal(lake_at(root), DeltaRs(keeps_open=True)), versions(root)
    journal.append("runs", [{"step": "a"}])

    with journal.gathering():
        for step in ("b", "c"):
            journal.append("runs", [{"step": step}])
        read = [row["step"] for row in journal.select("select step from ops.runs order by 1")]
        seen_by_others = noted(root)

    assert (read, seen_by_others, noted(root)) == (["a", "b", "c"], ["a"], ["a", "b", "c"])
    assert versions(root) == before + 2


def test_gathered_rows_are_written_when_the_block_ends_with_an_error(root: str) -> None:
    journal = Journal(lake_at(root), DeltaRs(keeps_open=True))

    def stopped() -> None:
        with journal.gathering():
            journal.append("runs", [{"step": "a"}])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()

    assert noted(root) == ["a"]


@pytest.mark.parametrize("step", ["append", "compact_by_size"])
def test_rows_are_written_once_though_a_write_or_a_compaction_failed(
    root: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(ledger, "WRITE_EVERY", 0.0)
    monkeypatch.setattr(ledger, "COMPACTION_EVERY", 1)
    journal, work = Journal(lake_at(root), DeltaRs(keeps_open=True)), getattr(DeltaRs, step)

    with journal.gathering():
        monkeypatch.setattr(DeltaRs, step, lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            journal.append("runs", [{"step": "a"}])
        monkeypatch.setattr(DeltaRs, step, work)
        journal.append("runs", [{"step": "b"}])

    assert noted(root) == ["a", "b"]


def test_rows_of_a_write_that_failed_half_way_are_read_and_written_once(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, append = Journal(lake_at(root), DeltaRs(keeps_open=True)), DeltaRs.append
    is_broken = True

    def broken(engine: DeltaRs, uri: str, rows: Any) -> None:
        if is_broken and uri.endswith("gaps"):
            raise ZeroDivisionError
        append(engine, uri, rows)

    monkeypatch.setattr(DeltaRs, "append", broken)
    with journal.gathering():
        journal.append("runs", [{"step": "a"}])
        journal.select("select step from ops.runs")
        monkeypatch.setattr(ledger, "WRITE_EVERY", 0.0)
        with pytest.raises(ZeroDivisionError):
            journal.append("gaps", [{"run_id": "a"}])
        steps = [row["step"] for row in journal.select("select step from ops.runs")]
        is_broken = False

    written = Journal(lake_at(root), DeltaRs()).select("select run_id from ops.gaps")
    assert (steps, noted(root), written) == (["a"], ["a"], [{"run_id": "a"}])


def test_a_ledger_that_cannot_be_written_at_the_end_is_told(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(lake_at(root), DeltaRs(keeps_open=True))

    def broken() -> None:
        with journal.gathering():
            journal.append("runs", [{"step": "a"}])
            monkeypatch.setattr(DeltaRs, "append", lambda *_: 1 / 0)

    with pytest.raises(LakeError, match=r"What the steps did stays\. .*\(ZeroDivisionError\)"):
        broken()


def test_tables_of_a_command_share_a_session_which_is_closed_at_its_end(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[DuckDbSource] = []
    connect = DuckDbSource._open

    def counted(source: DuckDbSource) -> duckdb.DuckDBPyConnection:
        opened.append(source)
        return connect(source)

    monkeypatch.setattr(DuckDbSource, "_open", counted)
    context = company.context()

    results, failed = context.each_table(TABLES, lambda contract_id: load_table(context, contract_id))

    assert ([result.contract_id for result in results], failed, len(opened)) == ([*TABLES], [], 1)
    company.sql("insert into people values (7, 'Ida', 3, '2026-03-01 11:00:00')")  # the file is free for its writer
    assert company.lake("select count(*) from ops.runs where step = 'load'") == [(2,)]


class Session:
    """A session that counts its resets and may be lost."""

    def __init__(self) -> None:
        self.resets, self.is_lost, self.is_closed = 0, False, False

    def reset(self) -> None:
        self.resets += 1
        if self.is_lost:
            raise SourceUnavailableError("erp: lost")

    def close(self) -> None:
        self.is_closed = True


def used(system: str = "erp") -> Any:
    return session_of(
        system, Connection("oracle"), open_session=lambda _: Session(), reset=Session.reset, close=Session.close
    )


def test_a_kept_session_serves_one_user_at_a_time_of_its_own_system() -> None:
    with keeping_sessions():
        with used() as first, used() as second, used("crm") as other:
            assert len({id(first), id(second), id(other)}) == 3
        with used() as again:
            assert again in (first, second)
            assert again.resets == 2
        assert not first.is_closed

    assert [session.is_closed for session in (first, second, other)] == [True, True, True]


def test_a_session_is_not_kept_after_an_error_nor_when_it_was_lost() -> None:
    with keeping_sessions():
        with pytest.raises(KeyError), used() as failed:
            raise KeyError
        with used() as lost:
            pass
        lost.is_lost = True
        with used() as fresh:
            assert (failed.is_closed, lost.is_closed) == (True, True)
            assert fresh not in (failed, lost)


def test_a_session_that_is_lost_after_its_work_does_not_undo_that_work() -> None:
    with keeping_sessions():
        with used() as lost:
            lost.is_lost = True
        assert lost.is_closed
        with used() as fresh:
            assert fresh is not lost


def test_without_a_command_of_many_tables_a_session_is_closed_at_once() -> None:
    with used() as session:
        assert not session.is_closed

    assert session.is_closed


def test_a_session_of_duckdb_finds_nothing_of_the_one_before(tmp_path: Path) -> None:
    with duck.session(str(tmp_path), memory_limit="300MB") as first:
        first.execute("create table t as select 1 as a; create schema ops; create table ops.t as select 1")
        first.execute(f"attach '{tmp_path}/other.duckdb' as other")
        limited = first.execute("select current_setting('memory_limit')").fetchone()

    with duck.session(str(tmp_path)) as second:
        assert second.execute("select count(*) from duckdb_tables()").fetchone() == (0,)
        assert ("other",) not in second.execute("select database_name from duckdb_databases()").fetchall()
        assert second.execute("select current_setting('memory_limit')").fetchone() != limited


def test_no_session_uses_an_instance_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(duckdb.CatalogException), duck.session(str(tmp_path)) as failed:
        failed.execute("set threads = 1; select * from nowhere")

    with pytest.raises(duckdb.ConnectionException):
        failed.execute("select 1")
    with duck.session(str(tmp_path)) as next_one:
        assert next_one.execute("select 1").fetchone() == (1,)
