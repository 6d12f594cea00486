"""Masks e-mail addresses, telephone numbers, CPFs and payment cards in free text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from ingestion.privacy.addresses import find_addresses
from ingestion.privacy.numbers import CARD, CPF, PHONE, RUN, find_numbers
from ingestion.privacy.spelling import Spelling, joined, spelling_of

EMAIL = "e-mail"
CLASSES = (EMAIL, PHONE, CPF, CARD)
_BLOCK, _CONTEXT = 1 << 16, 512
_NO_DIGIT = re.compile(r"\D+")


class PIIMasker:
    """
    Replaces what is, or looks like, a personal value: `j***@e***.com`, `***.***.789-00`, `***-5678` (a phone or
    a card).

    A number with right check digits is taken for a CPF or a card wherever it stands, so text that holds facts (an SCN,
    a count) must not be given to it as a whole. Names are not found: a contract says which columns have them. The time
    grows with the length of the text and with nothing else; memory beside the text is that of a block.
    """

    def mask(self, text: str) -> str:
        """Return the text with all personal values masked. A masked text stays as it is."""
        return self.mask_and_count(text)[0]

    def mask_and_count(self, text: str) -> tuple[str, Counter[str]]:
        """Return the masked text, and how many values of each of CLASSES were masked in it."""
        counts: Counter[str] = Counter()
        parts, here = [], 0
        for begin in range(0, len(text), _BLOCK):
            left = max(0, begin - _CONTEXT)
            block = text[left : begin + _BLOCK + _CONTEXT]
            if not _may_hold(block):
                continue
            for start, end, kind, masked in _values(block):
                if max(here, begin) <= start + left < begin + _BLOCK:
                    parts += [text[here : start + left], masked]
                    counts[kind] += 1
                    here = end + left
        return "".join([*parts, text[here:]]), counts


def _may_hold(text: str) -> bool:
    return not text.isascii() or any(sign in text for sign in "@%\\\n") or RUN.search(text) is not None


def _values(block: str) -> Iterator[tuple[int, int, str, str]]:
    """Yield start, end, class and mask of each value, in order; of overlapping ones the first and longest."""
    spelt = spelling_of(block)
    found = [*_found(spelt)]
    whole = joined(spelt)
    if whole is not None:
        found += _found(whole)
    last = 0
    for start, end, kind, masked in sorted(found, key=lambda value: (value[0], -value[1])):
        if start >= last:
            yield start, end, kind, masked
            last = end


def _found(spelt: Spelling) -> Iterator[tuple[int, int, str, str]]:
    found = [(start, end, EMAIL) for start, end in find_addresses(spelt.text)]
    for start, end, kind in (*found, *find_numbers(spelt.text)):
        yield spelt.origin(start), spelt.origin(end), kind, _masked(kind, spelt.text[start:end])


def _masked(kind: str, value: str) -> str:
    if kind == EMAIL:
        local, _, domain = value.rpartition("@")
        name, dot, top = domain.strip("\n").rpartition(".")
        is_name = dot and not domain.startswith("[")
        return f"{local[0]}***@{name[0]}***.{top.strip()}" if is_name else f"{local[0]}***@***"
    digits = _NO_DIGIT.sub("", value)
    if kind == CPF:
        return f"***.***.{digits[6:9]}-{digits[9:]}"
    return f"***-{digits[-4:]}"
