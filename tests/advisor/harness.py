"""
Scores an advisor on the golden set: cause, command, sources, abstention, hidden values, invented names.

`make advisor-eval` prints the table for the rules, with WRITE=1 also writes their precisions; with MODEL=openai:… it scores
that model, which answers behind the rules as it does in use. Where it gives no answer that can be used the rules do, so
the table of a model counts its own answers apart: a model that never answers has the rules' score and 0 of them.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ingestion.contracts.model import Deletes, Mode, Reconcile
from monitoring.advisor import rules
from monitoring.advisor.ask import BY_NAME, Advisor
from monitoring.advisor.documents import passages
from monitoring.advisor.gap_rules import advise
from monitoring.advisor.project import read_names
from monitoring.advisor.prompting import write_prompt
from monitoring.advisor.retrieval import Library
from monitoring.advisor.values import RULES, Advice, Names, Question
from tests.advisor.raised import ROOT, raised
from tests.runbooks import contract_of, difference, gap, known, part, run

GOLDEN = Path(__file__).parent / "golden"
PRECISION = ROOT / "monitoring" / "advisor" / "precision.json"
HELD_OUT, GAPS = "held_out", "gaps"
ROLE = "log_analyzer"
Ask = Callable[[Question], Advice]
_NAME = re.compile(r"\b[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\b|\b(?:dim|fact|stg)_[a-z0-9_]+\b")
_FILES = ("yaml", "md", "py", "json", "env")


@dataclass(frozen=True, slots=True)
class Case:
    """One text with what is right about it. `also` are further causes; without a `command` any of the cause is right."""

    id: str
    kind: str
    text: str
    cause: str | None
    also: tuple[str, ...] = ()
    command: str | None = None
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """What an advice on a case got right."""

    case: Case
    advice: Advice
    is_right: bool
    has_command: bool
    shows_hidden: bool
    invented: tuple[str, ...]

    @property
    def abstained(self) -> bool:
        return self.advice.cause is None

    @property
    def by_model(self) -> bool:
        return self.advice.advisor != RULES


@cache
def names() -> Names:
    """Return the names of this repository's example project."""
    return read_names(ROOT / "data_contracts", ROOT / "dbt_project")


@cache
def cases() -> tuple[Case, ...]:
    """Return all golden cases, by file and then as written."""
    return tuple(_cases())


def _cases() -> Iterator[Case]:
    for path in sorted(path for path in GOLDEN.glob("*.yaml") if path.stem != GAPS):
        for each in yaml.safe_load(path.read_text()):
            text = raised(*each["raise"]) if "raise" in each else each["text"]
            yield Case(
                f"{path.stem}/{each['id']}",
                each.get("class", path.stem),
                text,
                each["cause"],
                tuple(each.get("also", ())),
                each.get("command"),
                tuple(each.get("hidden", ())),
            )


def score(case: Case, ask: Ask) -> Score:
    """Ask an advisor about a case and score its answer."""
    advice = ask(Question(case.text, names()))
    told = json.dumps(advice.as_dict(), ensure_ascii=False)
    # a model names one cause, and what stands beside its answer are the rules' findings
    found = {each.cause for each in advice.also} if advice.advisor == RULES else set(case.also)
    return Score(
        case,
        advice,
        advice.cause == case.cause and found == set(case.also),
        case.command in (None, advice.recommended_action.command),
        any(value in told for value in case.hidden),
        tuple(invented(advice, case)),
    )


def invented(advice: Advice, case: Case) -> Iterator[str]:
    """Yield names of tables and models in an advice that neither the project has nor the text."""
    known = {*names().tables, *names().models, *(n for others in names().tables.values() for n in others)}
    told = " ".join((advice.root_cause, advice.recommended_action.text, advice.recommended_action.command or ""))
    for name in _NAME.findall(told):
        if name not in known and name not in case.text and name.rpartition(".")[2] not in _FILES:
            yield name


def table(scores: Sequence[Score], name: str = RULES) -> str:
    """
    Return the table of right answers and abstentions by class of cases, in Markdown, under who answered and when.

    That of a model has two columns more: how many answers are its own, and how many of these are right.
    """
    is_model = name != RULES
    by_kind: dict[str, list[Score]] = defaultdict(list)
    for each in scores:
        by_kind[each.case.kind].append(each)
    heads = ["class", "cases", "right", "abstained", "command right"]
    heads += ["by the model", "of these right"] if is_model else []
    title = (
        name
        if name == RULES
        else f"{name}, {write_prompt(ROLE, Question(''), rules.unknown(), []).prompt.version}, {RULES}"
    )
    lines = [f"{title} on {date.today().isoformat()}", "", f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for kind, own in [*sorted(by_kind.items()), ("all", list(scores))]:
        counts = (len(own), *(sum(values) for values in zip(*(_marks(each, is_model) for each in own), strict=True)))
        lines.append(f"| {kind} | {' | '.join(map(str, counts))} |")
    shown = sum(each.shows_hidden for each in scores)
    invented_ = sum(bool(each.invented) for each in scores)
    return "\n".join([*lines, "", f"Personal values shown: {shown}. Answers with an invented name: {invented_}."])


def _marks(each: Score, is_model: bool) -> tuple[bool, ...]:
    of_model = (each.by_model, each.by_model and each.is_right) if is_model else ()
    return each.is_right, each.abstained, each.is_right and each.has_command, *of_model


def precisions(scores: Sequence[Score]) -> dict[str, list[int]]:
    """Return how often each cause was right and how often it was given; all findings by words count together."""
    right: Counter[str] = Counter()
    given: Counter[str] = Counter()
    for each in scores:
        for finding in rules.findings(Question(each.case.text, names())):
            name = finding.cause if finding.is_exact else rules.DESCRIBED
            given[name] += 1
            right[name] += finding.cause in (each.case.cause, *each.case.also)
    return {name: [right[name], given[name]] for name in sorted(given)}


def gap_precisions() -> dict[str, list[int]]:
    """Return the same of the gap rules' first cause on the states of a table in `gaps.yaml`."""
    found = [(cause, first_gap_cause(each)) for each, cause in gap_cases()]
    given = Counter(told for _, told in found if told)
    return {name: [sum(told == name == cause for cause, told in found), given[name]] for name in sorted(given)}


def named_precisions() -> dict[str, list[int]]:
    """Return the same of answers that are the passage of a named thing, on the questions of `retrieval.yaml`."""
    right = given = 0
    library = Library(passages(ROOT / "data_contracts", ROOT / "dbt_project"))
    advisor = Advisor(names(), library)
    for each in yaml.safe_load(GOLDEN.with_name("retrieval.yaml").read_text()):
        advice = advisor.answer(Question(each["ask"], names()))
        if advice.cause is None and advice.evidence:
            given += 1
            right += advice.evidence[0].source_id in each["right"]
    library.close()
    return {BY_NAME: [right, given]}


def gap_cases() -> list[tuple[dict[str, Any], str | None]]:
    """Return the states of a table in `gaps.yaml`, each with the cause that is right."""
    written = yaml.safe_load((GOLDEN / f"{GAPS}.yaml").read_text())
    return [(each, each["cause"]) for each in written]


def first_gap_cause(case: dict[str, Any]) -> str | None:
    """Return the cause that the gap rules name first; None if they see no fault."""
    by_day: dict[str, Any] = {"partition": "c1", "grain": "day"} if "partitions" in case else {}
    written = case.get("contract", {})
    contract = contract_of("duckdb", ["main", "people"], {"id": "BIGINT", "changed_at": "TIMESTAMP"})
    contract = replace(
        contract,
        mode=Mode(written.get("mode", "full")),
        deletes=Deletes(written.get("deletes", contract.deletes)),
        watermark="c1",
        reconcile=Reconcile(**by_day),
    )
    load = case.get("load", {})
    given: dict[str, Any] = {
        "gap": None if case.get("gap") == "none" else gap(**case.get("gap", {})),
        "load": None if load == "none" else run("load", **load),
        "partitions": tuple(part(str(name), source, lake) for name, source, lake in case.get("partitions", ())),
    }
    differing = [difference(kind, state) for kind, state in case.get("differences", ())]
    advised = advise(known(contract, *differing, **given))
    return advised[0].cause if advised else None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--model", default="")
    given = parser.parse_args()
    if given.model:
        if given.write:
            parser.error("--write keeps the precisions of the rules; leave out --model")
        from tests.advisor.with_model import asking

        with asking(given.model) as (ask, sums):
            _print([score(case, ask) for case in cases()], given.model)
            for each in sums():
                cost = "unknown" if each.cost is None else f"{each.cost:.4f}"
                took = "" if each.p50 is None else f", half within {each.p50:.1f} s, 95 % within {each.p95:.1f} s"
                told = f"{each.calls} calls, {each.answered} answered, {each.tokens or 0:,} tokens, cost {cost}{took}"
                print(f"{each.version}, {each.advisor} answers: {told}")
        return
    scores = [score(case, rules.advise) for case in cases()]
    _print(scores)
    if given.write:
        PRECISION.write_text(json.dumps(precisions(scores) | gap_precisions() | named_precisions(), indent=1) + "\n")


def _print(scores: Sequence[Score], name: str = RULES) -> None:
    for each in scores:
        if not (each.is_right and each.has_command) or each.shows_hidden or each.invented:
            _tell(each)
    print(table(scores, name))


def _tell(each: Score) -> None:
    got: Any = each.advice.cause, [also.cause for also in each.advice.also], each.advice.recommended_action.command
    print(f"{each.case.id}: wanted {each.case.cause} {list(each.case.also)} {each.case.command}, got {got}")


if __name__ == "__main__":
    main()
