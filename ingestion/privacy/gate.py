"""The last gate: whether text that is about to leave holds a personal value after all.

It shares no code and no pattern with `PIIMasker`, so a fault in one is found by the other. It knows nothing of where a
text comes from. So that it can look at whole messages, with numbers of ours in them, it takes digits without separators
for a value only where they are quoted, and is stricter about telephone numbers than the masker.
"""

from __future__ import annotations

import re
import unicodedata

_WORDS = re.compile(r"[^\s,;<>|]+")
_QUOTED = re.compile(r"(['\"(\[=:])\s?(\d{11,19})(?=['\")\]]|$)")
_PUNCTUATED = re.compile(r"(?<![\w.-])\d{2,6}(?:[ .-]\d{2,7}){2,5}(?![\w-])")
_DIALLED = re.compile(r"(?<![\w+])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)|\d{1,4})|\(0?\d{2,3}\))(?:[ .-]?\d{3,5}){2,3}(?!\d)")
_CPF_SIZES, _CARD_SIZES = ([3, 3, 3, 2],), ([4, 4, 4, 4], [4, 6, 5], [4, 6, 4], [4, 4, 4, 4, 3])


def leaks(text: str) -> tuple[str, ...]:
    """Return the classes (`e-mail`, `phone`, `cpf`, `card`) of the personal values in a text, each once."""
    plain = text if text.isascii() else _plain(text)
    found = {
        "e-mail": "@" in plain and any(_is_address(word) for word in _WORDS.findall(plain)),
        "phone": _DIALLED.search(plain) is not None,
        "cpf": any(_is_cpf(digits) for digits in _numbers(plain, _CPF_SIZES)),
        "card": any(_is_card(digits) for digits in _numbers(plain, _CARD_SIZES)),
    }
    return tuple(name for name, is_there in found.items() if is_there)


def _plain(text: str) -> str:
    folded = (c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return "".join(
        str(unicodedata.digit(c)) if c.isdigit() else "-" if unicodedata.category(c) == "Pd" else c for c in folded
    )


def _is_address(word: str) -> bool:
    """Return whether a word has a name, an `@`, and a domain with a dot; not that of a storage URI."""
    before, _, after = word.partition("@")
    if "://" in before or not before[-1:].isalnum():
        return False
    domain = re.split(r"[^\w.-]", after, maxsplit=1)[0].strip(".")
    labels = domain.split(".")
    return len(labels) > 1 and all(labels) and labels[-1].isalpha() and len(labels[-1]) > 1


def _numbers(text: str, sizes: tuple[list[int], ...]) -> list[str]:
    quoted = [digits for _, digits in _QUOTED.findall(text)]
    grouped = [re.split(r"[ .-]", found) for found in _PUNCTUATED.findall(text)]
    return [*quoted, *("".join(parts) for parts in grouped if [len(part) for part in parts] in sizes)]


def _is_cpf(digits: str) -> bool:
    if len(digits) != 11 or len({*digits}) == 1:
        return False
    first = sum((10 - at) * int(digit) for at, digit in enumerate(digits[:9])) % 11
    second = sum((11 - at) * int(digit) for at, digit in enumerate(digits[:10])) % 11
    return digits[9:] == "".join(str(0 if rest < 2 else 11 - rest) for rest in (first, second))


def _is_card(digits: str) -> bool:
    if len(digits) not in range(13, 20) or (digits[0] not in "3456" and (digits[0], len(digits)) != ("2", 16)):
        return False
    total = 0
    for at, digit in enumerate(digits[::-1]):
        total += sum(map(int, str(int(digit) * (1 + at % 2))))
    return total % 10 == 0
