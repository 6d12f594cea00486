"""Finds CPFs, payment cards and telephone numbers in a spelling, in time that grows with its length."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingestion.privacy.checks import is_card, is_cpf

PHONE, CPF, CARD = "phone", "cpf", "card"
_GAP = r"[ .\-/\t\n]"
_NO_DIGIT = re.compile(r"\D+")
RUN = re.compile(r"\d(?:[ .\-/()\t\n]{0,3}\d){7,}")
"""Eight or more digits with nothing but separators between them."""
_CPF = re.compile(rf"(?<!\d)\d{{3}}{_GAP}{{0,3}}\d{{3}}{_GAP}{{0,3}}\d{{3}}{_GAP}{{0,3}}\d{{2}}(?!\d)")
_WRITTEN_AS_CPF = re.compile(r"\d{3}\.\d{3}\.\d{3}[-/.]\d{2}")
_AREA = r"(?:1[1-9]|2[12478]|3[1-578]|4[1-9]|5[1345]|6[1-9]|7[134579]|8[1-9]|9[1-9])"  # Anatel's area codes
_PHONE = re.compile(
    "|".join(
        [
            rf"\+{_GAP}?\(?\d(?:[ .\-/()\t\n]{{0,3}}\d){{6,14}}(?!\d)",  # E.164
            rf"(?<![\d.])00[1-9]\d{{0,2}}(?:{_GAP}\(?\d{{1,6}}\)?){{2,5}}(?!\d)",
            rf"(?<!\d)(?:55)?{_AREA}9\d{{8}}(?!\d)",  # a mobile phone of Brazil
            rf"(?<![\d.])(?:55{_GAP})?\(?0?{_AREA}\)?{_GAP}{{0,2}}9{_GAP}?\d{{4}}{_GAP}\d{{4}}(?!\d)",
            rf"(?<![\d.])(?:55{_GAP})?\(0?{_AREA}\){_GAP}{{0,2}}[2-5]\d{{3}}{_GAP}?\d{{4}}(?!\d)",
            rf"(?<![\d.])(?:55{_GAP})?0?{_AREA}[ ]?[2-5]\d{{3}}-\d{{4}}(?!\d)",
            r"(?<![\d.-])9\d{4}-\d{4}(?![\d-])",
            rf"(?<![\d.-])(?:1{_GAP})?\([2-9]\d\d\){_GAP}{{0,2}}[2-9]\d\d{_GAP}?\d{{4}}(?!\d)",  # NANP
            rf"(?<![\d.-])(?:1{_GAP})?[2-9]\d\d{_GAP}[2-9]\d\d{_GAP}\d{{4}}(?![\d-])",
        ]
    )
)
_CALLED = re.compile(
    r"(?:phone|fone|mobile|celular|whatsapp|\btel|\bfax|\bcel)\w{0,12}[\"']?[ \t]{0,3}[:=]?>?[ \t\"']{0,3}$",
    re.IGNORECASE,
)
_FEWEST_OF_CARD = 13
_CARDS = [
    re.compile(rf"(?<!\d)(?=([2-6]{shape})(?!\d))")
    for shape in (
        r"\d{12,18}",
        rf"\d{{3}}(?:{_GAP}{{1,3}}\d{{4}}){{2}}{_GAP}{{1,3}}\d{{1,5}}",
        rf"\d{{3}}(?:{_GAP}{{1,3}}\d{{4}}){{3}}{_GAP}{{1,3}}\d{{1,3}}",
        rf"\d{{3}}{_GAP}{{1,3}}\d{{6}}{_GAP}{{1,3}}\d{{4,5}}",
        rf"\d{{5}}{_GAP}{{1,3}}\d{{13}}",
        rf"\d{{7}}{_GAP}{{1,3}}\d{{5,8}}",
    )
]
_EQUAL_GROUPS = re.compile(rf"\d{{1,6}}(?:{_GAP}{{1,3}}\d{{1,6}}){{2,18}}")


def find_numbers(text: str) -> Iterator[tuple[int, int, str]]:
    """
    Yield start, end and class of numbers, in no order; they may overlap.

    A CPF and a card have right check digits in any spelling, a CPF in its official spelling may have wrong ones.
    Digits without separators are a telephone number if they are a mobile one of Brazil, or if the text says so
    (`phone: …`); with separators those of Brazil and of the North American plan, or with an international prefix.
    """
    for run in RUN.finditer(text):
        start, end = run.span()
        before = text[max(0, start - 3) : start]
        start -= len(before) - len(before.rstrip("+ (")) if before.endswith(("+", "(", "+ ")) else 0
        for found in _CPF.finditer(text, start, end):
            if _WRITTEN_AS_CPF.fullmatch(found[0]) or is_cpf(_NO_DIGIT.sub("", found[0])):
                yield *found.span(), CPF
        phones = [found.span() for found in _PHONE.finditer(text, start, end)]
        yield from ((*span, PHONE) for span in phones)
        if len(_NO_DIGIT.sub("", run[0])) >= _FEWEST_OF_CARD:
            yield from _cards(text, start, end)
        if not phones and end - start < 30 and _CALLED.search(text[max(0, start - 30) : start]):
            yield start, end, PHONE


def _cards(text: str, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Yield the card numbers of a run: in one piece, in groups as networks write them, or in equal groups alone."""
    for shape in _CARDS:
        for found in shape.finditer(text, start, end):
            if is_card(_NO_DIGIT.sub("", found[1])):
                yield *found.span(1), CARD
    whole = _EQUAL_GROUPS.fullmatch(text, start, end)
    if whole is not None:
        sizes = [len(group) for group in _NO_DIGIT.split(whole[0])]
        is_equal = len({*sizes[:-1]}) == 1 and sizes[-1] <= sizes[0]
        if is_equal and is_card(_NO_DIGIT.sub("", whole[0])):
            yield start, end, CARD
