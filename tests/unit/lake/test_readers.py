"""Every reader finds every row, whatever its value: on files of each of our writers, at both ends of each type."""

from __future__ import annotations

import math
import operator
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pytest
from deltalake import DeltaTable, QueryBuilder
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from ingestion.lake import duck
from ingestion.lake.base import Commit, StagedFile
from ingestion.lake.embedded import compaction
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.embedded.parquet_files import FileWriter
from ingestion.lake.staging import ParquetStage
from ingestion.lake.statistics import file_statistics, indexed_columns
from tests.examples import examples

ENGINE = DeltaRs()
LAST = datetime(9999, 12, 31, 23, 59, 59, 999999)
MOMENTS = [datetime.min, datetime(1582, 10, 10, 1, 2, 3, 4), datetime(2026, 1, 1, 0, 0, 0, 123456), LAST]
LONG = ["y" * 64, "y" * 65, "y" * 5_000, "z" * 70 + "\U00020bb7", "\ud7ff" * 70]
Tried = tuple[pa.DataType, list[Any], st.SearchStrategy[Any]]
"""A type, values at its ends, and what draws any others."""


def decimals(precision: int, scale: int) -> Tried:
    def number(digits: int) -> Decimal:
        return Decimal(f"{digits}e-{scale}")

    most = 10**precision - 1
    ends = [number(digits) for digits in (-most, -1, 0, 1, most)]
    return pa.decimal128(precision, scale), ends, st.integers(-most, most).map(number)


TYPES: dict[str, Tried] = {
    "planes": (
        pa.string(),
        ["", "é", "\uffff", "\U0001f600", "\U00020bb7a", "\U0002a70c", "\U000f0000", "\U0010ffff" * 60],
        st.text(st.characters(codec="utf-8", min_codepoint=1, max_codepoint=0x10FFFF), max_size=3),
    ),
    "long texts": (pa.string(), LONG, st.text(st.sampled_from("ay\ud7ff\ue000\U0010ffff"), min_size=60, max_size=70)),
    "bytes": (pa.binary(), [b"", b"\x00", b"A", b"\x7f", b"\x80", b"\xff" * 70], st.binary(max_size=3)),
    "int8": (pa.int8(), [-128, 0, 127], st.integers(-128, 127)),
    "int64": (pa.int64(), [-(2**63), 2**53, 2**53 + 1, 2**63 - 1], st.integers(-(2**63), 2**63 - 1)),
    **{f"decimal({p},{s})": decimals(p, s) for p, s in ((15, 4), (15, 15), (38, 10))},
    "float": (pa.float32(), [-math.inf, -0.0, 0.0, 0.25, math.inf, math.nan], st.floats(width=32)),
    "double": (
        pa.float64(),
        [-math.inf, -1.7e308, -0.0, 0.0, 5e-324, math.inf, math.nan, -math.nan],
        st.floats(),
    ),
    "boolean": (pa.bool_(), [True, False], st.booleans()),
    "date": (pa.date32(), [date.min, date(1582, 10, 10), date(1970, 1, 1), date.max], st.dates()),
    "wall clock": (pa.timestamp("us"), MOMENTS, st.datetimes()),
    "instant": (
        pa.timestamp("us", "UTC"),
        [moment.replace(tzinfo=UTC) for moment in MOMENTS],
        st.datetimes(timezones=st.just(UTC)),
    ),
}
COPIES = 6  # repeated values are what makes DuckDB write a dictionary
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}


def rows_of(type_: pa.DataType, values: list[Any], first: int = 0) -> pa.Table:
    column = pa.array([value for value in values for _ in range(COPIES)], type_)
    return pa.table({"n": pa.array(range(first, first + len(column)), pa.int64()), "c": column})


def staged(uri: str, rows: pa.Table) -> list[StagedFile]:
    """Write a file as a first load does."""
    name = f"part-{uuid.uuid4()}.parquet"
    with ParquetStage(pafs.LocalFileSystem(), f"{uri}/{name}", rows.schema) as stage:
        stage.write_all(rows.to_batches())
        file = stage.close()
    return [StagedFile(name, file.rows, file.bytes, file_statistics(file.footer, indexed_columns(rows.schema)))]


def written(uri: str, rows: pa.Table) -> list[StagedFile]:
    """Write files as later loads and Silver do."""
    with duck.connect() as connection:
        connection.register("given", rows)
        writer = FileWriter(connection, uri, rows.schema, (), indexed_columns(rows.schema))
        return writer.write("select * from given", partition_values={}, order_by=["n"])


def literal(value: pa.Scalar, *, datafusion: bool = False) -> str:
    """Return a value as SQL of its type, by way of a text."""
    type_, known = value.type, value.as_py()
    if pa.types.is_binary(type_):
        return f"X'{known.hex()}'" if datafusion else f"unhex('{known.hex()}')"
    if pa.types.is_timestamp(type_):
        text = known.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
        if datafusion:
            zone = "None" if type_.tz is None else 'Some("UTC")'
            return f"arrow_cast('{text}', 'Timestamp(Microsecond, {zone})')"
        return f"cast('{text}' as timestamp)" if type_.tz is None else f"cast('{text}+00' as timestamptz)"
    names = {
        pa.int8(): "tinyint",
        pa.int16(): "smallint",
        pa.int32(): "int",
        pa.int64(): "bigint",
        pa.bool_(): "boolean",
    }
    names |= {pa.float32(): "float", pa.float64(): "double", pa.date32(): "date", pa.string(): "varchar"}
    text = f"{known:f}" if pa.types.is_decimal(type_) else str(known).replace("'", "''")
    name = f"decimal({type_.precision}, {type_.scale})" if pa.types.is_decimal(type_) else names[type_]
    return f"cast('{text}' as {name})"


def check_duckdb(connection: duck.Connection, uri: str, rows: pa.Table, values: list[pa.Scalar]) -> None:
    connection.register("rows_", rows)
    connection.execute("create or replace temp table known as select * from rows_")
    connection.register("wanted_", pa.table({"c": pa.array([v.as_py() for v in values], rows.schema.field("c").type)}))
    connection.execute("create or replace temp table wanted as select distinct c from wanted_")
    asked = [f"{sign} {literal(value)}" for value in values for sign in COMPARE]
    asked.append(f"in ({', '.join(literal(value) for value in values)})")
    counts = "select {} union all select count(*) from {{0}} as found join wanted on found.c = wanted.c"
    query = counts.format(" union all select ".join(f"(select count(*) from {{0}} where c {one})" for one in asked))

    connection.execute(f"attach '{uri}' as lake (type delta, pin_snapshot)")  # reads the log once, not at each mention
    found = connection.execute(query.format("lake")).fetchall()
    connection.execute("detach lake")

    expected = connection.execute(query.format("known")).fetchall()
    assert dict(zip([*asked, "join"], found, strict=True)) == dict(zip([*asked, "join"], expected, strict=True))


def check_delta_rs(connection: duck.Connection, uri: str, values: list[pa.Scalar]) -> None:
    """Compare with DuckDB's answers about `known`, which orders as delta-rs does."""
    reader = QueryBuilder().register("found", DeltaTable(uri))
    for sign in COMPARE:
        asked = [f"(select count(*) from found where c {sign} {literal(v, datafusion=True)})" for v in values]
        found = pa.table(reader.execute(f"select {', '.join(f'{one} as a{n}' for n, one in enumerate(asked))}"))
        counts = [f"count(*) filter (c {sign} {literal(value)})" for value in values]
        expected = connection.execute(f"select {', '.join(counts)} from known").fetchone()
        assert (sign, *(column[0].as_py() for column in found.columns)) == (sign, *(expected or ()))


def check_pyarrow(uri: str, rows: pa.Table, values: list[pa.Scalar]) -> None:
    dataset, known = DeltaTable(uri).to_pyarrow_dataset(), ds.InMemoryDataset(rows)
    for sign, compare in COMPARE.items():
        for value in values:
            wanted = compare(pc.field("c"), value)
            assert dataset.count_rows(filter=wanted) == known.count_rows(filter=wanted), (sign, value)


def check(connection: duck.Connection, uri: str, rows: pa.Table, values: list[pa.Scalar]) -> None:
    check_duckdb(connection, uri, rows, values)
    check_delta_rs(connection, uri, values)
    check_pyarrow(uri, rows, values)


@pytest.fixture(scope="module")
def connection() -> Iterator[duck.Connection]:
    with duck.connect() as connection:
        yield connection


@pytest.mark.parametrize("name", list(TYPES))
def test_every_reader_finds_every_row_on_every_kind_of_file(
    name: str, connection: duck.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "ENOUGH", 2)
    type_, ends, some = TYPES[name]

    @example(ends)
    @examples(1, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(some, min_size=1, max_size=4))
    def tries(values: list[Any]) -> None:
        with TemporaryDirectory() as folder:
            tell_the_story(connection, f"{folder}/t", type_, values)

    tries()


def tell_the_story(connection: duck.Connection, uri: str, type_: pa.DataType, values: list[Any]) -> None:
    """Load, load again, change by key and compact one table, whose files hold one value or all; ask after each step."""
    wanted = [pa.scalar(value, type_) for value in values]
    first = [rows_of(type_, [value], COPIES * at) for at, value in enumerate(values)]
    later = rows_of(type_, values, 1_000)
    ENGINE.create(uri, later.schema)
    files = [file for number, rows in enumerate(first) for file in (staged, written)[number % 2](uri, rows)]
    ENGINE.publish(uri, [*files, *written(uri, later), *staged(uri, later)], commit=Commit("x", 1))
    rows = pa.concat_tables([*first, later, later])
    check(connection, uri, rows, wanted)

    ENGINE.compact(uri)
    DeltaTable(uri).create_checkpoint()
    changes = connection.execute("select cast(-1 as bigint) as n, c, 'U' as _op from wanted").to_arrow_table()
    ENGINE.merge(uri, changes.to_reader(), key="c", commit=Commit("x", 2), expected_version=ENGINE.version(uri))
    check(connection, uri, rows.set_column(0, "n", pa.array([-1] * rows.num_rows, pa.int64())), wanted)
    assert connection.execute(f"select distinct n from {duck.scan(uri)}").fetchall() == [(-1,)]
