from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from ingestion.errors import LakeError
from ingestion.lake.delta_rs import DeltaRs
from ingestion.lake.layout import MARKER, LakeTable, create_lake, open_lake


def test_a_new_folder_becomes_a_lake_and_opens_again(tmp_path: Path) -> None:
    created = create_lake(tmp_path / "lake")

    assert open_lake(tmp_path / "lake") == created


def test_creating_a_lake_twice_changes_nothing(tmp_path: Path) -> None:
    create_lake(tmp_path)
    before = (tmp_path / MARKER).read_bytes()

    create_lake(tmp_path)

    assert (tmp_path / MARKER).read_bytes() == before


def test_a_folder_with_anything_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "report.xlsx").write_text("ours")

    with pytest.raises(LakeError, match=r"found 1 other entries"):
        create_lake(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["report.xlsx"]


def test_opening_where_no_lake_is_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="lakehouse init"):
        open_lake(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "x"}'], ids=["empty", "no format", "a list", "no number"])
def test_an_unreadable_marker_is_no_licence_to_write(tmp_path: Path, text: str) -> None:
    (tmp_path / MARKER).write_text(text)

    with pytest.raises(LakeError, match="not readable"):
        create_lake(tmp_path)


def test_a_lake_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text('{"format": 2}')

    with pytest.raises(LakeError, match="Upgrade"):
        open_lake(tmp_path)


def test_tables_lists_delta_tables_only_in_order(tmp_path: Path) -> None:
    lake = create_lake(tmp_path)
    schema = pa.schema([("x", pa.int64())])
    for uri in (lake.uri("silver", "stg_b"), lake.uri("bronze", "shop", "orders"), lake.uri("silver", "stg_a")):
        DeltaRs().create(uri, schema)
    (tmp_path / "gold" / "half_written").mkdir(parents=True)

    assert lake.tables() == [
        LakeTable("bronze", "shop__orders", lake.uri("bronze", "shop", "orders")),
        LakeTable("silver", "stg_a", lake.uri("silver", "stg_a")),
        LakeTable("silver", "stg_b", lake.uri("silver", "stg_b")),
    ]


def test_a_lake_can_be_sent_to_another_process(tmp_path: Path) -> None:
    lake = create_lake(tmp_path)

    assert pickle.loads(pickle.dumps(lake)) == lake
