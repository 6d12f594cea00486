"""
Records every question and every call of a model in `ops.advisor_calls`, and holds the calls to their budget.

A call is written before it is made, with the most that it may take, and made only if all that is written then keeps the
budget. Of two calls at the end of a budget at most one is made.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ingestion.errors import ConfigurationError, LakehouseError
from monitoring.advisor.budget import NO_CALLS, Budget, Prices
from monitoring.advisor.models.base import MOST_TOKENS, Prompt
from monitoring.advisor.values import Advice

if TYPE_CHECKING:
    from ingestion.ledger.journal import Journal

BROKEN_AFTER, BROKEN_FOR = 3, timedelta(minutes=10)
"""After so many failures in a row a model is not asked for so long."""
TABLE, TEXTS = "advisor_calls", "advisor_texts"
_NEWEST = f"(select * from ops.{TABLE} qualify row_number() over (partition by call_id order by state_at desc) = 1)"


@dataclass(frozen=True, slots=True)
class Call:
    """One call with the columns that are known before it is made, and what is sent."""

    columns: Mapping[str, Any]
    input: str = ""

    @property
    def id(self) -> str:
        return str(self.columns["call_id"])


class Calls:
    """The calls of one ledger. `keep` is how long their prompts and answers are kept; zero: not at all."""

    def __init__(
        self,
        journal: Journal,
        budget: Budget = NO_CALLS,
        prices: Prices | None = None,
        *,
        keep: timedelta = timedelta(0),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._journal, self._budget, self._prices, self._now = journal, budget, prices, now
        self._keep = keep

    def earlier(self, prompt: Prompt, model: str) -> str | None:
        """
        Return the answer that is kept of the same prompt to the same model, unless somebody said that it did not help.

        The facts and passages of a question are part of its prompt, so the answer rests on nothing that has changed.
        """
        if not self._keep:
            return None
        rows = self._journal.select(
            f"select answer from ops.{TEXTS} where model = ? and prompt_hash = ? and answer is not null "
            f"and expires_at > ?::timestamptz and prompt_hash not in (select prompt_hash from {_NEWEST} "
            "where prompt_hash is not null and feedback = 'down') order by called_at desc limit 1",
            [model, _hash(prompt), self._now()],
        )
        return str(rows[0]["answer"]) if rows else None

    def repeat(self, prompt: Prompt, model: str, **columns: Any) -> str:
        """Write that an earlier answer was given again, which took nothing; return the id."""
        sent = {"role": prompt.role, "model": model, "prompt_version": prompt.version, "prompt_hash": _hash(prompt)}
        return self.note(**sent, outcome="repeated", tokens_in=0, tokens_out=0, cost=0.0, **columns)

    def begin(self, prompt: Prompt, model: str, redactions: Counter[str]) -> Call | str:
        """Write a call that is about to be made; return in words why it may not be made, if so."""
        if prompt.most_tokens > self._budget.call:
            return f"the call could take {prompt.most_tokens:,} tokens, above the budget of {self._budget.call:,}"
        if self._is_broken(model):
            return f"{model} failed {BROKEN_AFTER} times in a row and is not asked for some minutes"
        reserved_cost = self._cost(model, prompt.most_tokens - MOST_TOKENS, MOST_TOKENS)
        if reserved_cost is None and (self._budget.day_cost is not None or self._budget.month_cost is not None):
            return f"money is limited, and no price of {model} is known that is recent enough"
        moment = self._now()
        call = Call(
            {
                "call_id": uuid.uuid4().hex[:12],
                "called_at": moment,
                "role": prompt.role,
                "model": model,
                "prompt_version": prompt.version,
                "prompt_hash": _hash(prompt),
                "reserved": prompt.most_tokens,
                "cost": reserved_cost,
                "redactions": json.dumps(dict(sorted(redactions.items()))),
            },
            prompt.input,
        )
        self._write(call, outcome="begun")
        exceeded = self._exceeded(call)
        if exceeded:
            self._write(call, outcome="fell_back", why=exceeded, tokens_in=0, tokens_out=0, cost=0.0)
            return exceeded
        return call

    def end(
        self,
        call: Call,
        *,
        tokens_in: int | None = None,
        tokens_out: int | None = None,
        answer: str | None = None,
        **columns: Any,
    ) -> None:
        """
        Write how a call ended. Without a number of tokens the most that it could take stays counted.

        `answer` is what was accepted of the model, masked; it is kept only where the prompt is.
        """
        known = tokens_in is not None and tokens_out is not None
        cost = (
            self._cost(str(call.columns["model"]), tokens_in or 0, tokens_out or 0) if known else call.columns["cost"]
        )
        self._write(call, **{"cost": cost, "tokens_in": tokens_in, "tokens_out": tokens_out, **columns})
        if self._keep:
            kept = {name: call.columns[name] for name in ("call_id", "called_at", "model", "prompt_hash")}
            expires_at = call.columns["called_at"] + self._keep
            row = {**kept, "expires_at": expires_at, "prompt": call.input, "answer": answer}
            self._journal.append(TEXTS, [row])

    def note(self, call_id: str = "", **columns: Any) -> str:
        """Write a question that no model was asked, and return its id; a given one is written anew."""
        call = Call({"call_id": call_id or uuid.uuid4().hex[:12], "called_at": self._now()})
        self._write(call, **columns)
        return call.id

    def rate(self, call_id: str, feedback: str, by: str) -> None:
        """Write whether an answer helped (`up`, `down`). Raises ConfigurationError for an unknown call."""
        rows = self._journal.select(f"select * from {_NEWEST} where call_id = ?", [call_id])
        if not rows:
            raise ConfigurationError(
                f"{call_id}: the advisor gave no answer with this id. Nothing was recorded. An answer ends with its id."
            )
        self._journal.append(TABLE, [rows[0] | {"state_at": self._now(), "feedback": feedback, "by": by}])

    def _write(self, call: Call, **columns: Any) -> None:
        self._journal.append(TABLE, [{**call.columns, "state_at": self._now(), **columns}])

    def _cost(self, model: str, tokens_in: int, tokens_out: int) -> float | None:
        return None if self._prices is None else self._prices.cost(model, tokens_in, tokens_out)

    def _is_broken(self, model: str) -> bool:
        rows = self._journal.select(
            f"select outcome, state_at from {_NEWEST} where model = ? and outcome in ('answered', 'rejected', 'error') "
            f"order by called_at desc limit {BROKEN_AFTER}",
            [model],
        )
        failed = len(rows) == BROKEN_AFTER and all(row["outcome"] == "error" for row in rows)
        return failed and self._now() - rows[0]["state_at"] < BROKEN_FOR

    def _exceeded(self, call: Call) -> str:
        """Return which budget a written call exceeds, with all others; empty if none."""
        day = call.columns["called_at"].replace(hour=0, minute=0, second=0, microsecond=0)
        spent = (
            f"select coalesce(sum(coalesce(tokens_in + tokens_out, reserved)), 0)::bigint as tokens, "
            f"coalesce(sum(cost), 0)::double as cost from {_NEWEST} where model is not null "
            "and called_at >= ?::timestamptz"
        )
        limits = (
            ("day", day, self._budget.day, self._budget.day_cost),
            ("month", day.replace(day=1), self._budget.month, self._budget.month_cost),
        )
        for name, since, tokens, cost in limits:
            [row] = self._journal.select(spent, [since])
            if row["tokens"] > tokens:
                return f"the budget of the {name} ({tokens:,} tokens) is spent"
            if cost is not None and row["cost"] > cost:
                return f"the budget of the {name} ({cost:g} in money) is spent"
        return ""


def _hash(prompt: Prompt) -> str:
    """Return what names a prompt: all that a model is sent, instructions, facts and passages included."""
    return hashlib.sha256(f"{prompt.instructions}\n{prompt.input}".encode()).hexdigest()


def recorded(calls: Calls | None, role: str, advice: Advice) -> Advice:
    """Return the rules' advice with the id under which it is recorded; without one if that failed."""
    if calls is None:
        return advice
    try:
        return replace(advice, call_id=calls.note(**columns_of(role, advice)))
    except LakehouseError as exc:
        return noted(advice, f"The answer is not recorded ({type(exc).__name__}).")


def columns_of(role: str, advice: Advice) -> dict[str, Any]:
    """Return what is recorded of an answer of the rules."""
    sources = ", ".join(each.source_id for each in advice.sources)
    told = {"advisor": advice.advisor, "confidence": advice.confidence, "cause": advice.cause}
    return {"role": role, "sources": sources, "why": advice.note or None, "outcome": "answered", **told}


def noted(advice: Advice, note: str) -> Advice:
    """Return an advice with one more note."""
    return replace(advice, note=f"{advice.note} {note}".strip())
