"""The pages in a real browser. Needs Chromium (`apt-get install chromium`)."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import uvicorn

from monitoring.web.app import create_app
from monitoring.web.pages import PAGES
from tests.examples import LONG
from tests.web.worlds import World

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: make .venv/dev")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
    pytest.mark.xdist_group("browser"),
]
Find = Callable[[str], World]
Serve = Callable[[str], str]
WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def serve(world: Find) -> Iterator[Serve]:
    """Serve a world; return its address."""
    servers: dict[str, tuple[uvicorn.Server, threading.Thread, str]] = {}

    def start(name: str) -> str:
        if name not in servers:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            config = uvicorn.Config(create_app(world(name).site()), port=port, log_level="error", ws="none")
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, daemon=True)
            thread.start()
            while not server.started:
                time.sleep(0.02)
            servers[name] = (server, thread, f"http://127.0.0.1:{port}/")
        return servers[name][2]

    yield start
    for server, thread, _ in servers.values():
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Tab:
    """A page in a context of its own, and what it complained about or fetched."""

    def __init__(self, chromium: Any, base: str, **options: Any) -> None:
        self.context = chromium.new_context(**{"viewport": WIDE, **options})
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.fetched: list[str] = []
        self.base = base
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.fetched.append(request.url))

    def open(self, path: str) -> Any:
        answer = self.page.goto(self.base + path)
        assert answer.status == 200, path
        return self.page


@pytest.fixture
def tab(chromium: Any, serve: Serve) -> Iterator[Callable[..., Tab]]:
    tabs: list[Tab] = []

    def make(name: str, **options: Any) -> Tab:
        tabs.append(Tab(chromium, serve(name), **options))
        return tabs[-1]

    yield make
    for each in tabs:
        each.context.close()


PATHS = ["" if page.name == "home" else page.name for page in PAGES]


@pytest.mark.parametrize(
    "name", ["source_down", "hostile", *(["green", "drift", "quarantine", "empty"] if LONG else [])]
)
def test_every_page_is_shown_without_a_complaint_or_a_foreign_request(name: str, tab: Callable[..., Tab]) -> None:
    shown = tab(name)

    for path in PATHS:
        assert shown.open(path).locator("h1").count() == 1, path

    assert shown.complaints == []
    assert {url for url in shown.fetched if not url.startswith(shown.base)} == set()


@pytest.mark.parametrize(("scheme", "name"), [("light", "drift"), *([("dark", "source_down")] if LONG else [])])
def test_every_page_is_accessible(scheme: str, name: str, tab: Callable[..., Tab]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe: make .venv/dev").Axe()

    shown = tab(name, color_scheme=scheme)
    for path in PATHS:
        found = axe.run(shown.open(path)).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], path


def test_a_narrow_screen_shows_all_without_moving_sideways(tab: Callable[..., Tab]) -> None:
    shown = tab("hostile", viewport=NARROW)

    for path in PATHS:
        wide = shown.open(path).evaluate("document.documentElement.scrollWidth")
        assert wide <= NARROW["width"], (path, wide)


def test_the_keyboard_reaches_the_content_and_copies_the_command(tab: Callable[..., Tab]) -> None:
    shown = tab("drift", permissions=["clipboard-read", "clipboard-write"])
    page = shown.open("")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('button[data-copy]')"):
            break
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.textContent === 'Copied'")

    assert page.evaluate("navigator.clipboard.readText()").startswith("lakehouse ")


def test_a_page_renews_itself_in_place(tab: Callable[..., Tab]) -> None:
    shown = tab("green")
    page = shown.open("gaps?table=crm.notes")
    page.evaluate("document.querySelector('h1').textContent = 'old'")

    page.evaluate(
        "htmx.ajax('GET', document.querySelector('#main').getAttribute('hx-get'), "
        "{target: '#main', select: '#main', swap: 'outerHTML'})"
    )

    page.wait_for_function("document.querySelector('h1').textContent === 'Gaps'")
    assert page.locator("main").count() == 1
    assert shown.complaints == []


def test_the_first_number_is_there_with_the_first_answer(tab: Callable[..., Tab]) -> None:
    page = tab("drift", java_script_enabled=False).open("")

    assert page.locator("h1").inner_text() == "1 of 3 tables needs you."
    assert page.locator(".tile .value").count() >= 4


def test_a_thumb_is_accepted_from_our_page_and_not_from_a_form_elsewhere(tab: Callable[..., Tab]) -> None:
    shown = tab("stale")
    page = shown.open("ask?q=crm.people: ORA-12541")
    page.get_by_role("button", name="Yes").click()

    assert page.get_by_role("status").inner_text() == "Noted: it helped."
    forged = f'<form method="post" action="{shown.base}rate?q=ORA-12541&helped=down"><button>Win</button></form>'
    page.goto(f"data:text/html,{quote(forged)}")
    with page.expect_response(lambda answer: "/rate" in answer.url) as answered:
        page.get_by_role("button", name="Win").click()
    assert answered.value.status == 403
