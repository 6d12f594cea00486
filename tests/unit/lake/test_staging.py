"""Staged files: a column that has one value in all rows is a column like any other to every reader."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from ingestion.errors import IntegrityError
from ingestion.lake import staging
from ingestion.lake.staging import ParquetFile, ParquetStage

INSTANT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("n", pa.int64()),
        ("small", pa.int16()),
        ("amount", pa.decimal128(12, 2)),
        ("at", pa.timestamp("us")),
        ("blob", pa.binary()),
        ("op", pa.string()),
        ("batch", pa.int64()),
        ("ingested", INSTANT),
        ("name", pa.string()),
    ]
)
SHARED = {
    "op": pa.scalar("U", pa.string()),
    "batch": pa.scalar(7, pa.int64()),
    "ingested": pa.scalar(datetime(2026, 3, 1, tzinfo=UTC), INSTANT),
}


def varying(rows: int, first: int = 0) -> pa.RecordBatch:
    numbers = pa.array(range(first, first + rows), pa.int64())
    columns = {
        "n": numbers,
        "small": numbers.cast(pa.int16()),
        "amount": pa.array([Decimal(n) / 4 for n in range(rows)], pa.decimal128(12, 2)),
        "at": numbers.view(pa.timestamp("us")),
        "blob": pa.array([b"\0%d" % n for n in range(rows)], pa.binary()),
        "name": pa.array([None if n % 3 else f"name {n % 2}" for n in range(rows)], pa.string()),
    }
    schema = pa.schema([field for field in SCHEMA if field.name not in SHARED])
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def stage(folder: Path, batches: list[pa.RecordBatch]) -> ParquetFile:
    with ParquetStage(pafs.LocalFileSystem(), f"{folder}/rows.parquet", SCHEMA, shared=SHARED) as opened:
        opened.write_all(batches)
        return opened.close()


def test_shared_columns_are_read_in_every_row_group_as_if_they_had_been_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "ROW_GROUP_ROWS", 100)
    batches = [varying(60, first) for first in range(0, 300, 60)]

    file = stage(tmp_path, batches)

    rows = pa.Table.from_batches(batches)
    for name, value in SHARED.items():
        rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
    expected = rows.select(SCHEMA.names)
    assert file.footer.num_row_groups == 3
    assert file.footer.schema.to_arrow_schema().equals(SCHEMA)
    assert pq.read_table(file.path).equals(expected)
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        found = connection.execute(f"from read_parquet('{file.path}')").to_arrow_table()
    assert found.cast(SCHEMA).equals(expected)


def test_a_file_without_rows_has_all_columns(tmp_path: Path) -> None:
    file = stage(tmp_path, [])

    assert pq.read_table(file.path).equals(SCHEMA.empty_table())


def test_a_batch_that_brings_a_shared_column_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    batch = varying(3)

    with pytest.raises(IntegrityError, match="a batch has other columns"):
        stage(tmp_path, [batch, batch.append_column("op", pa.array(["D", "D", "D"]))])

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("texts", "has_dictionary"), [(["a", "b"] * 500, True), ([str(n) for n in range(1000)], False)]
)
def test_texts_that_recur_get_a_dictionary_and_others_do_not(
    tmp_path: Path, texts: list[str], has_dictionary: bool
) -> None:
    batch = pa.record_batch({"c": pa.array(texts, pa.string())})
    with ParquetStage(pafs.LocalFileSystem(), f"{tmp_path}/rows.parquet", batch.schema) as opened:
        opened.write(batch)
        file = opened.close()

    assert file.footer.row_group(0).column(0).has_dictionary_page is has_dictionary
    assert pq.read_table(file.path)["c"].to_pylist() == texts
