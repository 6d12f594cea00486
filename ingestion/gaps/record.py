"""Records the sync gap of a table: compares source and lake up to the bound and writes the result to the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ingestion.contracts.model import Contract
from ingestion.errors import InvalidContractError
from ingestion.gaps.compare import compare_table
from ingestion.gaps.differences import Judged, settle_differences
from ingestion.gaps.result import Compared
from ingestion.lake.storage.errors import reaching
from ingestion.ledger.tables import NO_PARTITION
from ingestion.ledger.vocabulary import State
from ingestion.reconcile.gap import OK, OK_IN_PART, UNKNOWN, GapReport, PartitionGap, score, severity
from ingestion.reconcile.leaves import Finding
from ingestion.runbook.statements import Runbook, count_partition, count_rows
from ingestion.runs.context import Context
from ingestion.runs.each import Failed


def record_sync_gap(context: Context, contract_id: str) -> GapReport:
    """
    Compare a table with its source, update its differences and append the result to the ledger.

    If the comparison fails, severity UNKNOWN is recorded before the error is raised again.
    """
    with context.recorded("gaps", contract_id) as row, context.engine.kept_open():
        contract = _contract(context, contract_id)
        row["contract_version"] = contract.version
        try:
            table = context.table(contract)
            report = record_comparison(context, compare_table(context, table, table.state()))
        except Exception:
            unknown = {"severity": UNKNOWN, "runbook_sql": str(count_rows(context.told(contract), None))}
            with suppress(Exception):  # the first error is the one to report
                context.journal.append("gaps", [_common(context, contract_id) | unknown])
            raise
        row["batch"] = report.batch
        row["status"] = "ok" if report.severity in (OK, OK_IN_PART) else "warning"
        row["message"] = None if report.severity == OK else describe(report)
        return report


def record_unread(context: Context, failed: Iterable[Failed], *, is_scheduled: bool = False) -> None:
    """Record the gap of each table as UNKNOWN that `Context.note_unread` records, which has the arguments."""
    noted = context.note_unread("gaps", failed, is_scheduled=is_scheduled)
    if noted:
        with reaching(context.lake.root):
            context.journal.append("gaps", [_common(context, table) | {"severity": UNKNOWN} for table in noted])


def record_comparison(context: Context, compared: Compared, *, is_repaired: bool = False) -> GapReport:
    """Update the differences from what a comparison found, and append to `ops.differences` and `ops.gaps`."""
    report = report_of(settle_differences(context, compared, is_repaired=is_repaired))
    context.journal.append("gaps", _rows(context, compared.contract, report))
    return report


def report_of(judged: Judged) -> GapReport:
    """Return the counts of a comparison and its severity by the contract's limits."""
    compared, findings = judged.compared, judged.findings
    contract, comparison = compared.contract, compared.comparison
    partitions = findings.partitions(judged.waived)
    open_keys = {kind: judged.open_keys(kind) for kind in Finding}
    repeated = [key for key in open_keys[Finding.DUPLICATED] if not key.gap]
    missing = len(open_keys[Finding.MISSING_IN_LAKE]) + len(open_keys[Finding.DUPLICATED]) - len(repeated)
    counted = findings.counted_rows(judged.waived)
    refused_updates = findings.refused_updates
    quarantined = findings.explained_unkeyed + findings.explained + refused_updates
    report = GapReport(
        contract_id=contract.id,
        bound=compared.bound.text,
        future=compared.bound.future,
        batch=compared.batch,
        source_count=comparison.source.rows + comparison.source.unkeyed,
        lake_count=comparison.lake.rows,
        quarantined_count=quarantined,
        refused_updates=refused_updates,
        in_flight_count=compared.in_flight,
        missing_keys=missing + max(0, counted),
        extra_keys=len(open_keys[Finding.MISSING_IN_SOURCE]) + max(0, -counted),
        freshness_lag_hours=compared.lag_hours,
        severity=UNKNOWN,
        partitions=partitions,
        differing_keys=len(open_keys[Finding.CHANGED]),
        duplicated_keys=len(repeated),
        misfit_keys=comparison.source.misfits,
        waived_count=findings.waived_rows(judged.waived),
        rung=comparison.rung.name.lower(),
        outcome=str(comparison.outcome),
        why=comparison.why,
        failed_load=compared.failed_load,
        state=judged.settled.gravest,
        unverified_columns=compared.not_compared,
        unresolved_rows=comparison.unresolved_rows,
        queries=compared.queries,
        rows_compared=compared.rows,
        seconds=compared.seconds,
    )
    return _judged(contract, report)


def _judged(contract: Contract, report: GapReport) -> GapReport:
    """Fill in severity, quality score and whether the service level is met."""
    found = report.missing_keys + report.differing_keys + report.duplicated_keys
    doubtful = max(found, report.sync_gap) + report.quarantined_count
    judged = severity(contract, report)
    return replace(
        report,
        severity=judged,
        data_quality_score=score(report.source_count, doubtful),
        sla_met=_sla_met(judged, report.state),
    )


def _sla_met(severity: str, state: str | None) -> bool | None:
    """Return whether the service level is met; None if that is not known or not everything was checked."""
    if severity in (OK, OK_IN_PART):
        return True if severity == OK else None
    return False if state == State.CONFIRMED else None


def describe(report: GapReport) -> str:
    """Return a short description of a gap, without row values."""
    told = {
        "gap": report.sync_gap,
        "missing": report.missing_keys,
        "too many": report.extra_keys,
        "different": report.differing_keys,
        "duplicated": report.duplicated_keys,
        "not fitting": report.misfit_keys,
    }
    counts = ", ".join(f"{name} {count}" for name, count in told.items() if count or name == "gap")
    state = f" ({report.state})" if report.state else ""
    failed = f"; the newest load failed ({report.failed_load})" if report.failed_load else ""
    unseen = f"; not compared: {'; '.join(report.not_compared)}" if report.not_compared else ""
    return f"{counts}; {report.severity}{state}{failed}{unseen}"


def _rows(context: Context, contract: Contract, report: GapReport) -> list[dict[str, Any]]:
    common = _common(context, contract.id)
    names = (
        *(
            "bound",
            "batch",
            "source_count",
            "lake_count",
            "quarantined_count",
            "refused_updates",
            "in_flight_count",
            "sync_gap",
        ),
        *("gap_percentage", "missing_keys", "extra_keys", "freshness_lag_hours", "severity"),
        *(
            "differing_keys",
            "rung",
            "outcome",
            "failed_load",
            "state",
            "queries",
            "rows_compared",
            "seconds",
            "data_quality_score",
        ),
        "sla_met",
    )
    whole = {name: getattr(report, name) for name in names}
    whole |= {"missing_partitions": len(report.missing_partitions), "why": report.why or None}
    whole |= {"unverified_columns": report.unverified_columns or None}
    told = context.told(contract)
    whole |= {"runbook_sql": str(_runbook(told, report))}
    return [common | whole, *(common | _row_of(told, report, part) for part in report.partitions)]


def _runbook(contract: Contract, report: GapReport) -> Runbook:
    """Return SQL that shows the gap; if partitions differ, of the one with the largest gap."""
    if report.partitions:
        return count_partition(contract, report.bound, report.partitions[0].partition, report.future)
    return count_rows(contract, report.bound, report.future)


def _row_of(contract: Contract, report: GapReport, part: PartitionGap) -> dict[str, Any]:
    return {
        "partition": part.partition or NO_PARTITION,
        "bound": report.bound,
        "batch": report.batch,
        "source_count": part.source_count,
        "lake_count": part.lake_count,
        "quarantined_count": part.quarantined_count,
        "sync_gap": part.sync_gap,
        "gap_percentage": part.percentage,
        "missing_partitions": int(part.is_missing),
        "severity": report.severity,
        "runbook_sql": str(count_partition(contract, report.bound, part.partition, report.future)),
    }


def _contract(context: Context, contract_id: str) -> Contract:
    """Read the contract. If it is invalid, severity UNKNOWN is recorded, as for a source that is not reachable."""
    try:
        return context.contract(contract_id)
    except InvalidContractError:
        context.journal.append("gaps", [_common(context, contract_id) | {"severity": UNKNOWN}])
        raise


def _common(context: Context, contract_id: str) -> dict[str, Any]:
    return {"run_id": context.run_id, "contract_id": contract_id, "checked_at": datetime.now(UTC)}
