"""Publishes a batch."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ingestion.contracts.model import Contract
from ingestion.contracts.window import Window
from ingestion.load.batch import Batch
from ingestion.runs.context import Context
from ingestion.runs.watermark import watermark_name


def batch_metadata(
    context: Context, contract: Contract, batch: Batch, *, watermark: str | None, window: Window | None = None
) -> dict[str, Any]:
    """Return what the batch's commit says about it: no row value, no secret."""
    return {
        "run_id": context.run_id,
        "contract_version": contract.version,
        "watermark_column": watermark_name(contract),
        "watermark": watermark,
        "window": None if window is None else {"low": window.low, "high": window.high},
        "ingested_at": batch.ingested_at.isoformat(),
        "fixed_point": batch.fixed_point.as_dict(),
        "counts": {"read": batch.tally.read, "good": batch.tally.good, "bad": batch.tally.bad, **asdict(batch.counts)},
    }
