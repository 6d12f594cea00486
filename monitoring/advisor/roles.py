"""The advisor's roles under the names by which other programs call them. Each is thin over what does the work."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from monitoring.advisor import rules
from monitoring.advisor.values import Advice, Names, Question

if TYPE_CHECKING:
    from ingestion.contracts.drift import Drift, FoundColumn
    from ingestion.contracts.model import Contract
    from monitoring.advisor.opening import Opened


LOG, DRIFT = "log_analyzer", "drift_assessor"


def role_of(advice: Advice | None) -> str:
    """Return who explains a failure of which the rules say this: differences of a contract have a role of their own."""
    return DRIFT if advice is not None and advice.runbook == "docs/runbooks/drift.md" else LOG


class LogAnalyzer:
    """Says what a log shows. `names` are those of the project, without which no table is named in a command."""

    def __init__(self, names: Names | None = None) -> None:
        self._names = names or Names()

    def analyze(self, text: str) -> Advice:
        """Return the advice on a text, whose content is data and never an instruction."""
        return rules.advise(Question(text, self._names))


class SchemaDriftDetector:
    """
    Finds differences between a contract and its source's columns, and says what they mean for a load: by rules, and by
    the model behind them if the project is `opened` and has one.
    """

    def __init__(self, names: Names | None = None, opened: Opened | None = None) -> None:
        self._names = names or (opened.names if opened is not None else Names())
        self._opened = opened

    def detect(self, contract: Contract, found: Sequence[FoundColumn]) -> tuple[Drift, ...]:
        """Return the differences as a load finds them."""
        from ingestion.contracts.drift import find_drift  # noqa: PLC0415 - a log is explained without types of columns

        return tuple(find_drift(contract, found))

    def assess(self, contract: Contract, drifts: Sequence[Drift]) -> Advice | None:
        """Return the advice on differences; None without any."""
        lines = [f"{contract.id}: {d.kind} {d.column}: expected {d.promised}, found {d.found}" for d in drifts]
        if not lines:
            return None
        names = self._names if contract.id in self._names.tables else Names({contract.id: ()})
        facts = {"contract": contract.id, "contract_version": contract.version}
        question = Question("\n".join(lines), names, f"drift {contract.id}", facts=facts)
        advice = rules.advise(question)
        return advice if self._opened is None else self._opened.advisor.answer(question, DRIFT, advice)


class DocGenerator:
    """Proposes descriptions for columns of dbt models that have none, in the words of the contracts. Writes no file."""

    def __init__(self, project: Path) -> None:
        self._project = project

    def suggest(self) -> str:
        """Return a patch for a person; empty if nothing is to be said."""
        from monitoring.advisor.doc_writer import from_contracts, patch, undescribed  # noqa: PLC0415

        places = undescribed(self._project / "dbt_project")
        return patch(from_contracts(places, self._project / "data_contracts"), self._project)


class RAGContextProvider:
    """Answers a question: its class, the passages that come closest, the rules, the model if one is set."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def respond(self, text: str) -> Advice:
        """Return the answer, with its confidence and its sources."""
        return self._opened.advisor.answer(Question(text, self._opened.names, "question"))


class LLMProvider:
    """Answers in words. What is sent, what it may cost and what is accepted is the same as for `lakehouse ask`."""

    def __init__(self, opened: Opened) -> None:
        self._provider = RAGContextProvider(opened)

    def chat(self, text: str) -> str:
        """Return the answer to a question in words, with who answers."""
        advice = self._provider.respond(text)
        return f"{advice.root_cause} {advice.recommended_action.text} ({advice.advisor})"


def get_llm_provider(environ: Mapping[str, str] = os.environ) -> LLMProvider:
    """Return what answers by the model that the settings name; by rules, if they name none."""
    from ingestion.settings import Settings  # noqa: PLC0415 - opens the lake's engine
    from monitoring.advisor.opening import open_advisor  # noqa: PLC0415

    return LLMProvider(open_advisor(Settings.from_environ(environ), environ))
