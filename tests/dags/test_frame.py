"""The page in Airflow's UI, in a browser: its menu, its frame, its addresses, and nothing without a login."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from ingestion.demo.airflow import HOST, choose_port, stop
from tests.examples import LONG_FORM
from tests.web.worlds import DAY, NOW, World

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: make .venv/dev")
pytestmark = [
    LONG_FORM,  # Airflow's server starts for 11 s of CPU
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
USER, PASSWORD = "ada", "of the tests"
LOG = "/dags/medallion_daily/runs/run-1/tasks/source_crm.people"


def status(port: int, path: str) -> int:
    """Return the status of an answer without a login; 0 if there is none."""
    connection = HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()


@pytest.fixture
def airflow(migrated_airflow: dict[str, str], tmp_path: Path) -> Iterator[int]:
    """Serve Airflow, which asks for a login, on a lake in which a load failed; return its port."""
    world = World(tmp_path)
    failed = {"status": "failed", "error": "LakeError", "message": "It broke.", "run_id": "run-1"}
    world.journal.append("runs", [world.load("crm.people", NOW - DAY, **failed, log_url=f"http://air.example{LOG}")])
    world.written()
    port = choose_port({"AIRFLOW_PORT": "0"})
    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({USER: PASSWORD}))
    names = {
        "LAKEHOUSE_PROJECT": str(world.folder),
        "LAKEHOUSE_ROOT": world.lake.root,
        "AIRFLOW__API__BASE_URL": f"http://{HOST}:{port}",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of the tests, which is long enough",
    }
    command = [sys.executable, "-m", "airflow", "api-server", "--host", HOST, "--port", str(port), "--workers", "1"]
    with (tmp_path / "airflow.log").open("wb") as log:
        server = subprocess.Popen(
            command, env={**os.environ, **migrated_airflow, **names}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 120
        while status(port, "/api/v2/version") != 200:
            assert server.poll() is None, (tmp_path / "airflow.log").read_text()[-3000:]
            assert time.monotonic() < deadline, (tmp_path / "airflow.log").read_text()[-3000:]
            time.sleep(0.5)
        yield port
    finally:
        stop(server)


@pytest.fixture
def tab(airflow: int) -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(base_url=f"http://{HOST}:{airflow}", viewport={"width": 1280, "height": 860})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def test_the_page_is_an_entry_of_airflows_menu_and_asks_for_its_login(airflow: int, tab: Any) -> None:
    for path in ("", "gaps", "api/v1/metrics", "metrics"):
        assert status(airflow, f"/lakehouse/{path}") == 401, path

    tab.goto("/")
    tab.get_by_label("Username").fill(USER)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.keyboard.press("Enter")
    tab.get_by_role("link", name="Lakehouse").click()
    frame = tab.frame_locator("iframe")
    assert frame.locator("h1").inner_text() == "1 of 3 tables needs you."

    frame.get_by_role("link", name="Gaps", exact=True).click()
    frame.get_by_role("heading", name="Gaps", exact=True).wait_for()
    tab.wait_for_url("**/plugin/lakehouse/**")

    tab.goto("/plugin/lakehouse/lakehouse/pipeline?run=run-1")
    frame.get_by_role("heading", name="Steps of run-1").wait_for()
    frame.get_by_role("link", name="Log", exact=True).first.click()
    tab.wait_for_url(f"http://{HOST}:{airflow}{LOG}")  # of the window, not of the frame in it
