"""Runbook advice for a table: the likely cause of its gap, SQL that shows it, and the command that closes it.

Deterministic: the same ledger and contract give the same advice. Causes are ordered by how much they explain: a load
that does not run explains missing rows, so it comes before them. Texts say what the ledger shows; anything
else is called likely. No command removes data from the lake: the most drastic one writes tombstones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from monitoring.advisor.difference_causes import (
    hard_deletes,
    key_repeats,
    late_rows,
    loads_not_running,
    lost_window,
    silent_updates,
)
from monitoring.advisor.gap_advice import GapAdvice
from monitoring.advisor.table_causes import (
    contents_unknown,
    contract_break,
    load_failed,
    never_loaded,
    unasked,
    unfinished,
)
from monitoring.facts import Facts


def advise(facts: Facts) -> list[GapAdvice]:
    """Return the likely causes of a table's faults, the one that explains most first; empty if there is no fault."""
    advices = ((rule, rule.advice(facts)) for rule in RULES)
    return [_with_doubt(facts, rule, advice) for rule, advice in advices if advice is not None]


@dataclass(frozen=True, slots=True)
class Rule:
    """The cause of differences of some kinds (none: of a state of the table), and what to do about them."""

    advice: Callable[[Facts], GapAdvice | None]
    kinds: tuple[str, ...] = ()


RULES = (
    Rule(unasked),
    Rule(never_loaded),
    Rule(load_failed, ("failed_load",)),
    Rule(loads_not_running, ("stale",)),
    Rule(key_repeats, ("duplicated",)),
    Rule(contract_break),
    Rule(lost_window, ("partition", "missing_in_lake")),
    Rule(late_rows, ("missing_in_lake",)),
    Rule(hard_deletes, ("missing_in_source",)),
    Rule(silent_updates, ("changed",)),
    Rule(contents_unknown),
    Rule(unfinished),
)
"""Every kind of difference has a rule; the one that explains most comes first."""


def _with_doubt(facts: Facts, rule: Rule, advice: GapAdvice) -> GapAdvice:
    """Add a note that differences are not certain while a load may still close them."""
    if not rule.kinds or not facts.awaits_load(*rule.kinds):
        return advice
    doubt = "Seen once so far: the next check after a load confirms it or lets it go."
    if facts.is_outdated:
        doubt = "A load has ended since that check, and the next check tells whether it is gone."
    return replace(advice, finding=f"{advice.finding} {doubt}")
