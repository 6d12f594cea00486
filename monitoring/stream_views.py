"""Streams in the ledger: their newest state, what they did lately, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingestion.ledger.journal import Journal
from monitoring.advisor.gap_advice import first_line
from monitoring.findings import Finding, Kind, Level, hours
from monitoring.ledger_views import Row, read

SILENT_AFTER = timedelta(minutes=5)
"""A run that is under way notes its state each minute; after so long without a note its process has ended."""
AWAY_AFTER = timedelta(minutes=5)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class StreamState(Row):
    """
    A stream at its newest note: `state` since `since`, messages that are not read yet (`lag`), newest event time.

    The counts are of the 24 hours before the moment that was asked about; read is the sum of the four after it.
    `seconds_…` is the time that these took. `dead_at` is when dead letters were last written within them. `numbers` are
    the newest statistics of conversations, as JSON.
    """

    stream: str
    state: str
    since: datetime
    noted_at: datetime
    lag: int | None
    event_at: datetime | None
    message: str | None
    read: int
    merged: int
    superseded: int
    filtered: int
    dead: int
    fenced: int
    retries: int
    seconds_read: float
    seconds_decode: float
    seconds_apply: float
    dead_at: datetime | None
    numbers: str | None

    @property
    def of_calls(self) -> str:
        """Which direction of `lakehouse cdc` this is, conversations or results; empty for a stream of topics."""
        if "." not in self.stream:  # streams of topics are named by one word, those of calls by a contract
            return ""
        return "results" if self.numbers is None else "conversations"

    def command(self, verb: str) -> str:
        if self.of_calls:
            return f"lakehouse cdc replay {self.of_calls}" if verb == "replay" else f"lakehouse cdc {verb}"
        return f"lakehouse stream {verb}" + ("" if verb == "status" else f" {self.stream}")


@dataclass(frozen=True, slots=True)
class StreamMinute(Row):
    """What a stream noted in a minute (UTC)."""

    stream: str
    minute: datetime
    read: int
    dead: int
    lag: int | None


def states(journal: Journal, now: datetime) -> list[StreamState]:
    """Return each stream's newest state, by name. Requests to stop are no states."""
    sums = ("read", "merged", "superseded", "filtered", "dead", "fenced", "retries")
    seconds = ("seconds_read", "seconds_decode", "seconds_apply")
    query = (
        "(with ended as (select stream, state, max(noted_at) as until, max(event_at) as event_at from ops.streams "
        "where state <> 'stop' group by stream, state), "
        "known as (select stream, max(until) as noted_at, arg_max(state, until) as state, max(event_at) as event_at "
        "from ended group by stream), "
        "before as (select stream, max(until) as until from ended anti join known using (stream, state) "
        "group by stream), "
        "began as (select stream, min(noted_at) as since from ops.streams left join before using (stream) "
        "where state <> 'stop' and (until is null or noted_at > until) group by stream), "
        "newest as (select distinct on (stream) stream, lag, message, numbers from ops.streams "
        "semi join known using (stream, noted_at) where state <> 'stop'), "
        "day as (select stream, max(noted_at) filter (where dead > 0) as dead_at, "
        + ", ".join(f"sum({name}) as {name}" for name in (*sums, *seconds))
        + " from ops.streams where state <> 'stop' and noted_at > ? group by stream) "
        "select stream, state, since, noted_at, lag, event_at, message, dead_at, numbers, "
        + ", ".join(
            f"coalesce({name}, 0)::{kind} as {name}"
            for names, kind in ((sums, "bigint"), (seconds, "double"))
            for name in names
        )
        + " from known join began using (stream) join newest using (stream) left join day using (stream)) "
        "order by stream"
    )
    return read(journal, StreamState, query, [now - DAY])


def minutes(journal: Journal, since: datetime) -> list[StreamMinute]:
    """Return what streams noted per minute after `since`, by stream and minute."""
    query = (
        "(select stream, date_trunc('minute', noted_at) as minute, sum(read)::bigint as read, "
        "sum(dead)::bigint as dead, arg_max(lag, noted_at) as lag from ops.streams "
        "where state <> 'stop' and noted_at > ? group by 1, 2) order by stream, minute"
    )
    return read(journal, StreamMinute, query, [since])


def find(streams: Sequence[StreamState], now: datetime) -> Iterator[Finding]:
    """Yield what is wrong with each stream: it failed, it does not go on, or it wrote dead letters within 24 hours."""
    for each in streams:
        run = each.command("run")
        if each.of_calls == "results":  # one program runs both directions: its state is that of conversations
            pass
        elif each.state == "failed":
            text = f"The stream stopped: {first_line(each.message) or 'the cause is not recorded'}"
            yield Finding(Kind.STREAM_FAILED, each.stream, Level.CRITICAL, each.since, text, run)
        elif each.state in ("running", "away") and now - each.noted_at > SILENT_AFTER:
            silent = hours((now - each.noted_at) / HOUR)
            text = f"The stream noted nothing for {silent}: its process has ended. Nothing is lost, nothing is read."
            yield Finding(Kind.STREAM_STUCK, each.stream, Level.CRITICAL, each.noted_at, text, run)
        elif each.state == "away" and now - each.since > AWAY_AFTER:
            away = hours((now - each.since) / HOUR)
            text = f"Source or target of the stream have not answered for {away}. It tries again by itself."
            yield Finding(Kind.STREAM_STUCK, each.stream, Level.CRITICAL, each.since, text, each.command("status"))
        if each.dead and each.dead_at is not None:
            text = f"{each.dead:,} of {each.read:,} messages of 24 hours are dead letters: they broke the contract."
            if each.of_calls == "conversations":
                text = f"{each.dead:,} conversations of 24 hours cannot be sent, or got no result twice: see ERROR_LOG."
            yield Finding(Kind.DEAD_LETTERS, each.stream, Level.WARNING, each.dead_at, text, each.command("replay"))
