"""Rows of a batch: read by their keys."""

from __future__ import annotations

import pyarrow as pa

from ingestion.bronze import changes
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Contract, Mode
from ingestion.contracts.window import Window
from ingestion.errors import IntegrityError
from ingestion.extract import windows
from ingestion.load.batch import Batch
from ingestion.sources.base import Snapshot


def fetch(
    contract: Contract,
    snapshot: Snapshot,
    found: tuple[FoundColumn, ...],
    batch: Batch,
    keys: pa.Table,
    *,
    may_be_gone: bool = False,
) -> int:
    """
    Read rows by key and stage them as R, later than anything the lake knows of their key; return how many are kept.

    Raises IntegrityError if fewer rows come than the same state of the source showed keys, unless they `may_be_gone`.
    """
    future = windows.future_limit(contract, snapshot.fixed_point) if contract.mode is Mode.INCREMENTAL else None
    before = batch.tally.read
    rows = snapshot.read(contract, Window(), found=found, keys=keys)
    new_rows = changes.changed_state(contract, contract.content_names, op="R", moment=batch.fixed_point.moment)
    kept = batch.take(rows, op="R", new_rows=new_rows, future=future)
    batch.counts.fetched += kept
    wanted = keys.drop_null().group_by(list(contract.key_names)).aggregate([]).num_rows
    came = batch.tally.read - before
    if (
        came < wanted and not may_be_gone and snapshot.fixed_point.kind != "statement"
    ):  # where rows may go between two statements
        raise IntegrityError(
            f"{contract.id}: the source showed {wanted} keys that are to be read, and {came} rows when asked for them. "
            "Nothing was committed. A key that its own type cannot spell is the likely cause: compare the contract's "
            "key types with the source's."
        )
    return kept
