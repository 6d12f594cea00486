"""Reads topics of Kafka. The only module that imports its driver; translates the driver's errors.

The consumer belongs to no group's balance: it is assigned all partitions at the positions that the target has, so that
only these decide what is read. It reads committed messages only, and never resets a position by itself.

A connection is kafka://user:password@host:9092. Its extras:
    bootstrap_servers   host:port, separated by commas, in place of the host and port
    security_protocol   PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL (default SASL_SSL with a user, else PLAINTEXT)
    sasl_mechanism      PLAIN (default), SCRAM-SHA-256, SCRAM-SHA-512
    ssl_ca_location     a file of certificates
    timeout_seconds     how long an answer may take; default 30
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime

import confluent_kafka as ck
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka.admin import AdminClient

from ingestion.contracts.streams import Budget
from ingestion.errors import ConfigurationError, LakeError, LakehouseError, SourceUnavailableError
from ingestion.privacy.logs import logger
from ingestion.settings import Connection
from ingestion.sources.driver_errors import wrong_extra
from ingestion.sources.records import RECORDS, Log, Partition, Position, Positions, Read

LOOKED_EVERY = 30.0
"""Seconds between two looks at the topics' partitions and ids."""
_AT_ONCE = 1_000
_MOST = 2**63 // 1_000 - 1  # milliseconds that are a moment of microseconds
_LOST = (ck.KafkaError.OFFSET_OUT_OF_RANGE, ck.KafkaError._AUTO_OFFSET_RESET)
_REFUSED = (
    ck.KafkaError._AUTHENTICATION,
    ck.KafkaError.SASL_AUTHENTICATION_FAILED,
    ck.KafkaError.TOPIC_AUTHORIZATION_FAILED,
    ck.KafkaError.GROUP_AUTHORIZATION_FAILED,
    ck.KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    ck.KafkaError._SSL,
)


class KafkaSource:
    """The topics of one stream. `group` is only the name under which offsets are shown to Kafka's tools."""

    looked_every = LOOKED_EVERY

    def __init__(self, system: str, connection: Connection, topics: Sequence[str], *, group: str) -> None:
        self._system, self._topics = system, topics
        self._timeout = _timeout(system, connection)
        common = {
            **reaching(connection.newest()),
            "client.id": "lakehouse",
            "socket.timeout.ms": int(self._timeout * 1000),
        }
        self._consumer = ck.Consumer(
            {
                **common,
                "group.id": group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                # small pieces, fetched again at once: compressed ones take many times their size in memory
                "queued.max.messages.kbytes": 2 * 1024,
                "fetch.message.max.bytes": 128 * 1024,
                "fetch.queue.backoff.ms": 2,
            },
            logger=logger,
        )
        self._admin = AdminClient(common, logger=logger)
        self._at: dict[Partition, int] = {}
        self._logs: dict[Partition, Log] = {}
        self._looked_at = 0.0

    def logs(self) -> Mapping[Partition, Log]:
        """Return the partitions with their ends as of now; partitions and ids are looked up every `looked_every`."""
        with self._translated():
            if not self._logs or time.monotonic() - self._looked_at >= self.looked_every:
                self._logs, self._looked_at = self._looked_up(), time.monotonic()
            for partition, log in self._logs.items():
                low, high = self._consumer.get_watermark_offsets(_assigned(partition), cached=True)
                if high >= 0:  # else nothing was fetched yet
                    self._logs[partition] = Log(log.topic_id, max(low, log.low), max(high, log.high))
            return dict(self._logs)

    def _looked_up(self) -> dict[Partition, Log]:
        asked = self._admin.describe_topics(ck.TopicCollection(list(self._topics)), request_timeout=self._timeout)
        logs = {}
        for topic, answer in asked.items():
            found = answer.result(self._timeout + 1)
            for each in found.partitions:
                partition = Partition(topic, each.id)
                low, high = self._consumer.get_watermark_offsets(_assigned(partition), timeout=self._timeout)
                logs[partition] = Log(str(found.topic_id), low, high)
        return logs

    def offsets_at(self, moment: datetime) -> Mapping[Partition, int]:
        asked = [_assigned(partition, int(moment.timestamp() * 1000)) for partition in self.logs()]
        with self._translated():
            found = self._consumer.offsets_for_times(asked, timeout=self._timeout)
        ends = {partition: log.high for partition, log in self._logs.items()}
        at = {Partition(each.topic, each.partition): each.offset for each in found}
        return {partition: offset if offset >= 0 else ends[partition] for partition, offset in at.items()}

    def read(self, start: Positions, budget: Budget) -> Read:
        wanted = {partition: position.offset for partition, position in start.items()}
        end, size, ended = time.monotonic() + budget.seconds, 0, dict[Partition, int]()
        messages: list[ck.Message] = []
        with self._translated():
            self._assign(wanted)
            while (left := end - time.monotonic()) > 0 and len(messages) < budget.rows and size < budget.bytes:
                for message in self._consumer.consume(min(_AT_ONCE, budget.rows - len(messages)), min(left, 0.1)):
                    partition = Partition(message.topic(), message.partition())
                    if (error := message.error()) is None:
                        messages.append(message)
                        size += len(message)
                        self._at[partition] = message.offset() + 1
                        ended.pop(partition, None)
                    elif error.code() == ck.KafkaError._PARTITION_EOF:
                        self._at[partition] = ended[partition] = message.offset()
                    else:
                        raise ck.KafkaException(error)
                if len(ended) == len(wanted):
                    break
        reached = {p: Position(at, start[p].topic_id) for p, at in self._at.items() if at != wanted[p]}
        return Read(_records(messages), reached)

    def _assign(self, wanted: Mapping[Partition, int]) -> None:
        """Read on from these offsets; nothing is fetched anew where the last read ended there."""
        if self._at != wanted:
            self._consumer.assign([_assigned(partition, offset) for partition, offset in wanted.items()])
            self._at = dict(wanted)
        else:
            self._consumer.resume([_assigned(partition) for partition in wanted])

    def acknowledge(self, reached: Positions) -> None:
        offsets = [_assigned(partition, position.offset) for partition, position in reached.items()]
        with suppress(ck.KafkaException):
            self._consumer.commit(offsets=offsets, asynchronous=True)

    def rest(self, seconds: float) -> None:
        """Pause all partitions and serve the connection; the next read resumes."""
        with suppress(ck.KafkaException):
            self._consumer.pause([_assigned(partition) for partition in self._at])
            message = self._consumer.poll(seconds)
            if message is not None and message.error() is None:  # was queued before: read it again
                self._at = {}

    def close(self) -> None:
        """Leave. The driver waits for a broker that is away, a minute and longer; a run that is to end does not."""
        closing = threading.Thread(target=self._consumer.close, daemon=True)
        closing.start()
        closing.join(self._timeout)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise the driver's errors as ours, without its texts."""
        try:
            yield
        except ck.KafkaException as exc:
            raise self._error(exc.args[0]) from None
        except TimeoutError:
            raise self._error(ck.KafkaError(ck.KafkaError._TIMED_OUT)) from None

    def _error(self, error: ck.KafkaError) -> LakehouseError:
        name = self._system
        self._at = {}
        if error.code() in _LOST:
            return LakeError(
                f"{name}: a committed position is not in the topic any more ({error.name()}). Nothing was written. See "
                "`lakehouse stream init --restart NAME`, after you know what happened to the topic."
            )
        if error.code() in (ck.KafkaError.UNKNOWN_TOPIC_OR_PART, ck.KafkaError._UNKNOWN_TOPIC):
            return ConfigurationError(
                f"{name}: a topic of {', '.join(self._topics)} does not exist ({error.name()}). Nothing was read. "
                "Correct `topics` in the contract."
            )
        if error.code() in _REFUSED:
            return ConfigurationError(
                f"{name}: the broker refused user or rights ({error.name()}). Nothing was read. Correct "
                f"AIRFLOW_CONN_{name.upper()}, or ask for the right to read the topics."
            )
        return SourceUnavailableError(
            f"{name}: no broker answers, or not as expected ({error.name()}). Nothing was read. Check that the brokers "
            f"run, and host and port in AIRFLOW_CONN_{name.upper()}."
        )


def _assigned(partition: Partition, offset: int = ck.OFFSET_INVALID) -> ck.TopicPartition:
    return ck.TopicPartition(partition.topic, partition.number, offset)


def _records(messages: Sequence[ck.Message]) -> pa.RecordBatch:
    """Return messages in the order of partitions and offsets. The driver hands them over one by one."""
    columns = [
        [m.topic() for m in messages],
        [m.partition() for m in messages],
        [m.offset() for m in messages],
        _moments(pa.array([m.timestamp()[1] for m in messages], pa.int64())),
        [m.key() for m in messages],
        [m.value() for m in messages],
        [headers_text(m.headers()) for m in messages],
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, RECORDS, strict=True)]
    records = pa.RecordBatch.from_arrays(arrays, schema=RECORDS)
    return records.sort_by([(name, "ascending") for name in RECORDS.names[:3]])


def _moments(millis: pa.Array) -> pa.Array:
    """Return milliseconds as moments. One that is none becomes the last one, outside of the calendar as well."""
    millis = pc.max_element_wise(pc.min_element_wise(millis, _MOST), -_MOST)
    return millis.cast(pa.timestamp("ms", "UTC")).cast(RECORDS.field("timestamp").type)


def headers_text(headers: list[tuple[str, bytes | None]] | None) -> str | None:
    """Return headers as one JSON object; of a repeated one the last counts, bytes that are no text are replaced."""
    if not headers:
        return None
    return json.dumps({name: value if value is None else value.decode(errors="replace") for name, value in headers})


def reaching(connection: Connection) -> dict[str, str]:
    """Return a connection as the driver's options: the brokers, and how to log in."""
    extra = connection.extra
    usual = "SASL_SSL" if connection.login else "PLAINTEXT"
    options = {
        "bootstrap.servers": extra.get("bootstrap_servers") or f"{connection.host}:{connection.port or 9092}",
        "security.protocol": extra.get("security_protocol") or usual,
    }
    if connection.login:
        options |= {"sasl.username": connection.login, "sasl.password": connection.password}
        options["sasl.mechanism"] = extra.get("sasl_mechanism") or "PLAIN"
    if extra.get("ssl_ca_location"):
        options["ssl.ca.location"] = extra["ssl_ca_location"]
    return options


def _timeout(system: str, connection: Connection) -> float:
    try:
        seconds = float(connection.extra.get("timeout_seconds") or 30)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise wrong_extra(system, "timeout_seconds", "a number of seconds above 0")
    return seconds
