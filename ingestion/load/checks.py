"""The checks before a commit: drift of the source, and the limits of bad rows and quality checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from ingestion.contracts.drift import Drift, FoundColumn, find_drift
from ingestion.contracts.model import NULL_RULE, BronzeMode, Contract, DriftAction, NullWatermark
from ingestion.errors import Break, BrokenContractError, ConfigurationError, QuarantineLimitError
from ingestion.extract.quality import MIN_ROWS_TO_JUDGE, QualityOutcome, evaluate, rates
from ingestion.load.batch import Batch
from ingestion.load.publish import ReviewedRows, new_breaks
from ingestion.runs.context import Context

FEW_BAD_ROWS = 100
"""Up to this many bad rows do not stop the load of a big table, whatever their share of the window."""


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
        finding = "; ".join(f"{o.check_id}: expected {o.promised}, found {o.found:g}" for o in failed) or (
            f"at most {contract.quarantine_fail_percent:g} % of the rows may be bad, found {percent:.1f} % "
            f"({batch.counts.quarantined} of {judged}): {breaks}"
        )
        raise QuarantineLimitError(
            f"{contract.id}: {finding}. Nothing was committed, and the source still has every row. "
            f"Repair the source, or release a contract version that requires less{_way_out(contract, counts)}."
        )
    warnings = [f"{o.check_id}: expected {o.promised}, found {o.found:g}" for o in outcomes if o.outcome == "warn"]
    if batch.counts.quarantined and percent > contract.quarantine_warn_percent:
        warnings.append(f"{batch.counts.quarantined} rows quarantined ({breaks})")
    return outcomes, tuple(warnings)


def _is_too_many(batch: Batch, judged: int) -> bool:
    """
    Return whether there are more bad rows than the contract's limit (a share in percent) allows.

    There are if they exceed that share of the rows read, and also exceed FEW_BAD_ROWS or that share of the whole table,
    whichever is less: a small window says little about a big table. Fewer than MIN_ROWS_TO_JUDGE rows are not judged.
    """
    bad, share = batch.counts.quarantined, batch.contract.quarantine_fail_percent / 100.0
    if judged < MIN_ROWS_TO_JUDGE or bad <= share * judged:
        return False
    return bad > FEW_BAD_ROWS or bad > share * max(judged, batch.live_rows())


def refuse_null_watermarks(batch: Batch) -> None:
    """Raise QuarantineLimitError if rows without a watermark were read and the contract says `nullWatermark: fail`."""
    contract = batch.contract
    found = batch.tally.broken.get(f"{contract.watermark}:{NULL_RULE}", 0)
    if contract.null_watermark is not NullWatermark.FAIL or not found:
        return
    raise QuarantineLimitError(
        f"{contract.id}: every row must have a {contract.watermark} (nullWatermark: fail), found {found} of "
        f"{batch.tally.read} rows read without one. Nothing was committed, and the source still has every row. "
        f"Fill {contract.watermark} in the source, or write nullWatermark: include or quarantine in the contract."
    )


def _way_out(contract: Contract, breaks: Mapping[str, int]) -> str:
    """Return a hint at `nullWatermark: include` if some bad rows have no watermark, else an empty text."""
    marks = {f"{contract.watermark}:{rule}" for rule in (NULL_RULE, "required")}
    if marks.isdisjoint(breaks):
        return ""
    return f"; rows without {contract.watermark} are loaded where it says nullWatermark: include"


def record_quality(context: Context, contract: Contract, batch: Batch, outcomes: list[QualityOutcome]) -> None:
    """Append the outcome of every check of this batch to `ops.quality`, and its rates to `ops.quality_rates`."""
    now = datetime.now(UTC)
    common = {"run_id": context.run_id, "contract_id": contract.id, "checked_at": now, "batch": batch.state.next_batch}
    context.journal.append("quality", [{**common, **asdict(outcome)} for outcome in outcomes])
    context.journal.append("quality_rates", [{**common, **asdict(rate)} for rate in rates(contract, batch.tally)])


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
