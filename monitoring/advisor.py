"""Runbook advice for a table: what most likely caused its gap, how to see it, and the command that closes it.

Deterministic: the same ledger and contract give the same advice. Causes are ordered by how much they explain: a load
that does not run explains missing rows, so it comes before them. The text says what the ledger shows; what it cannot
know it calls likely. No command takes anything out of the lake: the strictest one writes tombstones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from monitoring.advice import Advice
from monitoring.difference_causes import (
    hard_deletes,
    key_repeats,
    late_rows,
    loads_not_running,
    lost_window,
    silent_updates,
)
from monitoring.facts import Facts
from monitoring.table_causes import contents_unknown, contract_break, load_failed, never_loaded, unasked, unfinished


def advise(facts: Facts) -> list[Advice]:
    """Return the likely causes of what is wrong with a table, the most explaining one first; empty if all is well."""
    advices = ((rule, rule.advice(facts)) for rule in RULES)
    return [_with_doubt(facts, rule, advice) for rule, advice in advices if advice is not None]


@dataclass(frozen=True, slots=True)
class Rule:
    """What explains differences of some kinds (none: a state of the table), and what to do about them."""

    advice: Callable[[Facts], Advice | None]
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
"""Every kind of difference has a rule; the most explaining one stands first."""


def _with_doubt(facts: Facts, rule: Rule, advice: Advice) -> Advice:
    """Say of what a load may still close that it is not certain."""
    if not rule.kinds or not facts.awaits_load(*rule.kinds):
        return advice
    doubt = "Seen once so far: the next check after a load confirms it or lets it go."
    if facts.is_outdated:
        doubt = "A load has ended since that check, and the next check tells whether it is gone."
    return replace(advice, finding=f"{advice.finding} {doubt}")
