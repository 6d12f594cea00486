"""The workbench on Spark: the same statements for tables that are too large for one machine."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from ingestion.bronze.checkpoint import find_checkpoint
from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.contracts.types import duckdb_type
from ingestion.errors import IntegrityError
from ingestion.lake.base import StagedFile
from ingestion.lake.layout import Lake
from ingestion.lake.spark.session import new_session
from ingestion.lake.staging import ParquetFile, ParquetStage, open_parquet
from ingestion.lake.storage.filesystem import listed, make_folder, move
from ingestion.sql.quoting import quote_standard, spark_text_literal

DIALECT = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
}
_QUOTED = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")""")
_WORDS = (
    (re.compile(r"\bvarchar\b"), "string"),
    (re.compile(r"\bblob\b"), "binary"),
    (re.compile(r"\btimestamptz\b"), "timestamp_ltz"),
    (re.compile(r"\blist_contains\("), "array_contains("),
    (re.compile(r"\bstring_split\("), "split("),
    (re.compile(r"\bunnest\("), "explode("),
    (re.compile(r"\bstruct_pack\("), "struct("),
    (re.compile(r"(\w+) := (\w+)"), r"\2 as \1"),
)


def translated(query: str) -> str:
    """Translate a statement of `ingestion.bronze` to Spark's SQL. Quoted names and texts keep their meaning."""
    pieces = _QUOTED.split(query)
    for index, piece in enumerate(pieces):
        if piece.startswith("'"):
            pieces[index] = spark_text_literal(piece[1:-1].replace("''", "'"))
        elif not piece.startswith('"'):
            for word, spark in _WORDS:
                pieces[index] = word.sub(spark, pieces[index])
    return "".join(pieces)


@dataclass(frozen=True, slots=True)
class SparkWorkbench:
    """Implements `ingestion.bronze.workbench.embedded.Bench`. `folder` is a path on the lake's file system."""

    session: Any
    lake: Lake
    folder: str

    def staged(self, name: str, paths: Sequence[str]) -> None:
        files = [self._uri(path) for path in paths]
        self.session.read.parquet(*files).createOrReplaceTempView(name)

    def define(self, name: str, query: str) -> None:
        self.session.sql(f"create or replace temporary view {name} as {translated(query)}")

    def table(self, name: str, query: str) -> None:
        path = f"{self.folder}/{name}-{uuid.uuid4().hex[:8]}"
        self._ask(query).write.parquet(self._uri(path))
        self.session.read.parquet(self._uri(path)).createOrReplaceTempView(name)

    def step(self, name: str, query: str) -> None:
        self.define(name, query)

    def scalar(self, query: str) -> int:
        row = self._ask(query).first()
        return int(row[0]) if row else 0

    def select(self, query: str) -> pa.Table:
        return self._ask(query).toArrow()

    def reader(self, query: str, schema: pa.Schema) -> pa.RecordBatchReader:
        file = self.stage(query, schema, f"{self.folder}/read-{uuid.uuid4().hex[:8]}.parquet")
        stream = pq.ParquetFile(file.path, filesystem=self.lake.filesystem)
        return pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in stream.iter_batches()))

    def stage(self, query: str, schema: pa.Schema, path: str) -> ParquetFile:
        folder = f"{self.folder}/stage-{uuid.uuid4().hex[:8]}"
        columns = ", ".join(
            f"cast({quote_standard(x.name)} as {duckdb_type(x.type)}) as {quote_standard(x.name)}" for x in schema
        )
        self._ask(f"select {columns} from ({query})").repartition(1).write.parquet(self._uri(folder))
        written = [info.path for info in listed(self.lake.filesystem, folder) if info.base_name.endswith(".parquet")]
        if not written:
            with ParquetStage(self.lake.filesystem, path, schema) as empty:
                return empty.close()
        make_folder(self.lake.filesystem, path.rsplit("/", 1)[0])
        move(self.lake.filesystem, written[0], path)
        file = open_parquet(self.lake.filesystem, path)
        found = file.footer.schema.to_arrow_schema()
        if len(written) > 1 or (found.names, found.types) != (schema.names, schema.types):
            raise IntegrityError(
                f"{path.rsplit('/', 1)[-1]}: expected one file of the contract's columns, Spark wrote "
                f"{len(written)}, or other types. Nothing was committed. This is a fault of the program; report it."
            )
        return file

    def partitioned(self, table: BronzeTable, query: str) -> list[StagedFile] | None:  # noqa: ARG002 - the commit does
        return None

    def _ask(self, query: str) -> Any:
        return self.session.sql(translated(query))

    def _uri(self, path: str) -> str:
        return f"{self.lake.root}/{path.removeprefix(self.lake.path()).lstrip('/')}"


@contextmanager
def open_spark_workbench(table: BronzeTable, state: BronzeState) -> Iterator[SparkWorkbench]:
    """Open a workbench at the Delta versions of `state`; its folder is deleted at the end."""
    lake = table.lake
    session = new_session(root=lake.root, storage_options=lake.storage_options, settings=DIALECT)
    for name, uri, version in (
        ("bronze", table.uri, state.version),
        ("quarantine", table.quarantine_uri, state.quarantine_version),
    ):
        session.read.format("delta").option("versionAsOf", version).load(uri).createOrReplaceTempView(name)
    bench = SparkWorkbench(session, lake, table.staging_folder(f"bench-{uuid.uuid4().hex[:8]}"))
    try:
        _create_events_view(bench, table, state)
        yield bench
    finally:
        if lake.filesystem.get_file_info(bench.folder).type == pafs.FileType.Directory:
            lake.filesystem.delete_dir(bench.folder)


def _create_events_view(bench: SparkWorkbench, table: BronzeTable, state: BronzeState) -> None:
    """Create the view `events` over `bronze`. Uses the checkpoint if Bronze still has the rows it was made of."""
    events = bench.session.table("bronze")
    known = find_checkpoint(table.lake.filesystem, table.checkpoint_folder, up_to=state.batch)
    if known is not None:
        made_of = f"select count(*) from bronze where _batch <= {known.batch}"
        if bench.scalar(made_of) == known.rows:
            bench.staged("checkpoint", [known.path])
            later = events.where(f"_batch > {known.batch}")
            events = later.unionByName(bench.session.table("checkpoint"), allowMissingColumns=True)
    events.createOrReplaceTempView("events")
