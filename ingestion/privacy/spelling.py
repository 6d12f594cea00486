"""One spelling of a text for all searches in it, with the way back to the positions of the text as it was."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

_PIECE = re.compile(
    r"%[2-7][0-9A-Fa-f]|%[CDcd][0-9A-Fa-f]%[89ABab][0-9A-Fa-f]|%[Ee][0-9A-Fa-f](?:%[89ABab][0-9A-Fa-f]){2}"
    r"|\\u[0-9A-Fa-f]{4}|[^\x00-\x7f]|[\r\n][\s>|]*"
)
_SPELT = re.compile(r"[%\\\r\n]|[^\x00-\x7f]")
_BROKEN = re.compile(r"(?<=[\w.@-])[ \t]*[\r\n][\s>|]*(?=[\w.@-])")
_BREAK = "\n"


@dataclass(slots=True)
class Spelling:
    """
    A text with plain digits, hyphens and spaces, without characters that nobody sees, and with escapes resolved.

    `starts` and `origins` are ascending: the piece that starts at `starts[i]` here starts at `origins[i]` in the text.
    """

    text: str
    starts: list[int] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)

    def origin(self, position: int) -> int:
        """Return where a position of this spelling is in the text as it was."""
        if not self.starts:
            return position
        piece = bisect_right(self.starts, position) - 1
        return self.origins[piece] + position - self.starts[piece]


def spelling_of(text: str) -> Spelling:
    """Return the spelling of a text. Line breaks with their indentation become one break."""
    if _SPELT.search(text) is None:
        return Spelling(text)
    return _rewritten(text, _PIECE, _plain)


def joined(spelt: Spelling) -> Spelling | None:
    """Return a spelling without the line breaks inside of words and numbers; None if it has none."""
    if _BREAK not in spelt.text or _BROKEN.search(spelt.text) is None:
        return None
    without = _rewritten(spelt.text, _BROKEN, lambda _: "")
    return Spelling(without.text, without.starts, [spelt.origin(at) for at in without.origins])


def _rewritten(text: str, pieces: re.Pattern[str], spell: Callable[[str], str]) -> Spelling:
    parts, starts, origins = [], [0], [0]
    here = length = 0
    for piece in pieces.finditer(text):
        new = spell(piece[0])
        if new == piece[0]:
            continue
        parts += [text[here : piece.start()], new]
        length += piece.start() - here
        starts += [length, length + len(new)]
        origins += [piece.start(), piece.end()]
        length += len(new)
        here = piece.end()
    parts.append(text[here:])
    return Spelling("".join(parts), starts, origins)


@lru_cache(maxsize=4096)
def _plain(piece: str) -> str:
    """Return how a piece is spelt: an escape, a line break, or one character outside of ASCII."""
    if piece[0] in "\r\n":
        return _BREAK
    if piece[0] == "%":
        return _plain_character(bytes.fromhex(piece.replace("%", "")).decode(errors="replace")[:1])
    if len(piece) > 1:
        return _plain_character(chr(int(piece[2:], 16)))
    return _plain_character(piece)


def _plain_character(character: str) -> str:
    """Return a character as ASCII where it is another form of it; empty if nobody sees it."""
    category = unicodedata.category(character)
    if category in ("Cf", "Cs", "Mn", "Me"):
        return ""
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category == "Pd" or character == "\u2212":
        return "-"
    if category in ("Zs", "Zl", "Zp"):
        return " "
    if character in "\u3002\uff61\u2024":
        return "."
    folded = unicodedata.normalize("NFKC", character)
    return folded if len(folded) == 1 else character
