"""The advisor's roles under the names by which other programs call them."""

from __future__ import annotations

from monitoring.advisor import rules
from monitoring.advisor.values import Advice, Names, Question


class LogAnalyzer:
    """Says what a log shows. `names` are those of the project, without which no table is named in a command."""

    def __init__(self, names: Names | None = None) -> None:
        self._names = names or Names()

    def analyze(self, text: str) -> Advice:
        """Return the advice on a text, whose content is data and never an instruction."""
        return rules.advise(Question(text, self._names))
