"""The evaluation of a model, against the server of ours: its table tells the model's answers from the rules'."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from monitoring.advisor import rules
from monitoring.advisor.values import RULES, Advice, Question
from tests.advisor import harness
from tests.advisor.harness import Case
from tests.advisor.model_server import GOOD, Reply, serving
from tests.advisor.with_model import asking
from tests.examples import LONG

CASES = tuple(case for number, case in enumerate(harness.cases()) if LONG or number % 48 == 0)
KEY = {"LAKEHOUSE_MODEL_KEY": "k"}


def said(cause: str | None) -> Reply:
    action = {"text": "Look.", "command": None}
    return Reply(json.dumps(GOOD | {"cause": cause, "root_cause": "Told.", "recommended_action": action}))


def evaluated(replies: Callable[[Case], Reply]) -> tuple[dict[str, int], Any]:
    """Return the last row of a model's table and its sums, where a server answers each case as told."""
    with serving() as served, asking("openai:m", KEY | {"LAKEHOUSE_MODEL_URL": f"{served.url}/v1"}) as (ask, sums):

        def told(case: Case) -> Callable[[Question], Advice]:
            served.replies[:] = [replies(case)]
            return ask

        scores = [harness.score(case, told(case)) for case in CASES]
        lines = harness.table(scores, "openai:m").splitlines()
        heads, last = ([cell.strip() for cell in line.strip("|").split("|")] for line in (lines[2], lines[-3]))
        assert lines[0].startswith(f"openai:m, log_analyzer v1, {RULES} on 20")
        return {head: int(cell) for head, cell in zip(heads[1:], last[1:], strict=True)}, sums()


def test_a_model_that_is_always_right_has_every_case() -> None:
    row, [one] = evaluated(lambda case: said(case.cause))

    assert row["cases"] == row["right"] == row["by the model"] == row["of these right"] == len(CASES)
    assert (one.calls, one.answered, one.tokens) == (len(CASES), len(CASES), 980 * len(CASES))


def test_a_model_that_is_never_right_has_none_whatever_the_rules_say() -> None:
    row, _ = evaluated(lambda case: said("program_fault" if case.cause is None else None))

    assert (row["by the model"], row["of these right"], row["right"]) == (len(CASES), 0, 0)


def test_a_model_whose_answers_cannot_be_used_has_the_rules_score_and_none_of_its_own() -> None:
    row, [one] = evaluated(lambda case: Reply("It is the network."))

    of_rules = sum(harness.score(case, rules.advise).is_right for case in CASES)
    assert (row["by the model"], row["of these right"], row["right"]) == (0, 0, of_rules)
    assert (one.calls, one.answered, one.advisor) == (len(CASES), 0, RULES)


def test_the_precisions_of_the_rules_are_not_taken_from_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["harness", "--model", "openai:m", "--write"])

    with pytest.raises(SystemExit):
        harness.main()
