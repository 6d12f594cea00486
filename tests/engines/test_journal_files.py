"""How many files the ledger has after many steps, and that no row of it is lost or doubled on the way."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from ingestion.errors import LakeError
from ingestion.lake.embedded import compaction
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import create_lake, lake_at
from ingestion.ledger.journal import Journal
from tests.examples import LONG

_WRITERS, _STEPS, _FEW = (3, 40, 40) if LONG else (2, 25, 30)


def note(root: str, writer: int, steps: int) -> None:
    journal = Journal(lake_at(root), DeltaRs())
    for step in range(steps):
        journal.append("runs", [{"run_id": f"{writer}-{step}", "step": "load", "subject": "crm.people"}])


def files(root: str) -> list[int]:
    engine, uri = DeltaRs(), lake_at(root).uri("ops", "runs")
    return [file.rows or 0 for file in engine.snapshot(uri, expected_version=engine.version(uri)).files]


def test_writers_at_once_lose_and_double_no_row_and_leave_few_files(tmp_path: Path) -> None:
    root = create_lake(tmp_path / "lake").root
    Journal(lake_at(root), DeltaRs()).create()
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=note, args=(root, writer, _STEPS)) for writer in range(_WRITERS)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    note(root, _WRITERS, 20)  # alone: what was left to a later step is done

    assert [process.exitcode for process in writers] == [0] * _WRITERS
    rows = Journal(lake_at(root), DeltaRs()).select("select run_id from ops.runs order by 1")
    expected = sorted(f"{w}-{s}" for w in range(_WRITERS + 1) for s in range(20 if w == _WRITERS else _STEPS))
    assert [row["run_id"] for row in rows] == expected
    assert len(files(root)) < _FEW


def test_a_row_is_written_anew_once_per_size_of_file_and_not_at_every_compaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alike = 4 if LONG else 3
    rows = alike**3
    monkeypatch.setattr(compaction, "ALIKE", alike)
    monkeypatch.setattr("ingestion.ledger.journal.COMPACTION_EVERY", 2)
    root = create_lake(tmp_path / "lake").root
    written: list[int] = []
    swap = DeltaRs.replace

    def counted(engine: DeltaRs, uri: str, removed: list[object], added: list[object], **options: object) -> int:
        written.extend(file.rows for file in added)  # type: ignore[attr-defined]
        return swap(engine, uri, removed, added, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(DeltaRs, "replace", counted)
    note(root, 1, rows)

    assert len(files(root)) <= 3 * alike
    assert sum(files(root)) == rows
    assert sum(written) <= rows * 3  # a row is in three files at most, one after the other


def test_a_compaction_that_fails_does_not_fail_the_step_whose_row_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root = create_lake(tmp_path / "lake").root

    def fail(*_: object, **__: object) -> int:
        raise LakeError("no room")

    monkeypatch.setattr(DeltaRs, "compact_by_size", fail)
    note(root, 1, 20)

    assert sum(files(root)) == 20
    assert "the ledger was written, and its files could not be compacted: no room" in caplog.text
