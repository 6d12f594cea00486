"""Compares a table's open quarantine entries with a batch: which are settled, and which bad rows are new."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.fs as pafs

from ingestion.bronze import entries
from ingestion.bronze.changes import key_of_bad
from ingestion.bronze.quarantine import OPEN
from ingestion.bronze.rows import Stamp, quarantine_schema
from ingestion.bronze.workbench.embedded import Workbench
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Contract, Mode
from ingestion.contracts.window import Window
from ingestion.extract.windows import future_limit
from ingestion.lake.staging import ParquetFile, ParquetStage
from ingestion.load.stage import stage_rows
from ingestion.sources.base import Snapshot
from ingestion.sql.quoting import quote_standard

_NO_POSITIONS = pa.schema([("_batch", pa.int64()), ("_row", pa.int64())]).empty_table()


@dataclass(slots=True)
class EntryReview:
    """
    Compares the open entries of one table with one batch. Runs in DuckDB on both engines, because entries are few.

    `shown` are the staged files of good rows that were read, `asked` the files of keys that the source was asked for.
    Files are staged in `folder`, on the lake's file system.
    """

    bench: Workbench
    contract: Contract
    folder: str
    shown: list[ParquetFile] = field(default_factory=list)
    asked: list[ParquetFile] = field(default_factory=list)
    _open: int | None = None

    def count_open(self) -> int:
        """Return how many entries are open: the source still had their rows when it was last read."""
        if self._open is None:  # the quarantine is read at one version
            self._open = self.bench.scalar(f"select count(*) from quarantine q where {OPEN}")
        return self._open

    def keys_to_ask(self, bad: Sequence[ParquetFile]) -> pa.Table:
        """Return the keys of open entries that no read has returned so far, and record them as asked for."""
        self._define_shown(bad)
        keys = self.bench.select(entries.open_keys(self.contract, without="shown_keys"))
        if keys.num_rows:
            schema = self.contract.key_schema
            with ParquetStage(self.bench.lake.filesystem, self._path("asked"), schema) as stage:
                stage.write_all(keys.cast(schema).to_batches())
                self.asked.append(stage.close())
        return keys

    def settled(self, bad: Sequence[ParquetFile], *, whole: bool) -> pa.Table:
        """Return the positions (`_batch`, `_row`) of open entries whose rows the source no longer has."""
        if not self.count_open():
            return _NO_POSITIONS
        self._define_shown(bad)
        return self.bench.select(entries.settled(self.contract, whole=whole)).cast(_NO_POSITIONS.schema)

    def newly_bad(self, bad: Sequence[ParquetFile]) -> list[ParquetFile]:
        """Return one file of the bad rows that have no open entry yet; the given files if there is no open entry."""
        if not bad or not self.count_open():
            return list(bad)
        self.bench.staged("staged_bad", [file.path for file in bad])
        schema = quarantine_schema(self.contract)
        return [self.bench.stage(entries.newly_bad(self.contract), schema, self._path("bad"))]

    def _define_shown(self, bad: Sequence[ParquetFile]) -> None:
        keys = ", ".join(quote_standard(name) for name in self.contract.key_names)
        parts = [f"select {keys} from empty_bronze"]
        self.bench.define("empty_bronze", "select * from bronze limit 0")
        self.bench.define("staged_bad", "select * from quarantine limit 0")
        for name, files in (("read_rows", self.shown), ("asked_keys", self.asked)):
            if files:
                self.bench.staged(name, [file.path for file in files])
                parts.append(f"select {keys} from {name}")
        if bad:
            self.bench.staged("staged_bad", [file.path for file in bad])
            parts.append(f"select {', '.join(key_of_bad(key) for key in self.contract.keys)} from staged_bad")
        self.bench.table("shown_keys", " union ".join(parts))

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}-{uuid.uuid4().hex[:8]}.parquet"


def stage_refused(
    contract: Contract, bench: Workbench, snapshot: Snapshot, found: tuple[FoundColumn, ...], *, in_flight: str
) -> int:
    """
    Create the table `refused` for a comparison: the keys whose rows in the source are all open entries.

    Reads the rows of the open entries' keys, except those in the view `in_flight`, and checks them as a load does.
    Returns how many rows were read.
    """
    keys = bench.select(entries.open_keys(contract, without=in_flight))
    if not keys.num_rows:
        bench.table("refused", entries.none_refused(contract))
        return 0
    point = snapshot.fixed_point
    read = stage_rows(
        contract,
        snapshot.read(contract, Window(), found=found, keys=keys.cast(contract.key_schema)),
        filesystem=pafs.LocalFileSystem(),
        folder=str(bench.folder),
        stamp=Stamp(0, "R", point.moment, point.sequence, point.moment),
        first_row=1,
        future=future_limit(contract, point) if contract.mode is Mode.INCREMENTAL else None,
    )
    bench.view("read_rows", [read.arrived.path])
    bench.define("staged_bad", "select * from quarantine limit 0")
    if read.bad is not None:
        bench.view("staged_bad", [read.bad.path])
    bench.table("refused", entries.refused(contract))
    return read.tally.read
