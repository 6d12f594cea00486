"""Finds the cause that people describe in their own words, by the words that each cause is described with. Pure."""

from __future__ import annotations

import math
import re
import unicodedata
from functools import cache

from monitoring.advisor.causes import CAUSES

LEAST = 4.0
"""The score below which a description says too little."""
AHEAD = 1.15
"""The best score must be so many times the second one."""
_WORD = re.compile(r"[a-z0-9_]{2,}")
_STOP = frozenset(
    """
    the and for was were are not but with that this from have has had its our what why how when which who does did can
    could would should will there their then than them they you your all any some one two since after before into load
    loads loaded table tables data error failed fail fails failing row rows night job run of to in on is it at by as no
    we be do or an my me so up if de da do das dos um uma que para por com nao os ao em na se foi
    """.split()  # noqa: SIM905 - a list of words in quotes is no easier to read
)


def stems(text: str) -> frozenset[str]:
    """Return the words of a text without accents, endings and words that say nothing."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    words = _WORD.findall("".join(c for c in plain if not unicodedata.combining(c)))
    return frozenset(_stem(word) for word in words if word not in _STOP)


def _stem(word: str) -> str:
    for ending in ("ations", "ation", "ings", "ing", "ied", "ies", "ed", "es", "s", "as", "os", "a", "o"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)][:7]
    return word[:7]


@cache
def _profiles() -> tuple[dict[str, frozenset[str]], dict[str, float]]:
    """Return the stems of each cause, and what each stem tells: the fewer causes have it, the more."""
    profiles = {cause.name: stems(cause.words) for cause in CAUSES}
    counts: dict[str, int] = {}
    for own in profiles.values():
        for stem in own:
            counts[stem] = counts.get(stem, 0) + 1
    return profiles, {stem: math.log(1 + len(CAUSES) / count) for stem, count in counts.items()}


def scores(text: str) -> list[tuple[float, str]]:
    """Return the causes that share a word with the text, the best first."""
    profiles, weights = _profiles()
    asked = stems(text)
    found = [(sum(weights[stem] for stem in own & asked), name) for name, own in profiles.items()]
    return sorted(((score, name) for score, name in found if score > 0), key=lambda each: (-each[0], each[1]))


def cause_of(text: str) -> str | None:
    """Return the cause that a description is about; None if it says too little, or two causes fit as well."""
    found = scores(text)
    if not found or found[0][0] < LEAST:
        return None
    return found[0][1] if len(found) == 1 or found[0][0] >= AHEAD * found[1][0] else None
