"""What a text shows: codes of databases, fixed texts, error classes, exit codes, and names that exist. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ingestion import database_codes as known
from ingestion.printable import shown
from ingestion.privacy.foreign import foreign_text
from monitoring.advisor.causes import CAUSES
from monitoring.advisor.values import Evidence, Names

CODE, TEXT, CLASS, EXIT = range(4)
"""The ranks of signs: in one message a code says more than a fixed text, that more than the class of an error."""
QUOTED = 240
"""Characters of a line that are quoted at most."""
LONGEST_LINE = 4_000
"""Characters of a line that are looked at."""

_ORACLE = re.compile(r"\b(ORA|DPY)-0*(\d{1,5})\b")
_SQLSERVER = re.compile(
    r"\(error (\d{2,5})\)|\bMsg (\d{2,5})\b|Native error: (\d{2,5})\b|\bError: (\d{2,5}), Severity"
    r"|\[SQL Server\][^\n]{0,300}?\((\d{2,5})\)|SQL ?Server[^\n]{0,40}? (?:error|erro)(?: code| number)?:? (\d{2,5})\b"
)
_SQLSTATE = re.compile(r"(?:\(error |SQLSTATE\W{0,3}|State: |\[)([0-9A-Z]{5})(?:\)|\b|\])")
_EXIT = re.compile(
    r"(?:exit(?:ed)?(?: with)?(?: a)?(?: return)?(?: code| status)?|return code|exit_code)[ :=]+(-?\d{1,3})", re.I
)
_LOW = re.compile(
    r"^.{0,60}?\b(?:INFO|DEBUG|WARN(?:ING)?|TRACE)\b|\bwarning: "
    r"|attempt \d+ (?:of|succeeded)|trying again|retrying|recovered"
)
_HIGH = re.compile(r"\b(?:ERROR|CRITICAL|FATAL)\b|^\s*error: ")
_BEGINS = re.compile(
    r"^(?:\[?\d{4}-\d\d-\d\d|\S+ \d\d:\d\d|error: |\w+Error\b|Traceback|[a-z]\w*(?:\.\w+)?: |\s*$|  \w+ \S+: \w+Error)",
    re.I,
)

_OWN_CODES = {code: cause.name for cause in CAUSES for code in cause.codes}
_OUTCOMES: tuple[tuple[Mapping[Any, str], str], ...] = (
    (known.ORACLE_LOST, "snapshot_lost"),
    (known.ORACLE_UNAVAILABLE, "source_unavailable"),
    (known.ORACLE_REFUSED, "connection_misconfigured"),
    (known.ORACLE_NOT_READABLE, "table_not_readable"),
    (known.SQLSERVER_LOST, "snapshot_lost"),
    (known.SQLSERVER_UNAVAILABLE, "source_unavailable"),
    (known.SQLSERVER_REFUSED, "connection_misconfigured"),
    (known.SQLSERVER_NOT_READABLE, "table_not_readable"),
)
_CODES = (
    {str(code): cause for codes, cause in _OUTCOMES for code in codes}
    | {f"SQLSTATE-{state}": "source_unavailable" for state in known.SQLSTATES}
    | {f"SQLSTATE-{state}": "connection_misconfigured" for state in known.SQLSTATES_OF_SETTINGS}
    | _OWN_CODES
)
"""Code -> cause. What `causes.yaml` says of a code goes before what follows from its outcome."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of a cause: its rank, and the line (from 1) and message (from 0) in which it stands."""

    cause: str
    rank: int
    line: int
    message: int
    is_low: bool
    """Whether the line is no error: a notice, a warning, a retry."""


def signs_of(text: str) -> list[Sign]:
    """Return the signs of a text, in its order."""
    found, message = [], 0
    is_low = False
    for number, line in enumerate(text.splitlines(), start=1):
        if _BEGINS.match(line):
            message += 1
            is_low = False
        is_low = (is_low or _LOW.search(line) is not None) and _HIGH.search(line) is None
        found += [Sign(cause, rank, number, message, is_low) for cause, rank in _of_line(line[:LONGEST_LINE])]
    return found


def _of_line(line: str) -> Iterator[tuple[str, int]]:
    for cause in _codes(line):
        yield cause, CODE
    for name, pattern in _patterns("says"):
        if pattern.search(line):
            yield name, TEXT
    for name, pattern in _patterns("errors"):
        if pattern.search(line):
            yield name, CLASS
    for found in _EXIT.finditer(line):
        code = int(found[1])
        code = 128 - code if code < 0 else code
        yield from ((cause.name, EXIT) for cause in CAUSES if code in cause.exits)


@cache
def _patterns(kind: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    written = ((cause.name, getattr(cause, kind)) for cause in CAUSES)
    return tuple((name, re.compile("|".join(texts))) for name, texts in written if texts)


def _codes(line: str) -> Iterator[str]:
    """Yield the causes of the codes in a line; a code that is not known says nothing."""
    found = [f"{prefix}-{int(digits):0{5 if prefix == 'ORA' else 4}d}" for prefix, digits in _ORACLE.findall(line)]
    found += [next(filter(None, groups)) for groups in _SQLSERVER.findall(line)]
    found += [f"SQLSTATE-{state}" for state in _SQLSTATE.findall(line)]
    yield from (_CODES[code] for code in found if code in _CODES)


def quote(text: str, source: str, lines: Sequence[int]) -> tuple[Evidence, ...]:
    """Return lines (from 1) of a text as evidence, without values of rows and without control characters."""
    written = text.splitlines()
    kept = [number for number in dict.fromkeys(lines) if number <= len(written)][:3]
    return tuple(Evidence(f"{source}:{number}", quoted(written[number - 1])) for number in kept)


def quoted(line: str) -> str:
    """Return a line as it may be shown: masked, in one line, and not longer than QUOTED."""
    told = shown(foreign_text(line.strip())).replace("\n", " ").replace("\t", " ")
    return told if len(told) <= QUOTED else f"{told[: QUOTED - 1]}…"


def tables_in(text: str, names: Names) -> tuple[str, ...]:
    """Return the ids of contracts whose table the text names under any of its names, in the text's order."""
    found: dict[str, int] = {}
    for word in re.finditer(r"[\w$#.]+", text):
        folded = word[0].strip(".").casefold()
        for id_ in _ids(names, folded):
            found.setdefault(id_, word.start())
    return tuple(sorted(found, key=lambda id_: found[id_]))


def _ids(names: Names, word: str) -> Iterator[str]:
    for id_, others in names.tables.items():
        if word == id_.casefold() or word in (other.casefold() for other in others):
            yield id_


def models_in(text: str, names: Names) -> tuple[str, ...]:
    """Return the models that the text names, in the text's order."""
    words = dict.fromkeys(part for word in re.findall(r"[\w.]+", text) for part in (word, word.rpartition(".")[2]))
    return tuple(dict.fromkeys(word for word in words if word in names.models))
