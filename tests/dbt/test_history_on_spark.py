"""Both engines tell one history: the same versions, keys and hashes, for every type that a contract can promise."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.lake.embedded.parquet_files import FileWriter
from tests.dbt.macros import load_macros
from tests.dbt.test_history import Facts
from tests.spark.session import NEEDS_SPARK

pytestmark = NEEDS_SPARK

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("part", pa.string()),
        ("text", pa.string()),
        ("amount", pa.decimal128(12, 2)),
        ("whole", pa.decimal128(38, 0)),
        ("moment", pa.timestamp("us")),
        ("day", pa.date32()),
        ("flag", pa.bool_()),
        ("bytes", pa.binary()),
        ("double", pa.float64()),
        ("single", pa.float32()),
        ("_op", pa.string()),
        ("_eff", pa.timestamp("us", "UTC")),
        ("_seq", pa.int64()),
        ("_batch", pa.int64()),
        ("_row", pa.int64()),
    ]
)
BUSINESS = SCHEMA.names[:11]
FACTS = Facts(
    key=["id", "part"],
    columns=BUSINESS,
    types={name: str(SCHEMA.field(name).type) for name in BUSINESS},
    tracked=BUSINESS[2:],
)
VALUES: dict[str, list[Any]] = {
    "text": [None, "", "a", "ação", "😀", "x;amount=4:1.10;"],
    "amount": [None, Decimal("0.00"), Decimal("0.05"), Decimal("-1.10"), Decimal("9999999999.99")],
    "whole": [None, Decimal(0), Decimal("9" * 38)],
    "moment": [None, datetime(1, 1, 1), datetime(1969, 12, 31, 23, 59, 59, 999999), datetime(9999, 12, 31, 0, 0, 0, 1)],
    "day": [None, date(1, 1, 1), date(1969, 12, 31), date(9999, 12, 31)],
    "flag": [None, True, False],
    "bytes": [None, b"", b"\x00\xff"],
    "double": [None, 0.0, -0.0, 0.1, 1e20, 5e-324, -math.inf, math.nan, -math.nan],
    "single": [None, 0.0, -0.0, 0.25, 1e10, math.nan],
}


def log(seed: int = 5, length: int = 300) -> pa.Table:
    """Return a log of few keys and hours, so that every rule of a history is met."""
    chance = random.Random(seed)
    rows = []
    for number in range(length):
        deleted = chance.random() < 0.2
        hour = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=chance.randint(0, 12), microseconds=1)
        known = {name: None if deleted else chance.choice(values) for name, values in VALUES.items()}
        key = {"id": chance.randint(1, 3), "part": chance.choice("xyé")}
        order = {"_eff": hour, "_seq": chance.randint(0, 2), "_batch": number // 20, "_row": number}
        rows.append({**key, **known, "_op": "D" if deleted else "U", **order})
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def test_spark_and_duckdb_tell_the_same_history(spark: Any, tmp_path: Path) -> None:
    columns = "sk, row_hash, is_current, is_deleted, id, part, text, amount, day, flag"
    file = str(tmp_path / "log.parquet")
    pq.write_table(log(), file)
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        told = load_macros("duckdb")["scd2_history"](f"read_parquet('{file}')", FACTS)
        expected = connection.execute(f"select {columns} from ({told}) order by sk").fetchall()

    spark.read.parquet(file).createOrReplaceTempView("log")
    told = load_macros("spark")["scd2_history"]("log", FACTS)

    assert [tuple(row) for row in spark.sql(f"select {columns} from ({told}) order by sk").collect()] == expected
    assert len(expected) > 50


def test_spark_writes_one_zero(spark: Any, tmp_path: Path) -> None:
    """Asked for 0.0, Spark does not find a -0.0 that it wrote itself."""
    columns = [("part", "VARCHAR"), ("double", "DOUBLE"), ("single", "FLOAT")]
    rows = "select 'x' as part, cast('-0.0' as double) as double, cast('-0.0' as float) as single from range(9)"
    file = str(tmp_path / "rows")

    spark.sql(f"select {load_macros('spark')['one_zero'](columns)} from ({rows})").coalesce(1).write.parquet(file)

    assert spark.read.parquet(file).where("double = cast(0 as double) and single = cast(0 as float)").count() == 9


def told(row: Iterable[Any]) -> tuple[Any, ...]:
    """Return values that compare: one zero, and NaN as a text."""
    return tuple(str(value + 0.0) if isinstance(value, float) else value for value in row)


def test_spark_reads_what_duckdb_writes(spark: Any, tmp_path: Path) -> None:
    """DuckDB's files have encodings that not every reader knows."""
    known = log().drop_columns([name for name in SCHEMA.names if name.startswith("_")])
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("given", known)
        writer = FileWriter(connection, str(tmp_path / "table"), known.schema, (), ())
        [file] = writer.write("select * from given", partition_values={})

    rows = spark.read.parquet(str(tmp_path / "table" / file.path)).select(*known.schema.names).collect()

    assert Counter(map(told, rows)) == Counter(told(row.values()) for row in known.to_pylist())
