from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from ingestion.demo import show
from ingestion.demo.clock import DAY_2
from ingestion.errors import LakeError
from ingestion.lake.layout import create_lake
from ingestion.settings import Settings, parse_connection


def test_a_lake_that_is_no_demos_is_refused_and_left_alone(tmp_path: Path) -> None:
    create_lake(tmp_path / "lake")
    before = sorted(os.listdir(tmp_path / "lake"))

    with pytest.raises(LakeError, match="a lake of yours"):
        show.refuse_foreign_lake(Settings(tmp_path, str(tmp_path / "lake")))

    assert sorted(os.listdir(tmp_path / "lake")) == before


def test_the_shell_lines_lead_back_to_the_files_whatever_the_folder_is_called(tmp_path: Path) -> None:
    project = tmp_path / "o'clock & sons"
    lines = show.exports(Settings(project, str(project / "lake")))
    values = dict(shlex.split(line)[1].split("=", 1) for line in lines)

    connection = parse_connection("AIRFLOW_CONN_ERP", values["AIRFLOW_CONN_ERP"])

    assert values["LAKEHOUSE_ROOT"] == str(project / "lake")
    assert f"/{connection.schema}" == str(project / "demo-world" / "erp.duckdb")
    assert connection.extra["clock"] == DAY_2.isoformat()
