"""Sends dead letters through their stream again: those that keep the contract now become rows."""

from __future__ import annotations

from dataclasses import replace

from ingestion.runs.context import Context
from ingestion.sources.records import RECORDS, Read
from ingestion.stream_jobs.open import open_loop
from ingestion.streams.change import make_change

AT_ONCE = 10_000


def replay_stream(context: Context, name: str, *, rule: str | None = None) -> dict[str, int]:
    """
    Return how many dead letters became rows, were older than what the target has, were filtered, and stay.

    Each transaction marks what it replays, so that a run that was killed goes on where it ended. A row wins only if
    its sequence is newer. `rule` chooses those that break it, e.g. `amount:minimum`.
    """
    counts = {"merged": 0, "superseded": 0, "filtered": 0, "dead": 0}
    with open_loop(context, name) as loop:
        loop.sink.init()
        letters = loop.sink.dead_letters(rule, None, AT_ONCE)
        while letters.num_rows:
            records = letters.select(RECORDS.names).cast(RECORDS).combine_chunks().to_batches()[0]
            change = make_change(loop.stream, loop.functions, Read(records, {}), start={}, known=frozenset(), ends={})
            applied = loop.sink.apply(replace(change, is_replay=True))
            counts["merged"] += applied.merged
            counts["superseded"] += applied.superseded
            counts["filtered"] += change.filtered
            counts["dead"] += change.dead.num_rows + applied.dead
            last = letters.slice(letters.num_rows - 1).to_pylist()[0]
            letters = loop.sink.dead_letters(rule, (last["topic"], last["partition"], last["offset"]), AT_ONCE)
    return counts
