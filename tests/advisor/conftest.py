from __future__ import annotations

from tests.unit.conftest import make_contract
from tests.unit.monitoring.conftest import ledger

__all__ = ["ledger", "make_contract"]
