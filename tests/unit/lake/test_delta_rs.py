from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from ingestion.errors import ConcurrentWriteError, IntegrityError, LakeError
from ingestion.lake import duck
from ingestion.lake.base import Commit, StagedFile
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.embedded.rebuild import rebuild
from ingestion.lake.statistics import file_statistics, indexed_columns

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])
ENGINE = DeltaRs()


def staged(table: Path, name: str, rows: pa.Table) -> StagedFile:
    path = table / name
    pq.write_table(rows, path)
    footer = pq.read_metadata(path)
    return StagedFile(name, rows.num_rows, path.stat().st_size, file_statistics(footer, indexed_columns(rows.schema)))


def people(*ids: int) -> pa.Table:
    return pa.table({"id": list(ids), "name": [f"n{i}" for i in ids]}, schema=SCHEMA)


def overwrite(uri: str, rows: pa.Table, **options: Any) -> None:
    with duck.connect() as connection:
        connection.register("given", rows)
        rebuild(ENGINE, connection, uri, "select * from given", commit=Commit("x", None), **options)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "people"
    ENGINE.create(str(path), SCHEMA, append_only=True)
    return path


def test_a_batch_published_twice_is_written_once(table: Path) -> None:
    commit = Commit("bronze/crm/people", 1)
    first = ENGINE.publish(str(table), [staged(table, "a.parquet", people(1, 2))], commit=commit)
    second = ENGINE.publish(str(table), [staged(table, "b.parquet", people(1, 2))], commit=commit)

    assert (first, second) == (1, None)
    assert DeltaTable(table).count() == 2


def test_a_file_that_does_not_tell_its_partition_is_not_published(tmp_path: Path) -> None:
    """Delta takes partition values from the commit alone: the column would read null."""
    uri = str(tmp_path / "parted")
    ENGINE.create(uri, SCHEMA, partition_by=["name"])

    with pytest.raises(IntegrityError, match="Nothing was committed"):
        ENGINE.publish(uri, [staged(tmp_path / "parted", "a.parquet", people(1))], commit=Commit("x", 1))


def test_two_writers_with_one_batch_number_leave_one_copy(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = DeltaTable(table)
    ENGINE.publish(str(table), [staged(table, "a.parquet", people(1))], commit=Commit("bronze/crm/people", 1))
    slow = DeltaRs()
    monkeypatch.setattr(slow, "_open", lambda uri: stale)

    with pytest.raises(ConcurrentWriteError, match="Run it again"):
        slow.publish(str(table), [staged(table, "b.parquet", people(1))], commit=Commit("bronze/crm/people", 1))

    assert DeltaTable(table).count() == 1


def test_a_batch_is_refused_that_was_compared_with_an_older_one(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale, uri = DeltaTable(table), str(table)
    ENGINE.publish(uri, [staged(table, "a.parquet", people(1))], commit=Commit("bronze/crm/people", 1, after=0))
    slow = DeltaRs()
    monkeypatch.setattr(slow, "_open", lambda uri: stale)

    for engine in (ENGINE, slow):  # the other batch is seen before the commit, or during it
        with pytest.raises(ConcurrentWriteError, match="Run it again"):
            engine.publish(uri, [staged(table, "b.parquet", people(1))], commit=Commit("bronze/crm/people", 2, after=0))
    ENGINE.publish(uri, [staged(table, "c.parquet", people(2))], commit=Commit("bronze/crm/people", 3, after=1))

    assert DeltaTable(table).count() == 2


def test_metadata_of_the_newest_commit_of_an_application_is_found_behind_others(table: Path) -> None:
    uri = str(table)
    ENGINE.publish(
        uri, [staged(table, "a.parquet", people(1))], commit=Commit("bronze/crm/people", 1, {"watermark": "9"})
    )
    for number in range(25):
        ENGINE.append(uri, people(number), commit=Commit("other", number))

    found = ENGINE.last_metadata(uri, "bronze/crm/people")

    assert found == {"app": "bronze/crm/people", "batch": 1, "watermark": "9"}


def test_decimals_over_15_digits_carry_no_statistics_and_are_found_by_filter_join_and_merge(tmp_path: Path) -> None:
    """delta-rs writes decimal bounds as doubles; a reader that trusts them skips the file with the row."""
    schema = pa.schema([("sk", pa.string()), ("k", pa.decimal128(38, 0)), ("small", pa.decimal128(12, 2))])
    keys = [Decimal(1234567890123456789 + i) for i in range(20)]
    rows = pa.table({"sk": [str(k) for k in keys], "k": keys, "small": [Decimal("1.10")] * 20}, schema=schema)
    table = tmp_path / "exact"
    uri = str(table)
    ENGINE.create(uri, schema)
    ENGINE.publish(uri, [staged(table, "a.parquet", rows.slice(0, 10))], commit=Commit("x", 1))
    ENGINE.append(uri, rows.slice(10))
    changed = rows.append_column("_op", pa.array(["U"] * 20))
    version = ENGINE.version(uri)

    ENGINE.merge(uri, changed.to_reader(), key="sk", commit=Commit("x", 2), expected_version=version)

    log = "\n".join(path.read_text() for path in sorted((table / "_delta_log").glob("*.json")))
    statistics = [json.loads(line)["add"]["stats"] for line in log.splitlines() if '"add"' in line[:8]]
    assert statistics
    assert not any('"k"' in text for text in statistics)
    with duck.connect() as connection:
        found = connection.execute(
            f"select count(*) from {duck.scan(uri)} t where exists (select 1 from range(20) r(i) where t.k = 1234567890123456789 + r.i)"
        ).fetchone()
        one = connection.execute(f"select count(*) from {duck.scan(uri)} where k = 1234567890123456789").fetchone()
    assert (found, one) == ((20,), (1,))
    assert DeltaTable(table).count() == 20


def test_moments_within_one_millisecond_are_found_by_their_microseconds(tmp_path: Path) -> None:
    schema = pa.schema([("instant", pa.timestamp("us", "UTC")), ("wall", pa.timestamp("us"))])
    moment = 1_767_225_600_123_456
    rows = pa.table({"instant": [moment], "wall": [moment]}, schema=schema)
    table = tmp_path / "moments"
    ENGINE.create(str(table), schema)

    ENGINE.publish(str(table), [staged(table, "a.parquet", rows)], commit=Commit("x", 1))

    with duck.connect() as connection:
        for column in ("instant", "wall"):
            query = f"select count(*) from {duck.scan(str(table))} where {column} >= '2026-01-01 00:00:00.123456'"
            assert connection.execute(query).fetchone() == (1,)


def test_a_merge_inserts_updates_and_deletes_in_one_commit(tmp_path: Path) -> None:
    uri = str(tmp_path / "t")
    overwrite(uri, people(1, 2))
    version = ENGINE.version(uri)
    changes = pa.table({"_op": ["U", "D", "I"], "id": [1, 2, 3], "name": ["new", None, "n3"]})

    merged = ENGINE.merge(uri, changes.to_reader(), key="id", commit=Commit("x", 2), expected_version=version)

    assert merged == version + 1
    rows = pa.table(DeltaTable(uri).to_pyarrow_table()).sort_by("id").to_pylist()
    assert rows == [{"id": 1, "name": "new"}, {"id": 3, "name": "n3"}]


def test_an_empty_merge_makes_no_commit(tmp_path: Path) -> None:
    uri = str(tmp_path / "t")
    overwrite(uri, people(1))
    version = ENGINE.version(uri)
    nothing = pa.table(
        {"_op": pa.array([], pa.string()), "id": pa.array([], pa.int64()), "name": pa.array([], pa.string())}
    )

    assert ENGINE.merge(uri, nothing.to_reader(), key="id", commit=Commit("x", 2), expected_version=version) is None
    assert ENGINE.version(uri) == version


def test_a_merge_on_a_table_that_moved_on_is_refused(tmp_path: Path) -> None:
    uri = str(tmp_path / "t")
    overwrite(uri, people(1))
    version = ENGINE.version(uri)
    ENGINE.append(uri, people(2))
    changes = people(1).append_column("_op", pa.array(["U"]))

    with pytest.raises(ConcurrentWriteError):
        ENGINE.merge(uri, changes.to_reader(), key="id", commit=Commit("x", 2), expected_version=version)


def test_appending_other_types_is_an_error_not_a_cast(table: Path) -> None:
    with pytest.raises(IntegrityError):
        ENGINE.append(str(table), pa.table({"id": [1.7], "name": ["x"]}))

    assert DeltaTable(table).count() == 0


def test_a_table_with_features_that_one_engine_cannot_read_is_not_written(tmp_path: Path) -> None:
    uri = str(tmp_path / "t")
    DeltaTable.create(uri, SCHEMA, configuration={"delta.enableDeletionVectors": "true"})

    with pytest.raises(LakeError, match="deletionVectors"):
        ENGINE.append(uri, people(1))


def test_a_half_written_table_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    log = tmp_path / "t" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text('{"commitInfo":')

    with pytest.raises(LakeError, match="Nothing was written"):
        ENGINE.append(str(tmp_path / "t"), people(1))


def test_added_columns_are_null_in_old_rows_and_adding_twice_is_once(table: Path) -> None:
    uri = str(table)
    ENGINE.append(uri, people(1))
    for _ in range(2):
        ENGINE.add_columns(uri, [pa.field("id", pa.int64()), pa.field("tier", pa.string())])

    assert ENGINE.schema(uri).names == ["id", "name", "tier"]
    assert DeltaTable(uri).to_pyarrow_table().column("tier").to_pylist() == [None]


def test_a_table_overwritten_with_other_columns_can_still_be_written(tmp_path: Path) -> None:
    """Setting table properties would add a protocol feature that the other engine does not know."""
    uri = str(tmp_path / "t")
    before = pa.table({"id": [1], "wall": pa.array([0], pa.timestamp("us")), "email": ["a@b"]})
    overwrite(uri, before)
    after = before.drop_columns(["wall"])

    overwrite(uri, after, unindexed=["email"])
    ENGINE.append(uri, after)

    assert DeltaTable(uri).count() == 2
    assert "email" not in ENGINE.tip(uri, "x").properties["delta.dataSkippingStatsColumns"]
