"""A column takes another type: the same rows, batches and bounds for every reader, or nothing at all."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from ingestion.errors import ConcurrentWriteError, IntegrityError, LakeError
from ingestion.lake import duck
from ingestion.lake.base import APPEND_ONLY, Commit, StagedFile
from ingestion.lake.embedded import retype
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.embedded.parquet_files import FileWriter
from ingestion.lake.statistics import file_statistics, indexed_columns

ENGINE = DeltaRs()


def make(uri: str, type_: pa.DataType, *values: Any, append_only: bool = True, partition: str | None = None) -> None:
    """Make a table of a file per value, a batch each; `v` has the type, `id` counts, `day` is a partition's."""
    schema = pa.schema([("id", pa.int64()), ("v", type_), ("_batch", pa.int64()), ("day", pa.string())])
    ENGINE.create(uri, schema, append_only=append_only, partition_by=[partition] if partition else [])
    for batch, value in enumerate(values, start=1):
        publish(uri, batch, schema, value, partition)


def publish(uri: str, batch: int, schema: pa.Schema, value: Any, partition: str | None = None) -> None:
    stored = pa.schema([field for field in schema if field.name != partition])
    row = {"id": batch, "v": value, "_batch": batch, "day": "d"}
    name = f"part-{batch}.parquet"
    pq.write_table(pa.Table.from_pylist([row], stored), f"{uri}/{name}")
    statistics = file_statistics(pq.read_metadata(f"{uri}/{name}"), indexed_columns(stored))
    size = Path(f"{uri}/{name}").stat().st_size
    file = StagedFile(name, 1, size, statistics, {partition: "d"} if partition else {})
    ENGINE.publish(uri, [file], commit=Commit("bronze/crm/people", batch, {"watermark": f"w{batch}"}))


def values(uri: str) -> list[Any]:
    with duck.connect() as connection:
        return [row[0] for row in connection.execute(f"select v from {duck.scan(uri)} order by id").fetchall()]


EXACT = [
    pytest.param(pa.int32(), pa.int64(), [2**31 - 1, -(2**31), None], None, id="int to bigint"),
    pytest.param(pa.int64(), pa.decimal128(38, 4), [10**18 - 1, None], [Decimal(10**18 - 1), None], id="int to decimal"),
    pytest.param(pa.decimal128(5, 0), pa.decimal128(12, 2), [Decimal(99999), None], None, id="more digits"),
    pytest.param(pa.decimal128(30, 10), pa.decimal128(38, 10), [Decimal("12345678901234567890.0123456789")], None, id="all digits"),
    pytest.param(pa.decimal128(12, 2), pa.int64(), [Decimal("7.00")], [7], id="decimal to int"),
    pytest.param(pa.float32(), pa.float64(), [0.5, float("-inf"), None], None, id="float to double"),
    pytest.param(pa.date32(), pa.timestamp("us"), [date(1, 1, 1), date(9999, 12, 31)], [datetime(1, 1, 1), datetime(9999, 12, 31)], id="day to moment"),
    pytest.param(pa.int64(), pa.string(), [-5, None], ["-5", None], id="int to text"),
    pytest.param(pa.decimal128(9, 2), pa.string(), [Decimal("1.10")], ["1.10"], id="decimal to text"),
    pytest.param(pa.string(), pa.decimal128(18, 4), ["1.5", "-.25", None], [Decimal("1.5"), Decimal("-.25"), None], id="text to decimal"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "before", "after"), EXACT)
def test_rows_batches_and_properties_stay_what_they_are(
    tmp_path: Path, old: pa.DataType, new: pa.DataType, before: list[Any], after: list[Any] | None
) -> None:
    uri = str(tmp_path / "t")
    make(uri, old, *before)

    assert ENGINE.retype(uri, {"v": new}) == {}

    table = DeltaTable(uri)
    assert values(uri) == (after or before)
    assert pa.table(table.to_pyarrow_table()).sort_by("id").column("v").to_pylist() == (after or before)
    assert ENGINE.schema(uri).field("v").type == new
    assert ENGINE.tip(uri, "bronze/crm/people").batch == len(before)
    assert (ENGINE.last_metadata(uri, "bronze/crm/people") or {})["watermark"] == f"w{len(before)}"
    assert table.metadata().configuration[APPEND_ONLY] == "true"
    protocol = table.protocol()
    assert {*(protocol.writer_features or [])} <= {"appendOnly", "timestampNtz"}
    assert protocol.writer_features is None or "appendOnly" in protocol.writer_features
    assert {str(pq.read_schema(f"{uri}/{file.path}").field("v").type) for file in files(uri)} == {str(new)}


def files(uri: str) -> Any:
    return ENGINE.snapshot(uri, expected_version=ENGINE.version(uri)).files


@pytest.mark.parametrize(
    ("old", "new", "bad"),
    [
        (pa.int64(), pa.int32(), 2**31),
        (pa.decimal128(12, 2), pa.decimal128(12, 1), Decimal("0.01")),
        (pa.decimal128(12, 2), pa.int64(), Decimal("0.50")),
        (pa.float64(), pa.float32(), 0.1),
        (pa.timestamp("us"), pa.date32(), datetime(2026, 1, 1, 0, 0, 0, 1)),
        (pa.string(), pa.int64(), "1.5"),
        (pa.string(), pa.decimal128(10, 2), "1e2"),
        (pa.string(), pa.decimal128(10, 2), "1.005"),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_counted_and_nothing_is_committed(
    tmp_path: Path, old: pa.DataType, new: pa.DataType, bad: Any
) -> None:
    uri = str(tmp_path / "t")
    make(uri, old, bad, None)

    assert ENGINE.retype(uri, {"v": new}) == {"v": 1}
    assert (ENGINE.version(uri), values(uri)) == (2, [bad, None])


def test_all_files_are_swapped_in_one_commit_and_other_columns_keep_their_bounds(tmp_path: Path) -> None:
    uri = str(tmp_path / "t")
    make(uri, pa.int32(), 1, 2, 3)

    ENGINE.retype(uri, {"v": pa.decimal128(20, 2)})

    swapped = DeltaTable(uri, version=4)
    assert ENGINE.version(uri) == 5
    assert len(swapped.file_uris()) == 3
    actions = pa.table(swapped.get_add_actions(flatten=True))
    assert sorted(actions.column("min.id").to_pylist()) == [1, 2, 3]
    assert "min.v" not in actions.column_names or actions.column("min.v").null_count == 3
    assert "v" not in ENGINE.snapshot(uri, expected_version=5).indexed


@pytest.mark.parametrize(
    ("old", "new", "least"),
    [(pa.int32(), pa.int64(), -(2**31)), (pa.decimal128(5, 0), pa.decimal128(12, 2), Decimal(-99999))],
    ids=str,
)
def test_bounds_that_read_alike_under_both_types_are_kept(
    tmp_path: Path, old: pa.DataType, new: pa.DataType, least: Any
) -> None:
    """delta-rs tells pyarrow that a file without bounds of a column that others have holds nothing."""
    uri = str(tmp_path / "t")
    make(uri, old, least, 1)

    ENGINE.retype(uri, {"v": new})

    found = DeltaTable(uri).to_pyarrow_dataset().to_table(filter=pc.field("v") == pa.scalar(least, new))
    assert found.column("id").to_pylist() == [1]


def test_files_that_lack_a_younger_column_and_files_of_a_partition_are_retyped(tmp_path: Path) -> None:
    uri = str(tmp_path / "t")
    make(uri, pa.int32(), 1, 2, partition="day")
    ENGINE.add_columns(uri, [pa.field("later", pa.int32())])

    ENGINE.retype(uri, {"v": pa.int64(), "later": pa.int64()})

    assert values(uri) == [1, 2]
    assert [file.partition_values for file in files(uri)] == [{"day": "d"}] * 2
    assert ENGINE.schema(uri).field("later").type == pa.int64()
    with pytest.raises(LakeError, match="whose type cannot change"):
        ENGINE.retype(uri, {"day": pa.int64()})


@pytest.mark.parametrize("append_only", [True, False])
def test_who_commits_in_between_is_not_written_over(
    tmp_path: Path, append_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = str(tmp_path / "t")
    make(uri, pa.int32(), 1, append_only=append_only)
    write = retype.retyped_files

    def slowly(*given: Any) -> Any:
        written = write(*given)
        publish(uri, 2, ENGINE.schema(uri), None)
        return written

    monkeypatch.setattr("ingestion.lake.embedded.engine.retyped_files", slowly)

    with pytest.raises(ConcurrentWriteError):
        ENGINE.retype(uri, {"v": pa.int64()})
    assert values(uri) == [1, None]
    assert ENGINE.schema(uri).field("v").type == pa.int32()


def test_a_row_that_is_written_otherwise_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = str(tmp_path / "t")
    make(uri, pa.int32(), 1, 2)
    write = FileWriter.write_one

    def spoiled(self: FileWriter, rows: str, **given: Any) -> Any:
        return write(self, rows.replace("try_cast", "1 + try_cast", 1), **given)

    monkeypatch.setattr(FileWriter, "write_one", spoiled)

    with pytest.raises(IntegrityError, match="after its types were changed"):
        ENGINE.retype(uri, {"v": pa.int64()})
    assert (ENGINE.version(uri), values(uri)) == (2, [1, 2])


def test_an_empty_table_takes_another_type(tmp_path: Path) -> None:
    uri = str(tmp_path / "t")
    make(uri, pa.int32())

    assert ENGINE.retype(uri, {"v": pa.timestamp("us")}) == {}
    assert ENGINE.schema(uri).field("v").type == pa.timestamp("us")
