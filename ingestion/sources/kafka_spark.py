"""Reads topics of Kafka by Spark's Structured Streaming; what is read, from where, is that of `KafkaSource`.

A query begins at the positions that the target has, and its checkpoint is deleted with it: Spark remembers nothing
between two starts. `foreachBatch` hands a micro-batch to the loop and returns when the loop has committed it. The
partitions, their ends and ids, and the offsets for Kafka's tools are still the plain consumer's.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from ingestion import scratch
from ingestion.contracts.streams import Budget
from ingestion.errors import ConfigurationError, IntegrityError, LakeError, LakehouseError, SourceUnavailableError
from ingestion.settings import Connection
from ingestion.sources.kafka import KafkaSource, headers_text, reaching
from ingestion.sources.records import RECORDS, Partition, Position, Positions, Read

FORMAT = "kafka"
OWN = {"spark.sql.streaming.pollingDelay": "100ms"}
"""How long Spark rests between two looks for new messages; by default it looks a hundred times a second."""
PATIENCE = 5.0
"""Seconds that a micro-batch under way may take to end before it is interrupted."""
SAMPLE = Budget(rows=200, bytes=4 * 1024 * 1024)
"""What is read to know the size of messages before a query begins."""
_JAVA_IS_GONE = (Py4JError, OSError)
_NOTHING = Read(pa.RecordBatch.from_pylist([], RECORDS), {})
_PLACE = RECORDS.names[:3]


@dataclass(frozen=True, slots=True)
class _MicroBatch:
    records: pa.RecordBatch
    begin: Mapping[Partition, int]
    end: Mapping[Partition, int]


@dataclass(slots=True)
class _Query:
    """A streaming query, and what passes between its thread, which runs `collect`, and the loop's."""

    at: Mapping[Partition, int]
    """Where the newest micro-batch ends; at first where the query begins."""
    checkpoint: Path
    rows: int
    batches: Queue[_MicroBatch] = field(default_factory=lambda: Queue(1))
    committed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    collecting: threading.Lock = field(default_factory=threading.Lock)
    is_ending: bool = False
    handle: Any = None

    def collect(self, frame: Any, number: int) -> None:
        """Hand a micro-batch over, and wait until it is committed or the query is to end."""
        with self.collecting:
            if self.is_ending:
                return
            begin, self.at = self.at, self._end_of(number)
            self.batches.put(_MicroBatch(_records(frame.toArrow()), begin, self.at))
        self.committed.acquire()

    def _end_of(self, number: int) -> Mapping[Partition, int]:
        """Return where a micro-batch ends, by Spark's own log: its last records do not tell it, for logs have holes."""
        *_, offsets = (self.checkpoint / "offsets" / str(number)).read_text().splitlines()
        return {Partition(topic, int(n)): at for topic, ends in json.loads(offsets).items() for n, at in ends.items()}

    def next(self, seconds: float) -> _MicroBatch | None:
        """Return the next micro-batch; None if there is none for so long, or the query has failed."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self.is_active:
            try:
                return self.batches.get(timeout=min(left, 0.1))
            except Empty:
                continue
        return None

    @property
    def is_active(self) -> bool:
        try:
            return bool(self.handle.isActive)
        except _JAVA_IS_GONE:
            return False

    @property
    def failure(self) -> Any:
        try:
            return self.handle.exception()
        except _JAVA_IS_GONE as exc:
            return exc

    def stop(self) -> None:
        self.is_ending = True
        self.committed.release()  # else the query would wait for its thread, and its thread for the loop
        if self.collecting.acquire(timeout=PATIENCE):  # an interrupted job fills the log of Java with its stack
            self.collecting.release()
        with suppress(*_JAVA_IS_GONE):
            self.handle.stop()


class SparkKafkaSource(KafkaSource):
    """
    The topics of one stream, read by Spark.

    `open_session` is called when the first query begins, and returns a session with the settings OWN.
    """

    looked_every = 1.0

    def __init__(
        self,
        system: str,
        connection: Connection,
        topics: Sequence[str],
        *,
        group: str,
        open_session: Callable[[], Any],
    ) -> None:
        super().__init__(system, connection, topics, group=group)
        self._options = {**options_of(connection.newest(), self._timeout), "groupIdPrefix": group}
        self._open_session = open_session
        self._session: Any = None
        self._query: _Query | None = None
        self._opened = ExitStack()
        self._left, self._handed, self._fits = _NOTHING, 0, True

    def read(self, start: Positions, budget: Budget) -> Read:
        """
        Return a micro-batch, or as much of it as the budget's bytes allow. It is returned again until acknowledged.

        Where `start` is not where the query is, another one begins there.
        """
        wanted = {partition: position.offset for partition, position in start.items()}
        if self._query is None or self._at != wanted or (not self._left.reached and not self._fits):
            self._end()
            if all(at >= self._logs[partition].high for partition, at in wanted.items()):
                return _NOTHING
            self._query = self._begun(start, budget)
        if not self._left.reached and (batch := self._query.next(budget.seconds)) is not None:
            self._left = self._checked(batch, start)
            self._fits = _fits(batch.records, self._query.rows, budget)
        if not self._query.is_active:
            raise self._failure(self._query.failure)
        self._handed = _fitting(self._left.records, budget.bytes)
        return Read(self._left.records.slice(0, self._handed), _reached(self._left, self._handed))

    def _begun(self, start: Positions, budget: Budget) -> _Query:
        self._at = {}  # the plain consumer has nothing assigned
        rows = _rows(super().read(start, SAMPLE).records, budget)
        self._consumer.unassign()
        self._at = at = {partition: position.offset for partition, position in start.items()}
        checkpoint = self._opened.enter_context(scratch.folder("stream"))
        query = _Query(at, checkpoint, rows)
        options = {
            "assign": json.dumps({topic: [*ends] for topic, ends in _by_topic(at).items()}),
            "startingOffsets": json.dumps(_by_topic(at)),
            "maxOffsetsPerTrigger": str(rows),
        }
        try:
            self._session = self._session or self._open_session()
            frame = self._session.readStream.format(FORMAT).options(**self._options, **options).load()
            writer = frame.select(*RECORDS.names).writeStream.foreachBatch(query.collect)
            query.handle = writer.option("checkpointLocation", checkpoint.as_uri()).start()
        except (PySparkException, Py4JError) as exc:
            raise self._lacks_jars(exc) from None
        return query

    def _end(self) -> None:
        """End the query, and forget what was not acknowledged."""
        query, self._query, self._left, self._fits = self._query, None, _NOTHING, True
        if query is not None:
            query.stop()
        self._opened.close()

    def _checked(self, batch: _MicroBatch, start: Positions) -> Read:
        """Return a micro-batch with the positions after it. Raises IntegrityError for offsets not asked for."""
        found = pa.Table.from_batches([batch.records.select(_PLACE)]).group_by(_PLACE[:2])
        for row in found.aggregate([("offset", "min"), ("offset", "max")]).to_pylist():
            partition = Partition(row["topic"], row["partition"])
            begin, end = batch.begin[partition], batch.end[partition]
            if begin != self._at[partition] or not begin <= row["offset_min"] <= row["offset_max"] < end:
                self._end()
                raise IntegrityError(
                    f"{self._system}: Spark read {partition.topic}, partition {partition.number}, from offset "
                    f"{row['offset_min']} to {row['offset_max']}, and was asked for {self._at[partition]} to {end}. "
                    "Nothing was written. Run it again; if it stays, use --engine embedded, and report it."
                )
        moved = {p: Position(at, start[p].topic_id) for p, at in batch.end.items() if at != self._at[p]}
        return Read(batch.records, moved)

    def _failure(self, exc: Any) -> LakehouseError:
        """Return the failure of the query as ours. Spark's text may quote a message, so it is not passed on."""
        at = self._at
        self._end()
        self._looked_at = 0.0
        logs = self.logs()
        if any(offset < logs[partition].low for partition, offset in at.items()):
            return LakeError(
                f"{self._system}: a committed position is not in the topic any more. Nothing was written. See "
                "`lakehouse stream init --restart NAME`, after you know what happened to the topic."
            )
        text = str(exc)
        if "ClassNotFoundException" in text or "NoClassDefFoundError" in text:
            return self._lacks_jars(exc)
        if "Caused by: org.apache.kafka" in text:
            return SourceUnavailableError(
                f"{self._system}: no broker answers Spark, or not as expected. Nothing was written. Check that the "
                "brokers run, and that Spark's machines reach them, too."
            )
        return LakeError(
            f"{self._system}: Spark's query ended ({type(exc).__name__}). Nothing was written. See Java's message "
            "above. If memory was too small, run it again, with more LAKEHOUSE_SPARK_MEMORY or fewer `budget.bytes`."
        )

    def _lacks_jars(self, exc: Any) -> ConfigurationError:
        return ConfigurationError(
            f"{self._system}: Spark cannot read Kafka ({type(exc).__name__}). Nothing was written. Its connector is "
            "four jars: set LAKEHOUSE_SPARK_JARS to the folder that has them (docs/streaming.md says which), or read "
            "without Spark: --engine embedded"
        )

    def acknowledge(self, reached: Positions) -> None:
        super().acknowledge(reached)
        self._at = self._at | {partition: position.offset for partition, position in reached.items()}
        if self._query is not None and self._left.reached:
            ends = self._left.reached
            left = {p: at for p, at in ends.items() if self._at[p] != at.offset}
            self._left = Read(self._left.records.slice(self._handed), left)
            if not left:
                self._query.committed.release()

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)  # Spark stays in touch with the server

    def close(self) -> None:
        self._end()
        super().close()


def _by_topic(at: Mapping[Partition, int]) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for partition, offset in at.items():
        found.setdefault(partition.topic, {})[partition.number] = offset
    return found


def _records(found: pa.Table) -> pa.RecordBatch:
    """Return Spark's rows as the plain consumer's records, in the order of partitions and offsets."""
    at, given = found.schema.get_field_index("headers"), found["headers"]
    texts = [] if given.null_count == len(given) else [headers_text(_pairs(each)) for each in given.to_pylist()]
    headers = pa.array(texts, pa.string()) if texts else pa.nulls(len(given), pa.string())
    records = found.set_column(at, "headers", headers).cast(RECORDS).sort_by([(name, "ascending") for name in _PLACE])
    return pa.RecordBatch.from_arrays([column.combine_chunks() for column in records.columns], schema=RECORDS)


def _pairs(headers: Iterable[Mapping[str, Any]] | None) -> list[tuple[str, bytes | None]] | None:
    return None if headers is None else [(each["key"], each["value"]) for each in headers]


def _sizes(records: pa.RecordBatch) -> pa.Array:
    key, value = (pc.fill_null(pc.binary_length(records[name]), 0).cast(pa.int64()) for name in ("key", "value"))
    return pc.add(key, value)


def _fitting(records: pa.RecordBatch, size: int) -> int:
    """Return how many of the first records have so many bytes together; at least one, if there is one."""
    fits = pc.less_equal(pc.cumulative_sum(_sizes(records)), size)
    return max(min(1, len(fits)), int(fits.true_count))


def _rows(records: pa.RecordBatch, budget: Budget) -> int:
    """Return how many messages like these a micro-batch may have: Spark knows no limit of bytes."""
    size = pc.sum(_sizes(records)).as_py() or 0
    return max(1, min(budget.rows, budget.bytes * records.num_rows // size)) if size else budget.rows


def _fits(records: pa.RecordBatch, rows: int, budget: Budget) -> bool:
    """Return whether no other number of rows would use the budget of bytes better by a factor of two."""
    is_large = (pc.sum(_sizes(records)).as_py() or 0) > 2 * budget.bytes
    is_small = 2 * records.num_rows > rows and _rows(records, budget) > 2 * rows
    return not is_large and not is_small


def _reached(read: Read, count: int) -> Positions:
    """Return the positions after the first `count` records: the next record's, and the ends of partitions before it."""
    following = _place_of(read.records, count)
    if following is None:
        return read.reached
    partition, offset = following
    ends = {p: at for p, at in read.reached.items() if p < partition}
    return ends | {partition: Position(offset, read.reached[partition].topic_id)}


def _place_of(records: pa.RecordBatch, at: int) -> tuple[Partition, int] | None:
    """Return partition and offset of a record, None beyond the last."""
    if at >= records.num_rows:
        return None
    topic, number, offset = (records[name][at].as_py() for name in _PLACE)
    return Partition(topic, number), offset


def options_of(connection: Connection, timeout: float) -> dict[str, str]:
    """Return a connection as options of Spark's source, which gives those that begin with `kafka.` to Java's client."""
    common = reaching(connection)
    options = {
        "kafka.bootstrap.servers": common["bootstrap.servers"],
        "kafka.security.protocol": common["security.protocol"],
        "kafka.isolation.level": "read_committed",
        "kafka.request.timeout.ms": str(int(timeout * 1000)),
        "kafka.default.api.timeout.ms": str(int(timeout * 1000)),
        "failOnDataLoss": "true",
        "includeHeaders": "true",
    }
    if "sasl.mechanism" in common:
        options["kafka.sasl.mechanism"] = common["sasl.mechanism"]
        options["kafka.sasl.jaas.config"] = _login(common)
    if "ssl.ca.location" in common:  # its content, for the executors do not have the file
        options["kafka.ssl.truststore.type"] = "PEM"
        options["kafka.ssl.truststore.certificates"] = Path(common["ssl.ca.location"]).read_text()
    return options


def _login(common: Mapping[str, str]) -> str:
    name, password = (
        '"' + common[f"sasl.{each}"].replace("\\", "\\\\").replace('"', '\\"') + '"'
        for each in ("username", "password")
    )
    module = "plain.Plain" if common["sasl.mechanism"] == "PLAIN" else "scram.Scram"
    return f"org.apache.kafka.common.security.{module}LoginModule required username={name} password={password};"
