"""The pages of the advisor: a question with its answer, and the record of its answers. Here rules answer, no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestion.errors import ConfigurationError
from ingestion.ledger.journal import Journal
from monitoring.advisor import call_views, rules
from monitoring.advisor.ask import Advisor
from monitoring.advisor.documents import passages
from monitoring.advisor.of_table import advices_of
from monitoring.advisor.project import read_names
from monitoring.advisor.retrieval import Library
from monitoring.advisor.runs import explain_run
from monitoring.advisor.values import Advice, Question
from monitoring.board import Board
from monitoring.facts import gather
from monitoring.web.site import Site

LONGEST = 1_000
"""Characters of a question that are looked at."""


def ask(site: Site, board: Board, query: Mapping[str, str]) -> dict[str, Any]:
    """Answer `q`, or say why `run` failed, or what may be done about the finding `kind` of `subject`."""
    text, run = query.get("q", "").strip()[:LONGEST], query.get("run", "")
    about, advice = "", None
    if text:
        about, advice = text, site.ask(("answer", text), lambda journal: _answer(site, journal, text)).value
    elif run:
        about, advice = run, site.ask(("explained", run), lambda journal: _explained(site, journal, run)).value
    elif query.get("subject"):
        about, advice = _of_finding(site, board, query)
    return {"about": about, "question": text, "advice": advice, "advices": [advice, *advice.also] if advice else []}


def _answer(site: Site, journal: Journal, text: str) -> Advice:
    settings = site.settings
    names = read_names(settings.contracts, settings.dbt_project)
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


def _explained(site: Site, journal: Journal, run: str) -> Advice | None:
    names = read_names(site.settings.contracts, site.settings.dbt_project)
    try:
        return explain_run(journal, site.promises().contracts, names, run).advice
    except ConfigurationError:  # there is no such run
        return None


def _of_finding(site: Site, board: Board, query: Mapping[str, str]) -> tuple[str, Advice | None]:
    """Return what the rules say of the board's finding of a kind and subject; nothing if it is over."""
    kind, subject = query.get("kind", ""), query["subject"]
    found = next((each for each in board.findings if (each.kind, each.subject) == (kind, subject)), None)
    if found is None:
        return subject, None
    names = read_names(site.settings.contracts, site.settings.dbt_project)
    text = f"{found.kind} {found.subject}: {found.text}"
    return found.subject, rules.advise(Question(text, names, f"{found.kind} {found.subject}"))


def log(site: Site, board: Board, query: Mapping[str, str]) -> dict[str, Any]:
    """Show what the advisor answered."""
    del board, query
    return {
        "sums": site.ask("advisor sums", call_views.call_sums).value,
        "calls": site.ask("advisor calls", call_views.newest_calls).value,
    }
