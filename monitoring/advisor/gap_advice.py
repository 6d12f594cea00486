"""The advice type, and the texts and commands that advices share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ingestion.runbook.statements import Runbook
from monitoring.facts import Facts
from monitoring.ledger_views import Run

NOTHING_TO_ASK = Runbook()


@dataclass(frozen=True, slots=True)
class GapAdvice:
    """One likely cause. `commands` close the gap, in order; `prevention` avoids it in future."""

    contract_id: str
    cause: str
    finding: str
    commands: tuple[str, ...]
    prevention: str = ""
    runbook: Runbook = NOTHING_TO_ASK

    def as_dict(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("contract_id", "cause", "finding", "commands", "prevention")}
        return {**told, "sql": str(self.runbook)}


def advice_of(
    facts: Facts,
    cause: str,
    finding: str,
    commands: Sequence[str],
    *,
    prevention: str = "",
    sql: Runbook = NOTHING_TO_ASK,
) -> GapAdvice:
    return GapAdvice(facts.contract.id, cause, finding, tuple(commands), prevention, sql)


def closing(facts: Facts, *kinds: str) -> list[str]:
    """Return the command that closes differences of these kinds: a load if one still can, else a repair."""
    if not facts.awaits_load(*kinds):
        return repairing(facts)
    return checking(facts) if facts.is_outdated else [*loading(facts), *checking(facts)]


def repairing(facts: Facts) -> list[str]:
    return [f"lakehouse repair {facts.contract.id}", "lakehouse build"]


def loading(facts: Facts) -> list[str]:
    return [f"lakehouse load {facts.contract.id}"]


def checking(facts: Facts) -> list[str]:
    return [f"lakehouse gaps {facts.contract.id}"]


def is_loaded(facts: Facts) -> bool:
    return facts.gap is not None and bool(facts.gap.batch)


def first_line(message: str | None) -> str:
    return (message or "").splitlines()[0] if message else ""


def minute(run: Run) -> str:
    return f"{run.finished_at:%Y-%m-%d %H:%M} UTC"


def rows(count: int | None) -> str:
    return "an unknown number of rows" if count is None else f"{count:,} row{ending(count)}"


def keys(count: int) -> str:
    return f"{count:,} key{ending(count)}"


def ending(count: int) -> str:
    return "" if count == 1 else "s"
