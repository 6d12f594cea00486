"""Each engine reads, appends to, compacts and vacuums what the other wrote, for every shape that Bronze takes."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
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
from ingestion.lake.base import READER_FEATURES, WRITER_FEATURES, Commit, Engine, StagedFile
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.embedded.parquet_files import FileWriter
from ingestion.lake.statistics import file_statistics, indexed_columns
from tests.examples import LONG
from tests.spark.session import NEEDS_SPARK

pytestmark = NEEDS_SPARK

TYPES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "id": (pa.int64(), [-(2**63), 0, 2**63 - 1]),
    "small": (pa.int32(), [-(2**31), None, 2**31 - 1]),
    "exact": (pa.decimal128(12, 2), [Decimal("-9999999999.99"), None, Decimal("0.01")]),
    "wide": (pa.decimal128(38, 10), [Decimal("-" + "9" * 28 + "." + "9" * 10), None, Decimal("0.0000000001")]),
    "whole": (pa.decimal128(38, 0), [Decimal("-" + "9" * 38), None, Decimal("9" * 38)]),
    "ratio": (pa.float64(), [-1.7e308, None, 5e-324]),
    "single": (pa.float32(), [-1.5, None, 0.25]),
    "flag": (pa.bool_(), [True, None, False]),
    "text": (pa.string(), ["", None, "ação 😀 'q\\"]),
    "bytes": (pa.binary(), [b"", None, b"\x00\xff"]),
    "day": (pa.date32(), [date(1, 1, 1), None, date(9999, 12, 31)]),
    "wall": (pa.timestamp("us"), [datetime(1, 1, 1), None, datetime(9999, 12, 31, 23, 59, 59, 999999)]),
    "instant": (
        pa.timestamp("us", "UTC"),
        [
            datetime(1582, 10, 10, tzinfo=UTC),
            datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
            datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        ],
    ),
}
WALL = pa.timestamp("us")
SCHEMA = pa.schema([(name, type_) for name, (type_, _) in TYPES.items()])
ROWS = pa.table({name: pa.array(values, type_) for name, (type_, values) in TYPES.items()})
PEOPLE = pa.schema([("id", pa.int64()), ("name", pa.string()), ("day", pa.date32())])
PROPERTIES = ("delta.appendOnly", "delta.dataSkippingStatsColumns", "delta.logRetentionDuration")


def people(*ids: int, day: date | None = date(2026, 3, 1)) -> pa.Table:
    return pa.table({"id": list(ids), "name": [f"n{i}" for i in ids], "day": [day] * len(ids)}, schema=PEOPLE)


@dataclass(frozen=True)
class Site:
    """One table, and both engines as `writer` and `other`."""

    uri: str
    writer: Engine
    other: Engine

    @property
    def turned(self) -> Site:
        return replace(self, writer=self.other, other=self.writer)

    def staged(self, rows: pa.Table, **partition_values: str | None) -> StagedFile:
        name = f"part-{uuid.uuid4()}.parquet"
        stored = rows.drop_columns([*partition_values])
        pq.write_table(stored, Path(self.uri, name))
        size = Path(self.uri, name).stat().st_size
        statistics = file_statistics(pq.read_metadata(Path(self.uri, name)), indexed_columns(stored.schema))
        return StagedFile(name, rows.num_rows, size, statistics, partition_values)

    def publish(self, rows: pa.Table, batch: int, **options: Any) -> int | None:
        return self.writer.publish(self.uri, [self.staged(rows)], commit=Commit("bronze/x", batch), **options)

    def read(self, spark: Any) -> list[dict[str, Any]]:
        """Return the rows as both see them, which must be the same."""
        with duck.connect() as connection:
            here = connection.execute(f"select * from {duck.scan(self.uri)}").to_arrow_table()
        there = spark.read.format("delta").load(self.uri).toArrow()
        assert ordered(here) == ordered(there)
        return ordered(here)

    def check_features(self) -> None:
        protocol = DeltaTable(self.uri).protocol()
        assert {*(protocol.reader_features or [])} <= READER_FEATURES
        assert {*(protocol.writer_features or [])} <= WRITER_FEATURES


def ordered(rows: pa.Table) -> list[dict[str, Any]]:
    return sorted(rows.to_pylist(), key=lambda row: tuple(str(value) for value in row.values()))


BY_TURNS = pytest.mark.parametrize("site", ["embedded", "spark"] if LONG else ["spark"], indirect=True)
"""Marks a test in which either engine is the writer and the other one: who begins is one of two long forms."""


@pytest.fixture(params=["embedded", "spark"])
def site(request: pytest.FixtureRequest, spark: Any, tmp_path: Path) -> Site:
    from ingestion.lake.spark.engine import SparkDelta

    engines: list[Engine] = [DeltaRs(), SparkDelta()]
    writer, other = engines if request.param == "embedded" else reversed(engines)
    return Site(str(tmp_path / "a table"), writer, other)


@BY_TURNS
def test_every_type_is_read_appended_compacted_and_vacuumed_by_the_other(site: Site, spark: Any) -> None:
    site.writer.create(site.uri, SCHEMA, append_only=True)
    twin = site.uri + " made by the other"
    site.other.create(twin, SCHEMA, append_only=True)
    ours, theirs = (one.tip(at, "x").properties for one, at in ((site.writer, site.uri), (site.other, twin)))
    assert {name: ours.get(name) for name in PROPERTIES} == {name: theirs.get(name) for name in PROPERTIES}
    assert None not in {ours.get(name) for name in PROPERTIES}
    assert site.publish(ROWS, 1) == 1
    assert site.read(spark) == ordered(ROWS)

    site.turned.publish(ROWS, 2)
    for batch in range(3, 10):
        replace(site, writer=DeltaRs()).publish(ROWS, batch)
    assert site.other.compact(site.uri) >= 8
    site.other.vacuum(site.uri, keep=timedelta(0))

    assert site.writer.schema(site.uri) == SCHEMA
    assert site.read(spark) == ordered(pa.concat_tables([ROWS] * 9))
    assert site.publish(ROWS, 10) is not None
    site.check_features()


@BY_TURNS
def test_values_that_readers_decode_or_order_otherwise_are_found_by_both(site: Site, spark: Any) -> None:
    """A bound that is too small, or a zero that is another, makes a reader skip the file with the row."""
    schema = pa.schema(
        [("text", pa.string()), ("rate", pa.decimal128(15, 15)), ("ratio", pa.float64()), ("moment", WALL)]
    )
    last = datetime(9999, 12, 31, 23, 59, 59, 999999)
    tiny = Decimal("0.000000000000001")
    values: dict[str, list[Any]] = {
        "text": ["\U00020bb7a", "\U0010ffff", "y" * 70],
        "rate": [tiny, -tiny, Decimal(0)],
        "ratio": [-0.0, math.nan, 1.0],
        "moment": [datetime(1, 1, 1), datetime(2026, 1, 1, 0, 0, 0, 123456), last],
    }
    rows = pa.table({name: pa.array(values[name] * 2, schema.field(name).type) for name in schema.names})
    site.writer.create(site.uri, schema)
    with duck.connect() as connection:
        writer = FileWriter(connection, site.uri, schema, (), indexed_columns(schema))
        connection.register("given", rows)
        files = [f for n in range(3) for f in writer.write(f"from given offset {n} limit 1", partition_values={})]
        files += writer.write("from given", partition_values={})
    site.writer.publish(site.uri, files, commit=Commit("bronze/x", 1))
    wanted = {
        **{f"text = '{text}'": 3 for text in values["text"]},
        f"rate = {tiny:f}": 3,
        "ratio = cast('0.0' as double)": 3,
        "ratio = cast('NaN' as double)": 3,
        f"moment = cast('{last}' as timestamp{{ntz}})": 3,
        "moment = cast('2026-01-01 00:00:00.123456' as timestamp{ntz})": 3,
    }
    counts = [f"select count(*) from {{rows}} where {condition}" for condition in wanted]

    there = spark.sql(" union all ".join(counts).format(rows=f"delta.`{site.uri}`", ntz="_ntz")).collect()

    assert dict(zip(wanted, (row[0] for row in there), strict=True)) == wanted
    with duck.connect() as connection:
        here = connection.execute(" union all ".join(counts).format(rows=duck.scan(site.uri), ntz="")).fetchall()
    assert dict(zip(wanted, (row[0] for row in here), strict=True)) == wanted
    found = DeltaTable(site.uri).to_pyarrow_dataset()
    for name in ("text", "rate", "moment"):
        assert [
            found.count_rows(filter=pc.field(name) == pa.scalar(v, schema.field(name).type)) for v in values[name]
        ] == [3] * 3


@BY_TURNS
def test_an_empty_table_is_the_same_to_both(site: Site, spark: Any) -> None:
    site.writer.create(site.uri, SCHEMA, append_only=True)
    site.other.create(site.uri, SCHEMA, append_only=True)

    assert site.other.schema(site.uri) == SCHEMA
    assert site.other.version(site.uri) == 0
    assert site.read(spark) == []
    assert site.other.tip(site.uri, "x").properties["delta.appendOnly"] == "true"

    anew = f"{site.uri} anew"
    DeltaRs().overwrite(anew, [], schema=SCHEMA, commit=Commit("x", None))
    assert site.other.tip(anew, "x").version == 0  # and it is not taken for a commit that was cut off


@BY_TURNS
def test_columns_that_one_adds_are_filled_by_the_other(site: Site, spark: Any) -> None:
    site.writer.create(site.uri, PEOPLE)
    site.publish(people(1), 1)
    added = [pa.field("wide", pa.decimal128(38, 4)), pa.field("at", pa.timestamp("us")), pa.field("id", pa.int64())]

    site.writer.add_columns(site.uri, added)
    site.writer.add_columns(site.uri, added)
    now = people(2).append_column("wide", pa.array([Decimal("1.2345")], pa.decimal128(38, 4)))
    now = now.append_column("at", pa.array([datetime(2026, 3, 1)], pa.timestamp("us")))
    site.turned.publish(now, 2)

    assert site.other.schema(site.uri) == now.schema
    first, second = site.read(spark)
    assert (first["id"], first["wide"], first["at"]) == (1, None, None)
    assert (second["id"], second["wide"], second["at"]) == (2, Decimal("1.2345"), datetime(2026, 3, 1))
    site.check_features()


@BY_TURNS
def test_a_partitioned_table_keeps_its_values(site: Site, spark: Any) -> None:
    site.writer.create(site.uri, PEOPLE, partition_by=["day"])
    for batch, each in enumerate((site, site.turned), 1):
        files = [
            each.staged(people(batch), day="2026-03-01"),
            each.staged(people(batch, day=None), day=None),
        ]
        assert each.writer.publish(site.uri, files, commit=Commit("bronze/x", batch)) == batch

    assert [(row["id"], row["day"]) for row in site.read(spark)] == [
        (1, date(2026, 3, 1)), (1, None), (2, date(2026, 3, 1)), (2, None)
    ]  # fmt: skip
    assert {
        tuple(file.partition_values.items()) for file in site.writer.snapshot(site.uri, expected_version=2).files
    } == {
        (("day", "2026-03-01"),),
        (("day", None),),
    }


@BY_TURNS
def test_a_merge_of_one_is_merged_by_the_other(site: Site, spark: Any) -> None:
    site.writer.create(site.uri, PEOPLE)
    site.publish(people(1, 2, 3), 1)
    for each, change, number in ((site.turned, (2, 4), 2), (site, (3, 5), 3)):
        updated, inserted = change
        rows = pa.table(
            {"_op": ["U", "D", "D", "I"], "id": [updated, 1, 99, inserted], "name": ["new", None, None, "in"]}
        )
        commit = Commit("bronze/x", number)
        version = each.writer.version(site.uri)
        assert (
            each.writer.merge(site.uri, rows.to_reader(), key="id", commit=commit, expected_version=version) == number
        )

    assert [(row["id"], row["name"], row["day"]) for row in site.read(spark)] == [
        (2, "new", date(2026, 3, 1)), (3, "new", date(2026, 3, 1)), (4, "in", None), (5, "in", None)
    ]  # fmt: skip
    assert site.other.tip(site.uri, "bronze/x").batch == 3
    assert site.other.last_metadata(site.uri, "bronze/x") == {"app": "bronze/x", "batch": 3}


@BY_TURNS
def test_an_overwrite_of_one_is_overwritten_by_the_other(site: Site, spark: Any) -> None:
    site.writer.create(site.uri, PEOPLE)
    for batch, each in enumerate((site, site.turned, site), 1):
        each.publish(people(batch), batch, overwrite=True)

    assert [row["id"] for row in site.read(spark)] == [3]


@BY_TURNS
def test_a_rebuilt_table_may_change_its_columns(site: Site, spark: Any) -> None:
    site.writer.create(site.uri, PEOPLE)
    for number, each in enumerate((site, site.turned), 1):
        rows = ROWS.append_column(f"v{number}", pa.array([1, 2, 3], pa.int64()))
        file = each.staged(rows)
        DeltaRs().overwrite(site.uri, [file], schema=rows.schema, commit=Commit("rebuild", None, {"n": number}))

        assert site.read(spark) == ordered(rows)
        assert each.other.last_metadata(site.uri, "rebuild") == {"app": "rebuild", "batch": None, "n": number}
        assert "wide" not in each.other.tip(site.uri, "x").properties["delta.dataSkippingStatsColumns"]
    site.check_features()


def test_a_batch_of_one_that_the_other_retries_is_there_once(site: Site, spark: Any) -> None:
    site.writer.create(site.uri, PEOPLE, append_only=True)
    commit = Commit("bronze/x", 1, {"watermark": "9"})
    assert site.writer.publish(site.uri, [site.staged(people(1))], commit=commit) == 1

    assert site.turned.publish(people(1), 1) is None

    assert len(site.read(spark)) == 1
    assert site.other.tip(site.uri, "bronze/x").batch == 1
    assert site.other.last_metadata(site.uri, "bronze/x") == {"app": "bronze/x", "batch": 1, "watermark": "9"}


@BY_TURNS
def test_small_rows_are_appended_once_by_either(site: Site, spark: Any) -> None:
    site.writer.create(site.uri, PEOPLE)
    for engine in (site.writer, site.other, site.writer):
        engine.append(site.uri, people(7), commit=Commit("ledger", 1))

    assert len(site.read(spark)) == 1
    with pytest.raises(IntegrityError, match="expected the columns"):
        site.writer.append(site.uri, people(7).drop_columns(["day"]))


def test_decimals_over_15_digits_carry_no_statistics(site: Site, spark: Any) -> None:
    site.writer.create(site.uri, SCHEMA)
    site.publish(ROWS, 1)

    log = "".join(path.read_text() for path in sorted(Path(site.uri, "_delta_log").glob("*.json"))[1:])
    assert '\\"exact\\"' in log
    assert '\\"wide\\"' not in log
    assert '\\"whole\\"' not in log
    with duck.connect() as connection:
        found = f"select count(*) from {duck.scan(site.uri)} where whole = {'9' * 38} or exact = 0.01"
        assert connection.execute(found).fetchone() == (1,)


def test_no_file_has_an_encoding_or_a_moment_that_the_other_cannot_read(site: Site, spark: Any) -> None:
    """Spark's default would store instants as INT96, which no nanosecond reader holds past 2262."""
    site.writer.create(site.uri, SCHEMA)
    site.publish(ROWS, 1)

    for file in site.writer.snapshot(site.uri, expected_version=1).files:
        types = {column.name: column.physical_type for column in pq.ParquetFile(Path(site.uri, file.path)).schema}
        assert types["instant"] == types["wall"] == "INT64"


def test_a_feature_outside_the_list_stops_both(site: Site, spark: Any) -> None:
    site.writer.create(site.uri, PEOPLE)
    spark.sql(f"alter table delta.`{site.uri}` set tblproperties ('delta.enableRowTracking' = 'true')")

    attempts: list[Callable[[Site], object]] = [
        lambda s: s.publish(people(1), 1),
        lambda s: s.writer.append(s.uri, people(1)),
        lambda s: s.writer.add_columns(s.uri, [pa.field("x", pa.int64())]),
        lambda s: s.writer.compact(s.uri),
        lambda s: s.writer.vacuum(s.uri, keep=timedelta(0)),
    ]
    for attempt in attempts:
        with pytest.raises(LakeError, match="rowTracking"):
            attempt(site)


def test_a_table_that_moved_on_is_not_merged(site: Site, spark: Any) -> None:
    site.writer.create(site.uri, PEOPLE)
    site.turned.publish(people(1), 1)

    rows = people(2).append_column("_op", pa.array(["I"]))
    with pytest.raises(ConcurrentWriteError):
        site.writer.merge(site.uri, rows.to_reader(), key="id", commit=Commit("x", 2), expected_version=0)


def test_a_difference_without_rows_or_with_a_key_twice_is_not_merged(site: Site, spark: Any) -> None:
    site.writer.create(site.uri, PEOPLE)
    rows = people(2, 2).append_column("_op", pa.array(["I", "U"]))

    def merge(given: pa.Table) -> int | None:
        return site.writer.merge(site.uri, given.to_reader(), key="id", commit=Commit("x", 1), expected_version=0)

    assert merge(rows.slice(0, 0)) is None
    with pytest.raises(IntegrityError, match="a key comes twice among the changes"):
        merge(rows)
    assert site.writer.version(site.uri) == 0


def test_staged_files_that_spark_cannot_see_whole_are_not_committed(spark: Any, tmp_path: Path) -> None:
    from ingestion.lake.spark.engine import SparkDelta

    site = Site(str(tmp_path / "t"), SparkDelta(), DeltaRs())
    site.writer.create(site.uri, PEOPLE)
    file = replace(site.staged(people(1)), rows=2)

    with pytest.raises(IntegrityError, match="2 rows were staged, Spark reads 1"):
        site.writer.publish(site.uri, [file], commit=Commit("bronze/x", 1))
    assert site.writer.version(site.uri) == 0


def test_a_batch_that_somebody_commits_first_is_refused_not_skipped(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark leaves out a transaction that is there already, and says nothing."""
    from ingestion.lake.spark.engine import SparkDelta

    engine = SparkDelta()
    site = Site(str(tmp_path / "t"), engine, DeltaRs())
    site.writer.create(site.uri, PEOPLE)
    site.turned.writer.publish(site.uri, [site.staged(people(1))], commit=Commit("bronze/x", 1, {"run": "theirs"}))
    monkeypatch.setattr(engine, "_is_applied", lambda *_: False)

    with pytest.raises(ConcurrentWriteError):
        engine.publish(site.uri, [site.staged(people(1))], commit=Commit("bronze/x", 1, {"run": "ours"}))
    assert len(site.read(spark)) == 1
