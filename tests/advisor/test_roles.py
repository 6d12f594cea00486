from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Contract
from ingestion.lake.layout import create_lake
from ingestion.settings import Settings
from monitoring.advisor.opening import open_advisor
from monitoring.advisor.roles import SchemaDriftDetector, get_llm_provider
from monitoring.advisor.values import Question
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
