from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from ingestion.contracts.model import Column, Contract, Mode, Rule


@pytest.fixture
def make_contract() -> Callable[..., Contract]:
    """Return a maker of small contracts: crm.people(id, name, changed_at), incremental by changed_at."""

    def make(**changes: Any) -> Contract:
        given: dict[str, Any] = {
            "id": "crm.people",
            "version": "1.0.0",
            "system": "crm",
            "entity": "people",
            "dialect": "duckdb",
            "source_table": ("main", "people"),
            "timezone": "UTC",
            "mode": Mode.INCREMENTAL,
            "watermark": "changed_at",
            "overlap": timedelta(hours=2),
            "silver_model": "stg_people",
            "columns": (
                Column("id", "id", "integer", "BIGINT", pa.int64(), True, 1, rules=(Rule("required"),)),
                Column("name", "name", "string", "VARCHAR", pa.string()),
                Column(
                    "changed_at",
                    "changed_at",
                    "timestamp",
                    "TIMESTAMP",
                    pa.timestamp("us"),
                    True,
                    rules=(Rule("required"),),
                ),
            ),
        }
        return Contract(**{**given, **changes})

    return make
