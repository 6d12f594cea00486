"""Where the next window of a table begins, and what its loads go by."""

from __future__ import annotations

from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.contracts.model import Contract, Mode
from ingestion.errors import ConfigurationError
from ingestion.runs.context import Context

CHANGE_LOG = "(change log)"


def watermark_name(contract: Contract) -> str | None:
    """Return what a table's loads go by: its watermark's column, or the log of changes."""
    return CHANGE_LOG if contract.mode is Mode.CHANGES else contract.watermark


def committed_watermark(context: Context, table: BronzeTable, state: BronzeState) -> str | None:
    """
    Return where the next window begins: from the commit, else the ledger, else the Bronze rows themselves.

    The last is the newest loaded watermark, which is at or before the committed one: older is safe. Mode changes goes
    by versions of the source's log; there the ledger also knows loads that found nothing to commit.
    Raises ConfigurationError if the contract has another watermark column by now.
    """
    contract = table.contract
    if state.is_empty or contract.mode is Mode.FULL:
        return None
    named = watermark_name(contract)
    if state.watermark_column not in (None, named):
        raise ConfigurationError(
            f"{contract.id}: the lake was loaded by the watermark {state.watermark_column}, the contract now names "
            f"{named}. No rows were read. Reload it once: lakehouse load --full {contract.id}"
        )
    noted = None
    if state.watermark is None or contract.mode is Mode.CHANGES:
        noted = context.journal.watermark(contract.id, state.batch, since=state.ingested_at)
    if contract.mode is Mode.CHANGES:
        versions = [int(text) for text in (noted, state.watermark) if text is not None]
        return str(max(versions)) if versions else None
    return state.watermark or noted or table.newest_watermark(state)
