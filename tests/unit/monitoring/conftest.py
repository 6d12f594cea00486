from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import create_lake
from ingestion.ledger.journal import Journal


def at(text: str) -> datetime:
    """Return the UTC moment of `2026-03-01` or `2026-03-01 10:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class Ledger:
    """An empty ledger, and short ways to write what a check, a difference or a run left in it."""

    journal: Journal

    def check(self, contract_id: str, moment: str, **columns: Any) -> None:
        given = {"run_id": "run-1", "severity": "OK", "source_count": 10, "lake_count": 10, "sync_gap": 0, "batch": 1}
        row = {**given, "contract_id": contract_id, "checked_at": at(moment), **columns}
        self.journal.append("gaps", [row])

    def difference(self, difference_id: str, state: str, moment: str, **columns: Any) -> None:
        given = {"contract_id": "crm.people", "kind": "missing_in_lake", "run_id": "run-1", "keys": 1}
        row = {**given, "first_seen_at": at("2026-03-01 10:00"), **columns}
        self.journal.append(
            "differences", [{**row, "difference_id": difference_id, "state": state, "state_at": at(moment)}]
        )

    def run(self, step: str, subject: str, moment: str, **columns: Any) -> None:
        given = {"run_id": "run-1", "status": "ok", "started_at": at(moment), "finished_at": at(moment)}
        self.journal.append("runs", [{**given, "step": step, "subject": subject, **columns}])


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    journal = Journal(create_lake(tmp_path / "lake"), DeltaRs())
    journal.create()
    return Ledger(journal)
