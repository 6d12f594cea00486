"""Advice on the state of a table: steps never run, failed steps, and what a check could not compare."""

from __future__ import annotations

from collections.abc import Sequence

from ingestion.contracts.model import Contract, Mode, NullWatermark
from ingestion.runbook import statements as runbook
from monitoring.advisor.gap_advice import (
    GapAdvice,
    advice_of,
    checking,
    ending,
    first_line,
    is_loaded,
    loading,
    minute,
    repairing,
    rows,
)
from monitoring.facts import Facts


def unasked(facts: Facts) -> GapAdvice | None:
    gap = facts.gap
    if gap is None:
        return advice_of(facts, "never checked", "The ledger has no check of it.", checking(facts))
    if gap.severity != "UNKNOWN":
        return None
    told = facts.check.message if facts.check is not None and facts.check.status == "failed" else None
    finding = f"The newest check could not compare: {first_line(told) or 'see the log of that run'}"
    return advice_of(facts, "source not read", finding, ["lakehouse doctor", *checking(facts)])


def never_loaded(facts: Facts) -> GapAdvice | None:
    if facts.gap is None or facts.gap.batch or facts.load is not None:
        return None
    finding = f"The lake has no batch of it, the source {rows(facts.gap.source_count)}."
    return advice_of(facts, "never loaded", finding, loading(facts))


def load_failed(facts: Facts) -> GapAdvice | None:
    if facts.load is None or facts.load.is_good:
        return None
    commands, prevention = _AFTER.get(facts.load.error or "", _LOAD_AGAIN)
    finding = f"The newest load failed at {minute(facts.load)} ({facts.load.error}): {first_line(facts.load.message)}"
    return advice_of(
        facts,
        "failed load",
        finding,
        [command.format(facts.contract.id) for command in commands],
        prevention=prevention,
        sql=runbook.newest_change(facts.contract),
    )


def contract_break(facts: Facts) -> GapAdvice | None:
    gap, contract = facts.gap, facts.contract
    if gap is None or not gap.quarantined_count or not gap.source_count:
        return None
    percent = 100.0 * gap.quarantined_count / gap.source_count
    if percent <= contract.quarantine_warn_percent:
        return None
    return advice_of(
        facts,
        "contract break",
        f"{rows(gap.quarantined_count)} of {rows(gap.source_count)} ({percent:.1f} %) are in quarantine: they break "
        "the contract, are counted apart and are no gap, but they are missing from Silver.",
        [f"lakehouse quarantine list {contract.id}", *loading(facts)],
        prevention="Mend the rows at the source before that load. Or release a contract version that requires less, "
        f"and judge them again: `lakehouse quarantine replay {contract.id}`.{_including(contract)}",
        sql=runbook.broken_rows(contract),
    )


def _including(contract: Contract) -> str:
    if contract.watermark is None or contract.null_watermark is not NullWatermark.QUARANTINE:
        return ""
    return f" Rows that only lack {contract.watermark} are loaded where it says nullWatermark: include."


def contents_unknown(facts: Facts) -> GapAdvice | None:
    """Advice on a server that cannot hash a key column: every check stops at the same point."""
    keys = _unhashed_keys(facts)
    if not keys:
        return None
    contract = facts.contract
    full = "" if contract.mode is Mode.FULL else "--full "
    return advice_of(
        facts,
        "contents not compared",
        f"This server cannot hash the key column{ending(len(keys))} {', '.join(keys)}, and the rows are more than the "
        "check may fetch: rows were counted, their contents were not compared, and the next check ends the same way. A "
        "load that reads the whole table compares contents in the lake.",
        [f"lakehouse load {full}{contract.id}"],
        prevention="Raise the contract's reconcile.maxRows above the number of rows: then the rows are fetched and "
        "compared at each check. docs/gaps.md says what a server must have so that its texts can be hashed.",
    )


def unfinished(facts: Facts) -> GapAdvice | None:
    gap = facts.gap
    if gap is None or gap.outcome != "partial" or gap.severity == "UNKNOWN":
        return None
    if not is_loaded(facts) or _unhashed_keys(facts):
        return None
    is_spent = "budget" in (gap.why or "")
    first = repairing(facts)[:1] if is_spent and facts.kinds.total() else []
    return advice_of(
        facts,
        "comparison not finished",
        f"The newest check ended before every difference was found: {gap.why or 'no reason is recorded'}.",
        [*first, *checking(facts)],
        prevention="Raise the contract's budget before the next check, which ends the same way otherwise: reconcile: "
        "{maxQueries, maxRows, maxSeconds}."
        if is_spent
        else "",
    )


def _unhashed_keys(facts: Facts) -> list[str]:
    """Return the key columns that the newest check could not compare."""
    told = (facts.gap.unverified_columns if facts.gap is not None else None) or ""
    named = {part.split(":", 1)[0].strip() for part in told.split(";")}
    return [name for name in facts.contract.key_names if name in named]


_LOAD_COMMANDS = ("lakehouse load {0}",)
_LOAD_AGAIN: tuple[Sequence[str], str] = (_LOAD_COMMANDS, "")
_DOCTOR: tuple[Sequence[str], str] = (("lakehouse doctor", *_LOAD_COMMANDS), "")
_AFTER: dict[str, tuple[Sequence[str], str]] = {
    "SourceUnavailableError": _DOCTOR,
    "SnapshotLostError": _DOCTOR,
    "ConfigurationError": _DOCTOR,
    "LakeError": (("lakehouse doctor", "lakehouse doctor --mend", *_LOAD_COMMANDS), ""),
    "LakeUnavailableError": _DOCTOR,
    "InvalidContractError": (("lakehouse contract lint", *_LOAD_COMMANDS), ""),
    "BrokenContractError": (("lakehouse plan {0}", "lakehouse contract accept {0}", *_LOAD_COMMANDS), ""),
    "RetypeError": (("lakehouse plan {0}", *_LOAD_COMMANDS), ""),
    "QuarantineLimitError": (
        ("lakehouse plan {0}", *_LOAD_COMMANDS),
        "Mend the rows at the source before that load, or release a contract version that requires less.",
    ),
    "DeleteBrakeError": (
        ("lakehouse gaps {0}", "lakehouse load --allow-deletes {0}"),
        "Lift the brake only if the rows are meant to be gone; else restore them at the source, and load.",
    ),
}
"""Error of a failed load -> what to do, and what to correct before."""
