from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ingestion.contracts.odcs import read_contracts

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "dbt_project" / "models"


def models(layer: str) -> list[Path]:
    found = sorted((MODELS / layer).rglob("*.sql"))
    assert found, f"no model in {layer}"
    return found


@pytest.mark.parametrize("path", models("gold"), ids=lambda path: path.stem)
def test_gold_reads_silver_and_gold_and_never_a_source(path: Path) -> None:
    text = path.read_text()

    assert "source(" not in text
    assert re.search(r"ref\('(stg|dim)_", text)


@pytest.mark.parametrize("path", models("silver"), ids=lambda path: path.stem)
def test_silver_reads_its_own_source_and_no_model(path: Path) -> None:
    assert re.fullmatch(r"\{\{ scd2\('[a-z0-9_]+', '[a-z0-9_]+'\) \}\}\n", path.read_text())


def test_no_model_and_no_macro_looks_at_the_clock() -> None:
    clocks = re.compile(r"current_timestamp|current_date|now\(\)|getdate|run_started_at", re.IGNORECASE)
    files = [file for place in ("models", "macros", "measures") for file in (MODELS.parent / place).rglob("*.sql")]

    assert [file.name for file in files if clocks.search(file.read_text())] == []


def test_gold_has_no_column_that_a_contract_calls_personal() -> None:
    personal = {
        c.name for contract in read_contracts(ROOT / "data_contracts") for c in contract.columns if c.is_personal
    }
    files = sorted((MODELS / "gold").rglob("*.yml"))
    promised = {
        c["name"] for file in files for m in yaml.safe_load(file.read_text()).get("models", []) for c in m["columns"]
    }

    assert {"customer_name", "email"} <= personal
    assert promised & personal == set()


def test_every_gold_table_keeps_an_enforced_contract() -> None:
    described = {
        m["name"]: m
        for file in (MODELS / "gold").rglob("*.yml")
        for m in yaml.safe_load(file.read_text()).get("models", [])
    }

    assert sorted(described) == [path.stem for path in models("gold")]
    assert all(model["config"]["contract"] == {"enforced": True} for model in described.values())
