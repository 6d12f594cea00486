"""The state of the tables as gauges in the text format of Prometheus. Labels: the table, or a finding's kind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from monitoring.board import Board, TableState
from monitoring.stream_views import StreamState

_T = TypeVar("_T")
_Gauges = tuple[tuple[str, str, Callable[[_T], float | None]], ...]
"""Gauges of one kind of things: name, help, and the value of a thing, None if it was not measured."""
_OF_TABLES: _Gauges[TableState] = (
    ("lakehouse_level", "Worst finding of the table: 0 OK, 1 UNKNOWN, 2 WARNING, 3 CRITICAL", lambda t: float(t.level)),
    (
        "lakehouse_source_rows",
        "Rows of the source at the newest gap check",
        lambda t: None if t.gap is None else t.gap.source_count,
    ),
    (
        "lakehouse_lake_rows",
        "Rows of the lake at the newest gap check",
        lambda t: None if t.gap is None else t.gap.lake_count,
    ),
    (
        "lakehouse_sync_gap_rows",
        "Rows that the lake lacks, at the newest check",
        lambda t: None if t.gap is None else t.gap.sync_gap,
    ),
    (
        "lakehouse_freshness_seconds",
        "How far the data is behind its source now",
        lambda t: None if t.lag_hours is None else 3600 * t.lag_hours,
    ),
    (
        "lakehouse_freshness_promised_seconds",
        "The most that the contract allows",
        lambda t: None if t.freshness_hours is None else 3600 * t.freshness_hours,
    ),
    (
        "lakehouse_quarantined_rows",
        "Rows of the source in quarantine at the newest check",
        lambda t: None if t.gap is None else t.gap.quarantined_count,
    ),
    (
        "lakehouse_load_seconds",
        "How long the newest good load took",
        lambda t: None if t.load is None else t.load.seconds,
    ),
    (
        "lakehouse_load_end_timestamp_seconds",
        "When the newest good load ended",
        lambda t: None if t.load is None else t.load.finished_at.timestamp(),
    ),
)


_OF_STREAMS: _Gauges[StreamState] = (
    ("lakehouse_stream_up", "1 if it runs or has caught up, else 0", lambda s: s.state in ("running", "caught up")),
    ("lakehouse_stream_lag_messages", "Messages that it has not read yet", lambda s: s.lag),
    ("lakehouse_stream_read_messages", "Messages that it read in 24 hours", lambda s: s.read),
    ("lakehouse_stream_dead_messages", "Dead letters of 24 hours", lambda s: s.dead),
    ("lakehouse_stream_note_timestamp_seconds", "When it last noted its state", lambda s: s.noted_at.timestamp()),
)


def exposition(board: Board) -> tuple[bytes, str]:
    """Return the text and its media type. A value that was not measured has no sample."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(board))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Collector:
    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        yield from _gauges(_OF_TABLES, "table", {table.id: table for table in self._board.tables})
        findings = GaugeMetricFamily(
            "lakehouse_findings", "Faults that no other one explains", labels=["kind", "severity"]
        )
        for (kind, level), count in Counter((f.kind, f.level) for f in self._board.roots).items():
            findings.add_metric([kind, level.label], count)
        yield findings
        yield from _gauges(_OF_STREAMS, "stream", {stream.stream: stream for stream in self._board.streams})
        yield from self._statistics()
        ended = GaugeMetricFamily("lakehouse_last_step_timestamp_seconds", "When the newest step of any run ended")
        if self._board.last_step_at is not None:
            ended.add_metric([], self._board.last_step_at.timestamp())
        yield ended

    def _statistics(self) -> Iterator[Metric]:
        """Yield the newest statistics of conversations, each as `lakehouse_cdc_<name>`."""
        families: dict[str, GaugeMetricFamily] = {}
        for stream in self._board.streams:
            for name, value in json.loads(stream.numbers or "{}").items():
                told = f"Conversations: {name.replace('_', ' ')}"
                family = families.setdefault(name, GaugeMetricFamily(f"lakehouse_cdc_{name}", told, labels=["stream"]))
                family.add_metric([stream.stream], value)
        yield from families.values()


def _gauges(gauges: _Gauges[_T], label: str, things: Mapping[str, _T]) -> Iterator[Metric]:
    """Yield each gauge with a sample of each thing, by its name."""
    for name, told, value_of in gauges:
        family = GaugeMetricFamily(name, told, labels=[label])
        for of, thing in things.items():
            value = value_of(thing)
            if value is not None:
                family.add_metric([of], float(value))
        yield family
