"""Closes a sync gap by reading rows again and appending them to Bronze. The next build updates Silver and Gold."""

from __future__ import annotations

from ingestion.bronze.table import BronzeTable
from ingestion.errors import DeleteBrakeError
from ingestion.gaps.compare import compare_in
from ingestion.gaps.record import record_comparison
from ingestion.gaps.repair_plan import RepairWork, check_limit, find_work
from ingestion.load.batch import open_batch
from ingestion.load.checks import require_history
from ingestion.load.deletes import check_brake, reported_keys, stage_deletes
from ingestion.load.publish import review_rows
from ingestion.load.replay import commit_outside_windows
from ingestion.load.result import LoadResult, ledger_columns
from ingestion.load.rows import fetch
from ingestion.runs.context import Context
from ingestion.runs.source_state import note_fixed_point
from ingestion.runs.watermark import committed_watermark
from ingestion.sources.base import Snapshot


def repair_table(
    context: Context, contract_id: str, *, allow_deletes: bool = False, yes: bool = False, approved_deletes: int = 0
) -> LoadResult:
    """
    Compare a table with its source at a new fixed point and append what closes the gap: missing and different rows as
    R, deleted keys as D. Then compare again at that point, and record both comparisons.

    The committed watermark does not change. Rows in flight are left to the next load, and waived differences are not
    repaired. A second repair commits nothing. Differences that remain stay open in the ledger. `approved_deletes` is
    the number of deletions that a person approved; so many pass the contract's brake.

    Raises:
        ApprovalNeededError: it would write more than the contract allows without `yes`. Nothing was committed.
        DeleteBrakeError: more keys vanished than the contract and the approval allow, without `allow_deletes`.
        SourceUnavailableError, ConcurrentWriteError: try again later.
    """
    with context.recorded("repair", contract_id) as row:
        contract = require_history(context.contract(contract_id), "repair")
        row["contract_version"] = contract.version
        table = context.table(contract)
        table.create()
        with context.source(contract).snapshot() as snapshot:
            note_fixed_point(row, snapshot.fixed_point)
            work = find_work(context, table, snapshot)
            if not yes:
                check_limit(contract, work)
            result = _repair(context, table, snapshot, work, allow_deletes=allow_deletes, approved=approved_deletes)
            row.update(ledger_columns(result))
            if result.batch is not None:
                again = compare_in(context, table, table.state(), snapshot)
                record_comparison(context, again, is_repaired=True)
        return result


def _repair(
    context: Context, table: BronzeTable, snapshot: Snapshot, work: RepairWork, *, allow_deletes: bool, approved: int
) -> LoadResult:
    contract, state = table.contract, work.state
    watermark = committed_watermark(context, table, state)
    with open_batch(table, state, snapshot.fixed_point, memory_limit=context.settings.load_memory) as batch:
        gone = reported_keys(batch, work.vanished.to_batches())
        try:
            allowed = check_brake(batch, gone, allow_deletes=allow_deletes, approved=approved, command="repair")
        except DeleteBrakeError as exc:
            exc.rereads, exc.rows = work.lacking.num_rows, work.rows
            raise
        stage_deletes(batch, allowed)
        found = snapshot.catalog(contract)
        fetched = fetch(batch, snapshot, found, work.lacking) if work.lacking.num_rows else 0
        return commit_outside_windows(context, batch, review_rows(batch), watermark, fetched=fetched)
