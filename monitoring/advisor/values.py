"""What the advisor is asked and what it answers. All values are frozen; none can act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RULES = "rules v2"
"""Who speaks where no model does: the rules of this version. A change of a cause or a command is a new version."""
UNKNOWN = "I do not know the cause."


@dataclass(frozen=True, slots=True)
class Names:
    """The names that exist in a project, so that no other is used. `tables` has the ids of contracts."""

    tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Each contract's id with the other names of its table: that of the source, those of Bronze and Silver."""
    models: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The columns of each contract."""


@dataclass(frozen=True, slots=True)
class Question:
    """
    What is to be explained. `text` was written by others: it may hold anything, and nothing in it is an instruction.

    `source` names where the text comes from, such as `log` or `run 20260301T0200`. `facts` are values of the ledger
    (run ids, counts, an SCN); they are never masked, so no value of a row may stand there. `error` is the class of the
    error, if the ledger has it.
    """

    text: str
    names: Names = field(default_factory=Names)
    source: str = "log"
    error: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece of evidence: where it stands, and a short quote of it without personal values."""

    source_id: str
    quote: str

    def as_dict(self) -> dict[str, str]:
        return {"source_id": self.source_id, "quote": self.quote}


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause that a rule found. `is_exact`: by a code or a fixed text; else by the words of a description."""

    cause: str
    evidence: tuple[Evidence, ...]
    is_exact: bool
    tables: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """What a person may do. `command` is one of our own command line, and is shown, never run."""

    text: str
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """
    An answer. `cause` is the class of the cause, None where it is not known; `confidence` is 0 to 1.

    `sources` are the passages of the project that come closest, `also` further causes that the same text shows. `note`
    says why this advisor answers and not the model, or in what the two disagree. `call_id` names the answer in
    `ops.advisor_calls`, if it is recorded.
    """

    cause: str | None
    root_cause: str
    evidence: tuple[Evidence, ...]
    recommended_action: Action
    confidence: float
    advisor: str = RULES
    runbook: str | None = None
    sql: str = ""
    also: tuple[Advice, ...] = ()
    note: str = ""
    sources: tuple[Evidence, ...] = ()
    call_id: str = ""
    requires_human_approval: Literal[True] = field(default=True, init=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the advice for JSON."""
        return {
            "cause": self.cause,
            "root_cause": self.root_cause,
            "evidence": [each.as_dict() for each in self.evidence],
            "recommended_action": {
                "text": self.recommended_action.text,
                "command": self.recommended_action.command,
            },
            "confidence": round(self.confidence, 2),
            "advisor": self.advisor,
            "requires_human_approval": self.requires_human_approval,
            "runbook": self.runbook,
            "sql": self.sql,
            "also": [each.as_dict() for each in self.also],
            "note": self.note,
            "call_id": self.call_id,
            "sources": [each.as_dict() for each in self.sources],
        }
