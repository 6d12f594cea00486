"""Plans the window of a load, and shows what a load would do. Writes nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ingestion.contracts.drift import bronze_drift, find_drift
from ingestion.contracts.model import Contract, Deletes, DriftAction, Mode
from ingestion.contracts.window import Window
from ingestion.extract import windows
from ingestion.load.chunks import chunk_rows
from ingestion.runs.context import Context
from ingestion.runs.watermark import committed_watermark
from ingestion.sources.base import Snapshot


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """
    What the next load of a table would read and do.

    `rows` is the number of rows in the window at `fixed_point`; `low` already includes the overlap.
    `degraded` says what the fixed point cannot do. `missing_rights` lists rights that the load lacks, each with the
    consequence. `lacking` says what its Silver model lacks, each with the command that ends it. `blockers` would stop
    the load before a row is read.
    """

    contract_id: str
    contract_version: str
    mode: str
    bronze: str
    last_batch: int
    next_batch: int
    fixed_point: str
    watermark_column: str | None
    committed: str | None
    low: str | None
    next_low: str | None
    rows: int
    chunks: int
    compares_keys: bool
    degraded: str | None
    missing_rights: tuple[str, ...]
    drift: tuple[str, ...]
    blockers: tuple[str, ...]
    lacking: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def plan_for(contract: Contract, snapshot: Snapshot, committed: str | None) -> windows.WindowPlan:
    """Plan the window of an incremental table at a fixed point."""
    future = windows.future_limit(contract, snapshot.fixed_point)
    highest = snapshot.highest_watermark(contract, below=future) if future is not None else None
    if future is None:
        highest = snapshot.highest_watermark(contract, below=str(2**63 - 1))
    return windows.plan_window(contract, committed=committed, highest=highest, fixed_point=snapshot.fixed_point)


def plan_load(context: Context, contract_id: str, *, full: bool = False) -> LoadPlan:
    """Return what `load_table` would do now. Raises its errors about contracts and sources, but none about drift."""
    contract = context.contract(contract_id)
    table = context.table(contract)
    exists = context.engine.exists(table.uri) and context.engine.exists(table.quarantine_uri)
    state = table.state() if exists else None
    committed = committed_watermark(context, table, state) if state is not None and not full else None
    source = context.source(contract)
    missing = tuple(f"{g.what}: {g.consequence}" for g in source.grants([contract]) if not g.present and g.consequence)
    with source.snapshot() as snapshot:
        drifts = list(find_drift(contract, snapshot.catalog(contract)))
        if exists:
            schema = context.engine.schema(table.uri)
            drifts += bronze_drift(contract, schema, is_empty=state is None or state.is_empty)
        low = next_low = None
        blockers = tuple(
            f"{d.column}: expected {d.promised}, found {d.found}" for d in drifts if d.action is DriftAction.FAIL
        )
        rows = 0
        if not blockers:
            if contract.mode is Mode.INCREMENTAL:
                plan = plan_for(contract, snapshot, committed)
                low, next_low = plan.window.low, plan.next_low
            rows = snapshot.count(contract, Window(low=low))
        in_chunks = low is None and source.shares(snapshot.fixed_point)
        return LoadPlan(
            contract_id=contract.id,
            contract_version=contract.version,
            mode=str(contract.mode),
            bronze=str(contract.bronze),
            last_batch=state.batch if state else 0,
            next_batch=state.next_batch if state else 1,
            fixed_point=f"{snapshot.fixed_point.kind} {snapshot.fixed_point.value}",
            watermark_column=contract.watermark,
            committed=committed,
            low=low,
            next_low=next_low,
            rows=rows,
            chunks=max(1, -(-rows // chunk_rows(contract))) if in_chunks else 1,
            compares_keys=contract.deletes is Deletes.KEYS and state is not None and not state.is_empty,
            degraded=snapshot.degraded,
            missing_rights=missing,
            drift=tuple(f"{d.kind} {d.column}: expected {d.promised}, found {d.found} ({d.action})" for d in drifts),
            blockers=blockers,
        )
