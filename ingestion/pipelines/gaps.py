"""Records the sync gap of a table: source and lake compared up to the committed watermark."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs

from ingestion.bronze import census
from ingestion.bronze.checkpoint import create_events_view, find_checkpoint
from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.contracts.model import Contract, Mode
from ingestion.contracts.window import Window
from ingestion.extract import windows
from ingestion.extract.staging import ParquetStage
from ingestion.lake import duck
from ingestion.pipelines.context import Context
from ingestion.pipelines.load import committed_watermark
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
    with context.source(contract).snapshot() as snapshot, _bench(context, table, state) as bench:
        bench.keys("in_flight", [] if bound is None else snapshot.read_keys(contract, Window(low=bound)))
        bench.table("lake_keys", census.lake_keys(contract))
        source = _counts(snapshot.count_partitions(contract, Window(high=bound)))
        lake = _counts(bench.select(census.count_partitions()))
        missing = extra = unloadable = 0
        quarantined: dict[str | None, int] = {}
        if source != lake:
            bench.keys("source_keys", snapshot.read_keys(contract, Window(high=bound)))
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


class _Bench:
    """DuckDB over one Bronze version and the key sets of a source; keys go through files, not memory."""

    def __init__(self, connection: duck.Connection, contract: Contract, folder: Path) -> None:
        self._connection = connection
        self._contract = contract
        self._folder = folder

    def keys(self, name: str, batches: Iterable[pa.RecordBatch]) -> None:
        schema = pa.schema([(column.name, column.arrow_type) for column in self._contract.keys])
        path = str(self._folder / f"{name}.parquet")
        with ParquetStage(pafs.LocalFileSystem(), path, schema) as stage:
            stage.write_all(batches)
            stage.close()
        self._connection.execute(f"create view {name} as select * from read_parquet({duck.literal(path)})")

    def table(self, name: str, query: str) -> None:
        self._connection.execute(f"create table {name} as {query}")

    def select(self, query: str) -> pa.Table:
        return self._connection.execute(query).to_arrow_table()

    def scalar(self, query: str) -> int:
        row = self._connection.execute(query).fetchone()
        return int(row[0]) if row else 0


@contextmanager
def _bench(context: Context, table: BronzeTable, state: BronzeState) -> Iterator[_Bench]:
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-gap-"))
    connection = duck.connect(memory_limit=context.settings.memory_limit, spill=str(folder / "spill"))
    try:
        connection.execute(f"create view bronze as select * from {duck.scan(table.uri, state.version)}")
        known = find_checkpoint(table.lake.filesystem, table.checkpoint_folder, up_to=state.batch)
        create_events_view(connection, known, table.lake.location(known.path) if known else "")
        connection.execute(
            f"create view quarantine as select * from {duck.scan(table.quarantine_uri, state.quarantine_version)}"
        )
        yield _Bench(connection, table.contract, folder)
    finally:
        connection.close()
        shutil.rmtree(folder, ignore_errors=True)
