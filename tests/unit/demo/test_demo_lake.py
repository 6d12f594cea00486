from __future__ import annotations

import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from ingestion.demo import show
from ingestion.demo.clock import DAY_2
from ingestion.errors import LakeError
from ingestion.lake.layout import DEMO_MARKER, create_lake, lake_at
from ingestion.settings import Settings, parse_connection


def test_a_lake_that_is_no_demos_is_refused_and_left_alone(tmp_path: Path) -> None:
    create_lake(tmp_path / "lake")
    before = sorted(os.listdir(tmp_path / "lake"))

    with pytest.raises(LakeError, match="a lake of yours"):
        show.refuse_foreign(Settings(tmp_path, str(tmp_path / "lake")))

    assert sorted(os.listdir(tmp_path / "lake")) == before


def test_the_shell_lines_lead_back_to_the_files_whatever_the_folder_is_called(tmp_path: Path) -> None:
    project = tmp_path / "o'clock & sons"
    lines = show.exports(Settings(project, str(project / "lake")))
    values = dict(shlex.split(line)[1].split("=", 1) for line in lines)

    connection = parse_connection("AIRFLOW_CONN_ERP", values["AIRFLOW_CONN_ERP"])

    assert values["LAKEHOUSE_ROOT"] == str(project / "lake")
    assert f"/{connection.schema}" == str(project / "lake-world" / "erp.duckdb")
    assert connection.extra["clock"] == DAY_2.isoformat()


def test_the_systems_of_a_demo_lie_beside_its_lake_so_that_two_demos_are_two_worlds(tmp_path: Path) -> None:
    worlds = [show.world_folder(Settings(tmp_path, str(tmp_path / name))) for name in ("lake", "other/lake", "lake-2/")]

    assert worlds == [tmp_path / "lake-world", tmp_path / "other/lake-world", tmp_path / "lake-2-world"]
    assert show.world_folder(Settings(tmp_path, "s3://lakes/mine/")) == tmp_path / "s3-lakes-mine-world"


@pytest.mark.parametrize("place", ["lake-world/thesis.txt", "lake-world/erp.duckdb", "lake/thesis.txt"])
def test_a_demo_leaves_files_of_somebody_else_alone(tmp_path: Path, place: str) -> None:
    settings = Settings(tmp_path, str(tmp_path / "lake"))
    if place.startswith("lake/"):
        create_lake(tmp_path / "lake")
        (tmp_path / "lake" / DEMO_MARKER).touch()
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("mine")

    with pytest.raises(LakeError, match=r"has 1 files or folders that no demo made, e\.g\. "):
        show._clear(settings)

    assert (tmp_path / place).read_text() == "mine"


def test_a_demo_takes_the_place_of_an_earlier_one_and_a_file_that_came_since_stops_it(tmp_path: Path) -> None:
    settings = Settings(tmp_path, str(tmp_path / "lake"))
    show._clear(settings)
    salt = show.demo_settings(settings, DAY_2).mask_salt
    (tmp_path / "lake-world" / "erp.duckdb").write_text("a system")
    show._clear(settings)

    assert os.listdir(tmp_path / "lake-world") == [DEMO_MARKER]
    assert show.demo_settings(settings, DAY_2).mask_salt != salt
    (tmp_path / "lake-world" / "notes").mkdir()
    with pytest.raises(LakeError, match="notes"):
        show._clear(settings)


def test_a_lake_of_the_demo_is_known_as_such(tmp_path: Path) -> None:
    create_lake(tmp_path / "lake")
    before = lake_at(tmp_path / "lake").is_demo
    (tmp_path / "lake" / DEMO_MARKER).touch()

    assert (before, lake_at(tmp_path / "lake").is_demo) == (False, True)


def test_the_salt_of_a_demo_is_its_own_and_in_a_file_that_only_its_user_reads(tmp_path: Path) -> None:
    settings = Settings(tmp_path, str(tmp_path / "it's a lake"))
    made = show.demo_settings(settings, DAY_2).mask_salt
    file = tmp_path / "it's a lake-world" / "mask_salt"
    lines = show.exports(settings)
    told = subprocess.run(
        ["bash", "-c", "; ".join([*lines, 'printf %s "$LAKEHOUSE_MASK_SALT"'])],
        capture_output=True, text=True, check=True, env={},
    )  # fmt: skip

    assert len(made) > 30
    assert file.read_text() == made == show.demo_settings(settings, DAY_2).mask_salt == told.stdout
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any(made in line for line in lines)
    given = Settings(tmp_path, str(tmp_path / "another"), mask_salt="somebody's own salt")
    assert show.demo_settings(given, DAY_2).mask_salt == "somebody's own salt"
    assert not (tmp_path / "another-world").exists()
