"""Advice on differences, by their kind: their likely cause, and what closes them now."""

from __future__ import annotations

from ingestion.contracts.model import Deletes, Mode
from ingestion.ledger.tables import NO_PARTITION
from ingestion.runbook import statements as runbook
from ingestion.runbook.statements import Runbook
from monitoring.advisor.gap_advice import (
    GapAdvice,
    advice_of,
    checking,
    closing,
    ending,
    is_loaded,
    keys,
    loading,
    minute,
    repairing,
    rows,
)
from monitoring.facts import Facts


def loads_not_running(facts: Facts) -> GapAdvice | None:
    promise = facts.contract.reconcile.freshness
    lag = facts.gap.freshness_lag_hours if facts.gap is not None else None
    is_late = promise is not None and lag is not None and lag > promise.total_seconds() / 3600
    if not (is_late or any(d.kind == "stale" for d in facts.differences)):
        return None
    if facts.load is None or not facts.load.is_good:
        return None
    return advice_of(
        facts,
        "loads not running",
        f"The lake is {lag or 0:.1f} h behind the source's newest change, and the newest load, at "
        f"{minute(facts.load)}, ended well: none has begun since, or the schedule is slower than the "
        "contract's freshness.",
        checking(facts) if facts.is_outdated else [*loading(facts), *checking(facts)],
        prevention="See that medallion_daily is not paused, that the scheduler runs and that the pool "
        f"source_{facts.contract.system} exists.",
        sql=runbook.newest_change(facts.contract),
    )


def key_repeats(facts: Facts) -> GapAdvice | None:
    repeated = facts.kinds["duplicated"]
    if not repeated:
        return None
    return advice_of(
        facts,
        "key is not unique",
        f"{keys(repeated)} come more than once: the contract's key ({', '.join(facts.contract.key_names)}) does not "
        "tell the source's rows apart. The lake refuses all copies.",
        [f"lakehouse quarantine list {facts.contract.id}", *loading(facts)],
        prevention="Remove the copies at the source before that load, or name in the contract every column of the "
        "true key.",
        sql=runbook.repeated_keys(facts.contract),
    )


def lost_window(facts: Facts) -> GapAdvice | None:
    whole = [p for p in facts.partitions if p.missing_partitions]
    if not whole or not is_loaded(facts):
        return None
    names = ", ".join(p.partition for p in whole[:5]) + (" …" if len(whole) > 5 else "")
    return advice_of(
        facts,
        "lost window",
        f"The lake has no row of {len(whole)} partition{ending(len(whole))} ({names}), the source has "
        f"{rows(sum(p.sync_gap for p in whole))}: likely a window that was never loaded, or rows that were imported "
        "behind the watermark.",
        closing(facts, "partition", "missing_in_lake"),
        prevention="Imports that keep old change times are not seen by a window: repair after them, or let the import "
        f"set {facts.contract.watermark or 'the change time'}.",
        sql=_count(facts, whole[0].partition),
    )


def late_rows(facts: Facts) -> GapAdvice | None:
    """Advice on single missing rows, if most rows of their partition are in the lake."""
    whole = sum(p.sync_gap for p in facts.partitions if p.missing_partitions)
    missing = facts.count("missing_in_lake", facts.gap.missing_keys if facts.gap else None) - whole
    if missing <= 0 or not is_loaded(facts):
        return None
    partial = [p.partition for p in facts.partitions if not p.missing_partitions and p.sync_gap > 0]
    overlap = facts.contract.overlap.total_seconds() / 3600
    return advice_of(
        facts,
        "late or lost rows",
        f"{keys(missing)} of the source are missing in the lake, beside others of their partition that are there: "
        f"likely transactions that committed more than the overlap ({overlap:g} h) after their own "
        f"{facts.contract.watermark or 'change'}, or rows taken out of Bronze by hand.",
        closing(facts, "missing_in_lake"),
        prevention="Lengthen the contract's overlap to the longest transaction of the source.",
        sql=_count(facts, *partial[:1]),
    )


def hard_deletes(facts: Facts) -> GapAdvice | None:
    extra = facts.count("missing_in_source", facts.gap.extra_keys if facts.gap else None)
    if not extra:
        return None
    is_blind = facts.contract.deletes is Deletes.NONE
    awaits = not is_blind and facts.awaits_load("missing_in_source")
    why = (
        "the contract says deletes: none, so no load looks for vanished keys"
        if is_blind
        else "they vanished after the last load, which looks for vanished keys"
        if awaits
        else "the loads since they were seen did not delete them"
    )
    return advice_of(
        facts,
        "deletes not loaded yet" if awaits else "hard deletes",
        f"{keys(extra)} of the lake are gone from the source: {why}.",
        repairing(facts) if is_blind else closing(facts, "missing_in_source"),
        prevention="Where rows are deleted for good, write deletes: keys in the contract." if is_blind else "",
        sql=_count(facts),
    )


def silent_updates(facts: Facts) -> GapAdvice | None:
    contract, watermark = facts.contract, facts.contract.watermark
    changed = facts.count("changed", facts.gap.differing_keys if facts.gap else None)
    if not changed:
        return None
    cause, why, prevention = "changes that no load brings", "no load reads them again.", ""
    if facts.awaits_load("changed"):
        cause, why = "changes not loaded yet", "the next load reads them."
    elif contract.mode is Mode.INCREMENTAL:
        cause = "updates that keep the watermark"
        why = (
            f"their {watermark} lies below the loaded watermark. Likely updates that did not move {watermark} (a bulk "
            "statement, a trigger switched off)."
        )
        prevention = f"Let every update set {watermark}, or load by mode: changes or full."
    bound = facts.gap.bound if facts.gap else None
    return advice_of(
        facts,
        cause,
        f"{keys(changed)} differ in content: {why}",
        closing(facts, "changed"),
        prevention=prevention,
        sql=runbook.sums(contract, bound),
    )


def _count(facts: Facts, *partition: str) -> Runbook:
    """Return SQL that counts both sides' rows, of one partition if it is named."""
    bound = facts.gap.bound if facts.gap else None
    if not partition:
        return runbook.count_rows(facts.contract, bound)
    name = None if partition[0] == NO_PARTITION else partition[0]
    return runbook.count_partition(facts.contract, bound, name)
