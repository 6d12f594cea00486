"""A quarantined text becomes a value again only if it is exactly one: a replay never rounds or cuts."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ingestion.bronze.quarantine import typed
from ingestion.bronze.rows import as_text
from ingestion.contracts.model import Column
from ingestion.contracts.types import INSTANT, WALL_CLOCK


def value_of(text: str, type_: pa.DataType) -> Any:
    column = Column("v", "V", "", "", type_)
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        [(found,)] = connection.execute(f"select {typed(column)} from (select ?::varchar as v)", [text]).fetchall()
        return found


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (pa.int64(), "1.5"),
        (pa.int64(), "1e3"),
        (pa.decimal128(10, 2), "1.005"),
        (pa.date32(), "2026-01-01 10:00:00"),
        (pa.date32(), "2026-01-01 00:00:00.000001"),
        (WALL_CLOCK, "2026-01-01 10:00:00.1234567"),
        (WALL_CLOCK, "2026-01-01 10:00:00+02"),
        (WALL_CLOCK, "2026-01-01T10:00:00Z"),
        (INSTANT, "2026-01-01 10:00:00"),
        (INSTANT, "2026-01-01 10:00:00.1234567+02:00"),
        (INSTANT, "2026-01-01"),
    ],
    ids=str,
)
def test_a_text_that_is_not_exactly_a_value_is_none(type_: pa.DataType, text: str) -> None:
    assert value_of(text, type_) is None


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (pa.int64(), -7),
        (pa.decimal128(10, 2), Decimal("-1.10")),
        (pa.bool_(), True),
        (pa.date32(), date(1, 1, 1)),
        (WALL_CLOCK, datetime(2026, 1, 1, 10, 0, 0, 5)),
        (WALL_CLOCK, datetime(9999, 12, 31, 23, 59, 59, 999999)),
        (INSTANT, datetime(2026, 1, 1, 10, 0, 0, 5, UTC)),
        (INSTANT, datetime(1, 1, 1, tzinfo=UTC)),
    ],
    ids=str,
)
def test_a_value_that_was_quarantined_for_another_reason_comes_back(type_: pa.DataType, value: Any) -> None:
    (text,) = as_text(pa.array([value], type_)).to_pylist()

    assert value_of(text, type_) == value


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (WALL_CLOCK, "2026-01-01 10:00:00.1234560", datetime(2026, 1, 1, 10, 0, 0, 123456)),
        (pa.date32(), "2026-01-01 00:00:00", date(2026, 1, 1)),
        (INSTANT, "2026-01-01 10:00:00+02:00", datetime(2026, 1, 1, 8, tzinfo=UTC)),
    ],
    ids=str,
)
def test_a_text_that_only_looks_too_long_is_its_value(type_: pa.DataType, text: str, value: Any) -> None:
    assert value_of(text, type_) == value
