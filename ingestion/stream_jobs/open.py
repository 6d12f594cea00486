"""Opens a stream by its contract and the settings: source, target, and the functions that the contract names."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingestion.contracts.odcs import STREAMS as FOLDER
from ingestion.contracts.odcs import find_stream
from ingestion.contracts.streams import Lookup, Stream
from ingestion.errors import ConfigurationError
from ingestion.runs.context import Context
from ingestion.settings.values import STREAMS
from ingestion.sinks import open_database
from ingestion.sinks.base import TableSink
from ingestion.sinks.bronze import BronzeSink
from ingestion.sources import needs_extra
from ingestion.sources.records import RecordSource
from ingestion.streams.change import Functions
from ingestion.streams.loop import Loop
from ingestion.streams.ports import Sink


def open_sink(context: Context, stream: Stream) -> Sink:
    if stream.target is None:
        return BronzeSink(stream, context.table(stream.contract))
    connection = context.settings.connection(stream.target, stream.contract.dialect)
    return TableSink(stream, open_database(stream.contract, stream.target, connection))


def open_records(context: Context, stream: Stream) -> RecordSource:
    if stream.is_of_queue:
        raise ConfigurationError(
            f"{stream.contract.id}: its messages come from a queue. Nothing was read. Use: lakehouse cdc run"
        )
    connection = context.settings.connection(stream.source, "kafka", kinds=STREAMS)
    if connection.type == "files":
        from ingestion.sources.message_files import MessageFiles

        return MessageFiles(stream.source, connection, stream.topics)
    with needs_extra(stream.source, "kafka"):
        from ingestion.sources.kafka import KafkaSource

    group = f"lakehouse-{stream.name}"
    if context.settings.engine != "spark":
        return KafkaSource(stream.source, connection, stream.topics, group=group)
    from ingestion.lake.spark.session import new_session
    from ingestion.sources.kafka_spark import OWN, SparkKafkaSource

    lake = context.lake
    session = partial(new_session, root=lake.root, storage_options=lake.storage_options, settings=OWN)
    return SparkKafkaSource(stream.source, connection, stream.topics, group=group, open_session=session)


def functions_of(context: Context, stream: Stream, sink: Sink) -> Functions:
    folder = context.settings.contracts / FOLDER
    return Functions(
        transform=_function(folder, stream, stream.transform),
        keep=_function(folder, stream, stream.keep),
        lookup=lambda lookup: sink.lookup(lookup.table, _types(stream, lookup)),
    )


def _types(stream: Stream, lookup: Lookup) -> pa.Schema:
    """Return the columns of a reference table in the types of our columns that they are compared with or fill."""
    pairs = {**lookup.on, **lookup.columns}
    return pa.schema({theirs: stream.contract.column(ours).arrow_type for ours, theirs in pairs.items()})


@contextmanager
def open_loop(context: Context, name: str) -> Iterator[Loop]:
    """Yield a stream that is ready to step; source and target are closed at the end."""
    stream = find_stream(context.settings.contracts, name)
    sink, source = open_sink(context, stream), None
    try:
        source = open_records(context, stream)
        yield Loop(stream, source, sink, functions_of(context, stream, sink))
    finally:
        if source is not None:
            source.close()
        sink.close()


def _function(folder: Path, stream: Stream, name: str | None) -> Callable[..., Any] | None:
    """Return the function `module:function` of a file beside the contract. Raises ConfigurationError."""
    if name is None:
        return None
    module, _, function = name.partition(":")
    loader = importlib.machinery.SourceFileLoader(f"lakehouse_{module}", str(folder / f"{module}.py"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    try:
        loaded = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        loader.exec_module(loaded)
        return getattr(loaded, function)  # type: ignore[no-any-return]
    except (FileNotFoundError, AttributeError):
        raise ConfigurationError(
            f"{stream.contract.id}: {FOLDER}/{module}.py is missing or has no function {function}. Nothing was read. "
            "Write it beside the contract, or correct its name there."
        ) from None
