"""What stands between reading and committing: drift of the source, bad rows and quality checks against their limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from ingestion.contracts.drift import Drift, FoundColumn, find_drift
from ingestion.contracts.model import NULL_RULE, BronzeMode, Contract, DriftAction, NullWatermark
from ingestion.errors import Break, BrokenContractError, ConfigurationError, QuarantineLimitError
from ingestion.extract.quality import MIN_ROWS_TO_JUDGE, QualityOutcome, evaluate
from ingestion.load.batch import Batch
from ingestion.load.publish import ReviewedRows, new_breaks
from ingestion.runs.context import Context

FEW_BAD_ROWS = 100
"""So many bad rows of a big table stop no load, whatever share of its window they are."""


def judge_batch(context: Context, batch: Batch, reviewed: ReviewedRows) -> tuple[list[QualityOutcome], tuple[str, ...]]:
    """Compare bad rows and quality checks with the contract's limits. Raises QuarantineLimitError."""
    contract = batch.contract
    refuse_null_watermarks(batch)
    outcomes = evaluate(contract, batch.tally)
    failed = [o for o in outcomes if o.outcome == "fail"]
    judged = batch.tally.read - batch.counts.known_bad
    percent = 100.0 * batch.counts.quarantined / judged if judged else 0.0
    too_many = _is_too_many(batch, judged)
    counts = new_breaks(batch, reviewed)
    breaks = ", ".join(f"{mark} {count}" for mark, count in counts.items())
    if failed or too_many:
        record_quality(context, contract, batch, outcomes)
        finding = "; ".join(f"{o.check_id}: promised {o.promised}, found {o.found:g}" for o in failed) or (
            f"promised at most {contract.quarantine_fail_percent:g} % bad rows, found {percent:.1f} % "
            f"({batch.counts.quarantined} of {judged}): {breaks}"
        )
        raise QuarantineLimitError(
            f"{contract.id}: {finding}. Nothing was committed, and the source still has every row. "
            f"Repair the source, or release a contract version that promises less{_way_out(contract, counts)}."
        )
    warnings = [f"{o.check_id}: promised {o.promised}, found {o.found:g}" for o in outcomes if o.outcome == "warn"]
    if batch.counts.quarantined and percent > contract.quarantine_warn_percent:
        warnings.append(f"{batch.counts.quarantined} rows quarantined ({breaks})")
    return outcomes, tuple(warnings)


def _is_too_many(batch: Batch, judged: int) -> bool:
    """
    Tell whether more rows are bad than the contract's limit allows: more than its share of the rows that were read, and
    more than FEW_BAD_ROWS, or than the same share of the table where that is less.

    A window of few rows is no measure of a big table; of fewer than MIN_ROWS_TO_JUDGE rows no share is taken.
    """
    bad, share = batch.counts.quarantined, batch.contract.quarantine_fail_percent / 100.0
    if judged < MIN_ROWS_TO_JUDGE or bad <= share * judged:
        return False
    return bad > FEW_BAD_ROWS or bad > share * max(judged, batch.live_rows())


def refuse_null_watermarks(batch: Batch) -> None:
    """Raise QuarantineLimitError if rows without a watermark came and the contract says that they stop a load."""
    contract = batch.contract
    found = batch.tally.broken.get(f"{contract.watermark}:{NULL_RULE}", 0)
    if contract.null_watermark is not NullWatermark.FAIL or not found:
        return
    raise QuarantineLimitError(
        f"{contract.id}: promised a {contract.watermark} in every row (nullWatermark: fail), found {found} of "
        f"{batch.tally.read} rows read without one. Nothing was committed, and the source still has every row. "
        f"Fill {contract.watermark} in the source, or write nullWatermark: include or quarantine in the contract."
    )


def _way_out(contract: Contract, breaks: Mapping[str, int]) -> str:
    """Name the key that lets rows without a watermark pass, if such rows are among the bad ones."""
    marks = {f"{contract.watermark}:{rule}" for rule in (NULL_RULE, "required")}
    if marks.isdisjoint(breaks):
        return ""
    return f"; rows without {contract.watermark} are loaded where it says nullWatermark: include"


def record_quality(context: Context, contract: Contract, batch: Batch, outcomes: list[QualityOutcome]) -> None:
    """Append the outcome of every check of this batch to `ops.quality`."""
    now = datetime.now(UTC)
    common = {"run_id": context.run_id, "contract_id": contract.id, "checked_at": now, "batch": batch.state.next_batch}
    context.journal.append("quality", [{**common, **asdict(outcome)} for outcome in outcomes])


def check_drift(context: Context, contract: Contract, found: tuple[FoundColumn, ...]) -> list[Drift]:
    drifts = find_drift(contract, found)
    now = datetime.now(UTC)
    context.journal.append(
        "drift",
        [
            {
                "run_id": context.run_id,
                "contract_id": contract.id,
                "contract_version": contract.version,
                "found_at": now,
                "kind": drift.kind,
                "column": drift.column,
                "promised": drift.promised,
                "found": drift.found,
                "action": str(drift.action),
            }
            for drift in drifts
        ],
    )
    failing = [Break(d.column, d.promised, d.found) for d in drifts if d.action is DriftAction.FAIL]
    if failing:
        raise BrokenContractError(contract.id, failing)
    return drifts


def require_history(contract: Contract, verb: str) -> Contract:
    """Return the contract of a table whose Bronze is a log. Raises ConfigurationError for any other."""
    if contract.bronze is BronzeMode.APPEND:
        return contract
    raise ConfigurationError(
        f"{contract.id}: a {verb} appends to a log, but this table's Bronze is {contract.bronze}. Nothing was done. "
        f"Load it again instead: lakehouse load --full {contract.id}"
    )
