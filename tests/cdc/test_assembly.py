"""Segments become conversations: in whatever order, how often and in what parts they come, the bytes are the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from ingestion.cdc.reading import Reader
from ingestion.contracts.conversations import Conversation
from ingestion.contracts.odcs import find_conversation
from ingestion.streams.conversations import MISSING, Assembled, assemble
from tests.cdc.world import results_contract, segments_contract
from tests.examples import examples

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Jerusalem")
SCHEMA = pa.schema(
    [
        *(("call_id", pa.string()), ("segment_no", pa.int32()), ("speaker", pa.string())),
        *(("text", pa.string()), ("text_time", pa.timestamp("us"))),
    ]
)
Row = tuple[str, int, str | None, str | None, datetime]


def read_rules(folder: Path, **given: Any) -> Conversation:
    path = folder / "streams"
    path.mkdir(parents=True, exist_ok=True)
    (path / "rtbi.call_segments.odcs.yaml").write_text(segments_contract(**given))
    (path / "dicta.call_summary.odcs.yaml").write_text(results_contract())
    return find_conversation(folder)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Conversation:
    return read_rules(tmp_path_factory.mktemp("rules"))


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Conversation:
    """Rules by which a segment of speaker END ends a call."""
    return read_rules(tmp_path_factory.mktemp("ended"), end={"column": "speaker", "value": "END"})


def wall(moment: datetime) -> datetime:
    return moment.astimezone(ZONE).replace(tzinfo=None)


def table(rows: list[Row], schema: pa.Schema = SCHEMA) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


texts = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(["שלום 😀", "\u0000\u001f", "\n"])
segment = st.tuples(
    st.sampled_from(["a", "b", "ג"]),
    st.integers(0, 6),
    st.none() | st.sampled_from("AB"),
    st.none() | texts,
    st.integers(0, 600).map(lambda seconds: wall(NOON - timedelta(seconds=seconds))),
)


def told(rules: Conversation, rows: pa.Table, now: datetime = NOON) -> list[tuple[bytes, str, datetime | None]]:
    return [(each.body(1), each.content_hash, each.due) for each in assemble(rules, rows, now)]


@given(st.lists(segment, min_size=1, max_size=25), st.data())
@examples(100)
def test_any_order_repetition_and_parts_give_the_same_bytes(
    rules: Conversation, rows: list[Row], data: st.DataObject
) -> None:
    whole = told(rules, table(rows))
    mixed = data.draw(st.permutations(rows + data.draw(st.lists(st.sampled_from(rows), max_size=10))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(mixed)), max_size=4)))
    parts = [table(mixed[low:high]) for low, high in zip([0, *cuts], [*cuts, len(mixed)], strict=True)]
    assert told(rules, pa.concat_tables(parts)) == whole

    calls = sorted({row[0] for row in rows})
    alone = [each for call in calls for each in told(rules, table([row for row in mixed if row[0] == call]))]
    assert alone == sorted(whole, key=lambda each: _call_of(each[0])) == whole


def _call_of(body: bytes) -> str:
    return str(yaml.safe_load(body.decode().split(",", 1)[0] + "}")["call_id"])


@given(st.lists(segment, min_size=1, max_size=25))
@examples(100)
def test_turns_are_those_that_a_person_would_write_down(rules: Conversation, rows: list[Row]) -> None:
    found = assemble(rules, table(rows), NOON)
    for each in found:
        first: dict[tuple[int, str, str], datetime] = {}
        for call, n, speaker, text, at in rows:
            if call == each.call:
                key = (n, speaker or "", text or "")
                first[key] = min(at, first.get(key, at))
        said = sorted((n, at, speaker, text) for (n, speaker, text), at in first.items())
        turns = [(speaker, [*turn]) for speaker, turn in groupby(said, key=lambda row: row[2])]
        expected = [
            {
                "speaker": speaker,
                "at": turn[0][1].replace(tzinfo=ZONE).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                "text": "\n".join(row[3] for row in turn),
            }
            for speaker, turn in turns
        ]
        assert each.document["turns"] == expected
        assert each.document["segments"] == len(said)
    assert [each.call for each in found] == sorted({row[0] for row in rows})


def judged(
    rules: Conversation, numbers: list[int], minutes: float, *, seen: float | None = None, end: bool = False
) -> Assembled:
    """Judge a call with these segments, the last one so many minutes old, in which nothing is new since `seen`."""
    rows: list[Row] = [("a", number, "A", "x", wall(NOON - timedelta(minutes=minutes))) for number in numbers]
    if end:
        rows[-1] = (*rows[-1][:2], "END", *rows[-1][3:])
    known = None if seen is None else {"a": NOON - timedelta(minutes=seen)}
    [found] = assemble(rules, table(rows), NOON, known)
    return found


@pytest.mark.parametrize(
    ("numbers", "minutes", "due", "complete"),
    [
        ([1, 2, 3], 5, None, True),
        ([1, 2, 3], 4.9, 0.1, True),
        ([0, 1, 2], 5, None, True),
        ([1, 3], 5, 55, False),
        ([1, 3], 59.9, 0.1, False),
        ([1, 3], 60, None, False),
        ([2, 3], 60, None, False),
        ([2, 3], 6, 54, False),
        ([1, 1, 2], 5, None, True),
    ],
)
def test_a_call_is_complete_when_it_is_quiet_and_no_number_is_missing(
    rules: Conversation, numbers: list[int], minutes: float, due: float | None, complete: bool
) -> None:
    found = judged(rules, numbers, minutes)
    assert found.due == (None if due is None else NOON + timedelta(minutes=due))
    assert found.is_complete is found.document["complete"] is complete
    assert found.document["reason"] == (None if complete else MISSING)


def test_a_marker_ends_a_call_at_once_unless_a_number_is_missing(rules: Conversation, ended: Conversation) -> None:
    assert judged(ended, [1, 2], 0, end=True).due is None
    assert judged(ended, [1, 3], 0, end=True).due == NOON + timedelta(hours=1)
    assert judged(ended, [1, 2], 1).due == NOON + timedelta(minutes=4)
    assert judged(ended, [1, 2], 5).due is None
    assert judged(rules, [1, 2], 0, end=True).due == NOON + timedelta(minutes=5)


def test_quiet_is_counted_from_when_nothing_new_was_found_if_times_are_in_the_future(rules: Conversation) -> None:
    assert judged(rules, [1, 2], -600).due == NOON + timedelta(minutes=5)
    assert judged(rules, [1, 2], -600, seen=3).due == NOON + timedelta(minutes=2)
    assert judged(rules, [1, 2], -600, seen=5).due is None


# windows of time, on a clock that is changed twice a year

CHANGES = (datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 10, 24, 23, tzinfo=UTC))


def test_the_clock_is_changed_at_these_moments() -> None:
    second = timedelta(seconds=1)
    shifts = [wall(at) - wall(at - second) - second for at in CHANGES]
    assert shifts == [timedelta(hours=1), timedelta(hours=-1)]


@given(
    st.sampled_from(CHANGES),
    st.lists(
        st.integers(-240, 240) | st.sampled_from([-400_000, -300_000, 300_000, 400_000]),
        min_size=2,
        max_size=8,
        unique=True,
    ),
    st.integers(0, 10**6),
)
@example(CHANGES[1], [-30, 300_000], 151_515)  # the clocks of both ends agree, and those near one of them do not
@example(CHANGES[1], [-400_000, 20], 875_000)
@examples(300)
def test_windows_that_follow_each_other_cover_every_segment_around_a_change_of_the_clock(
    rules: Conversation, change: datetime, minutes: list[int], place: int
) -> None:
    ends = [change + timedelta(minutes=each) for each in sorted(minutes)]
    first = max(ends[0], change - timedelta(hours=5))
    last = min(ends[-1], change + timedelta(hours=5))
    at = first + (last - first) * (place / 10**6)
    if not ends[0] <= at < ends[-1]:
        return
    reader = Reader(rules, None, None)  # type: ignore[arg-type]
    windows = [reader.on_the_segments_clock(low, high) for low, high in pairwise(ends)]
    assert any(low <= wall(at) < high for low, high in windows)
