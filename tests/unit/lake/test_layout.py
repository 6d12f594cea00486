from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pytest

from ingestion.errors import ConfigurationError, LakeError
from ingestion.lake import layout
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import MARKER, Lake, LakeTable, create_lake, lake_at, mend_marker, open_lake, write_marker
from ingestion.lake.storage.filesystem import listed


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

    with pytest.raises(LakeError, match=r"nor a lake: 1 other entries"):
        create_lake(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["report.xlsx"]


def test_opening_where_no_lake_is_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="lakehouse init"):
        open_lake(tmp_path)


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"format": "x"}'], ids=["cut", "no format", "a list", "no number"])
def test_an_unreadable_marker_is_no_licence_to_write(tmp_path: Path, text: str) -> None:
    (tmp_path / MARKER).write_text(text)

    with pytest.raises(LakeError, match="not readable"):
        create_lake(tmp_path)


def test_an_init_that_was_killed_before_its_marker_was_written_is_done_by_the_next(tmp_path: Path) -> None:
    (tmp_path / MARKER).touch()
    (tmp_path / f"{MARKER}.1f.new").touch()

    create_lake(tmp_path)

    assert open_lake(tmp_path) == create_lake(tmp_path)


def test_an_empty_marker_among_other_files_is_no_licence_to_write(tmp_path: Path) -> None:
    (tmp_path / MARKER).touch()
    (tmp_path / "report.xlsx").write_text("theirs")

    with pytest.raises(LakeError, match="not readable"):
        create_lake(tmp_path)


def test_tables_without_their_marker_are_nobodys_to_empty(tmp_path: Path) -> None:
    lake = create_lake(tmp_path)
    DeltaRs().create(lake.uri("ops", "runs"), pa.schema([("x", pa.int64())]))
    (tmp_path / MARKER).unlink()

    with pytest.raises(LakeError, match="doctor --mend") as refused:
        create_lake(tmp_path)
    mend_marker(lake_at(tmp_path))

    assert "empty" not in str(refused.value)
    assert open_lake(tmp_path).tables() == [LakeTable("ops", "runs", lake.uri("ops", "runs"))]


def test_an_init_that_another_one_overtakes_takes_its_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def overtake(lake: Lake) -> None:  # between the look for a marker and the look at the folder
        write_marker(lake)
        DeltaRs().create(lake.uri("ops", "runs"), pa.schema([("x", pa.int64())]))

    monkeypatch.setattr(layout, "_check_bucket", overtake)

    assert create_lake(tmp_path).tables() == open_lake(tmp_path).tables() != []


def test_two_inits_at_once_both_find_the_lake(tmp_path: Path) -> None:
    schema = pa.schema([("x", pa.int64())])

    def init(number: int) -> int:
        start.wait()
        lake = create_lake(tmp_path / "lake")
        for table in range(3):
            DeltaRs().create(lake.uri("ops", f"t{table}"), schema)
        return number

    start = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(init, range(8)))

    lake = open_lake(tmp_path / "lake")
    assert done == list(range(8))
    assert [DeltaRs().version(table.uri) for table in lake.tables()] == [0, 0, 0]
    assert [path.name for path in (tmp_path / "lake").iterdir() if path.is_file()] == [MARKER]


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


@pytest.mark.parametrize(
    "name", ["a%20b", "a\\b", "a\nb", "a[b", "a]b", "a*b", "a?b", "a|b", "a^b", "a\tb", "a\u202eb"]
)
def test_a_name_that_libraries_read_otherwise_is_refused_before_anything_is_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="in it differently"):
        create_lake(tmp_path / name / "lake")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a b", "a'b", "aäb", "a#b", "a;b", 'a"b', "a{b}", "a$b", "a&b=c"])
def test_other_names_are_lakes(tmp_path: Path, name: str) -> None:
    created = create_lake(tmp_path / name)

    assert open_lake(tmp_path / name) == created


def test_a_folder_that_comes_and_goes_during_a_listing_is_listed_again(tmp_path: Path) -> None:
    (tmp_path / "one.json").touch()

    class Restless(pafs.LocalFileSystem):  # type: ignore[misc]
        listings = 0

        def get_file_info(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
            self.listings += 1
            if self.listings < 3:  # as Arrow does if the folder is made between its two questions to the disk
                raise FileNotFoundError
            return list(super().get_file_info(selector))

    assert [info.base_name for info in listed(Restless(), str(tmp_path))] == ["one.json"]
    assert listed(pafs.LocalFileSystem(), str(tmp_path / "nothing")) == []
