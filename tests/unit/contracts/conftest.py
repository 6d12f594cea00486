"""The valid customers contract as text, and ways to read a changed copy of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion.contracts.model import Contract
from ingestion.contracts.reading.compile import examine
from ingestion.errors import Fault

CONTRACTS = Path(__file__).parents[3] / "data_contracts"
SHOWN = "erp/customers.odcs.yaml"


@pytest.fixture(scope="session")
def customers_text() -> str:
    return (CONTRACTS / SHOWN).read_text(encoding="utf-8")


@pytest.fixture
def patched(customers_text: str) -> Callable[..., str]:
    """Return the text with the first place of each old piece replaced; a piece that is not there is an error."""

    def patch(*changes: tuple[str, str]) -> str:
        text = customers_text
        for old, new in changes:
            assert old in text, f"the customers contract has no {old!r}"
            text = text.replace(old, new, 1)
        return text

    return patch


@pytest.fixture
def faults_of() -> Callable[[str], list[Fault]]:
    return lambda text: examine(text, SHOWN, path=SHOWN, expected_id="erp.customers")[1]


@pytest.fixture
def contract_of() -> Callable[[str], Contract]:
    def read(text: str) -> Contract:
        contract, faults = examine(text, SHOWN, path=SHOWN)
        assert contract is not None, faults
        return contract

    return read
