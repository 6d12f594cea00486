"""Where Spark's settings come from, what a machine without Java is told, and the command under spark-submit."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ingestion import spark_submit
from ingestion.errors import ConfigurationError
from ingestion.lake.spark.session import DELTA, _note_jars, is_local, spark_settings, write_defaults
from ingestion.runs.context import open_context
from ingestion.settings import Settings
from tests.engines.conftest import Company, company
from tests.examples import LONG_FORM
from tests.spark.session import NEEDS_SPARK, SETTINGS

__all__ = ["company"]


def test_one_machine_binds_to_itself_and_keeps_its_files_together(tmp_path: Path) -> None:
    settings = spark_settings(tmp_path / "home", environ={"LAKEHOUSE_CACHE": str(tmp_path)})

    assert settings["spark.driver.bindAddress"] == settings["spark.driver.host"] == "127.0.0.1"
    assert settings["spark.ui.enabled"] == "false"
    assert settings["spark.sql.session.timeZone"] == "UTC"
    assert settings["spark.jars.packages"] == DELTA
    assert settings["spark.jars.ivy"] == str(tmp_path / "ivy")
    assert settings["spark.sql.warehouse.dir"].startswith(str(tmp_path / "home"))
    assert str(tmp_path / "home") in settings["spark.driver.extraJavaOptions"]


def test_a_cluster_keeps_its_own_jars_and_addresses(tmp_path: Path) -> None:
    settings = spark_settings(
        tmp_path, environ={"LAKEHOUSE_SPARK_CONF": '{"spark.master": "yarn", "spark.speculation": false}'}
    )

    assert settings["spark.master"] == "yarn"
    assert settings["spark.speculation"] == "false"
    assert not {"spark.jars.packages", "spark.driver.bindAddress", "spark.driver.memory"} & {*settings}
    assert settings["spark.sql.parquet.outputTimestampType"] == "TIMESTAMP_MICROS"


@pytest.mark.parametrize(
    ("master", "local"), [("local", True), ("local[*]", True), ("local-cluster[1,1,1]", False), ("yarn", False)]
)
def test_local_masters_are_told_from_others(master: str, local: bool) -> None:
    assert is_local(master) is local


def test_an_override_wins_and_an_empty_one_takes_a_setting_away(tmp_path: Path) -> None:
    given = {"spark.jars.packages": "", "spark.ui.enabled": "true", "spark.driver.extraJavaOptions": "-Xss4m"}
    settings = spark_settings(tmp_path, environ={"LAKEHOUSE_SPARK_CONF": json.dumps(given)})

    assert "spark.jars.packages" not in settings
    assert settings["spark.ui.enabled"] == "true"
    assert settings["spark.driver.extraJavaOptions"].endswith(" -Xss4m")


def test_further_jars_come_beside_deltas_whether_these_are_resolved_or_noted(tmp_path: Path) -> None:
    own = tmp_path / "own"
    environ = {"LAKEHOUSE_CACHE": str(tmp_path), "LAKEHOUSE_SPARK_JARS": str(own)}
    with pytest.raises(ConfigurationError, match="LAKEHOUSE_SPARK_JARS: names no folder with jars"):
        spark_settings(tmp_path, environ=environ)
    own.mkdir()
    (own / "kafka.jar").touch()

    settings = spark_settings(tmp_path, environ=environ)
    assert settings["spark.jars"] == str(own / "kafka.jar")
    assert settings["spark.jars.packages"] == DELTA

    delta = tmp_path / "ivy" / "jars" / "delta.jar"
    delta.parent.mkdir(parents=True)
    delta.touch()
    session = SimpleNamespace(
        conf=settings,
        sparkContext=SimpleNamespace(getConf=lambda: {"spark.jars": f"file:{delta},file:{own}/kafka.jar"}),
    )
    _note_jars(session)
    assert spark_settings(tmp_path, environ=environ)["spark.jars"] == f"{delta},{own / 'kafka.jar'}"


def test_jars_that_an_earlier_start_noted_are_named_without_a_resolution(tmp_path: Path) -> None:
    environ = {"LAKEHOUSE_CACHE": str(tmp_path)}
    note = Path(spark_settings(tmp_path, environ=environ)["spark.lakehouse.jarsNote"])
    jar = tmp_path / "ivy" / "jars" / "delta.jar"
    jar.parent.mkdir(parents=True)
    note.write_text('["delta.jar"]')
    assert "spark.jars" not in spark_settings(tmp_path, environ=environ)
    jar.touch()

    settings = spark_settings(tmp_path, environ=environ)

    assert settings["spark.jars"] == str(jar)
    assert "spark.jars.packages" not in settings


def test_a_setting_that_is_no_json_is_refused_without_showing_it(tmp_path: Path) -> None:
    for text in ("spark.master=yarn secret", "[1]", '{"a": {"b": 1}}'):
        with pytest.raises(ConfigurationError, match="must be a JSON object") as told:
            spark_settings(tmp_path, environ={"LAKEHOUSE_SPARK_CONF": text})
        assert "secret" not in str(told.value)


def test_an_engine_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is 'flink'; it must be embedded or spark"):
        Settings.from_environ({"LAKEHOUSE_PROJECT": str(tmp_path), "LAKEHOUSE_ENGINE": "flink"})


def test_a_machine_without_java_is_told_what_to_do(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(company.folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)

    with pytest.raises(
        ConfigurationError, match=r"spark: needs Java .* there is no `java`.*\. Nothing was .*LAKEHOUSE_ENGINE"
    ):
        open_context(replace(company.settings, engine="spark"))


def test_the_embedded_engine_loads_no_pyspark() -> None:
    script = "import sys, ingestion.load.load_table, ingestion.daily; sys.exit('pyspark' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.skipif(find_spec("pyspark") is None, reason="Spark needs the extra spark")
def test_the_written_settings_are_for_this_user_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestion.lake.spark.session.check_installed", lambda _: None)
    folder = write_defaults(tmp_path / "conf", environ={"LAKEHOUSE_SPARK_CONF": '{"spark.x": "a\\\\b"}'})

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    lines = (folder / "spark-defaults.conf").read_text().splitlines()
    assert "spark.x a\\\\b" in lines
    assert "spark.sql.session.timeZone UTC" in lines


class TestOnSpark:
    pytestmark = NEEDS_SPARK

    def test_a_session_spells_tables_alike_whatever_its_platform_prefers(self, spark: Any) -> None:
        from ingestion.lake.spark.engine import SparkDelta

        spark.conf.set("spark.sql.parquet.outputTimestampType", "INT96")
        try:
            session = SparkDelta().session
            assert session.conf.get("spark.sql.parquet.outputTimestampType") == "TIMESTAMP_MICROS"
        finally:
            spark.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")

    @LONG_FORM  # Airflow starts it so in tests/dags/test_spark_submit.py
    def test_the_command_runs_under_spark_submit(self, company: Company) -> None:
        defaults = write_defaults(company.folder / "conf", environ={**os.environ, **SETTINGS}) / "spark-defaults.conf"
        submit = [sys.executable, "-m", "pyspark.bin.spark-submit"]
        from pyspark.find_spark_home import _find_spark_home

        submit = [f"{_find_spark_home()}/bin/spark-submit", "--properties-file", str(defaults)]
        environ = {
            **os.environ,
            "LAKEHOUSE_PROJECT": str(company.folder),
            "LAKEHOUSE_ROOT": company.settings.lake_root,
            "AIRFLOW_CONN_CRM": f"duckdb:///{company.settings.connection('crm').schema}",
            "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [*submit, str(spark_submit.__file__), "load", "--json", "crm.people"]

        ran = subprocess.run(command, env=environ, check=False, capture_output=True, text=True)

        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout[ran.stdout.index("[") :])[0]["appended"] == 3
        assert "Spark" in (company.folder / "lake/bronze/crm/people/_delta_log/00000000000000000001.json").read_text()
