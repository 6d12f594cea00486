"""The API in its worlds: names and meanings of fields, paths, and that it only reads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from monitoring.web.api import ROUTES
from tests.web.worlds import World

Find = Callable[[str], World]
Browse = Callable[..., TestClient]
SCHEMA = Path(__file__).with_name("openapi.json")


def get(client: TestClient, path: str, status: int = 200) -> Any:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_the_schema_is_the_recorded_one(world: Find, browse: Browse) -> None:
    found = json.dumps(get(browse(world("empty")), "/openapi.json"), indent=1, sort_keys=True) + "\n"
    if os.environ.get("LAKEHOUSE_GOLDEN") == "write":
        SCHEMA.write_text(found)

    assert found == SCHEMA.read_text(), "the interface changed: review it, then run `make golden`"


def test_a_table_has_the_fields_that_older_tools_read(world: Find, browse: Browse) -> None:
    answer = get(browse(world("drift")), "/api/metrics")

    [people] = [table for table in answer["tables"] if table["table"] == "crm.people"]
    named = ("oracle_count", "lake_count", "sync_gap", "gap_percentage", "freshness_lag_hours", "severity")
    assert [people[name] for name in named] == [None, 4886, 114, 2.3, 1.5, "CRITICAL"]
    assert (people["source_count"], people["missing_partitions"]) == (5000, ["2026-02"])
    assert answer["verdict"] == "1 of 3 tables needs you."


@pytest.mark.parametrize("name", ["green", "source_down", "empty", "hostile"])
def test_every_path_answers_in_every_world_and_its_older_paths_say_the_same(
    name: str, world: Find, browse: Browse
) -> None:
    client = browse(world(name))
    changing = {"uptime", "timestamp", "memory_usage", "cache_stats", "query_seconds"}

    for path, _, _, others in ROUTES:
        told = [get(client, at.format(table="crm.people")) for at in (f"/api/v1{path}", *others)]
        if "of-system" not in path:
            told = [{k: v for k, v in of.items() if k not in changing} if isinstance(of, dict) else of for of in told]
            assert all(of == told[0] for of in told), path


def test_what_was_not_measured_is_null(world: Find, browse: Browse) -> None:
    client = browse(world("empty"))

    [first, *_] = get(client, "/api/v1/metrics")["tables"]
    quality = get(client, "/dq/status")

    assert {first[name] for name in ("source_count", "sync_gap", "missing_partitions", "checked_at")} == {None}
    assert first["severity"] == "UNKNOWN"
    assert quality["completeness"] == {"null_rate": None, "empty_rate": None}
    assert quality["consistency"] == {"duplicate_rate": None, "schema_compliance": None}
    assert get(client, "/latency")["average_throughput"] is None


def test_quality_is_a_share_of_the_newest_loads(world: Find, browse: Browse) -> None:
    answer = get(browse(world("quarantine")), "/dq/status")

    assert answer["completeness"] == {"null_rate": pytest.approx(100 * 12 / 360), "empty_rate": 0}
    assert answer["validity"] == {"max_length": pytest.approx(100 * 17 / 360)}
    assert answer["consistency"]["schema_compliance"] == 100


def test_latency_is_by_minute(world: Find, browse: Browse) -> None:
    answer = get(browse(world("green")), "/latency")

    [minute] = answer["minutes"]
    assert minute == {
        "minute": "2026-03-02T07:30:00Z",
        "avg_ingestion_lag": 4,
        "events_processed": 360,
        "latency_status": "excellent",
    }
    assert (answer["total_events"], answer["average_throughput"]) == (360, 30)


def test_alerts_are_the_faults_that_no_other_one_explains(world: Find, browse: Browse) -> None:
    answer = get(browse(world("source_down")), "/alerts/current")

    kinds = {(alert["type"], alert["table"]) for alert in answer["alerts"]}
    assert kinds == {("source_unavailable", "crm")}
    assert answer["active_alerts"] == 1


def test_recommendations_are_commands_for_a_person(world: Find, browse: Browse) -> None:
    [advice, *_] = get(browse(world("drift")), "/api/recommendations")

    assert advice["commands"][0].startswith("lakehouse ")
    assert (advice["requires_human_approval"], advice["advisor"]) == (True, "rules v2")


def test_an_unknown_table_is_not_found(world: Find, browse: Browse) -> None:
    assert "No contract has this id" in get(browse(world("green")), "/api/v1/metrics/crm.nobody", 404)["detail"]


def test_no_path_but_that_of_ratings_takes_anything(world: Find, browse: Browse) -> None:
    client = browse(world("green"))

    for route in client.app.routes:  # type: ignore[attr-defined]
        allowed = {"POST"} if route.path == "/rate" else {"GET", "HEAD"}  # decision 0043
        assert getattr(route, "methods", {"GET"} & allowed) <= allowed, route
    for method in (client.post, client.put, client.delete, client.patch):
        assert method("/api/v1/gaps").status_code == 405


def test_a_process_is_alive_without_a_lake_and_ready_with_one(world: Find, browse: Browse, tmp_path: Path) -> None:
    gone = browse(World(tmp_path / "other").site())
    (tmp_path / "other" / "lake" / "_lakehouse.json").unlink()

    assert get(gone, "/healthz") == {"status": "ok", "reason": None}
    assert get(gone, "/readyz", 503)["status"] == "unavailable"
    assert str(tmp_path) not in gone.get("/readyz").text
    assert get(gone, "/health/detailed")["status"] == "unhealthy"
    assert gone.get("/api/v1/metrics").status_code == 503
    assert "cannot be shown" in gone.get("/", headers={"accept": "text/html"}).text
    assert get(browse(world("stale")), "/readyz") == {"status": "ok", "reason": None}


def test_metrics_are_json_or_text_for_prometheus_as_asked(world: Find, browse: Browse) -> None:
    client = browse(world("drift"))

    text = client.get("/metrics").text

    assert 'lakehouse_sync_gap_rows{table="crm.people"} 114.0' in text
    assert 'lakehouse_level{table="crm.people"} 3.0' in text
    assert 'lakehouse_findings{kind="gap",severity="CRITICAL"} 1.0' in text
    assert client.get("/metrics", headers={"accept": "application/json"}).json() == []
    assert "lakehouse_sync_gap_rows{" not in browse(world("empty")).get("/metrics").text


TOKEN = "a token of the tests"


def test_with_a_token_everything_but_the_probes_needs_it(world: Find, browse: Browse) -> None:
    client = browse(world("green"), token=TOKEN)

    for path in ("/", "/api/v1/metrics", "/metrics", "/static/page.css", "/health", "/openapi.json"):
        assert client.get(path).status_code == 401, path
        assert client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200, path
        assert client.get(path, auth=("any", TOKEN)).status_code == 200, path
        assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401, path
        assert client.get(path, headers={"Authorization": "Basic !"}).status_code == 401, path
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
