"""Every contract that ships is whole, and other tools of the standard can read it too."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from ingestion.contracts.odcs import find_contract, lint, list_contract_ids

jsonschema = pytest.importorskip("jsonschema")

CONTRACTS = Path(__file__).parents[2] / "data_contracts"


def test_no_shipped_contract_has_a_fault_or_a_warning() -> None:
    assert lint(CONTRACTS) == []


def test_the_retail_world_ships() -> None:
    assert {"erp.customers", "erp.products", "shop.orders", "shop.order_items"} <= set(list_contract_ids(CONTRACTS))


@pytest.mark.parametrize("contract_id", list_contract_ids(CONTRACTS))
def test_shipped_contract_is_valid_to_the_standards_own_schema(contract_id: str) -> None:
    text = (CONTRACTS / find_contract(CONTRACTS, contract_id).path).read_text(encoding="utf-8")
    schema = json.loads((files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft201909Validator(schema)

    assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize("contract_id", list_contract_ids(CONTRACTS))
def test_every_shipped_column_says_what_it_means(contract_id: str) -> None:
    contract = find_contract(CONTRACTS, contract_id)

    assert [column.name for column in contract.columns if not column.description] == []
