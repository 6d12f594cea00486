"""
Answers a question: rules first, then what the ledger knows of the tables that it names, then passages, then the model.

The model's answer takes the place of the rules' only if it keeps its form, cites what it was given and names only what
exists. Otherwise the rules answer, and say why. Nothing here acts: commands are texts.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tenacity
from pydantic import BaseModel

from ingestion.errors import LakehouseError
from ingestion.privacy.masker import PIIMasker
from monitoring.advisor import rules
from monitoring.advisor.calls import Call, Calls, noted, recorded
from monitoring.advisor.checking import ModelAnswer, checked
from monitoring.advisor.doc_writer import MOST_COLUMNS, Descriptions, Proposal, Undescribed, from_model
from monitoring.advisor.documents import Passage
from monitoring.advisor.models.base import PASSING, Completion, Failure, Model, ModelError, Prompt, T, parsed
from monitoring.advisor.prompting import WithheldError, Written, write_prompt
from monitoring.advisor.retrieval import Library, QueryType, excerpt, query_type
from monitoring.advisor.signs import tables_in
from monitoring.advisor.values import Action, Advice, Evidence, Names, Question

TRIES = 3
BY_NAME = "by name"
"""The name in the table of precisions of answers that are the passage of a named thing."""
_TABLE = re.compile(r"\b[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\b")


@dataclass(frozen=True, slots=True)
class Asked:
    """A model that may be asked: within how many seconds, and where its calls are recorded."""

    model: Model
    calls: Calls
    seconds: float = 30.0
    sleep: Callable[[float], None] = time.sleep


class Advisor:
    """
    The advisor of one project. `asked` is None without a model; `why_not` says then why, if one is set.

    `states` returns advice on tables from the ledger; `calls` is where answers of the rules are recorded, if anywhere.
    """

    def __init__(
        self,
        names: Names,
        library: Library,
        asked: Asked | None = None,
        *,
        why_not: str = "",
        states: Callable[[Sequence[str]], Sequence[Advice]] = lambda _: (),
        calls: Calls | None = None,
    ) -> None:
        self._names, self._library, self._asked = names, library, asked
        self._why_not, self._states, self._calls = why_not, states, calls

    def answer(self, question: Question, role: str = "architect", known: Advice | None = None) -> Advice:
        """Return the answer to a question; `known` is what the rules found, if they were asked already."""
        by_rules = known or self._by_name(question) or self._by_rules(question)
        found = self._library.find(question.text, self._names, by_rules)
        by_rules = replace(by_rules, sources=tuple(Evidence(p.id, excerpt(p)) for p in found))
        if self._asked is None:
            return recorded(self._calls, role, noted(by_rules, self._why_not))
        told = self._by_model(self._asked, role, question, by_rules, found)
        return noted(by_rules, f"The rules answer: {told}.") if isinstance(told, str) else _beside(told, by_rules)

    def _by_name(self, question: Question) -> Advice | None:
        """Return what a named column, table or model means, if that is asked; None if something else is."""
        if query_type(question.text, rules.advise(question).cause) is not QueryType.MEANING:
            return None
        for passage in filter(None, map(self._library.get, self._library.linked(question.text, self._names))):
            action = Action(f"Read {passage.id}: it has the whole text.")
            quote = Evidence(passage.id, excerpt(passage))
            told = f"{passage.title}: {excerpt(passage)}"
            return Advice(None, told, (quote,), action, rules.confidence(BY_NAME))
        return None

    def describe(self, places: Sequence[Undescribed]) -> tuple[list[Proposal], str]:
        """Return what the model proposes for columns without a description, and in words why nothing, if so."""
        if self._asked is None or not places:
            return [], self._why_not
        chosen = list(places)[:MOST_COLUMNS]
        text = "\n".join(f"{place.model}.{place.column}" for place in chosen)
        found = self._library.find(text, self._names)
        try:
            written = write_prompt("doc_writer", Question(text, self._names), rules.unknown(), found)
            call = self._asked.calls.begin(written.prompt, self._asked.model.name, written.redactions)
            told = call if isinstance(call, str) else _completed(self._asked, call, written, Descriptions)
        except (WithheldError, LakehouseError) as exc:
            return [], f"{self._asked.model.name} is not asked ({type(exc).__name__})"
        if isinstance(told, str):
            return [], told
        return list(from_model(chosen, told, self._asked.model.name)), ""

    def _by_rules(self, question: Question) -> Advice:
        advice = rules.advise(question)
        is_certain = any(finding.is_exact for finding in rules.findings(question))
        states = [] if is_certain else list(self._states(tables_in(question.text, self._names)))
        if states:
            advice = replace(states[0], also=(*states[1:], *((advice,) if advice.cause else ())))
        missing = self._missing(question.text)
        return noted(advice, f"The project has no table {', '.join(missing)}.") if missing else advice

    def _missing(self, text: str) -> list[str]:
        """Return the tables that a text names of the project's systems and that no contract has."""
        systems = {id_.partition(".")[0] for id_ in self._names.tables}
        named = dict.fromkeys(_TABLE.findall(text.casefold()))
        return [name for name in named if name.partition(".")[0] in systems and not tables_in(name, self._names)]

    def _by_model(
        self, asked: Asked, role: str, question: Question, by_rules: Advice, found: Sequence[Passage]
    ) -> Advice | str:
        """Return the model's advice, or in words why there is none."""
        model = asked.model.name
        try:
            written = write_prompt(role, question, by_rules, found)
        except WithheldError as exc:
            return f"what was to be sent to {model} may hold personal values ({exc}), and nothing was sent"
        try:
            repeated = _repeated(asked, written, by_rules, self._names)
            if repeated is not None:
                return repeated
            call = asked.calls.begin(written.prompt, model, written.redactions)
            if isinstance(call, str):
                return call
            return _called(asked, call, written, by_rules, self._names)
        except LakehouseError as exc:
            return f"the call of {model} cannot be recorded ({type(exc).__name__}), and nothing more is sent"


def _sources(by_rules: Advice) -> list[str]:
    """Return the ids that a model may cite."""
    of_passages = (each.source_id for each in by_rules.sources)
    return ["rules", "untrusted", *of_passages, *(each.source_id for each in by_rules.evidence)]


def _repeated(asked: Asked, written: Written, by_rules: Advice, names: Names) -> Advice | None:
    """Return the answer that the model gave to the very same prompt, held to its form once more; None without one."""
    model = asked.model.name
    kept = asked.calls.earlier(written.prompt, model)
    if kept is None:
        return None
    try:
        told = checked(parsed(ModelAnswer, kept, 0, 0).answer, _sources(by_rules), names, model)
    except ModelError:  # the form has changed since
        return None
    if not isinstance(told, Advice):
        return None
    columns = {"advisor": model, "confidence": told.confidence, "cause": told.cause}
    passages = ", ".join(each.source_id for each in by_rules.sources)
    return replace(told, call_id=asked.calls.repeat(written.prompt, model, sources=passages, **columns))


def _called(asked: Asked, call: Call, written: Written, by_rules: Advice, names: Names) -> Advice | str:
    """Make a call that is written already, and write how it ended."""
    begun, model = time.monotonic(), asked.model.name
    passages = [each.source_id for each in by_rules.sources]
    known: dict[str, Any] = {"sources": ", ".join(passages), "cause": by_rules.cause}
    try:
        told = complete(asked.model, written.prompt, ModelAnswer, seconds=asked.seconds, sleep=asked.sleep)
    except ModelError as exc:
        outcome = "rejected" if exc.failure in (Failure.REFUSED, Failure.CUT_OFF, Failure.WRONG_FORM) else "error"
        known |= {"tokens_in": exc.tokens_in, "tokens_out": exc.tokens_out, "seconds": time.monotonic() - begun}
        asked.calls.end(call, advisor=by_rules.advisor, outcome=outcome, why=str(exc.failure), **known)
        return f"{model} gave no answer: {exc.failure}"
    advice = checked(told.answer, _sources(by_rules), names, model)
    known |= {"tokens_in": told.tokens_in, "tokens_out": told.tokens_out, "seconds": time.monotonic() - begun}
    if isinstance(advice, str):
        asked.calls.end(call, advisor=by_rules.advisor, outcome="rejected", why=advice, **known)
        return f"the answer of {model} is rejected: {advice}"
    known["cause"] = advice.cause
    known["answer"] = _masked(told.answer)
    asked.calls.end(call, advisor=model, outcome="answered", confidence=advice.confidence, **known)
    return replace(advice, call_id=call.id)


def _completed(asked: Asked, call: Call, written: Written, schema: type[T]) -> T | str:
    """Make a call that is written already for an answer that a person reviews; return in words why there is none."""
    model = asked.model.name
    try:
        told = complete(asked.model, written.prompt, schema, seconds=asked.seconds, sleep=asked.sleep)
    except ModelError as exc:
        ended = (exc.tokens_in, exc.tokens_out)
        asked.calls.end(call, tokens_in=ended[0], tokens_out=ended[1], outcome="error", why=str(exc.failure))
        return f"{model} gave no answer: {exc.failure}"
    tokens = {"tokens_in": told.tokens_in, "tokens_out": told.tokens_out}
    asked.calls.end(call, **tokens, outcome="answered", advisor=model, answer=_masked(told.answer))
    return told.answer


def _masked(answer: BaseModel) -> str:
    """Return an answer as JSON in which no text holds a personal value that the mask knows."""

    def told(value: Any) -> Any:
        if isinstance(value, str):
            return PIIMasker().mask(value)
        if isinstance(value, dict):
            return {name: told(each) for name, each in value.items()}
        return [told(each) for each in value] if isinstance(value, list) else value

    return json.dumps(told(answer.model_dump()), ensure_ascii=False)


def complete(
    model: Model, prompt: Prompt, schema: type[T], *, seconds: float, sleep: Callable[[float], None] = time.sleep
) -> Completion[T]:
    """
    Ask a model, again after a failure that may pass, all within so many seconds. Raises the last ModelError.

    What the server asks for (`retry-after`) is waited for, and not at all if it is more than what is left.
    """
    end = time.monotonic() + seconds

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked_for = error.retry_after if isinstance(error, ModelError) else 0.0
        return asked_for or 0.5 * 2 ** (state.attempt_number - 1)

    def is_over(state: tenacity.RetryCallState) -> bool:
        return state.attempt_number >= TRIES or time.monotonic() + wait(state) >= end

    for attempt in tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda exc: isinstance(exc, ModelError) and exc.failure in PASSING),
        wait=wait,
        stop=is_over,
        sleep=sleep,
        reraise=True,
    ):
        with attempt:
            return model.complete(prompt, schema, seconds=max(end - time.monotonic(), 0.1))
    raise AssertionError("tenacity raises the last error")


def _beside(told: Advice, by_rules: Advice) -> Advice:
    """Return the model's advice with all that the rules found beside it, and a note if the two disagree."""
    told = replace(told, sources=by_rules.sources)
    if by_rules.cause is None:
        return told
    if told.cause == by_rules.cause:
        return replace(told, sql=by_rules.sql, also=by_rules.also)
    note = f"The rules disagree ({by_rules.confidence:.0%} sure): {by_rules.root_cause}"
    return replace(told, also=(replace(by_rules, sources=(), also=()), *by_rules.also), note=note)
