"""A body of any size and content is the same after it was packed and unpacked, and what is packed is what SQS takes."""

from __future__ import annotations

import base64
import gzip
import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingestion.queues.packing import (
    CLAIM,
    ENCODING,
    GZIP,
    MOST_UNPACKED,
    Packed,
    RefusedError,
    UnpackableError,
    pack,
    plain_id,
    unpack,
)
from tests.examples import examples
from tests.queues.world import noise

ALLOWED = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=300) | st.text(
    "אבג😀\x00\x0b\ud800\uffff é", max_size=300
)
NAMES = st.from_regex(r"[a-z][a-z_]{3}-[0-9]", fullmatch=True)


class Drawer:
    """A place of claims in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def write(self, body: bytes) -> str:
        self.kept[f"drawer/{len(self.kept)}"] = body
        return f"drawer/{len(self.kept) - 1}"

    def read(self, url: str) -> bytes:
        return self.kept[url]


def size(packed: Packed) -> int:
    """Count as AWS describes it, by other code than the product's."""
    return len(packed.body.encode("utf-8")) + sum(
        len(part.encode("utf-8")) for name, value in packed.attributes.items() for part in (name, "String", value)
    )


@given(TEXTS, st.dictionaries(NAMES, TEXTS, max_size=5), st.integers(200, 3_000), st.integers(1, 12))
@example("", {}, 200, 1)
@example("\ufffe", {"call_id": ""}, 200, 1)
@example('{"said": "\\ufffe"}', {"call_id": "\x00,json"}, 200, 1)
@examples(150)
def test_a_text_is_the_same_after_packing_and_sqs_takes_what_was_packed(
    text: str, attributes: dict[str, str], max_bytes: int, times: int
) -> None:
    drawer, body = Drawer(), (text * times).encode(errors="surrogatepass")
    try:
        packed = pack(body, attributes, max_bytes, drawer.write)
    except RefusedError:
        assert size(pack(b"{}", attributes, 10**9)) + 150 > max_bytes  # no claim fits beside such attributes
        return

    assert packed.size == size(packed) <= max_bytes
    assert all(ALLOWED.fullmatch(each) for each in (packed.body, *packed.attributes.values()))
    assert len(packed.attributes) <= 10
    assert unpack(packed.body, packed.attributes, drawer.read) == (body, attributes)


@pytest.mark.parametrize("beside", range(-2, 3))
def test_a_body_is_sent_as_it_is_up_to_the_last_byte_that_fits(beside: int) -> None:
    attributes = {"call_id": "שיחה"}
    room = 1024 * 1024 - len("call_id" + "String") - 8
    text = "ש" * (room // 2 - 2) + "a" * (room - 2 * (room // 2 - 2))
    body = (text + "aa")[: len(text) + beside].encode()

    packed = pack(body, attributes, 1024 * 1024)

    assert (packed.attributes.get(ENCODING) is None) == (beside <= 0)
    assert (packed.body.encode() == body) == (beside <= 0)
    assert unpack(packed.body, packed.attributes) == (body, attributes)


def test_what_compression_does_not_make_small_enough_becomes_a_claim_and_is_refused_without_a_place() -> None:
    drawer, body = Drawer(), noise(5_000)

    packed = pack(body, {}, 1_024, drawer.write)

    assert json.loads(packed.body) == {"claim": "drawer/0", "sha256": json.loads(packed.body)["sha256"], "bytes": 5_000}
    assert packed.attributes == {ENCODING: CLAIM}
    assert unpack(packed.body, packed.attributes, drawer.read) == (body, {})
    with pytest.raises(RefusedError, match="TooLarge"):
        pack(body, {}, 1_024)


def test_a_claim_is_sent_up_to_the_last_byte_that_fits() -> None:
    attributes = {"call_id": "x" * 700}
    fitting = pack(noise(5_000), attributes, 1_024, Drawer().write).size

    assert pack(noise(5_000), attributes, fitting, Drawer().write).size == fitting
    with pytest.raises(RefusedError, match="TooLarge"):
        pack(noise(5_000), attributes, fitting - 1, Drawer().write)


def test_a_body_beyond_the_limit_of_the_receiver_is_refused_by_the_sender() -> None:
    drawer = Drawer()

    with pytest.raises(RefusedError, match="TooLarge"):
        pack(b" " * (MOST_UNPACKED + 1), {}, 1024 * 1024, drawer.write)

    assert drawer.kept == {}


@pytest.mark.parametrize(
    "attributes",
    [
        *({name: "x"} for name in ("encoding", "json", "a b", "AWS.x", "", ".x", "שם")),
        {f"name-{number}": "x" for number in range(11)},
        {f"name-{number}": "" for number in range(10)},
    ],
)
def test_attributes_that_no_queue_takes_are_refused(attributes: dict[str, str]) -> None:
    with pytest.raises(RefusedError, match="InvalidAttributes"):
        pack(b"{}", attributes, 1_024)


def test_ten_attributes_leave_no_room_for_the_one_that_packing_needs() -> None:
    ten = {f"name-{number}": "x" for number in range(10)}

    assert pack(b"{}", ten, 1_024).attributes == ten
    with pytest.raises(RefusedError, match="InvalidAttributes"):
        pack(b" " * 5_000, ten, 1_024)


@given(st.one_of(TEXTS, st.text("ab!~", max_size=140)), TEXTS)
@examples(100)
def test_ids_of_groups_and_duplicates_are_what_sqs_takes_and_differ_as_their_texts_do(one: str, other: str) -> None:
    assert re.fullmatch("[!-~]{1,128}", plain_id(one))
    assert (plain_id(one) == plain_id(other)) == (one == other)
    assert (plain_id("c" * 128), len(plain_id("c" * 129))) == ("c" * 128, 64)


GOOD = base64.b64encode(gzip.compress(b"{}")).decode()
BOMB = base64.b64encode(gzip.compress(b" " * (MOST_UNPACKED + 1))).decode()
TORN = base64.b64encode(gzip.compress(b"{}")[:-3]).decode()
TWO = base64.b64encode(gzip.compress(b"{}") + b"more").decode()


@pytest.mark.parametrize(
    ("body", "attributes", "why"),
    [
        ("{}", {ENCODING: GZIP}, "not gzip"),
        (GOOD[:-1], {ENCODING: GZIP}, "not gzip"),
        (base64.b64encode(b"{}").decode(), {ENCODING: GZIP}, "not gzip"),
        (TORN, {ENCODING: GZIP}, "not one whole"),
        (TWO, {ENCODING: GZIP}, "not one whole"),
        (BOMB, {ENCODING: GZIP}, "unpacks to more than"),
        ("{}", {ENCODING: CLAIM}, "no claim$"),
        ("[" * 100_000, {ENCODING: CLAIM}, "no claim$"),
        ("[]", {ENCODING: CLAIM}, "no claim$"),
        ('{"claim": "drawer/0", "sha256": "x", "bytes": 2}', {ENCODING: CLAIM}, "other bytes"),
        ("{}", {"json": "call_id"}, "no JSON text"),
        ("{}", {"json": "call_id", "call_id": "x"}, "no JSON text"),
    ],
    ids=range(12),
)
def test_what_cannot_be_unpacked_says_why_without_a_word_of_it(body: str, attributes: dict[str, str], why: str) -> None:
    with pytest.raises(UnpackableError, match=why):
        unpack(body, attributes, lambda url: b"{}")


def test_an_encoding_of_another_sender_is_left_to_who_reads_it() -> None:
    assert unpack("{}", {ENCODING: "utf-8"}) == (b"{}", {ENCODING: "utf-8"})
