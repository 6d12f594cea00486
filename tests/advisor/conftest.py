from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import create_lake
from ingestion.ledger.journal import Journal
from tests.unit.conftest import make_contract
from tests.unit.monitoring.conftest import Ledger

__all__ = ["make_contract"]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return a ledger whose tables are created when they are written to."""
    return Ledger(Journal(create_lake(tmp_path / "lake"), DeltaRs()))
