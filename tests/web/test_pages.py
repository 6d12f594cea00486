"""Every page in every world, as HTML."""

from __future__ import annotations

import gzip
import html
import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient

from ingestion.printable import shown
from ingestion.shipped import RUNBOOKS
from monitoring.findings import Kind
from monitoring.web.pages import PAGES
from tests.web.worlds import DAY, HOSTILE, NOW, WORLDS, World

Find = Callable[[str], World]
Browse = Callable[..., TestClient]
LINK = re.compile(r'(?:href|src|hx-get)="([^"#]*)"')


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"\s+", " ", page)))


def links(page: str) -> set[str]:
    return {html.unescape(link) for link in LINK.findall(page)}


@pytest.mark.parametrize("name", WORLDS)
def test_every_link_of_every_page_leads_to_a_page(name: str, world: Find, browse: Browse) -> None:
    client, seen, waiting = browse(world(name)), set[str](), ["/"]

    while waiting:
        path = waiting.pop()
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        if answer.headers["content-type"].startswith("text/html"):
            assert "<h1" in answer.text, path
            assert not re.search(r"\bNone\b|\bnan\b| style=|onclick=", answer.text), path
            found = {urljoin(path, link) for link in links(answer.text)}
            assert all(link.startswith("/") for link in found), path
            waiting += found - seen
            seen |= found

    assert {f"/{page.name}" for page in PAGES[1:]} <= {link.partition("?")[0] for link in seen}


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("green", "All 3 tables are right and on time."),
        ("source_down", "1 of 1 source needs you."),
        ("drift", "1 of 3 tables needs you."),
        ("quarantine", "1 of 3 models needs you."),
        ("stale", "3 of 3 tables need you."),
        ("empty", "Nothing has run on this lake yet."),
    ],
)
def test_home_says_first_whether_the_data_is_right_and_on_time(
    name: str, verdict: str, world: Find, browse: Browse
) -> None:
    page = browse(world(name)).get("/").text

    assert re.search(r"<h1>(.*?)</h1>", page)[1] == verdict  # type: ignore[index]


def test_home_shows_the_cause_with_its_command_and_who_is_hit_and_not_what_follows(world: Find, browse: Browse) -> None:
    told = text_of(browse(world("source_down")).get("/").text)

    assert "The last 2 loads failed: crm: db.example:1521 did not answer in 20 s." in told
    assert "lakehouse doctor" in told or "lakehouse load crm.people" in told
    assert "read by dim_person, fact_visits, stg_people" in told
    assert "more faults follow from it" in told
    assert "behind its source; at most 24 h are promised" not in told.split("Tables")[0]


def test_a_number_that_was_never_measured_is_no_zero(world: Find, browse: Browse) -> None:
    told = text_of(browse(world("empty")).get("/").text)

    assert told.count("not measured") >= 4
    assert "0 rows" not in told


def test_a_ledger_that_is_overdue_says_so_on_every_page(world: Find, browse: Browse) -> None:
    client = browse(world("stale"))

    for page in PAGES:
        told = text_of(client.get("/" if page.name == "home" else f"/{page.name}").text)
        assert "No step of any run has ended since 2026-02-20" in told, page.name
    assert "No step of any run" not in browse(world("green")).get("/").text


def test_a_dag_of_others_does_not_make_the_ledger_fresh(own_world: Find, browse: Browse) -> None:
    world = own_world("stale")
    world.journal.append("runs", [world.load("sales_report", NOW, step="dag", run_id="sales_report/1")])

    told = text_of(browse(world).get("/").text)

    assert "No step of any run has ended since 2026-02-20" in told


def test_names_that_try_to_break_out_stay_text(world: Find, browse: Browse) -> None:
    client = browse(world("hostile"))

    for path in ("/", "/pipeline", "/gaps?table=crm.people", "/contracts?id=crm.notes", "/quality", "/incidents"):
        page = client.get(path).text
        assert "<script>alert" not in page, path
        assert "<b>Error" not in page, path
        assert "\u202e" not in html.unescape(page), path  # it turns the text that follows it
    assert shown(HOSTILE.strip()) in html.unescape(client.get("/contracts?id=crm.notes").text)
    assert "<script" not in client.get("/lineage", params={"format": "mermaid"}).text


def test_home_is_small(world: Find, browse: Browse) -> None:
    client = browse(world("green"))
    page = client.get("/").text
    needed = {link for link in links(page) if link.startswith("static/")}

    size = sum(len(gzip.compress(client.get(f"/{file}").content)) for file in needed)

    assert len(needed) + 1 <= 6
    assert size + len(gzip.compress(page.encode())) <= 30_000


def test_a_page_works_below_a_prefix(world: Find, browse: Browse) -> None:
    client = browse(world("drift"))

    for path in ("/", "/gaps", "/lineage"):
        for link in links(client.get(path).text):
            assert not link.startswith(("/", "http")), link


def test_every_number_says_as_of_when(world: Find, browse: Browse) -> None:
    client = browse(world("green"))

    for page in PAGES:
        told = text_of(client.get("/" if page.name == "home" else f"/{page.name}").text)
        assert f"Read {NOW:%Y-%m-%d %H:%M} UTC from" in told, page.name


def test_a_rate_is_shown_with_its_days_also_when_its_fault_is_over(own_world: Find, browse: Browse) -> None:
    world = own_world("empty")
    with world.journal.gathering():
        for back, hits in ((2, 12), (1, 6), (0, 0)):
            world.rates("crm.notes", NOW - back * DAY, null=hits)
            world.rates("crm.people", NOW - back * DAY)

    page = browse(world).get("/quality").text

    row = next(line for line in page.splitlines() if "<td>null</td>" in line)
    [path] = re.findall(r'class="line" d="([^"]*)"', row)
    heights = [float(point.split()[1]) for point in re.findall(r"[ML]([\d. ]+)", path)]
    assert heights == sorted(heights)  # from 10 % down to 0: an axis of SVG goes down
    assert (len(heights), len({*heights})) == (3, 3)
    assert "crm.people" not in row
    assert "3 of 4 measured rates are zero" in " ".join(text_of(page).split())


def test_gaps_names_missing_partitions_and_shows_each_day_of_a_table(world: Find, browse: Browse) -> None:
    page = browse(world("drift")).get("/gaps", params={"table": "crm.people"}).text

    assert "Missing partitions 2026-02 In quarantine" in " ".join(text_of(page).split())
    days = re.findall(r"<title>(\S+) (not checked|[A-Z]+)</title></rect>", page)
    assert [day for day, _ in days] == [f"{(NOW - back * DAY).date()}" for back in range(89, -1, -1)]
    assert Counter(level for _, level in days) == {"not checked": 79, "OK": 10, "CRITICAL": 1}
    assert days[-1] == ("2026-03-02", "CRITICAL")
    assert 'aria-label="Last 90 days: 10 OK, 1 CRITICAL"' in page
    assert "CRITICAL</title></rect>" not in browse(world("drift")).get("/gaps", params={"table": "crm.notes"}).text


@pytest.mark.parametrize("name", ["source_down", "drift", "quarantine", "stale"])
def test_each_fault_on_home_and_incidents_links_its_runbook(name: str, world: Find, browse: Browse) -> None:
    shown, client = world(name), browse(world(name))
    board = shown.site().board().value

    incidents, home = (html.unescape(client.get(path).text) for path in ("/incidents", "/"))
    for finding in board.findings:
        assert f'href="runbooks?kind={finding.kind}"' in incidents, finding.kind
    for finding in board.roots:
        assert f'href="runbooks?kind={finding.kind}"' in home, finding.kind


@pytest.mark.parametrize(
    ("log", "shown", "in_airflow"),
    [
        (
            "https://air.example/flow/dags/d/runs/r/tasks/t?try_number=2",
            "https://air.example/flow/dags/d/runs/r/tasks/t?try_number=2",
            False,
        ),
        (
            "https://air.example/flow/dags/d/runs/r/tasks/t?try_number=2",
            "/flow/dags/d/runs/r/tasks/t?try_number=2",
            True,
        ),
        ("javascript:alert(1)", None, True),
        ("https://air.example//evil.example/", None, True),
    ],
    ids=["alone", "in Airflow", "no page", "another host"],
)
def test_a_step_and_its_fault_link_the_log_of_the_task(
    log: str | None, shown: str | None, in_airflow: bool, own_world: Find, browse: Browse
) -> None:
    world = own_world("empty")
    failed = {"status": "failed", "error": "SourceUnavailableError", "message": "crm: no answer.", "log_url": log}
    world.journal.append("runs", [world.load("crm.people", NOW - DAY, **failed)])
    client = browse(world, in_airflow=in_airflow)

    for path, links_there in (("/pipeline", 1), ("/", 1), ("/incidents", 2)):  # the source, and the load behind it
        found = re.findall(r'<a href="([^"]*)"( data-parent)?>Log</a>', client.get(path).text)
        assert found == [(shown, " data-parent" if in_airflow else "")] * links_there * (shown is not None), path


def test_a_runbook_is_a_page_with_all_of_its_text(world: Find, browse: Browse) -> None:
    client = browse(world("empty"))

    for kind in [*Kind, "", "../gaps", "none"]:
        page = client.get("/runbooks", params={"kind": kind}).text
        source = (RUNBOOKS / f"{kind if kind in [*Kind] else 'index'}.md").read_text()
        told = " ".join(text_of(page).split())
        for line in re.findall(r"^(?:#+ |lakehouse ).*", source, re.MULTILINE):
            assert " ".join(line.lstrip("# ").replace("`", " ").split()) in told, (kind, line)
        assert not re.search(r"\]\(|\|\s*---|```|\.md\"", page), kind
        linked = {name for name in re.findall(r"\]\((\w+)\.md", source) if name != "index"}
        assert linked == {link.partition("=")[2] for link in links(page.partition("<article")[2]) if "?" in link}, kind
        assert page.count('<div class="scroll"') == len(re.findall(r"^\| ---", source, re.MULTILINE)), kind


def test_the_lineage_shows_two_steps_around_a_node(world: Find, browse: Browse) -> None:
    told = browse(world("green")).get("/lineage", params={"node": "silver:stg_people", "format": "mermaid"}).text

    names = re.findall(r'\["(.*?)<br/>(.*?)"\]', told)
    assert set(names) == {
        ("crm.people", "contract"),
        ("crm.people", "bronze"),
        ("stg_people", "silver"),
        ("dim_person", "gold"),
        ("fact_visits", "gold"),
    }


def test_the_statistics_of_conversations_are_gauges_of_their_names(world: Find, browse: Browse) -> None:
    green = world("green")
    row = {"stream": "rtbi.call_segments", "run_id": "r", "state": "running", "fenced": 0, "retries": 0}
    for minute, sent in ((3, 5), (2, 7)):
        numbers = {
            "noted_at": NOW - timedelta(minutes=minute),
            "numbers": f'{{"sqs_sent": {sent}, "cycles_completed": 2}}',
        }
        green.journal.append("streams", [row | numbers])

    gauges = browse(green).get("/metrics", headers={"accept": "text/plain"}).text

    assert 'lakehouse_cdc_sqs_sent{stream="rtbi.call_segments"} 7.0' in gauges
    assert 'lakehouse_cdc_cycles_completed{stream="rtbi.call_segments"} 2.0' in gauges


def test_streams_are_shown_with_what_became_of_their_messages(world: Find, browse: Browse) -> None:
    green = world("green")
    for minute in range(3):
        counts = {"read": 1200, "merged": 1100, "superseded": 40, "filtered": 50, "dead": 10, "lag": 7, "retries": 0}
        row = {"stream": HOSTILE, "run_id": "r", "state": "running", "fenced": 0, "event_at": NOW - DAY}
        green.journal.append("streams", [{**row, **counts, "noted_at": NOW - timedelta(minutes=3 - minute)}])
    client = browse(green)

    page, gauges = client.get("/streams").text, client.get("/metrics", headers={"accept": "text/plain"}).text

    told = text_of(page)
    assert "3,600 3,300 120 150 30" in " ".join(told.split())
    assert "<svg" in page
    assert HOSTILE not in page
    assert 'lakehouse_stream_dead_messages{stream="' in gauges
    assert "dead letters: they broke the contract" in text_of(client.get("/incidents").text)
