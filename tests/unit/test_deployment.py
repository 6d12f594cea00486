"""What `lakehouse doctor --deployment` finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingestion.admin.deployment import examine_deployment, schedules
from ingestion.errors import ConfigurationError
from ingestion.lake import duck
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import create_lake
from ingestion.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "data_contracts").mkdir()
    found = Settings.from_environ({"LAKEHOUSE_PROJECT": str(tmp_path), "LAKEHOUSE_ROOT": str(tmp_path / "lake")})
    create_lake(found.lake_root)
    return found


def outcomes(settings: Settings) -> dict[str, str]:
    return {each.subject: each.outcome for each in examine_deployment(settings, {})}


def test_a_good_storage_keeps_all_commits_made_at_once_and_nothing_is_left(settings: Settings) -> None:
    assert outcomes(settings) == {
        "storage: write": "ok",
        "storage: two writers": "ok",
        "engine: embedded": "ok",
        "storage: delete": "ok",
        "schedules": "ok",
    }
    assert not any("_doctor" in path.name for path in Path(settings.lake_root).rglob("*"))


def test_a_storage_that_lets_one_commit_overwrite_another_is_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = DeltaRs.append

    def loses(self: DeltaRs, uri: str, rows: pa.Table, **options: Any) -> None:
        if rows["n"][0].as_py() != 3:
            append(self, uri, rows, **options)

    monkeypatch.setattr(DeltaRs, "append", loses)

    assert outcomes(settings)["storage: two writers"] == "damaged"


def test_a_storage_that_cannot_be_written_names_the_right(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any, **__: Any) -> None:
        raise OSError("Access Denied")

    monkeypatch.setattr(DeltaRs, "create", refuses)

    [first, *_] = examine_deployment(settings, {})

    assert (first.subject, first.outcome, first.advice) == (
        "storage: write",
        "missing",
        "the right to write in the folder",
    )


def test_a_login_that_delta_rs_takes_and_duckdb_does_not_is_a_fault_of_the_engine(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_: duck.Connection, uri: str) -> None:
        raise ConfigurationError(f"{uri}: DuckDB found no login for the lake's storage that it can use.")

    monkeypatch.setattr(duck, "reach", refuses)
    [engine] = [each for each in examine_deployment(settings, {}) if each.subject == "engine: embedded"]

    assert (engine.outcome, "DuckDB found no login" in engine.finding) == ("missing", True)
    assert outcomes(settings)["storage: delete"] == "ok", "what was written is deleted all the same"


def test_spark_without_java_is_a_fault_of_the_engine(settings: Settings, tmp_path: Path) -> None:
    found = examine_deployment(replace(settings, engine="spark"), {"PATH": str(tmp_path)})
    [engine] = [each for each in found if each.subject == "engine: spark"]

    assert (engine.outcome, "needs Java 17" in engine.finding) == ("missing", True)


def test_without_a_lake_the_next_step_is_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "data_contracts").mkdir()
    [first, _] = examine_deployment(Settings.from_environ({"LAKEHOUSE_PROJECT": str(tmp_path)}), {})

    assert (first.outcome, first.advice) == ("missing", "lakehouse init")


@pytest.mark.parametrize(
    ("daily", "maintenance", "outcome"),
    [
        ("@daily", "30 12 * * *", "ok"),
        ("@daily", "15 0 * * *", "warning"),
        ("0 */6 * * *", "30 12 * * *", "warning"),
        ("0 22-23,2 * * 1-5", "30 2 * * *", "warning"),
        ("@hourly", "30 12 * * *", "warning"),
        ("off", "30 12 * * *", "ok"),
    ],
)
def test_schedules_that_start_in_the_same_hour_are_told(daily: str, maintenance: str, outcome: str) -> None:
    environ = {"LAKEHOUSE_DAILY_SCHEDULE": daily, "LAKEHOUSE_MAINTENANCE_SCHEDULE": maintenance}

    assert schedules(environ).outcome == outcome
