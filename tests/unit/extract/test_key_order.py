"""Keys that ascend are distinct; whatever else comes is counted, never taken for distinct."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.contracts.model import Column, Contract, Mode
from ingestion.extract.key_order import KeyOrder, lie_apart

Rows = list[tuple[int | None, str | None]]


def order_of(batches: list[Rows], *types: pa.DataType) -> bool:
    """Return whether the keys of batches are found to ascend."""
    names = ("a", "b")[: len(types)]
    columns = tuple(
        Column(name, name, "x", "x", type_, key_position=at)
        for at, (name, type_) in enumerate(zip(names, types, strict=True), 1)
    )
    order = KeyOrder(
        Contract("s.t", "1.0.0", "s", "t", "duckdb", ("t",), columns, timezone="UTC", silver_model="x", mode=Mode.FULL)
    )
    for rows in batches:
        arrays = [pa.array([row[at] for row in rows], type_) for at, type_ in enumerate(types)]
        order.add(pa.RecordBatch.from_arrays(arrays, names))
    return order.ascends


def footer(keys: pa.Array) -> pq.FileMetaData:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"other": pa.nulls(len(keys), pa.string()), "a": keys}), sink, row_group_size=2)
    return pq.read_metadata(pa.BufferReader(sink.getvalue()))


@given(st.lists(st.lists(st.tuples(st.integers(-2, 9), st.sampled_from(["", "é", "z"])), max_size=4), max_size=4))
def test_only_keys_that_ascend_from_row_to_row_and_batch_to_batch_are_found_to(batches: list[Rows]) -> None:
    rows = [row for rows in batches for row in rows]

    assert order_of(batches, pa.int64(), pa.string()) == all(a < b for a, b in pairwise(rows))
    assert order_of(batches, pa.int64()) == all(a[0] < b[0] for a, b in pairwise(rows))  # type: ignore[operator]


@pytest.mark.parametrize("batches", [[[(1, "a"), (None, "b"), (3, "c")]], [[(1, None)], [(1, "b")]]])
def test_a_null_in_a_key_has_no_place_in_an_order(batches: list[Rows]) -> None:
    assert not order_of(batches, pa.int64(), pa.string())


def test_types_whose_order_is_none_of_ours_are_never_found_to_ascend() -> None:
    assert not order_of([[(1, None), (2, None)]], pa.float64())


@pytest.mark.parametrize(
    ("files", "apart"),
    [
        ([[1, 2, 3]], True),
        ([[1, 3], []], True),
        ([[7, 9, 8], [1, 6]], True),
        ([[1, 3], [3, 4]], False),
        ([[1, 9], [3, 4]], False),
        ([[1, 2, 9], [3, 4], [10]], False),
    ],
)
def test_files_lie_apart_where_their_bounds_do_not_meet(files: list[list[int]], apart: bool) -> None:
    assert lie_apart([footer(pa.array(keys, pa.int64())) for keys in files], "a") is apart


@pytest.mark.parametrize("keys", [["x" * 5000, "x" * 5001], [None, None]], ids=["too long for bounds", "only nulls"])
def test_files_without_bounds_are_not_found_to_lie_apart(keys: list[str | None]) -> None:
    assert not lie_apart([footer(pa.array(keys, pa.string())), footer(pa.array(["a"], pa.string()))], "a")


def test_days_that_python_does_not_know_are_not_found_to_lie_apart() -> None:
    beyond = pa.array([2**62], pa.int64()).view(pa.timestamp("us"))

    assert not lie_apart([footer(beyond), footer(pa.array([0], pa.int64()).view(pa.timestamp("us")))], "a")
