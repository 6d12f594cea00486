"""The page inside Airflow: found by its entry point, light to load, and shown to nobody without Airflow's login."""

from __future__ import annotations

import ast
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from tests.web.worlds import green


@pytest.fixture
def airflow_plugin(airflow_home: Path) -> Any:
    from monitoring import airflow_plugin

    return airflow_plugin


def test_airflow_finds_it_by_the_entry_point_of_the_package(airflow_plugin: Any) -> None:
    [found] = [point for point in entry_points(group="airflow.plugins") if point.name == "lakehouse"]

    assert found.load() is airflow_plugin.LakehousePlugin
    [app] = airflow_plugin.LakehousePlugin.fastapi_apps
    assert app["url_prefix"] == "/lakehouse"
    places = {view["destination"]: view["href"] for view in airflow_plugin.LakehousePlugin.external_views}
    assert places == {"nav": "lakehouse/", "dag_run": "lakehouse/pipeline?run={DAG_ID}/{RUN_ID}"}


def test_loading_it_imports_nothing_but_airflows_base_class() -> None:
    tree = ast.parse((Path(__file__).parents[2] / "monitoring" / "airflow_plugin.py").read_text())
    imported = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }

    assert imported == {"__future__", "asyncio", "collections.abc", "typing", "airflow.plugins_manager"}


def test_every_page_and_answer_asks_for_airflows_login(
    airflow_plugin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = green(tmp_path)
    monkeypatch.setenv("LAKEHOUSE_PROJECT", str(world.folder))
    monkeypatch.setenv("LAKEHOUSE_ROOT", world.lake.root)
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    outer = FastAPI()
    outer.mount("/lakehouse", airflow_plugin.OnFirstRequest(airflow_plugin._make))
    client = TestClient(outer)

    for path in ("", "gaps", "api/v1/metrics", "metrics", "healthz"):
        assert client.get(f"/lakehouse/{path}").status_code == 401, path
    assert client.post("/lakehouse/rate?helped=up&q=x", headers={"sec-fetch-site": "same-origin"}).status_code == 401
    assert client.get("/lakehouse/static/page.css").status_code == 200
