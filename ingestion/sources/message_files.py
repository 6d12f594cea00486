"""Reads messages from files instead of a broker: `<folder>/<topic>/<partition>.jsonl`, one message per line.

A line is `{"value": "…", "key": "…", "timestamp": "2026-01-31T10:00:00Z"}`; value and key are texts, and null where a
message has none. Its offset is the line's number from 0, unless it has an `offset`, which grows (a compacted topic).
The id of a topic is in `<topic>/_id`, if there is one. A last line without its end is not complete and not read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from ingestion.contracts.streams import Budget
from ingestion.contracts.types import INSTANT
from ingestion.errors import ConfigurationError, SourceUnavailableError
from ingestion.settings import Connection
from ingestion.sources.records import RECORDS, Log, Partition, Position, Positions, Read

_LINES = pa.schema(
    [
        ("offset", pa.int64()),
        ("timestamp", INSTANT),
        *((name, pa.string()) for name in ("key", "value", "headers")),
    ]
)


class MessageFiles:
    """The topics of one stream in a folder; a connection is `files:///folder`."""

    def __init__(self, system: str, connection: Connection, topics: Sequence[str]) -> None:
        self._system, self._topics = system, topics
        self._folder = Path(f"{connection.host}/{connection.schema}")
        self._read: dict[Partition, tuple[int, pa.Table]] = {}

    def logs(self) -> Mapping[Partition, Log]:
        logs = {}
        for topic in self._topics:
            paths = sorted((self._folder / topic).glob("*.jsonl"))
            if not paths:
                raise ConfigurationError(
                    f"{self._system}: the folder {topic} has no file <partition>.jsonl. Nothing was read. Correct the "
                    f"topic in the contract or AIRFLOW_CONN_{self._system.upper()}."
                )
            mark = self._folder / topic / "_id"
            topic_id = mark.read_text().strip() if mark.exists() else ""
            for path in paths:
                offsets = self._lines(Partition(topic, int(path.stem)))["offset"]
                low, high = (offsets[0].as_py(), offsets[-1].as_py() + 1) if len(offsets) else (0, 0)
                logs[Partition(topic, int(path.stem))] = Log(topic_id, low, high)
        return logs

    def offsets_at(self, moment: datetime) -> Mapping[Partition, int]:
        found = {}
        for partition, log in self.logs().items():
            lines = self._lines(partition)
            is_later = pc.greater_equal(lines["timestamp"], pa.scalar(moment, INSTANT))
            later = lines["offset"].filter(is_later)
            found[partition] = later[0].as_py() if len(later) else log.high
        return found

    def read(self, start: Positions, budget: Budget) -> Read:
        tables, reached, rows, taken = [], {}, budget.rows, budget.bytes
        for partition, position in start.items():
            lines = self._lines(partition)
            lines = lines.filter(pc.greater_equal(lines["offset"], position.offset)).slice(0, rows)
            sizes = pc.cumulative_sum(
                pc.fill_null(pc.binary_length(lines["value"]), 0).combine_chunks().cast(pa.int64())
            )
            fitting = pc.sum(pc.less(sizes, taken)).as_py() or 0
            lines = lines.slice(0, fitting + 1)  # one message is read however long it is
            if rows <= 0 or taken <= 0 or not lines.num_rows:
                continue
            rows, taken = rows - lines.num_rows, taken - sizes[lines.num_rows - 1].as_py()
            reached[partition] = Position(lines["offset"][-1].as_py() + 1, position.topic_id)
            count = lines.num_rows
            own = {"topic": pa.repeat(partition.topic, count), "partition": pa.repeat(partition.number, count)}
            tables.append(pa.table(own | {n: lines[n] for n in _LINES.names}).select(RECORDS.names).cast(RECORDS))
        table = pa.concat_tables(tables).combine_chunks() if tables else RECORDS.empty_table()
        records = table.to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], RECORDS)
        return Read(records, reached)

    def acknowledge(self, reached: Positions) -> None:
        """Files keep no positions."""

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        self._read.clear()

    def _lines(self, partition: Partition) -> pa.Table:
        """Return all complete lines of a file; it is parsed again when its size has changed."""
        path = self._folder / partition.topic / f"{partition.number}.jsonl"
        try:
            size, (known, table) = path.stat().st_size, self._read.get(partition, (-1, _LINES.empty_table()))
            if size == known:
                return table
            text = path.read_bytes()
        except OSError as exc:
            raise SourceUnavailableError(
                f"{self._system}: {partition.topic}/{path.name} cannot be read ({exc.strerror}). Nothing was read. "
                "Check the folder of the messages and run it again."
            ) from None
        size, text = len(text), text[: text.rfind(b"\n") + 1]
        table = _LINES.empty_table()
        if text:
            options = pj.ParseOptions(explicit_schema=_LINES, unexpected_field_behavior="error")
            table = pj.read_json(pa.BufferReader(text), pj.ReadOptions(block_size=len(text) + 1), options)
        counted = pa.chunked_array([pa.arange(0, table.num_rows)])
        table = table.set_column(0, "offset", pc.coalesce(table["offset"], counted))
        self._read[partition] = (size, table)
        return table
