"""What each table of the lake looks like now, for `lakehouse status`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ingestion.bronze.table import BronzeTable
from ingestion.contracts.odcs import find_contract
from ingestion.lake.mending import examine_table
from ingestion.lake.storage.errors import reaching
from ingestion.ledger import queries
from ingestion.runs.context import Context
from ingestion.runs.each import as_ours


@dataclass(frozen=True, slots=True)
class TableStatus:
    """
    One table's state in the lake and the ledger.

    `age_hours` counts from the end of the last successful load to now; `in_quarantine` counts the open quarantine
    entries, waived ones included; `sync_gap` and `severity` are of the last check. None means never. `fault` says why a
    table cannot be read; its batch, watermark and quarantine are then not known.
    """

    contract_id: str
    batch: int
    watermark: str | None
    last_status: str | None
    age_hours: float | None
    in_quarantine: int
    sync_gap: int | None
    severity: str | None
    fault: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def table_statuses(context: Context) -> list[TableStatus]:
    """Return the status of every contracted table, ordered by contract id. Reads no source."""
    now = datetime.now(UTC)
    loads = _by_table(context, "subject", queries.newest_runs("step = 'load'"))
    good = _by_table(context, "subject", queries.newest_runs("step = 'load' and status <> 'failed'"))
    gaps = _by_table(context, "contract_id", queries.newest_gaps())
    statuses = []
    for contract_id in context.contract_ids():
        state, quarantined, fault = None, 0, None
        try:
            table = context.table(find_contract(context.settings.contracts, contract_id))
            with context.engine.kept_open():
                fault = _fault(context, table)
                if fault is None and context.engine.exists(table.uri):
                    state = table.state()
                    quarantined = table.count_in_quarantine(state)
        except Exception as exc:  # whatever the error is, the other tables are shown
            state, fault = None, str(as_ours(contract_id, exc))
        done = good.get(contract_id)
        statuses.append(
            TableStatus(
                contract_id=contract_id,
                batch=state.batch if state else 0,
                watermark=state.watermark if state else None,
                last_status=loads.get(contract_id, {}).get("status"),
                age_hours=None if done is None else (now - done["finished_at"]).total_seconds() / 3600,
                in_quarantine=quarantined,
                sync_gap=gaps.get(contract_id, {}).get("sync_gap"),
                severity=gaps.get(contract_id, {}).get("severity"),
                fault=fault,
            )
        )
    return statuses


def _fault(context: Context, table: BronzeTable) -> str | None:
    """Return what is wrong with the files of a table or its quarantine, and what to do; None if they are whole."""
    for uri in (table.uri, table.quarantine_uri):
        with reaching(context.lake.root):
            for damage in examine_table(context.engine, uri):
                return f"{damage.finding}. {damage.advice}"
    return None


def _by_table(context: Context, name: str, relation: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a relation by the value of their column `name`."""
    with reaching(context.lake.root):
        return {row[name]: row for row in context.journal.select(f"select * from {relation}")}
