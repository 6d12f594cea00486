"""Records the sync gap of a table: source and lake compared up to the committed watermark."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.fs as pafs

from ingestion.bronze import census
from ingestion.contracts.model import Contract, Mode
from ingestion.contracts.window import Window
from ingestion.extract import windows
from ingestion.extract.staging import ParquetStage
from ingestion.pipelines.context import Context
from ingestion.pipelines.steps import committed_watermark
from ingestion.pipelines.workbench import Workbench, open_workbench
from ingestion.reconcile.gap import UNKNOWN, GapReport, compare_partitions, runbook_sql, severity
from ingestion.sources.base import Snapshot


def record_sync_gap(context: Context, contract_id: str) -> GapReport:
    """
    Compare a table with its source and append the finding to `ops.gaps`.

    Counts per partition come first; key sets are read only where counts differ. A source that
    cannot be asked is recorded as UNKNOWN before the error goes on.
    """
    with context.recorded("gaps", contract_id) as row:
        contract = context.contract(contract_id)
        row["contract_version"] = contract.version
        try:
            report = measure_gap(context, contract)
        except Exception:
            context.journal.append(
                "gaps",
                [_common(context, contract) | {"severity": UNKNOWN, "runbook_sql": runbook_sql(contract, None, None)}],
            )
            raise
        _append(context, contract, report)
        row["batch"] = report.batch
        row["status"] = "ok" if report.severity == "OK" else "warning"
        row["message"] = None if report.severity == "OK" else f"gap {report.sync_gap}, {report.severity}"
        return report


def measure_gap(context: Context, contract: Contract) -> GapReport:
    """Compare a table with its source and return the finding; writes nothing."""
    table = context.table(contract)
    state = table.state()
    bound = committed_watermark(context, table, state)
    with (
        context.source(contract).snapshot() as snapshot,
        open_workbench(table, state, memory_limit=context.settings.load_memory) as bench,
    ):
        _keys(bench, contract, "in_flight", [] if bound is None else snapshot.read_keys(contract, Window(low=bound)))
        bench.table("lake_keys", census.lake_keys(contract))
        source = _counts(snapshot.count_partitions(contract, Window(high=bound)))
        lake = _counts(bench.select(census.count_partitions()))
        missing = extra = unloadable = 0
        quarantined: dict[str | None, int] = {}
        if source != lake:
            _keys(bench, contract, "source_keys", snapshot.read_keys(contract, Window(high=bound)))
            bench.table("missing", census.missing_keys(contract))
            found = bench.select(census.quarantined_missing(contract))
            quarantined = _counts(found)
            in_quarantine = sum(found.column("keys").to_pylist())
            missing = bench.scalar("select count(*) from missing") - in_quarantine
            extra = bench.scalar(f"select count(*) from ({census.extra_keys(contract)})")
            unloadable = bench.scalar(census.unloadable_rows(contract)) + in_quarantine
        partitions = compare_partitions(source, lake, quarantined)
        report = GapReport(
            contract_id=contract.id,
            bound=bound,
            batch=state.batch,
            source_count=sum(source.values()),
            lake_count=sum(lake.values()),
            quarantined_count=unloadable,
            in_flight_count=bench.scalar("select count(*) from in_flight"),
            missing_keys=missing,
            extra_keys=extra,
            freshness_lag_hours=_lag_hours(context, contract, snapshot, bound),
            severity=UNKNOWN,
            partitions=partitions,
            runbook_sql=runbook_sql(contract, bound, partitions[0].partition if partitions else None),
        )
    return replace(report, severity=severity(contract, report))


def _lag_hours(context: Context, contract: Contract, snapshot: Snapshot, bound: str | None) -> float | None:
    """Return by how much the source's newest change is ahead of the lake; None where that has no measure."""
    if contract.mode is Mode.INCREMENTAL and windows.is_moment(contract):
        future = windows.future_limit(contract, snapshot.fixed_point) or ""
        newest = snapshot.highest_watermark(contract, below=future)
        if newest is None:
            return 0.0
        return None if bound is None else max(0.0, windows.hours_between(contract, bound, newest))
    rows = context.journal.select(
        "select max(fixed_point) as at from ops.runs where step = 'load' and subject = ? and status <> 'failed'",
        [contract.id],
    )
    at = rows[0]["at"] if rows else None
    if at is None:
        return None
    return max(0.0, (snapshot.fixed_point.moment - datetime.fromisoformat(at)).total_seconds() / 3600)


def _append(context: Context, contract: Contract, report: GapReport) -> None:
    whole = _common(context, contract) | {
        "bound": report.bound,
        "batch": report.batch,
        "source_count": report.source_count,
        "lake_count": report.lake_count,
        "quarantined_count": report.quarantined_count,
        "in_flight_count": report.in_flight_count,
        "sync_gap": report.sync_gap,
        "gap_percentage": report.gap_percentage,
        "missing_keys": report.missing_keys,
        "extra_keys": report.extra_keys,
        "missing_partitions": len(report.missing_partitions),
        "freshness_lag_hours": report.freshness_lag_hours,
        "severity": report.severity,
        "runbook_sql": report.runbook_sql,
    }
    parts = [
        _common(context, contract)
        | {
            "partition": part.partition or "(none)",
            "bound": report.bound,
            "batch": report.batch,
            "source_count": part.source_count,
            "lake_count": part.lake_count,
            "quarantined_count": part.quarantined_count,
            "sync_gap": part.sync_gap,
            "gap_percentage": part.percentage,
            "missing_partitions": int(part.is_missing),
            "severity": report.severity,
            "runbook_sql": runbook_sql(contract, report.bound, part.partition),
        }
        for part in report.partitions
    ]
    context.journal.append("gaps", [whole, *parts])


def _common(context: Context, contract: Contract) -> dict[str, object]:
    return {"run_id": context.run_id, "contract_id": contract.id, "checked_at": datetime.now(UTC)}


def _counts(table: pa.Table) -> dict[str | None, int]:
    return dict(zip(table.column("partition").to_pylist(), table.column("rows").to_pylist(), strict=True))


def _keys(bench: Workbench, contract: Contract, name: str, batches: Iterable[pa.RecordBatch]) -> None:
    """Make a view of key columns; they go through a file, not through memory."""
    schema = pa.schema([(column.name, column.arrow_type) for column in contract.keys])
    with ParquetStage(pafs.LocalFileSystem(), str(bench.folder / f"{name}.parquet"), schema) as stage:
        stage.write_all(batches)
        bench.view(name, [stage.close().path])
