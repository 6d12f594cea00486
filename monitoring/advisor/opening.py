"""Opens the advisor of a project: its names, its passages, the ledger, and the model if the settings name one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ingestion.contracts.odcs import examine_folder
from ingestion.errors import ConfigurationError, LakehouseError
from ingestion.lake.layout import open_lake
from ingestion.lake.storage.errors import reaching
from ingestion.ledger.journal import Journal, open_journal
from ingestion.settings import Settings
from ingestion.settings.registry import value_of
from monitoring.advisor.ask import Advisor, Asked
from monitoring.advisor.budget import VARIABLE, parse_budget, read_prices
from monitoring.advisor.calls import Calls
from monitoring.advisor.documents import passages
from monitoring.advisor.models.opening import open_model
from monitoring.advisor.of_table import advices_of
from monitoring.advisor.project import read_names
from monitoring.advisor.retrieval import Library
from monitoring.advisor.values import Advice, Names
from monitoring.facts import gather

_INCIDENTS = (
    "select incident_id, kind, subject, text, why, command from ops.incidents where state = 'resolved' "
    "qualify row_number() over (partition by incident_id order by state_at desc) = 1 order by state_at desc limit 500"
)
LONGEST_KEPT = 90
"""Days for which prompts and answers may be kept at most."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An advisor with what it was made of. `calls` is None if there is no ledger."""

    advisor: Advisor
    names: Names
    library: Library
    calls: Calls | None


def open_advisor(settings: Settings, environ: Mapping[str, str]) -> Opened:
    """
    Return the advisor of a project; without a lake or a usable model it answers by rules and says why.

    Raises ConfigurationError for a budget or prices that cannot be read.
    """
    journal, incidents, why_not = _ledger(settings)
    names = read_names(settings.contracts, settings.dbt_project)
    library = Library(passages(settings.contracts, settings.dbt_project, incidents))
    calls = None if journal is None else _calls(settings, environ, journal)
    asked, no_model = _asked(settings, environ, calls, why_not)
    no_model = no_model or why_not
    advisor = Advisor(
        names, library, asked, why_not=no_model, calls=calls, states=lambda ids: _states(settings, journal, ids)
    )
    return Opened(advisor, names, library, calls)


def _calls(settings: Settings, environ: Mapping[str, str], journal: Journal) -> Calls:
    prices = read_prices(settings.project, datetime.now(UTC).date())
    return Calls(journal, parse_budget(value_of(VARIABLE, environ)), prices, keep=_keep(environ))


def _keep(environ: Mapping[str, str]) -> timedelta:
    text = value_of("LAKEHOUSE_MODEL_KEEP", environ)
    if text.isdecimal() and text.isascii() and int(text) <= LONGEST_KEPT:
        return timedelta(days=int(text))
    raise ConfigurationError(
        f"LAKEHOUSE_MODEL_KEEP is {text!r}; it must be a number of days, at most {LONGEST_KEPT}, or 0 to keep no "
        "prompt. No model was asked. Correct it."
    )


def _asked(
    settings: Settings, environ: Mapping[str, str], calls: Calls | None, why_not: str
) -> tuple[Asked | None, str]:
    """Return the model that may be asked, or in words why none is; empty if none is set."""
    try:
        model = open_model(environ, settings.secrets)
    except LakehouseError as exc:
        return None, f"The rules answer. {exc}"
    if model is None:
        return None, ""
    if calls is None:
        return None, f"The rules answer: calls of {model.name} cannot be recorded. {why_not}"
    return Asked(model, calls, _seconds(environ)), ""


def _ledger(settings: Settings) -> tuple[Journal | None, list[dict[str, Any]], str]:
    """Return the ledger with its closed incidents; no ledger, and in words why, if it cannot be read."""
    try:
        lake = open_lake(settings.lake_root)
        journal = open_journal(lake, settings.memory_limit)
        with reaching(lake.root):
            return journal, journal.select(_INCIDENTS), ""
    except LakehouseError as exc:
        return None, [], str(exc)


def _states(settings: Settings, journal: Journal | None, ids: Sequence[str]) -> list[Advice]:
    """Return advice on tables from the ledger."""
    if journal is None or not ids:
        return []
    chosen = [contract for contract in examine_folder(settings.contracts)[0] if contract.id in ids]
    return [advice for facts in gather(journal, chosen) for advice in advices_of(facts)]


def _seconds(environ: Mapping[str, str]) -> float:
    text = value_of("LAKEHOUSE_MODEL_SECONDS", environ)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 600:
        raise ConfigurationError(
            f"LAKEHOUSE_MODEL_SECONDS is {text!r}; it must be a number of seconds, at most 600. No model was asked. "
            "Correct it."
        )
    return seconds
