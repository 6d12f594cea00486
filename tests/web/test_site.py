"""What a server keeps, and what it shows when the lake cannot be read."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ingestion.errors import LakehouseError
from ingestion.ledger.journal import Journal
from monitoring.board import Board
from monitoring.findings import Level
from monitoring.web import site as sites
from monitoring.web.app import create_app
from monitoring.web.site import Site
from tests.web.worlds import NOW, World

Find = Callable[[str], World]


@pytest.fixture
def site(own_world: Find) -> Site:
    return own_world("green").site()


def test_an_answer_is_kept_until_the_ledger_changes(own_world: Find) -> None:
    world = own_world("green")
    site = world.site()

    first = site.board()
    assert site.board() is first
    world.journal.append("gaps", [world.check("crm.people", NOW, severity="CRITICAL")])

    assert (first.value.level, site.board().value.level) == (Level.OK, Level.CRITICAL)
    assert (site.hits, site.misses) == (1, 2)


def test_a_changed_contract_is_read_again_and_an_invalid_one_is_a_finding(own_world: Find) -> None:
    world = own_world("green")
    site, file = world.site(), world.folder / "data_contracts" / "crm" / "people.odcs.yaml"
    text = file.read_text()
    assert site.board().value.level is Level.OK

    file.write_text(text.replace("value: 24", "value: 1"))
    late: Board = site.board().value
    file.write_text(text.replace("kind: DataContract", "kind: Nothing"))
    broken: Board = site.board().value

    assert [(finding.kind, finding.subject) for finding in late.findings] == [("stale", "crm.people")]
    assert ("contract_invalid", "people") in [finding.key for finding in broken.findings]
    assert {table.id for table in broken.tables} == {"crm.notes", "crm.places"}


def test_names_are_read_once_and_again_when_there_is_another_model_or_contract(own_world: Find) -> None:
    site = own_world("green").site()
    names = site.names()
    assert site.names() is names
    model = site.settings.dbt_project / "models" / "made.sql"
    model.parent.mkdir(parents=True, exist_ok=True)
    model.write_text("select 1")

    assert ("made" in names.models, "made" in site.names().models) == (False, True)
    (site.settings.contracts / "crm" / "places.odcs.yaml").unlink()
    assert {*names.tables} - {*site.names().tables} == {"crm.places"}


def test_the_last_answer_is_shown_with_its_age_while_the_ledger_is_damaged(own_world: Find) -> None:
    world = own_world("green")
    site = world.site()
    client = TestClient(create_app(site))
    assert "cannot be read now" not in client.get("/").text
    world.journal.append("runs", [world.load("crm.people", NOW)])
    newest = max((world.folder / "lake" / "ops" / "runs" / "_delta_log").glob("*.json"))
    newest.write_text(newest.read_text()[:40])

    page = client.get("/").text

    assert "The lake cannot be read now; this is what it said" in page
    assert "All 3 tables are right and on time." in page
    assert client.get("/readyz").status_code == 503


def test_without_any_answer_the_fault_is_told(own_world: Find) -> None:
    world = own_world("empty")
    shutil.rmtree(world.folder / "lake")

    with pytest.raises(LakehouseError, match="there is no lake"):
        world.site().board()


def test_a_ledger_of_an_earlier_version_has_fewer_tables_and_columns(own_world: Find) -> None:
    world = own_world("green")
    for table in ("tests", "quality_rates", "models", "drift"):
        shutil.rmtree(world.folder / "lake" / "ops" / table, ignore_errors=True)

    board: Board = world.site().board().value

    assert (len(board.tables), board.models, board.level) == (3, (), Level.OK)


def test_a_slow_lake_gives_the_last_answer_in_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    hold = threading.Event()
    before = site.board()
    monkeypatch.setattr(sites, "PATIENCE", 0.2)
    monkeypatch.setattr(site, "_open", lambda: hold.wait(10))

    started = time.monotonic()
    late = site.board()
    hold.set()

    assert time.monotonic() - started < 5
    assert late.value is before.value
    assert late.fault == "the lake did not answer in time"


def test_requests_at_once_see_the_same_board(site: Site) -> None:
    with ThreadPoolExecutor(8) as pool:
        boards = list(pool.map(lambda _: site.board().value, range(24)))

    assert {board.level for board in boards} == {Level.OK}
    assert {len(board.tables) for board in boards} == {3}


def test_at_most_so_many_answers_are_kept(site: Site) -> None:
    def question(journal: Journal) -> int:
        del journal
        return 1

    for number in range(sites.KEPT + 10):
        site.ask(number, question)

    assert site.kept == sites.KEPT


def test_a_site_reads_and_never_writes(own_world: Find) -> None:
    world = own_world("drift")
    before = _files(world.folder)
    client = TestClient(create_app(world.site()))

    for path in ("/", "/pipeline", "/quality", "/gaps", "/lineage", "/api/v1/metrics", "/metrics/database", "/metrics"):
        assert client.get(path).status_code == 200

    assert _files(world.folder) == before


def _files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
