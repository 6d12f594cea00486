"""In Airflow connections and the salt are Airflow's first, then those of the package's own places."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ingestion.errors import ConfigurationError
from tests.dags.conftest import Project


@pytest.fixture
def wiring(parse: Callable[[], Any], project: Project, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("LAKEHOUSE_PROJECT", str(project.folder))
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(project.folder / "lake"))
    from lakehouse_dags import wiring

    return wiring


def test_a_connection_is_airflows_else_a_file_of_the_folder(
    wiring: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for system in ("ERP", "SHOP"):
        (tmp_path / f"AIRFLOW_CONN_{system}").write_text("oracle://of-the-folder:geheim@h/s")
    monkeypatch.setenv("AIRFLOW_CONN_ERP", "oracle://of-airflow:geheim@h/s")
    monkeypatch.delenv("AIRFLOW_CONN_SHOP", raising=False)
    monkeypatch.setenv("LAKEHOUSE_SECRETS_DIR", str(tmp_path))

    settings = wiring.open_run({"dag": SimpleNamespace(dag_id="backfill"), "run_id": "run"}).settings

    assert [settings.connection(system).login for system in ("erp", "shop")] == ["of-airflow", "of-the-folder"]
    assert b"geheim" not in pickle.dumps(settings)
    with pytest.raises(
        ConfigurationError, match=r"Looked for it in Airflow \(the connection crm\), the environment, the"
    ):
        settings.connection("crm")


def test_the_salt_is_airflows_variable_if_the_environment_has_none(
    wiring: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAKEHOUSE_MASK_SALT")
    monkeypatch.setenv("AIRFLOW_VAR_LAKEHOUSE_MASK_SALT", "a salt of Airflow")

    assert (
        wiring.open_run({"dag": SimpleNamespace(dag_id="backfill"), "run_id": "run"}).settings.salt()
        == "a salt of Airflow"
    )


def test_dags_read_the_file_of_the_project(wiring: Any, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    monkeypatch.setenv("LAKEHOUSE_TASK_HOURS", "")
    (project.folder / ".env").write_text("LAKEHOUSE_TASK_HOURS=2\n")

    before = dict(vars(wiring))
    try:
        hours = importlib.reload(wiring).DEFAULT_ARGS["execution_timeout"].total_seconds() / 3600
    finally:
        vars(wiring).update(before)

    assert hours == 2
