"""Errors of libraries become errors of ours that say what to do, and never repeat a value of a row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from ingestion.errors import ConcurrentWriteError, ConfigurationError, IntegrityError, LakeError, LakehouseError
from ingestion.lake.library_errors import library_error
from ingestion.runs.each import as_ours

SECRET = "ada@example.com"


def duck(query: str, *settings: str) -> None:
    with duckdb.connect() as connection:
        for setting in settings:
            connection.execute(f"set {setting}")
        connection.execute(query).fetchall()


def streamed(query: str) -> None:
    with duckdb.connect() as connection:
        for _ in connection.execute(query).to_arrow_reader(1000):
            pass


def commit() -> None:
    raise CommitFailedError(f"conflict at {SECRET}")


LATE = f"select cast(case when range > 5000 then '{SECRET}' else '1' end as int) from range(100000)"
FAULTS: list[tuple[Callable[[], object], type[LakehouseError], str]] = [
    (
        lambda: duck("create table t as select range, repeat('x', 99) from range(1000000)", "memory_limit = '20MB'",
                     "temp_directory = ''"),
        ConfigurationError, "LAKEHOUSE_LOAD_MEMORY",
    ),
    (lambda: duck(f"select cast('{SECRET}' as integer)"), IntegrityError, "DuckDB's ConversionException"),
    (lambda: streamed(LATE), IntegrityError, "Nothing more was committed"),
    (lambda: duck(f"select {SECRET.split('@', maxsplit=1)[0]}"), IntegrityError, "DuckDB's BinderException"),
    (lambda: duck("select * from read_parquet('/nowhere/x.parquet')"), LakeError, "TMPDIR"),
    (lambda: pa.array([SECRET]).cast(pa.int64()), IntegrityError, "Arrow's ArrowInvalid"),
    (lambda: DeltaTable("/nowhere/at/all"), LakeError, "delta-rs's TableNotFoundError"),
    (commit, ConcurrentWriteError, "another writer committed first"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "kind", "said"), FAULTS)
def test_each_library_error_has_a_kind_and_a_next_step_and_no_value(
    fault: Callable[[], object], kind: type[LakehouseError], said: str
) -> None:
    with pytest.raises(Exception) as caught:
        fault()

    told = as_ours("crm.people", caught.value)

    assert type(told) is kind
    assert str(told).startswith("crm.people: ")
    assert said in str(told)
    assert SECRET not in str(told)
    assert told.__cause__ is None
    assert told.__suppress_context__


def test_a_lack_of_memory_says_how_much_there_was(tmp_path: Path) -> None:
    with pytest.raises(duckdb.OutOfMemoryException) as caught:
        duck("create table t as select range, repeat('x', 99) from range(1000000)", "memory_limit = '20MB'",
             "temp_directory = ''")  # fmt: skip
    with pytest.raises(duckdb.OutOfMemoryException) as full:
        duck("create table t as select range, repeat('x', 99) || range from range(1000000)", "memory_limit = '20MB'",
             f"temp_directory = '{tmp_path}'", "max_temp_directory_size = '1MB'")  # fmt: skip

    assert "needs more memory than 19.0 MiB" in str(library_error("crm.people", caught.value))
    assert "Make room where TMPDIR points" in str(library_error("crm.people", full.value))


def test_errors_of_no_library_are_left_to_others() -> None:
    assert library_error("crm.people", ValueError("x")) is None
    assert library_error("crm.people", OSError("x")) is None
    assert isinstance(library_error("crm.people", MemoryError()), ConfigurationError)
