"""The dashboard for Grafana and the alert rules for Prometheus name metrics, labels and runbooks that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from monitoring import findings
from monitoring.web.prometheus import exposition
from tests.web.worlds import World

GRAFANA = Path(findings.__file__).parent / "grafana"
RUNBOOKS = GRAFANA.parents[1] / "docs" / "runbooks"
BOARD: dict[str, Any] = json.loads((GRAFANA / "dashboard.json").read_text())
RULES: list[dict[str, Any]] = yaml.safe_load((GRAFANA / "alerts.yml").read_text())["groups"][0]["rules"]
WORDS = {"absent", "and", "by", "count", "max", "min", "or", "sum", "time", "vector"}
OF_PROMETHEUS = {"up": {"job"}}
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"([^\"]*)\"")


def expressions() -> list[str]:
    return [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]] + [
        rule["expr"] for rule in RULES
    ]


def used(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric of an expression with the labels that it is asked for, by matchers or by grouping."""
    grouped = {label for group in re.findall(r"\bby \(([\w, ]+)\)", expression) for label in group.split(", ")}
    plain = re.sub(r"\bby \([\w, ]+\)", "", expression)
    for name, matchers in re.findall(r"\b([a-z_]\w*)(\{[^}]*\})?", plain):
        if name not in WORDS:
            yield name, grouped | {label for label, _ in MATCHER.findall(matchers)}


@pytest.fixture(scope="module")
def exposed(world: Callable[[str], World]) -> dict[str, set[str]]:
    """Return the labels of each metric of `/metrics`, from lakes in which all of them have a value."""
    found: dict[str, set[str]] = {}
    for name in ("green", "quarantine"):
        site = world(name).site()
        text = exposition(site.board().value)[0].decode()
        site.close()
        for sample in (sample for family in text_string_to_metric_families(text) for sample in family.samples):
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_metric_and_label_that_is_asked_for_is_exposed(exposed: dict[str, set[str]]) -> None:
    known = exposed | OF_PROMETHEUS
    asked = [pair for expression in expressions() for pair in used(expression)]

    assert [(name, labels) for name, labels in asked if name not in known or not labels <= known[name]] == []
    assert {name for name, _ in asked} == {*known}, "a metric that nobody looks at"


def test_a_name_that_is_not_exposed_is_noticed() -> None:
    assert [*used('sum by (kind) (lakehouse_findngs{severity="CRITICAL", tbl=~"a|b"}) or vector(0)')] == [
        ("lakehouse_findngs", {"kind", "severity", "tbl"})
    ]


def test_values_of_labels_are_kinds_and_levels_of_findings() -> None:
    allowed = {
        "kind": {*findings.Kind},
        "severity": {level.label for level in findings.Level},
        "job": {"lakehouse"},
        "table": {"$table"},
    }
    matched = [pair for expression in expressions() for pair in MATCHER.findall(expression)]

    assert matched
    assert [(label, value) for label, value in matched if not {*value.split("|")} <= allowed[label]] == []


def test_legends_and_texts_name_labels_that_are_exposed(exposed: dict[str, set[str]]) -> None:
    labels = set.union(*exposed.values())
    legends = [target["legendFormat"] for panel in BOARD["panels"] for target in panel["targets"]]
    texts = [text for rule in RULES for text in rule["annotations"].values()]

    assert {name for legend in legends for name in re.findall(r"\{\{(\w+)\}\}", legend)} <= labels
    assert {name for text in texts for name in re.findall(r"\$labels\.(\w+)", text)} <= labels


def test_every_panel_has_a_title_a_text_and_a_unit_and_none_lies_on_another() -> None:
    cells = [
        (x, y)
        for panel in BOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert all(panel["title"] and panel["description"] for panel in BOARD["panels"])
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in BOARD["panels"])
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_every_alert_has_a_severity_a_summary_and_a_runbook_that_exists() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]
        named = rule["annotations"].get("runbook", "docs/runbooks/index.md").replace("{{ $labels.kind }}", "gap")
        assert (RUNBOOKS / Path(named).name).exists(), rule["alert"]
