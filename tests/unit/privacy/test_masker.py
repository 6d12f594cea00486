"""No personal value passes the masker, whatever the text around it and however it is spelled; facts of ours do."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.privacy.gate import leaks
from ingestion.privacy.masker import PIIMasker
from tests.examples import LONG, examples
from tests.unit.privacy.held_out import HELD_OUT
from tests.unit.privacy.invented import invented

ROOT = Path(__file__).parents[3]
MASK = PIIMasker().mask
FACTS = (
    "SCN 8429301173",
    "rows 1234567890",
    "1,234,567,890 rows",
    "2026-03-01 10:00:00.123456",
    "2026-03-01T10:00:00+00:00 20260301100000",
    "10.0.0.1:1521 192.168.100.200",
    "abfss://lake@account.dfs.core.windows.net/bronze",
    "550e8400-e29b-41d4-a716-446655440000",
    "part-00000001-4b0c5a9e-1111-4222-8333-444455556666.parquet",
    "manual__2026-11-30T12:25:59.123456+00:00",
    "LSN 0000002a:00000120:0001",
)


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


@pytest.fixture(scope="module")
def missed() -> dict[str, list[str]]:
    """Return the texts in which something of the planted value is left, by class."""
    found: dict[str, list[str]] = {kind: [] for kind in HELD_OUT}
    for planted in invented(7):
        masked = MASK(planted.text)
        is_left = any(part in masked for part in planted.kept)
        if masked == planted.text or is_left or (planted.kind != "e-mail" and planted.kept[1] in _digits(masked)):
            found[planted.kind].append(planted.text)
    return found


@pytest.mark.parametrize("kind", HELD_OUT)
def test_recall_is_one_on_invented_values_in_all_contexts(kind: str, missed: dict[str, list[str]]) -> None:
    assert missed[kind] == []


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in HELD_OUT.items() for value in values])
def test_spellings_by_the_public_definitions_are_found(kind: str, value: str) -> None:
    for text in (value, f"value {value} in row 3", f"'{value}'"):
        masked, counts = PIIMasker().mask_and_count(text)

        assert counts == Counter({kind: 1})
        assert value not in masked


@pytest.mark.parametrize("fact", FACTS)
def test_facts_of_ours_pass(fact: str) -> None:
    assert (MASK(fact), leaks(fact)) == (fact, ())


RAW = '58,"ada@b.co","-1","credit_limit:minimum",2,"open"'
"""What `quarantine show --raw` prints in the golden files, which is a value and not a text of the product."""


def product_texts() -> list[str]:
    """Return what the commands print, and every text in the code that an error could be made of."""
    golden = (ROOT / "tests" / "unit" / "cli" / "golden").glob("*")
    code = (path for room in ("ingestion", "monitoring", "dags") for path in (ROOT / room).rglob("*.py"))
    return [line for path in (*golden, *code) if "privacy" not in path.parts for line in path.read_text().splitlines()]


def test_what_the_product_says_itself_passes_unchanged() -> None:
    texts = product_texts()

    assert len(texts) > 20_000
    assert [text for text in texts if MASK(text) != text or leaks(text)] == [RAW, RAW]


SEPARATORS = st.sampled_from(["", " ", "-", ".", "\u00a0", "\u2011", "\u2013", "\u200b", "\n", "\r\n  ", " \u200b"])
DIGITS = st.sampled_from(["0123456789", "０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗"])
AROUND = st.text(st.sampled_from("abcXYZ ,;:'\"(){}=<>|äß漢"), max_size=12)


@examples(100)
@given(st.lists(SEPARATORS, min_size=3, max_size=3), DIGITS, AROUND, AROUND)
def test_a_cpf_is_found_in_any_digits_with_any_separators(
    between: list[str], digits: str, before: str, after: str
) -> None:
    value = "".join(part + gap for part, gap in zip(("529", "982", "247", "25"), [*between, ""], strict=True))

    masked = MASK(before + value.translate(str.maketrans("0123456789", digits)) + after)

    assert masked == f"{before}***.***.247-25{after}"


@examples(100)
@given(SEPARATORS, DIGITS, AROUND, AROUND)
def test_a_card_is_found_in_any_digits_with_any_separator(gap: str, digits: str, before: str, after: str) -> None:
    value = gap.join(("4111", "1111", "1111", "1111")).translate(str.maketrans("0123456789", digits))

    assert MASK(before + value + after) == f"{before}***-1111{after}"


@examples(100)
@given(st.sampled_from(["ana", "o'neil", "jürgen"]), st.sampled_from(["", "\u200b", "\u00ad"]), st.booleans(), AROUND)
def test_an_address_is_found_with_what_nobody_sees_in_it(name: str, unseen: str, is_wide: bool, after: str) -> None:
    text = f"{name[0]}{unseen}{name[1:]}{'＠' if is_wide else '@'}exam{unseen}ple{'．' if is_wide else '.'}com"

    assert MASK(f"<{text}> {after}") == f"<{name[0]}***@e***.com> {after}"


@examples(200)
@given(st.text(st.sampled_from("09 .-+()@abc\n%4\u200b１*"), max_size=60))
def test_a_masked_text_stays_as_it_is(text: str) -> None:
    once = MASK(text)

    assert MASK(once) == once or len(MASK(once)) <= len(once)


@pytest.mark.parametrize("shift", range(-12, 13))
def test_a_value_across_two_blocks_is_found(shift: int) -> None:
    text = "x " * (32_768 + shift) + "4111 1111 1111 1111, ana@example.com"

    assert MASK(text).endswith(" ***-1111, a***@e***.com")


HOSTILE = (
    "1",
    "1 ",
    "1-",
    "@",
    "a@",
    "a",
    "a.",
    "x@a.",
    "+1 ",
    "(11) ",
    "%40",
    "\u200b",
    "1\n",
    '"',
    "phone: 1",
    "9" * 14,
)


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_takes_time_that_grows_with_its_length(piece: str) -> None:
    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        began = time.process_time()
        PIIMasker().mask(text)
        return time.process_time() - began

    short = 200_000 if LONG else 20_000
    assert seconds(8 * short) < 30 * max(seconds(short), 0.005)
