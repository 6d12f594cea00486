"""Reads the schemas of binary messages that a contract of streams names, and checks its columns against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ingestion.contracts.model import Column
from ingestion.contracts.reading.document import DocumentFaults, Steps
from ingestion.contracts.reading.stream_block import MessagesBlock, StreamBlock, TopicBlock
from ingestion.contracts.schemas import SchemaError, check, fits, wire_type
from ingestion.contracts.streams import JSON, Encoding, Format, Framing
from ingestion.shipped import pip_install

_MAGIC, _SINGLE_OBJECT = b"\0", b"\xc3\x01"
_IDS = 2**32


class SchemaCheck:
    """Checks the keys `format` and `messages` of one stream. Files are read beside the contract at `path`."""

    def __init__(
        self, findings: DocumentFaults, block: StreamBlock, at: Steps, columns: Sequence[Column], path: str
    ) -> None:
        self._findings, self._block, self._at, self._columns = findings, block, at, columns
        self._folder = Path(path).parent if path else None

    def encodings(self) -> list[Encoding]:
        """Return how the messages of all topics are written, or those of each topic that fills columns of its own."""
        topics = [topic for topic in self._block.topics or () if isinstance(topic, TopicBlock)]
        for number, topic in enumerate(topics):
            if topic.messages and not topic.columns:
                self._error(f"topics[{number}].messages", "is about a topic with columns of its own; write it above")
        parts = [topic for topic in topics if topic.columns]
        if not parts:
            return [self._encoding("messages", self._block.messages, self._columns)]
        return [
            self._encoding(
                f"topics[{number}].messages" if topic.messages else "messages",
                topic.messages or self._block.messages,
                columns_of(self._columns, topic),
            )
            for number, topic in enumerate(parts)
        ]

    def _error(self, key: str, message: str) -> None:
        self._findings.error((*self._at, key.partition("[")[0]), f"lake.stream.{key}: {message}")

    def _encoding(self, key: str, block: MessagesBlock | None, columns: Sequence[Column]) -> Encoding:
        format_ = self._block.format or Format.JSON
        if format_ is Format.JSON:
            if block is not None:
                self._error(key, "is about binary messages; write `format: avro` or `format: protobuf`")
            return JSON
        if block is None or not block.schema_ or bool(block.type) != (format_ is Format.PROTOBUF):
            example = "{schema: orders.avsc}" if format_ is Format.AVRO else "{schema: orders.desc, type: shop.Order}"
            self._error(key, f"does not say by which schema messages are written; write e.g. `{key}: {example}`")
            return JSON
        found = self._read(f"{key}.schema", block.schema_)
        encoding = Encoding(format_, block.framing or Framing.BARE, found or b"", block.type or "")
        if found is None:
            return encoding
        try:
            check(encoding.schema, encoding.type)
            good = [column for column in columns if self._reads(f"{key}.schema", encoding, column, block.schema_)]
            return replace(encoding, writers=self._writers(f"{key}.writers", block, encoding, good))
        except SchemaError as exc:
            self._error(f"{key}.schema", f"{block.schema_} {exc}")
            return encoding
        except ModuleNotFoundError as exc:
            self._error(
                "format", f"{format_} needs the package {exc.name}, which is not installed: {pip_install(format_)}"
            )
            return encoding

    def _read(self, key: str, name: str) -> bytes | None:
        if self._folder is None or Path(name).name != name:
            self._error(key, f"{name} is no file beside the contract; write its name alone")
            return None
        try:
            return (self._folder / name).read_bytes()
        except OSError as exc:
            self._error(key, f"{name} cannot be read beside the contract ({exc.strerror or type(exc).__name__})")
            return None

    def _reads(self, key: str, encoding: Encoding, column: Column, name: str) -> bool:
        """Return whether a column's values are in a message, and judge the schema's type of them."""
        if column.source_name.startswith("@"):
            return False
        try:
            type_ = wire_type(encoding.schema, encoding.type, column.source_name.split("."))
        except SchemaError as exc:
            self._error(key, f"column {column.name}: {name}: {exc}")
            return False
        if not fits(type_, column.arrow_type):
            self._error(
                key,
                f"column {column.name}: {name}: {column.source_name} is {type_}, which a column of type "
                f"{column.physical_type} ({column.arrow_type}) does not hold exactly; declare another type",
            )
        return True

    def _writers(
        self, key: str, block: MessagesBlock, encoding: Encoding, columns: Sequence[Column]
    ) -> tuple[tuple[bytes, bytes], ...]:
        """Return the schemas of a framing by what stands before values: an id, or a fingerprint."""
        framing, named = encoding.framing, block.writers
        if framing is Framing.SINGLE_OBJECT and encoding.format is Format.AVRO and not isinstance(named, dict):
            from ingestion.contracts.schemas.avro import fingerprint_of  # noqa: PLC0415 - needs a package

            texts = [encoding.schema, *(self._writer(key, name, encoding, columns) for name in named or ())]
            return tuple((_SINGLE_OBJECT + fingerprint_of(text), text) for text in texts if text)
        if framing is Framing.CONFLUENT and encoding.format is Format.AVRO and isinstance(named, dict) and named:
            found = {number: self._writer(key, name, encoding, columns) for number, name in named.items()}
            if wrong := [number for number in found if not 0 <= number < _IDS]:
                self._error(key, f"{wrong[0]} is no id of a schema")
            return tuple((_MAGIC + n.to_bytes(4), text) for n, text in found.items() if text and 0 <= n < _IDS)
        if framing is Framing.SINGLE_OBJECT and encoding.format is Format.PROTOBUF:
            self._error(key.replace("writers", "framing"), "single_object is of Avro; write bare or confluent")
        elif framing is Framing.CONFLUENT and encoding.format is Format.AVRO:
            self._error(key, "is missing: write the file of each id of a schema, e.g. `writers: {7: orders.avsc}`")
        elif named is not None:
            self._error(key, "is about Avro with `framing: confluent` (ids) or `framing: single_object` (a list)")
        return ()

    def _writer(self, key: str, name: str, encoding: Encoding, columns: Sequence[Column]) -> bytes | None:
        from ingestion.contracts.schemas.avro import agree, check  # noqa: PLC0415 - needs a package

        if (text := self._read(key, name)) is None:
            return None
        try:
            check(text)
            for column in columns:
                agree(encoding.schema, text, column.source_name.split("."))
        except SchemaError as exc:
            self._error(key, f"{name} {exc}")
            return None
        return text


def columns_of(columns: Sequence[Column], topic: TopicBlock) -> tuple[Column, ...]:
    """Return the columns that the messages of a topic fill: the key, and those that it names."""
    return tuple(c for c in columns if c.key_position is not None or c.name in (topic.columns or ()))
