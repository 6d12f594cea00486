"""Segments become conversations: ordered, without repetitions, in turns of one speaker. Pure; no clock is read.

The same segments give the same bytes, in whatever order and how often they come.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts.conversations import Conversation
from ingestion.contracts.types import INSTANT

MISSING = "segments_missing"
"""Why a conversation is incomplete: numbers of segments are missing."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """
    One call as it is now. `document` is what is sent, without its revision; `content_hash` is of that.

    `due` is None for a call to be sent now, else the moment (UTC) from which it is judged again.
    """

    call: Any
    document: Mapping[str, Any]
    content_hash: str
    first_at: datetime
    is_complete: bool
    due: datetime | None

    def body(self, revision: int) -> bytes:
        """Return the message of a revision: one JSON object in UTF-8."""
        return _json({**self.document, "revision": revision})


def assemble(
    rules: Conversation, segments: pa.Table, now: datetime, seen: Mapping[Any, datetime] | None = None
) -> list[Assembled]:
    """
    Return all calls of these segments, which must be all that the source has of them, by call.

    `now` is the source's clock (UTC); `seen` says since when nothing new of a call was found, where that is known.
    """
    rows = _ordered(rules, segments)
    if not rows.num_rows:
        return []
    is_first = _differs(rows, ["call"])
    is_turn = pc.or_(is_first, _differs(rows, ["speaker"]))
    firsts, turns = _places(is_first), _places(is_turn)
    texts = rows["text"].combine_chunks()
    parts = {
        "speaker": rows["speaker"].take(turns),
        "at": _iso(rows["time"].take(turns)),
        "text": pc.binary_join(pa.ListArray.from_arrays(_offsets(turns, len(texts)), texts), "\n"),
    }
    spoken = pa.table(parts)
    # a call begins with a turn: where in the list of turns each call begins
    begins = [*pc.index_in(firsts, value_set=turns).to_pylist(), spoken.num_rows]
    facts = _facts(rows)
    found = []
    for at, fact in enumerate(facts):
        said = spoken.slice(begins[at], begins[at + 1] - begins[at]).to_pylist()
        found.append(_judged(rules, fact, said, now, (seen or {}).get(fact["call"])))
    return found


def _ordered(rules: Conversation, segments: pa.Table) -> pa.Table:
    """Return segments as call, number, time (UTC), speaker, text and ended, in one order, each once."""
    time = segments[rules.time]
    if time.type.tz is None:
        time = pc.assume_timezone(time, rules.contract.timezone, ambiguous="latest", nonexistent="latest")
    ended = pa.repeat(pa.scalar(False), segments.num_rows)
    if rules.end is not None:
        ended = pc.fill_null(pc.equal(segments[rules.end[0]], pa.scalar(rules.end[1])), False)
    rows = pa.table(
        {
            "call": segments[rules.group],
            "number": segments[rules.order].cast(pa.int64()),
            "time": time.cast(INSTANT),
            "speaker": pc.fill_null(segments[rules.speaker].cast(pa.string()), ""),
            "text": pc.fill_null(segments[rules.text].cast(pa.string()), ""),
            "ended": ended,
        }
    )
    repeated = [name for name in rows.column_names if name != "time"]  # one that comes again may have another time
    rows = rows.group_by(repeated, use_threads=False).aggregate([("time", "min")])
    rows = rows.rename_columns([*repeated, "time"])
    return rows.sort_by(
        [(name, "ascending") for name in ("call", "number", "time", "speaker", "text")]
    ).combine_chunks()


def _differs(rows: pa.Table, names: list[str]) -> pa.Array:
    """Return for each row whether it differs from the row before in one of these columns; the first one does."""
    later, earlier = rows.slice(1), rows.slice(0, rows.num_rows - 1)
    differs = pa.repeat(pa.scalar(False), later.num_rows)
    for name in names:
        differs = pc.or_(differs, pc.not_equal(later[name].combine_chunks(), earlier[name].combine_chunks()))
    return pa.concat_arrays([pa.array([True]), differs])


def _places(marks: pa.Array) -> pa.Array:
    return pc.indices_nonzero(marks).cast(pa.int32())


def _offsets(begins: pa.Array, end: int) -> pa.Array:
    return pa.concat_arrays([begins, pa.array([end], pa.int32())])


def _iso(moments: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.strftime(moments, format="%Y-%m-%dT%H:%M:%SZ")  # the seconds have six digits


def _facts(rows: pa.Table) -> list[dict[str, Any]]:
    """Return per call, in their order, what its completeness is judged by."""
    wanted = [("number", "min"), ("number", "max"), ("number", "count_distinct"), ("number", "count")]
    wanted += [("time", "min"), ("time", "max"), ("ended", "any")]
    return rows.group_by("call", use_threads=False).aggregate(wanted).sort_by("call").to_pylist()  # type: ignore[no-any-return]


def _judged(
    rules: Conversation, fact: Mapping[str, Any], turns: list[dict[str, Any]], now: datetime, seen: datetime | None
) -> Assembled:
    least, most = fact["number_min"], fact["number_max"]
    has_hole = least > 1 or most - least + 1 != fact["number_count_distinct"]
    quiet_since = min(fact["time_max"], now if seen is None else seen)  # the source's times may be in the future
    has_ended = bool(fact["ended_any"]) and not has_hole
    due = quiet_since + (rules.max_wait if has_hole else rules.idle)
    document = {
        "call_id": fact["call"],
        "complete": not has_hole,
        "reason": MISSING if has_hole else None,
        "segments": fact["number_count"],
        "first_segment_at": _text(fact["time_min"]),
        "last_segment_at": _text(fact["time_max"]),
        "turns": turns,
    }
    return Assembled(
        fact["call"],
        document,
        hashlib.sha256(_json(document)).hexdigest(),
        first_at=fact["time_min"],
        is_complete=not has_hole,
        due=None if has_ended or due <= now else due,
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
