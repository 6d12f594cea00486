"""Compaction and vacuum change files only: never a row, never a batch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from ingestion.errors import ConcurrentWriteError
from ingestion.lake import duck
from ingestion.lake.base import Commit, Snapshot, StagedFile
from ingestion.lake.embedded import compaction
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.statistics import file_statistics, indexed_columns

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])
ENGINE = DeltaRs()


def publish(uri: str, batch: int, rows: pa.Table, values: dict[str, str | None] | None = None) -> None:
    path = Path(uri) / f"part-{batch}.parquet"
    pq.write_table(rows, path)
    footer = pq.read_metadata(path)
    statistics = file_statistics(footer, indexed_columns(rows.schema))
    file = StagedFile(path.name, rows.num_rows, path.stat().st_size, statistics, values or {})
    ENGINE.publish(uri, [file], commit=Commit("bronze/crm/people", batch, {"watermark": f"w{batch}"}))


def people(*ids: int) -> pa.Table:
    return pa.table({"id": list(ids), "name": [f"n{i}" for i in ids]}, schema=SCHEMA)


def rows(uri: str) -> list[tuple[Any, ...]]:
    with duck.connect() as connection:
        return connection.execute(f"select * from {duck.scan(uri)} order by id").fetchall()


def snapshot(uri: str) -> Snapshot:
    return ENGINE.snapshot(uri, expected_version=ENGINE.version(uri))


@pytest.fixture
def table(tmp_path: Path) -> str:
    """Ten batches of two rows, a file each, in a table that only grows."""
    uri = str(tmp_path / "people")
    ENGINE.create(uri, SCHEMA, append_only=True)
    for batch in range(1, 11):
        publish(uri, batch, people(batch, 100 + batch))
    return uri


def test_small_files_become_one_with_the_same_rows(table: str) -> None:
    before = rows(table)

    assert ENGINE.compact(table, order_by=["id"]) == 10
    (file,) = snapshot(table).files
    assert (rows(table), file.rows) == (before, 20)
    assert [row["id"] for row in pq.read_table(Path(table) / file.path).to_pylist()] == sorted(row[0] for row in before)


def test_batches_and_their_metadata_stay_known(table: str) -> None:
    ENGINE.compact(table)

    assert ENGINE.tip(table, "bronze/crm/people").batch == 10
    assert (ENGINE.last_metadata(table, "bronze/crm/people") or {})["watermark"] == "w10"


def test_a_table_of_few_or_big_files_is_left_alone(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ENGINE.compact(table)
    version = ENGINE.version(table)
    assert ENGINE.compact(table) == 0

    monkeypatch.setattr(compaction, "ENOUGH", 1)
    monkeypatch.setattr(compaction, "file_rows", lambda columns: 40)
    assert ENGINE.compact(table) == 0
    assert ENGINE.version(table) == version


def test_files_older_than_a_column_are_compacted_with_those_that_have_it(table: str) -> None:
    ENGINE.add_columns(table, [pa.field("city", pa.string())])
    ENGINE.compact(table)
    publish(table, 11, people(11).append_column("city", pa.array(["Recife"])))

    for batch in range(12, 20):
        publish(table, batch, people(batch).append_column("city", pa.array(["Natal"])))
    ENGINE.compact(table)

    assert [row[2] for row in rows(table) if row[0] in (1, 11, 12)] == [None, "Recife", "Natal"]


def test_partitions_are_compacted_apart(tmp_path: Path) -> None:
    uri = str(tmp_path / "parted")
    ENGINE.create(uri, SCHEMA, partition_by=["name"])
    for batch in range(1, 18):
        rows_ = people(batch).drop_columns(["name"])
        publish(uri, batch, rows_, {"name": "even" if batch % 2 == 0 else None})

    assert ENGINE.compact(uri) == 17
    assert sorted((f.partition_values["name"] or "", f.rows) for f in snapshot(uri).files) == [("", 9), ("even", 8)]
    assert [row for row in rows(uri) if row[0] < 3] == [(1, None), (2, "even")]


def test_of_two_compactions_at_once_one_is_refused(table: str) -> None:
    before = rows(table)
    seen_by_both = snapshot(table)
    with duck.connect() as connection:
        compaction.compact_files(ENGINE, connection, seen_by_both)
        with pytest.raises(ConcurrentWriteError):
            compaction.compact_files(ENGINE, connection, seen_by_both)

    assert rows(table) == before


def test_a_load_that_commits_during_a_compaction_loses_nothing(table: str) -> None:
    seen = snapshot(table)
    publish(table, 11, people(11))
    with duck.connect() as connection, pytest.raises(ConcurrentWriteError):
        compaction.compact_files(ENGINE, connection, seen)

    assert len(rows(table)) == 21


def test_files_that_do_not_add_up_are_not_committed(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingestion.errors import IntegrityError

    whole = compaction._rows_of
    monkeypatch.setattr(compaction, "_rows_of", lambda *given: f"select * from ({whole(*given)}) where id <> 3")

    with pytest.raises(IntegrityError, match="20 rows are in the files to compact, 19 in the new ones"):
        ENGINE.compact(table)
    assert len(rows(table)) == 20


def _age(folder: Path) -> Iterator[Path]:
    import os

    for path in folder.rglob("*.parquet"):
        os.utime(path, (0, 0))
        yield path


def test_vacuum_deletes_what_no_version_names_and_keeps_staging(table: str) -> None:
    folder = Path(table)
    (folder / "_staging" / "plan-1").mkdir(parents=True)
    for name in ("part-orphan.parquet", "_staging/plan-1/arrived.parquet"):
        pq.write_table(people(9), folder / name)
    list(_age(folder))

    assert ENGINE.vacuum(table, keep=timedelta(days=7)) == 1
    assert not (folder / "part-orphan.parquet").exists()
    assert (folder / "_staging" / "plan-1" / "arrived.parquet").exists()
    assert len(rows(table)) == 20


def test_vacuum_keeps_what_recent_versions_name(table: str) -> None:
    ENGINE.compact(table)

    assert ENGINE.vacuum(table, keep=timedelta(days=7)) == 0
    assert DeltaTable(table, version=10).count() == 20


def test_vacuum_of_a_clean_table_makes_no_commit(table: str) -> None:
    version = ENGINE.version(table)

    ENGINE.vacuum(table, keep=timedelta(days=7))

    assert ENGINE.version(table) == version
