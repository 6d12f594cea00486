"""
Makes what is sent to a model: a role's instructions, and one JSON document with everything else.

Free text passes the mask and then the last gate; facts of the ledger and names of the project stand beside it as typed
values and are not masked. Pure.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ingestion.printable import shown
from ingestion.privacy.gate import leaks
from ingestion.privacy.masker import PIIMasker
from ingestion.privacy.quoted import without_quoted
from monitoring.advisor.causes import BY_NAME
from monitoring.advisor.documents import Passage
from monitoring.advisor.models.base import Prompt
from monitoring.advisor.values import Advice, Question

FOLDER = Path(__file__).with_name("prompts")
ROLES = ("log_analyzer", "drift_assessor", "doc_writer", "architect")
BEGIN, END = "<<<untrusted", "untrusted>>>"
_MARKER = re.compile(r"<<<\s*untrusted|untrusted\s*>>>", re.IGNORECASE)
LONGEST_TEXT, LONGEST_PASSAGE = 8_000, 1_200


class WithheldError(Exception):
    """The last gate found personal values in what was about to be sent; `classes` are theirs."""

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__(", ".join(classes))
        self.classes = tuple(classes)


@dataclass(frozen=True, slots=True)
class Written:
    """A prompt, and how many personal values were masked in it, by class."""

    prompt: Prompt
    redactions: Counter[str]


def write_prompt(role: str, question: Question, advice: Advice, passages: Sequence[Passage]) -> Written:
    """Return the prompt of a role for a question. Raises WithheldError: then nothing may be sent."""
    version, instructions = _instructions(role)
    redactions: Counter[str] = Counter()
    leaving: list[str] = []

    def masked(text: str, longest: int) -> str:
        told, counts = PIIMasker().mask_and_count(without_quoted(_MARKER.sub("", text)))
        redactions.update(counts)
        leaving.append(shown(_both_ends(told, longest)))
        return leaving[-1]

    free = {
        "rules": masked(json.dumps(_told(advice), ensure_ascii=False), LONGEST_TEXT),
        "passages": [
            {"id": p.id, "title": masked(p.title, 200), "text": masked(p.text, LONGEST_PASSAGE)} for p in passages
        ],
        "untrusted": f"{BEGIN}\n{masked(question.text, LONGEST_TEXT)}\n{END}",
    }
    found = leaks("\n".join(leaving))  # as JSON, escapes would stand before the values
    if found:
        raise WithheldError(found)
    known = {"tables": [*question.names.tables], "models": [*question.names.models]}
    document = {"causes": [*BY_NAME], "facts": dict(question.facts), "names": known, **free}
    return Written(Prompt(role, version, instructions, json.dumps(document, ensure_ascii=False)), redactions)


def _told(advice: Advice) -> dict[str, object]:
    """Return what a model is told of the rules' advice."""
    causes = [{"cause": each.cause, "root_cause": each.root_cause} for each in (advice, *advice.also)]
    return {"causes": causes, "evidence": [each.as_dict() for each in advice.evidence]}


def _both_ends(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    return f"{text[: longest // 4]}\n(left out)\n{text[-(longest * 3 // 4) :]}"


@cache
def _instructions(role: str) -> tuple[str, str]:
    """Return the version and the text of a role's prompt."""
    head, _, text = (FOLDER / f"{role}.md").read_text(encoding="utf-8").partition("\n")
    return f"{role} v{head.removeprefix('version:').strip()}", text.strip()
