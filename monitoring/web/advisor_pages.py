"""
The pages of the advisor: a question with its answer, and the record of its answers. Here rules answer, no model.

A page is read without a trace. Only if a reader says whether an answer helped is it recorded, with that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ingestion.errors import ConfigurationError
from ingestion.ledger.journal import Journal
from monitoring.advisor import call_views, rules
from monitoring.advisor.ask import Advisor
from monitoring.advisor.calls import Calls, columns_of
from monitoring.advisor.documents import passages
from monitoring.advisor.of_table import advices_of
from monitoring.advisor.retrieval import Library
from monitoring.advisor.roles import role_of
from monitoring.advisor.runs import explain_run
from monitoring.advisor.values import RULES, Advice, Question
from monitoring.board import Board
from monitoring.facts import gather
from monitoring.findings import Finding
from monitoring.web.site import Site

HELPED = ("up", "down")
LONGEST = 1_000
"""Characters of a question that are looked at."""


def ask(site: Site, board: Board, query: Mapping[str, str]) -> dict[str, Any]:
    """Answer `q`, or say why `run` failed, or what may be done about the finding `kind` of `subject`."""
    text, run = query.get("q", "").strip()[:LONGEST], query.get("run", "")
    about, advice = "", None
    if text:
        about, advice = text, site.ask(("answer", text), lambda journal: _answer(site, journal, text)).value
    elif run:
        about, advice = run, explained(site, run)
    elif query.get("subject"):
        about, advice = _of_finding(site, board, query)
    return {
        "about": about,
        "question": text,
        "advice": advice,
        "advices": [advice, *advice.also] if advice else [],
        "asked": {name: query[name] for name in ("q", "run", "kind", "subject") if query.get(name)},
        "helped": query.get("helped") if query.get("helped") in HELPED else None,
    }


def rate(site: Site, query: Mapping[str, str], by: str) -> bool:
    """
    Record an answer of this page with whether it helped; return whether there is such an answer.

    A reader who says it twice on a day about the same answer changes the one row.
    """
    feedback = query.get("helped", "")
    shown = ask(site, site.board().value, query) if feedback in HELPED else {"advice": None}
    advice: Advice | None = shown["advice"]
    if advice is None:
        return False
    identity = [by, site.now().date().isoformat(), shown["about"], advice.as_dict()]
    call_id = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]
    columns = columns_of("architect" if shown["question"] else role_of(advice), advice)

    def append(journal: Journal) -> None:
        Calls(journal).note(call_id, **columns, feedback=feedback, by=by)

    site.write(append)
    return True


def _answer(site: Site, journal: Journal, text: str) -> Advice:
    settings, names = site.settings, site.names()
    known = {contract.id: contract for contract in site.promises().contracts}
    library = Library(passages(settings.contracts, settings.dbt_project))
    try:
        advisor = Advisor(
            names,
            library,
            states=lambda ids: [
                advice
                for facts in gather(journal, [known[id_] for id_ in ids if id_ in known])
                for advice in advices_of(facts)
            ],
        )
        return advisor.answer(Question(text, names, "question"))
    finally:
        library.close()


def explained(site: Site, run: str) -> Advice | None:
    """Return the advice on a run; None if nothing failed in it, or there is no such run."""
    found: Advice | None = site.ask(("explained", run), lambda journal: _explained(site, journal, run)).value
    return found


def _explained(site: Site, journal: Journal, run: str) -> Advice | None:
    try:
        return explain_run(journal, site.promises().contracts, site.names(), run).advice
    except ConfigurationError:  # there is no such run
        return None


def _of_finding(site: Site, board: Board, query: Mapping[str, str]) -> tuple[str, Advice | None]:
    """Return what the rules say of the board's finding of a kind and subject; nothing if it is over."""
    kind, subject = query.get("kind", ""), query["subject"]
    found = [each for each in board.findings if (each.kind, each.subject) == (kind, subject)][:1]
    return subject, next(iter(of_findings(site, found).values()), None)


def of_findings(site: Site, findings: Sequence[Finding]) -> dict[tuple[str, str], Advice]:
    """Return what the rules say of each finding, by its key."""
    if not findings:
        return {}
    names = site.names()
    told = {each.key: (f"{each.kind} {each.subject}: {each.text}", f"{each.kind} {each.subject}") for each in findings}
    return {key: rules.advise(Question(text, names, source)) for key, (text, source) in told.items()}


def log(site: Site, board: Board, query: Mapping[str, str]) -> dict[str, Any]:
    """Show what the advisor answered."""
    del board, query
    return {
        "sums": site.ask("advisor sums", call_views.call_sums).value,
        "calls": site.ask("advisor calls", call_views.newest_calls).value,
        "rules": RULES,
        "measured": rules.measured(),
    }
