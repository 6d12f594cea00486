"""The gap rules' advice on a table in the form of every other advice. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from monitoring.advisor.gap_advice import GapAdvice
from monitoring.advisor.gap_rules import advise
from monitoring.advisor.rules import confidence
from monitoring.advisor.signs import quoted
from monitoring.advisor.values import Action, Advice, Evidence
from monitoring.facts import Facts

_RUNBOOKS = {
    "never checked": "unchecked",
    "source not read": "unchecked",
    "comparison not finished": "unchecked",
    "contents not compared": "unchecked",
    "never loaded": "never_loaded",
    "failed load": "load_failed",
    "loads not running": "stale",
    "key is not unique": "quarantine",
    "contract break": "quarantine",
}
"""Page of docs/runbooks by cause; the page `gap` for all others."""


def advices_of(facts: Facts) -> Iterator[Advice]:
    """Yield the advices on a table, the one that explains most first; none if it has no fault."""
    for found in advise(facts):
        yield as_advice(found)


def as_advice(found: GapAdvice) -> Advice:
    """Return an advice of the gap rules as an `Advice`: its first command, further ones and prevention in words."""
    command, *further = found.commands or ("",)
    text = " ".join(
        [
            f"Run `{command}`." if command else "",
            f"Then {', '.join(f'`{each}`' for each in further)}." if further else "",
            found.prevention,
        ]
    ).strip()
    return Advice(
        found.cause,
        f"{found.contract_id}: {found.finding}",
        (Evidence(f"gap {found.contract_id}", quoted(found.finding)),),
        Action(text, command or None),
        confidence(found.cause),
        runbook=f"docs/runbooks/{_RUNBOOKS.get(found.cause, 'gap')}.md",
        sql=str(found.runbook),
    )
