from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.lake.statistics import file_statistics, indexed_columns


def bounds(tmp_path: Path, values: list[Any], type_: pa.DataType) -> tuple[Any, Any]:
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"c": pa.array(values, type_)}), path, row_group_size=1)
    found = json.loads(file_statistics(pq.read_metadata(path), ["c"]))
    return found["minValues"].get("c"), found["maxValues"].get("c")


@pytest.mark.parametrize(
    ("type_", "carries"),
    [
        (pa.decimal128(15, 4), True),
        (pa.decimal128(15, 5), False),
        (pa.decimal128(16, 2), False),
        (pa.decimal128(38, 0), False),
        (pa.int64(), True),
        (pa.float64(), False),
        (pa.binary(), False),
        (pa.timestamp("us"), True),
    ],
    ids=str,
)
def test_only_types_with_exact_bounds_are_indexed(type_: pa.DataType, carries: bool) -> None:
    assert (indexed_columns(pa.schema([("c", type_)])) == ["c"]) is carries


def test_excluded_columns_are_not_indexed() -> None:
    assert indexed_columns(pa.schema([("email", pa.string()), ("id", pa.int64())]), ["email"]) == ["id"]


def test_bounds_span_all_row_groups(tmp_path: Path) -> None:
    assert bounds(tmp_path, [5, None, 1, 9], pa.int64()) == (1, 9)


def test_moments_widen_to_whole_milliseconds(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 1, 0, 0, 0, 123456)

    assert bounds(tmp_path, [moment], pa.timestamp("us")) == ("2026-01-01 00:00:00.123", "2026-01-01 00:00:00.124")


def test_the_last_moment_there_is_stays_itself(tmp_path: Path) -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, 999999)

    assert bounds(tmp_path, [last], pa.timestamp("us"))[1] == "9999-12-31 23:59:59.999"


@pytest.mark.parametrize(
    ("text", "highest"),
    [
        ("x" * 64, "x" * 64),
        ("x" * 65, "x" * 63 + "y"),
        ("x" * 60 + "\U0010ffff" * 9, "x" * 59 + "y"),
        ("\ud7ff" * 65, "\ud7ff" * 63 + "\ue000"),
        ("\U0010ffff" * 65, "\U0010ffff" * 65),
        ("x" * 5_000, "\U0010ffff" * 64),  # which no footer tells
    ],
)
def test_long_texts_are_cut_and_the_maximum_is_not_less_than_they_are(tmp_path: Path, text: str, highest: str) -> None:
    least, greatest = bounds(tmp_path, [text], pa.string())

    assert (greatest, least <= text <= greatest) == (highest, True)


def test_no_text_is_written_as_an_escape_that_arrow_misreads(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"\U00020bb7": ["\U00020bb7"]}), path)

    assert "\\u" not in file_statistics(pq.read_metadata(path), ["\U00020bb7"])


def test_days_that_python_does_not_know_carry_no_bounds(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"c": pa.array([0, 2**31 - 1], pa.int32()).cast(pa.date32())}), path)

    assert json.loads(file_statistics(pq.read_metadata(path), ["c"]))["minValues"] == {}


def test_a_column_without_statistics_in_one_row_group_carries_none(tmp_path: Path) -> None:
    """Bounds of the others would leave out its rows."""
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"c": [1, 2]}), path, row_group_size=1)
    footer = pq.read_metadata(path)
    pq.write_table(pa.table({"c": [3]}), path, write_statistics=False)
    footer.append_row_groups(pq.read_metadata(path))

    told = json.loads(file_statistics(footer, ["c"]))

    assert (told["numRecords"], told["minValues"], told["nullCount"]) == (3, {}, {})


def test_dates_and_small_decimals_are_written_exactly(tmp_path: Path) -> None:
    assert bounds(tmp_path, [date(1, 1, 1)], pa.date32())[0] == "0001-01-01"
    assert bounds(tmp_path, [Decimal("-9999999999999.99")], pa.decimal128(15, 2))[0] == -9999999999999.99
