"""
Judges a text by rules: which causes it shows, on what evidence, and what a person may do. Pure and deterministic.

Codes and fixed texts of errors come first, then those of notices and warnings, then the words of a description. If none
says enough, the answer is that the cause is not known. The text is data: nothing in it can choose a command.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from ingestion.privacy.foreign import foreign_text
from monitoring.advisor.causes import BY_NAME, CAUSES, Cause
from monitoring.advisor.signs import CLASS, EXIT, Sign, models_in, quote, quoted, signs_of, tables_in
from monitoring.advisor.values import UNKNOWN, Action, Advice, Evidence, Finding, Question
from monitoring.advisor.words import cause_of

_GENERAL = ("setting_wrong", "program_fault", "model_failed", "gap_found")
"""Causes that the class of an error alone names. Any other cause in the same text explains more."""
_ORDER = {cause.name: index for index, cause in enumerate(CAUSES)}
DESCRIBED = "by words"
"""The name in the table of precisions of all findings that rest on the words of a description."""
_LONGEST_DESCRIPTION = 600
MOST_EVIDENCE = 5


def findings(question: Question) -> list[Finding]:
    """Return the causes that a text shows, the one that explains most first; empty if none is known."""
    text = f"{question.error}: {question.text}" if question.error else question.text
    text = foreign_text(text)
    tables, models = tables_in(text, question.names), models_in(text, question.names)
    found = [
        Finding(cause, quote(text, question.source, lines), True, tables, models)
        for cause, lines in _exact(signs_of(text)).items()
    ]
    if found or len(text) > _LONGEST_DESCRIPTION:
        return found
    described = cause_of(text)
    if described is None:
        return []
    return [Finding(described, (Evidence(f"{question.source}:1", quoted(text)),), False, tables, models)]


def _exact(signs: Sequence[Sign]) -> dict[str, list[int]]:
    """Return the causes of a text's signs with the lines that show them, in the order of `CAUSES`."""
    loud = [sign for sign in signs if not sign.is_low] or list(signs)
    best: dict[int, int] = {}
    for sign in loud:
        best[sign.message] = min(sign.rank, best.get(sign.message, EXIT))
    told = [sign for sign in loud if sign.rank == best[sign.message]]
    told = [sign for sign in told if sign.rank < EXIT] or told
    told = [s for s in told if s.rank < CLASS or s.cause not in _GENERAL] or told
    found: dict[str, list[int]] = {}
    for sign in _first_of_each_line(told):
        found.setdefault(sign.cause, []).append(sign.line)
    return dict(sorted(found.items(), key=lambda each: _ORDER[each[0]]))


def _first_of_each_line(signs: Sequence[Sign]) -> list[Sign]:
    """Return one sign per line: that of the cause which explains most."""
    first: dict[int, Sign] = {}
    for sign in signs:
        known = first.get(sign.line)
        if known is None or _ORDER[sign.cause] < _ORDER[known.cause]:
            first[sign.line] = sign
    return list(first.values())


def advise(*questions: Question) -> Advice:
    """
    Return the advice of the rules on one text, or on the messages of several steps together.

    Its `cause` is None if they do not know it. The same cause in several texts is one advice, with the evidence of the
    first ones.
    """
    merged: dict[str, Finding] = {}
    for finding in (finding for question in questions for finding in findings(question)):
        known = merged.get(finding.cause)
        merged[finding.cause] = finding if known is None else _joined(known, finding)
    if not merged:
        return unknown()
    first, *others = (_advice(merged[name]) for name in sorted(merged, key=lambda name: _ORDER[name]))
    return replace(first, also=tuple(others))


def _joined(known: Finding, other: Finding) -> Finding:
    return replace(
        known,
        evidence=(*known.evidence, *other.evidence)[:MOST_EVIDENCE],
        is_exact=known.is_exact or other.is_exact,
        tables=tuple(dict.fromkeys((*known.tables, *other.tables))),
        models=tuple(dict.fromkeys((*known.models, *other.models))),
    )


def unknown(why: str = "") -> Advice:
    """Return the answer that the cause is not known."""
    action = "Read the whole message, and the exit code's row in docs/reference/exit-codes.md; run `lakehouse doctor`."
    return Advice(None, f"{UNKNOWN} {why}".strip(), (), Action(action, "lakehouse doctor"), 0.0)


def _advice(finding: Finding) -> Advice:
    cause = BY_NAME[finding.cause]
    return Advice(
        cause.name,
        cause.told,
        finding.evidence,
        Action(cause.action, command_of(cause, finding.tables, finding.models)),
        confidence(cause.name if finding.is_exact else DESCRIBED),
        runbook=cause.runbook,
    )


def command_of(cause: Cause, tables: Sequence[str], models: Sequence[str]) -> str:
    """Return a cause's command for the one table or model that is named; for none or several, for all."""
    if "{model}" in cause.command:
        return cause.command.format(model=models[0]) if len(models) == 1 else "lakehouse build"
    return cause.command.format(table=tables[0] if len(tables) == 1 else "").strip()


def confidence(name: str) -> float:
    """Return how often the golden set shows a cause to be right where it is given; see `precision.json`."""
    right, given = _measured().get(name, (0, 0))
    return (right + 1) / (given + 2)


def measured() -> tuple[int, int]:
    """Return how many findings of these rules the golden set shows to be right, and how many were given."""
    right, given = zip(*_measured().values(), strict=True)
    return sum(right), sum(given)


@cache
def _measured() -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = json.loads(Path(__file__).with_name("precision.json").read_text())
    return found
