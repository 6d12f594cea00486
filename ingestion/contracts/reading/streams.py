"""Turns the text of a contract of streams into a stream or a conversation, or into the list of all its faults."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from ingestion.contracts.model import Column, Contract, Mode, NullWatermark
from ingestion.contracts.names import is_place
from ingestion.contracts.reading.columns import SCHEMA, read_columns
from ingestion.contracts.reading.compile import given, identity, read_table_name
from ingestion.contracts.reading.completeness import incomplete, owner_of
from ingestion.contracts.reading.conversations import check_conversation, conversation_of
from ingestion.contracts.reading.document import DocumentFaults, Steps, parse
from ingestion.contracts.reading.header import read_header, report_secrets
from ingestion.contracts.reading.lake_rules import read_lake_block
from ingestion.contracts.reading.literals import exact_text
from ingestion.contracts.reading.message_schemas import SchemaCheck, columns_of
from ingestion.contracts.reading.quality import QualityReader
from ingestion.contracts.reading.shape import near, read_shape, read_table
from ingestion.contracts.reading.stream_block import StreamBlock, StreamLakeBlock, TopicBlock, WindowBlock
from ingestion.contracts.streams import (
    FUTURE_TOLERANCE,
    MAX_DEAD_PERCENT,
    Budget,
    Encoding,
    Lookup,
    Part,
    Stream,
    TargetMode,
    Tombstones,
    WindowRule,
)
from ingestion.errors import Fault

if TYPE_CHECKING:
    from open_data_contract_standard.model import OpenDataContractStandard

    from ingestion.contracts.conversations import Conversation

MESSAGES = frozenset({"kafka", "sqs"})
KINDS = MESSAGES | {"oracle", "duckdb"}
_FUNCTION = re.compile(r"[a-z_]\w*:[a-zA-Z_]\w*")
_MEASURE = re.compile(r"(sum|min|max|avg|count)\((\w+)\)")


def examine_stream(text: str, shown: str, *, path: str, expected_id: str) -> tuple[Stream | None, list[Fault]]:
    """Do the same as `examine_any` where only a stream is expected."""
    found, faults = examine_any(text, shown, path=path, expected_id=expected_id)
    return (found if isinstance(found, Stream) else None), faults


def examine_any(
    text: str, shown: str, *, path: str, expected_id: str, strict: bool = False
) -> tuple[Stream | Conversation | None, list[Fault]]:
    """Read one contract of streams as `compile.examine` reads a table's: a result only if no fault is an error."""
    document, faults = parse(text, shown)
    if document is None:
        return None, faults
    findings = DocumentFaults(document, faults)
    report_secrets(findings)
    contract = read_shape(findings)
    header = read_header(findings, contract, expected_id, KINDS)
    lake, at = read_lake_block(findings, contract, StreamLakeBlock, least="stream")
    dialect = _dialect(findings, contract, reads_messages=lake.conversation is None)
    has_topics = not any(server.type == "sqs" for server in contract.servers or [])
    table = read_table(findings, contract)
    quality = QualityReader(findings, [property_.name or "" for property_ in table.properties or []])
    name = read_table_name(findings, table, dialect)
    columns = read_columns(findings, table, dialect, quality, needs_key=False)
    quality.read(table.quality, SCHEMA, None, pa.null())
    for check in quality.checks:
        findings.error(SCHEMA, f"the check {check.id} is about a whole load; a stream has only rules for single values")
    block, conversation = lake.stream or StreamBlock(), lake.conversation
    encodings: Sequence[Encoding] = ()
    if conversation is not None:
        check_conversation(findings, conversation, (*at, "conversation"), columns)
    else:
        _StreamCheck(findings, block, (*at, "stream"), columns, has_topics=has_topics).judge()
        encodings = SchemaCheck(findings, block, (*at, "stream"), columns, path).encodings()
    told = sorted([*findings.faults, *(incomplete(document) if strict else ())], key=lambda fault: fault.line)
    if not findings.is_clean:
        return None, told
    compiled = Contract(
        **identity(replace(header, dialect=dialect), contract),
        owner=owner_of(document.data.get("team")),
        source_table=name,
        columns=columns,
        timezone=lake.timezone or "UTC",
        mode=Mode.INCREMENTAL,
        watermark=block.time if conversation is None else conversation.time,
        null_watermark=NullWatermark.INCLUDE,
        silver_model=f"stg_{header.system}__{header.entity}",
        path=path,
    )
    if conversation is not None:
        return conversation_of(compiled, conversation), told
    return _stream(compiled, block, encodings, has_topics=has_topics), told


def _dialect(findings: DocumentFaults, contract: OpenDataContractStandard, *, reads_messages: bool) -> str:
    """Return the kind of the target, whose types the columns have: that of the server beside the messages'."""
    kinds = {str(server.type) for server in contract.servers or [] if server.type in KINDS}
    if contract.servers and reads_messages and not kinds & MESSAGES:
        findings.error(("servers",), "servers names neither kafka nor sqs; a stream contract has one of them")
    return next(iter(kinds - MESSAGES), "duckdb")


class _StreamCheck:
    """Checks one stream block against the columns of its contract."""

    def __init__(
        self,
        findings: DocumentFaults,
        block: StreamBlock,
        at: Steps,
        columns: tuple[Column, ...],
        *,
        has_topics: bool,
    ) -> None:
        self._findings, self._block, self._at, self._has_topics = findings, block, at, has_topics
        self._columns = {column.name: column for column in columns}
        self._keys = [column for column in columns if column.key_position is not None]

    def judge(self) -> None:
        block = self._block
        for key, value in (("source", block.source), ("topics", block.topics or not self._has_topics)):
            if not value:
                self._error(key, "is missing; write it, e.g. `source: events` and `topics: [orders]`")
        for key, system in (("source", block.source), ("target.system", block.target and block.target.system)):
            if system and not is_place(system):
                self._error(key, f"{system} is no name of a connection; write lower case letters, digits and single _")
        for key, name in (("transform", block.transform), ("filter", block.filter)):
            if name is not None and _FUNCTION.fullmatch(name) is None:
                self._error(key, f"{name} is no function; write module:function of a file beside the contract")
        self._judge_start()
        self._judge_order()
        self._judge_target()
        self._judge_tombstones()
        self._judge_topics()
        self._judge_windows()
        self._judge_values()

    def _error(self, key: str, message: str) -> None:
        steps = re.sub(r"\[\d+\]", "", key).split(".")
        self._findings.error((*self._at, *steps), f"lake.stream.{key}: {message}")

    def _column(self, key: str, name: str | None) -> Column | None:
        if name is not None and name not in self._columns and self._columns:
            self._error(key, f"{name} is no column of the table{near(name, self._columns)}")
        return self._columns.get(name or "")

    def _judge_start(self) -> None:
        start = self._block.start
        if isinstance(start, str) and start not in ("earliest", "latest"):
            try:
                is_zoned = datetime.fromisoformat(start).tzinfo is not None
            except ValueError:
                is_zoned = False
            if not is_zoned:
                self._error(
                    "start",
                    f"{start} is no start; write earliest, latest, a moment with its offset "
                    "(2026-01-31T00:00:00+00:00), or an offset per partition ({0: 1200})",
                )

    def _judge_order(self) -> None:
        sequence, time = self._column("sequence", self._block.sequence), self._column("time", self._block.time)
        if sequence and not (pa.types.is_integer(sequence.arrow_type) or pa.types.is_timestamp(sequence.arrow_type)):
            self._error("sequence", f"{sequence.name} is {sequence.arrow_type}; name a whole number or a moment")
        if sequence and not sequence.required:
            self._error("sequence", f"{sequence.name} may be null; write `required: true` at the column")
        if self._block.future_tolerance is not None and not (sequence and pa.types.is_timestamp(sequence.arrow_type)):
            self._error("futureTolerance", "is about a sequence of moments, and the stream has none; remove it")
        if self._block.future_tolerance is not None and self._block.future_tolerance < timedelta(0):
            self._error("futureTolerance", "is negative; write a duration of zero or more, e.g. PT1H")
        if time and not pa.types.is_timestamp(time.arrow_type):
            self._error("time", f"{time.name} is {time.arrow_type}; name a moment")
        if time and not time.required:
            self._error("time", f"{time.name} may be null; write `required: true` at the column")

    def _judge_target(self) -> None:
        block = self._block
        if block.target is None:
            for key, value in (("dedupe", block.dedupe), ("windows", block.windows), ("lookups", block.lookups)):
                if value:
                    self._error(key, "needs a target table; write `target`, or remove it (Gold aggregates Bronze)")
        if self._columns and not self._keys and (block.target is None or block.target.mode is not TargetMode.APPEND):
            self._error("target", "needs a key unless its mode is append; write `primaryKey: true` at its columns")

    def _judge_tombstones(self) -> None:
        if self._block.tombstones is not Tombstones.DELETE:
            return
        if self._block.target and self._block.target.mode is TargetMode.APPEND:
            self._error("tombstones", "delete has no meaning in mode append; write ignore or reject")
        known = [*self._keys, *filter(None, [self._columns.get(self._block.sequence or "")])]
        lost = [column.name for column in known if not column.source_name.startswith("@")]
        if lost:
            self._error(
                "tombstones",
                f"delete needs {', '.join(lost)} of a message without a value; take it from the message "
                "(`physicalName: '@key'`, `'@key.id'`, `'@timestamp'`) or write ignore or reject",
            )

    def _judge_topics(self) -> None:
        is_merged = self._block.target is not None and self._block.target.mode is not TargetMode.APPEND
        is_shared = len([topic for topic in self._block.topics or () if isinstance(topic, str)]) > 1
        if is_merged and is_shared and not self._block.sequence:
            self._error("sequence", "is missing: offsets do not order the messages of several topics")
        parts = [topic for topic in self._block.topics or () if isinstance(topic, TopicBlock) and topic.columns]
        if not parts:
            return
        if len(parts) != len(self._block.topics or ()):
            self._error("topics", "columns are given for some topics only; write them for all or for none")
        if self._block.sequence or self._block.windows or self._block.target is None:
            self._error("topics", "with columns per topic take a target table, and neither sequence nor windows")
        filled = [name for part in parts for name in part.columns or ()]
        for name in filled:
            self._column("topics", name)
        keys = {column.name for column in self._keys}
        wrong = {name for name in filled if filled.count(name) > 1 or name in keys}
        wrong |= self._columns.keys() - {*filled} - keys
        if wrong:
            self._error("topics", f"each column but the key belongs to one topic; not so: {', '.join(sorted(wrong))}")

    def _judge_windows(self) -> None:
        block = self._block
        is_append = block.target is not None and block.target.mode is TargetMode.APPEND
        for index, window in enumerate(block.windows or ()):
            key, slide = f"windows[{index}]", window.slide or window.size
            if slide <= timedelta(0) or window.size % slide:
                self._error(key, "size must be a multiple of slide, and both above zero")
            for name in window.by:
                column = self._column(key, name)
                if column is not None and not column.required:
                    self._error(key, f"{name} may be null; write `required: true` at the column")
            for measure in window.measures:
                found = _MEASURE.fullmatch(measure)
                column = self._column(key, found[2] if found else measure)
                type_ = column.arrow_type if column else pa.int64()
                if found is None or not (pa.types.is_integer(type_) or pa.types.is_decimal(type_)):
                    self._error(key, f"{measure} is no measure of exact numbers; write e.g. sum(amount)")
                elif found[1] in ("min", "max") and not is_append:
                    self._error(key, f"{measure} needs mode append: what a replaced row gave cannot be taken back")

    def _judge_values(self) -> None:
        for index, lookup in enumerate(self._block.lookups or ()):
            for name in (*lookup.on, *lookup.columns):
                self._column(f"lookups[{index}]", name)
        if self._block.dedupe:
            self._column("dedupe.column", self._block.dedupe.column)
        for name, text in (self._block.defaults or {}).items():
            column = self._column("defaults", name)
            try:
                exact_text(text, column.arrow_type if column else pa.string())
            except ValueError as exc:
                self._error("defaults", f"{name}: the value {exc}")


def _stream(contract: Contract, block: StreamBlock, encodings: Sequence[Encoding], *, has_topics: bool) -> Stream:
    start: str | datetime | Mapping[int, int] = block.start or "earliest"
    if isinstance(start, str) and start not in ("earliest", "latest"):
        start = datetime.fromisoformat(start).astimezone(UTC)
    return Stream(
        contract=contract,
        source=block.source or "",
        parts=_parts(contract, block, encodings),
        target=block.target.system if block.target else None,
        mode=block.target.mode if block.target else TargetMode.APPEND,
        start=start,
        sequence=block.sequence,
        time=block.time,
        tombstones=block.tombstones or Tombstones.REJECT,
        transform=block.transform,
        keep=block.filter,
        defaults=block.defaults or {},
        dedupe=(block.dedupe.column, block.dedupe.period) if block.dedupe else None,
        windows=tuple(map(_window, block.windows or ())),
        lookups=tuple(Lookup(each.table, each.on, each.columns) for each in block.lookups or ()),
        budget=Budget(**given(block.budget)),
        max_dead_percent=given(block.dead_letters).get("max_percent", MAX_DEAD_PERCENT),
        is_of_queue=not has_topics,
        future_tolerance=given(block).get("future_tolerance", FUTURE_TOLERANCE),
        refuses_new_fields=block.on_drift is not None and block.on_drift.new_field == "fail",
    )


def _parts(contract: Contract, block: StreamBlock, encodings: Sequence[Encoding]) -> tuple[Part, ...]:
    given_topics = block.topics or (block.source or "",)  # a queue is its only topic
    topics = [TopicBlock(topic=topic) if isinstance(topic, str) else topic for topic in given_topics]
    if not any(topic.columns for topic in topics):
        return (Part(tuple(topic.topic for topic in topics), contract, encoding=encodings[0]),)
    return tuple(
        Part((topic.topic,), replace(contract, columns=columns_of(contract.columns, topic)), f"_{number}", encoding)
        for number, (topic, encoding) in enumerate(zip(topics, encodings, strict=True), start=1)
    )


def _window(block: WindowBlock) -> WindowRule:
    """An average is kept as sum and count of its column."""
    found = [(match[1], match[2]) for match in map(_MEASURE.fullmatch, block.measures) if match]
    kept = [
        each for kind, name in found for each in ([("sum", name), ("count", name)] if kind == "avg" else [(kind, name)])
    ]
    usual = WindowRule(block.table, block.size, block.slide or block.size)
    return replace(
        usual,
        by=block.by,
        measures=tuple(dict.fromkeys(kept)),
        averages=tuple(name for kind, name in found if kind == "avg"),
        lateness=block.lateness or usual.lateness,
        idle=block.idle or usual.idle,
    )
