"""Runbook advice for a table: what most likely caused its gap, how to see it, and the command that closes it.

Deterministic: the same ledger and contract give the same advice. Causes are ordered by how much they explain: a load
that does not run explains missing rows, so it comes before them. The text says what the ledger shows; what it cannot
know it calls likely.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from ingestion.contracts.model import Deletes, Mode
from monitoring import runbook
from monitoring.facts import Facts
from monitoring.ledger_views import Run
from monitoring.runbook import Runbook


@dataclass(frozen=True, slots=True)
class Advice:
    """One likely cause. `commands` close the gap, in order; `prevention` keeps it from coming back."""

    contract_id: str
    cause: str
    finding: str
    commands: tuple[str, ...]
    prevention: str = ""
    sql: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def advise(facts: Facts) -> list[Advice]:
    """Return the likely causes of what is wrong with a table, the most explaining one first; empty if all is well."""
    return [advice for rule in _RULES if (advice := rule(facts)) is not None]


def _unasked(facts: Facts) -> Advice | None:
    gap = facts.gap
    if gap is None:
        return _advice(facts, "never checked", "The ledger has no check of it.", f"lakehouse gaps {facts.contract.id}")
    if gap.severity != "UNKNOWN":
        return None
    told = facts.check.message if facts.check is not None and facts.check.status == "failed" else None
    return _advice(
        facts,
        "source not asked",
        f"The newest check could not compare: {_first_line(told) or 'see the log of that run'}",
        "lakehouse doctor",
        f"lakehouse gaps {facts.contract.id}",
    )


def _never_loaded(facts: Facts) -> Advice | None:
    if facts.gap is None or facts.gap.batch or facts.load is not None:
        return None
    finding = f"The lake has no batch of it, the source {_rows(facts.gap.source_count)}."
    return _advice(facts, "never loaded", finding, f"lakehouse load {facts.contract.id}")


def _load_failed(facts: Facts) -> Advice | None:
    if facts.load is None or facts.load.status != "failed":
        return None
    commands = [command.format(facts.contract.id) for command in _AFTER.get(facts.load.error or "", _LOAD)]
    finding = f"The newest load failed at {_minute(facts.load)} ({facts.load.error}): {_first_line(facts.load.message)}"
    return _advice(facts, "failed load", finding, *commands, sql=runbook.newest_change(facts.contract))


def _loads_not_running(facts: Facts) -> Advice | None:
    promise = facts.contract.reconcile.freshness
    lag = facts.gap.freshness_lag_hours if facts.gap is not None else None
    is_late = promise is not None and lag is not None and lag > promise.total_seconds() / 3600
    if not (is_late or any(d.kind == "stale" for d in facts.differences)):
        return None
    if facts.load is None or facts.load.status == "failed":
        return None
    return _advice(
        facts,
        "loads not running",
        f"The lake is {lag or 0:.1f} h behind the source's newest change, and the newest load, at "
        f"{_minute(facts.load)}, ended well: none has begun since, or the schedule is slower than the promise.",
        f"lakehouse load {facts.contract.id}",
        prevention="See that medallion_daily is not paused, that the scheduler runs and that the pool "
        f"source_{facts.contract.system} exists.",
        sql=runbook.newest_change(facts.contract),
    )


def _contract_break(facts: Facts) -> Advice | None:
    gap, contract = facts.gap, facts.contract
    if gap is None or not gap.quarantined_count or not gap.source_count:
        return None
    percent = 100.0 * gap.quarantined_count / gap.source_count
    if percent <= contract.quarantine_warn_percent:
        return None
    return _advice(
        facts,
        "contract break",
        f"{_rows(gap.quarantined_count)} of {_rows(gap.source_count)} ({percent:.1f} %) are in quarantine: they break "
        "the contract, are counted apart and are no gap, but they are missing from Silver.",
        f"lakehouse quarantine list {contract.id}",
        f"lakehouse quarantine replay {contract.id}",
        prevention="Mend the rows at the source, or release a contract version that promises less.",
        sql=runbook.broken_rows(contract),
    )


def _key_repeats(facts: Facts) -> Advice | None:
    keys = facts.kinds["duplicated"]
    if not keys:
        return None
    return _advice(
        facts,
        "key is not a key",
        f"{_keys(keys)} come more than once: the contract's key ({', '.join(facts.contract.key_names)}) does not tell "
        "the source's rows apart. The lake refuses all copies.",
        f"lakehouse quarantine list {facts.contract.id}",
        f"lakehouse load {facts.contract.id}",
        prevention="Remove the copies at the source, or name in the contract every column of the true key.",
        sql=runbook.repeated_keys(facts.contract),
    )


def _lost_window(facts: Facts) -> Advice | None:
    whole = [p for p in facts.partitions if p.missing_partitions]
    if not whole or not _is_loaded(facts):
        return None
    names = ", ".join(p.partition for p in whole[:5]) + (" …" if len(whole) > 5 else "")
    return _advice(
        facts,
        "lost window",
        f"The lake has no row of {len(whole)} partition{_s(len(whole))} ({names}), the source has "
        f"{_rows(sum(p.sync_gap for p in whole))}: likely a window that was never loaded, or rows that were imported "
        "behind the watermark.",
        *_closing(facts),
        prevention="Imports that keep old change times are not seen by a window: repair after them, or let the import "
        f"set {facts.contract.watermark or 'the change time'}.",
        sql=whole[0].runbook_sql or "",
    )


def _late_rows(facts: Facts) -> Advice | None:
    """Rows missing here and there, where most rows of their partition are in the lake."""
    whole = sum(p.sync_gap for p in facts.partitions if p.missing_partitions)
    missing = facts.count("missing_in_lake", facts.gap.missing_keys if facts.gap else None) - whole
    if missing <= 0 or not _is_loaded(facts):
        return None
    partial = [p for p in facts.partitions if not p.missing_partitions and p.sync_gap > 0]
    overlap = facts.contract.overlap.total_seconds() / 3600
    return _advice(
        facts,
        "late or lost rows",
        f"{_keys(missing)} of the source are missing in the lake, beside others of their partition that are there: "
        f"likely transactions that committed more than the overlap ({overlap:g} h) after their own "
        f"{facts.contract.watermark or 'change'}, or rows taken out of Bronze by hand.",
        *_closing(facts),
        prevention="Lengthen the contract's overlap to the longest transaction of the source.",
        sql=(partial[0].runbook_sql if partial else facts.gap and facts.gap.runbook_sql) or "",
    )


def _hard_deletes(facts: Facts) -> Advice | None:
    extra = facts.count("missing_in_source", facts.gap.extra_keys if facts.gap else None)
    if not extra:
        return None
    is_blind = facts.contract.deletes is Deletes.NONE
    cause = "hard deletes" if is_blind else "deletes not loaded yet"
    why = (
        "the contract says deletes: none, so no load looks for vanished keys"
        if is_blind
        else "they vanished after the last load, which looks for vanished keys"
    )
    return _advice(
        facts,
        cause,
        f"{_keys(extra)} of the lake are gone from the source: {why}.",
        *(_closing(facts) if is_blind else [f"lakehouse load {facts.contract.id}"]),
        prevention="Where rows are deleted for good, promise it: deletes: keys in the contract." if is_blind else "",
        sql=facts.gap.runbook_sql or "" if facts.gap else "",
    )


def _silent_updates(facts: Facts) -> Advice | None:
    contract = facts.contract
    changed = facts.count("changed", facts.gap.differing_keys if facts.gap else None)
    if not changed:
        return None
    if contract.mode is not Mode.INCREMENTAL:
        finding = f"{_keys(changed)} differ in content: they changed in the source after the last load."
        return _advice(facts, "changes not loaded yet", finding, f"lakehouse load {contract.id}", sql=_sums(facts))
    return _advice(
        facts,
        "updates that keep the watermark",
        f"{_keys(changed)} differ in content though their {contract.watermark} lies below the loaded watermark: likely "
        f"updates that did not move {contract.watermark} (a bulk statement, a trigger switched off).",
        *_closing(facts),
        prevention=f"Let every update set {contract.watermark}, or load by mode: changes or full.",
        sql=_sums(facts),
    )


def _unexplained(facts: Facts) -> Advice | None:
    gap = facts.gap
    if gap is None or gap.outcome != "partial" or gap.severity == "UNKNOWN":
        return None
    return _advice(
        facts,
        "comparison not finished",
        f"The newest check ended before every difference was found: {gap.why or 'no reason is recorded'}.",
        f"lakehouse gaps {facts.contract.id}",
    )


Rule = Callable[[Facts], Advice | None]
_RULES: tuple[Rule, ...] = (
    _unasked,
    _never_loaded,
    _load_failed,
    _loads_not_running,
    _key_repeats,
    _contract_break,
    _lost_window,
    _late_rows,
    _hard_deletes,
    _silent_updates,
    _unexplained,
)
_LOAD = ("lakehouse load {0}",)
_AFTER = {
    "SourceUnavailableError": ("lakehouse doctor", *_LOAD),
    "SnapshotLostError": ("lakehouse doctor", *_LOAD),
    "ConfigurationError": ("lakehouse doctor", *_LOAD),
    "InvalidContractError": ("lakehouse contract lint", *_LOAD),
    "BrokenContractError": ("lakehouse plan {0}", "lakehouse contract accept {0}", *_LOAD),
    "QuarantineLimitError": ("lakehouse plan {0}", *_LOAD),
    "DeleteBrakeError": ("lakehouse load --allow-deletes {0}",),
}


def _advice(
    facts: Facts, cause: str, finding: str, *commands: str, prevention: str = "", sql: Runbook | str = ""
) -> Advice:
    waiting = {d.state for d in facts.differences} == {"suspected"}
    if waiting and cause not in ("never checked", "source not asked", "failed load"):
        finding += " Seen once so far: the next check after a load confirms it or lets it go."
    return Advice(facts.contract.id, cause, finding, commands, prevention, str(sql))


def _closing(facts: Facts) -> list[str]:
    return [f"lakehouse repair {facts.contract.id}", "lakehouse build"]


def _sums(facts: Facts) -> Runbook:
    return runbook.sums(facts.contract, facts.gap.bound if facts.gap else None)


def _is_loaded(facts: Facts) -> bool:
    return facts.gap is not None and bool(facts.gap.batch)


def _first_line(message: str | None) -> str:
    return (message or "").splitlines()[0] if message else ""


def _minute(run: Run) -> str:
    return f"{run.finished_at:%Y-%m-%d %H:%M} UTC"


def _rows(count: int | None) -> str:
    return "an unknown number of rows" if count is None else f"{count:,} row{_s(count)}"


def _keys(count: int) -> str:
    return f"{count:,} key{_s(count)}"


def _s(count: int) -> str:
    return "" if count == 1 else "s"
