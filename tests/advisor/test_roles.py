from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion.contracts.drift import Drift, DriftKind, FoundColumn
from ingestion.contracts.model import Contract, DriftAction
from ingestion.lake.layout import create_lake
from ingestion.settings import Settings
from monitoring.advisor.models.opening import KEY
from monitoring.advisor.opening import open_advisor
from monitoring.advisor.roles import SchemaDriftDetector, get_llm_provider
from monitoring.advisor.values import Question
from tests.advisor.model_server import GOOD, Reply, serving
from tests.advisor.raised import ROOT


def test_a_column_that_is_gone_is_detected_and_assessed(make_contract: Callable[..., Contract]) -> None:
    import pyarrow as pa

    contract, detector = make_contract(), SchemaDriftDetector()
    found = [
        FoundColumn("id", "BIGINT", pa.int64(), False, "duckdb"),
        FoundColumn("changed_at", "TIMESTAMP", pa.timestamp("us"), False, "duckdb"),
    ]

    drifts = detector.detect(contract, found)
    advice = detector.assess(contract, drifts)

    assert [drift.column for drift in drifts] == ["name"]
    assert advice is not None
    assert advice.cause == "contract_broken"
    assert advice.recommended_action.command == "lakehouse plan crm.people"


def test_without_a_difference_there_is_nothing_to_assess(make_contract: Callable[..., Contract]) -> None:
    assert SchemaDriftDetector().assess(make_contract(), []) is None


def test_the_provider_answers_by_rules_where_no_model_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"LAKEHOUSE_PROJECT": str(ROOT), "LAKEHOUSE_ROOT": str(tmp_path / "none")}

    told = get_llm_provider(environ).chat("ORA-12541 since two o'clock")

    assert told.startswith("The source database does not answer")
    assert told.endswith("(rules v2)")


def test_a_model_without_its_key_leaves_the_rules_and_is_said(tmp_path: Path) -> None:
    environ = {"LAKEHOUSE_PROJECT": str(ROOT), "LAKEHOUSE_ROOT": str(tmp_path / "none"), "LAKEHOUSE_MODEL": "openai:m"}
    opened = open_advisor(Settings.from_environ(environ), environ)

    advice = opened.advisor.answer(Question("ORA-12541", opened.names))

    assert advice.advisor == "rules v2"
    assert "LAKEHOUSE_MODEL_KEY: not set" in advice.note


def test_a_damaged_ledger_leaves_the_rules_and_is_said(tmp_path: Path) -> None:
    create_lake(tmp_path / "lake")
    log = tmp_path / "lake" / "ops" / "incidents" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("{ torn")
    environ = {"LAKEHOUSE_PROJECT": str(ROOT), "LAKEHOUSE_ROOT": str(tmp_path / "lake")}
    opened = open_advisor(Settings.from_environ(environ), environ)

    advice = opened.advisor.answer(Question("ORA-12541", opened.names))

    assert advice.cause == "source_unavailable"
    assert "the Delta log is damaged" in advice.note


def test_differences_are_assessed_by_the_model_behind_the_rules(
    make_contract: Callable[..., Contract], tmp_path: Path
) -> None:
    create_lake(tmp_path / "lake")
    drift = Drift(DriftKind.REMOVED_COLUMN, "name", "VARCHAR", "no such column", DriftAction.FAIL)
    told = GOOD | {"cause": "contract_broken", "root_cause": "dim_customer reads the column that is gone."}
    told |= {"recommended_action": {"text": "Look.", "command": "lakehouse plan crm.people"}}
    with serving(Reply(json.dumps(told)), Reply("It is gone.")) as served:
        environ = {"LAKEHOUSE_PROJECT": str(ROOT), "LAKEHOUSE_ROOT": str(tmp_path / "lake"), KEY: "k"}
        environ |= {"LAKEHOUSE_MODEL": "openai:m", "LAKEHOUSE_MODEL_URL": f"{served.url}/v1"}
        detector = SchemaDriftDetector(opened=open_advisor(Settings.from_environ(environ), environ))
        advices = [detector.assess(make_contract(), [drift]) for _ in range(2)]
        sent = json.loads(served.requests[0][2]["messages"][1]["content"])

    by_model, by_rules = advices
    assert by_model is not None
    assert by_rules is not None
    assert (by_model.advisor, by_model.recommended_action.command) == ("openai:m", "lakehouse plan crm.people")
    assert (by_rules.advisor, by_rules.cause) == ("rules v2", "contract_broken")
    assert "does not have the asked form" in by_rules.note
    assert sent["facts"] == {"contract": "crm.people", "contract_version": "1.0.0"}
    assert "removed_column name: expected VARCHAR, found no such column" in sent["untrusted"]
    assert "differences between a data contract" in served.requests[0][2]["messages"][0]["content"]
