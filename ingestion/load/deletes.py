"""Keys that are gone from the source, and the brake on deleting them from the lake."""

from __future__ import annotations

from ingestion.contracts.model import Contract
from ingestion.errors import DeleteBrakeError
from ingestion.load.batch import Batch

FEW_KEYS = 10


def allowed_rows(percent: float, of: int) -> float:
    """
    Return how many rows a limit in percent of a table of so many rows lets pass.

    In a small table a few rows are a big share: FEW_KEYS, or half of the table, pass in any case. 0 percent lets none.
    """
    return max(percent / 100.0 * of, min(FEW_KEYS, of / 2)) if percent else 0.0


def check_brake(
    contract: Contract, batch: Batch, *, allow_deletes: bool, approved: int = 0, command: str = "load"
) -> None:
    """
    Raise DeleteBrakeError if more of the lake's keys vanished than the contract lets one load delete.

    So many as somebody has `approved` may go. `command` is the one that goes on when deletions are allowed.
    """
    gone, alive = batch.vanished()
    if allow_deletes or gone <= approved or gone <= allowed_rows(contract.max_delete_percent, alive):
        return
    error = DeleteBrakeError(
        f"{contract.id}: promised at most {contract.max_delete_percent:g} % of the keys deleted at once, found "
        f"{gone} of {alive} keys gone from the source ({100.0 * gone / alive:.1f} %). Nothing was committed. "
        f"If the rows are meant to be gone: lakehouse {command} --allow-deletes {contract.id}"
    )
    error.deletes = gone
    raise error
