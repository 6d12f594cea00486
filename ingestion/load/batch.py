"""One batch under way: its number and stamp, its counts, and the files that are staged for it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow.fs as pafs

from ingestion.bronze import changes
from ingestion.bronze.rows import Stamp, bronze_schema
from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.bronze.workbench.embedded import Bench, Workbench, open_bench, open_workbench
from ingestion.contracts.model import BronzeMode, Contract
from ingestion.contracts.window import FixedPoint
from ingestion.extract.split import Tally
from ingestion.lake.staging import ParquetFile
from ingestion.load.entries import EntryReview
from ingestion.load.stage import new_path


@dataclass(slots=True)
class Counts:
    """
    Rows of one batch. `known` were in Bronze already; `known_bad` in quarantine already.

    `settled` counts quarantine entries that the source no longer shows, `in_quarantine` those that are left, new ones
    included.
    """

    appended: int = 0
    deleted: int = 0
    fetched: int = 0
    known: int = 0
    quarantined: int = 0
    known_bad: int = 0
    settled: int = 0
    in_quarantine: int = 0


@dataclass(slots=True, kw_only=True)
class Batch:
    """
    One batch of one table. Use `open_batch`.

    `load.rows` stages what is read, `load.deletes` what is gone, and `load.publish` commits all of it or nothing;
    until then nothing is visible in the lake. `kept` are the files of rows for Bronze, `bad` those of rows for the
    quarantine. Every staged row gets the next `_row`, counted by `next_row`; `reads` counts the reads.
    """

    table: BronzeTable
    state: BronzeState
    fixed_point: FixedPoint
    ingested_at: datetime
    bench: Bench
    review: EntryReview
    folder: str
    tally: Tally = field(default_factory=Tally)
    counts: Counts = field(default_factory=Counts)
    kept: list[ParquetFile] = field(default_factory=list)
    bad: list[ParquetFile] = field(default_factory=list)
    next_row: int = 1
    reads: int = 0

    @property
    def contract(self) -> Contract:
        return self.table.contract

    @property
    def filesystem(self) -> pafs.FileSystem:
        return self.table.lake.filesystem

    def stamp(self, op: str, fixed_point: FixedPoint | None = None) -> Stamp:
        """Return what rows of this batch bear; `fixed_point` is that of their read, if not the batch's."""
        point = fixed_point or self.fixed_point
        return Stamp(self.state.next_batch, op, point.moment, point.sequence, self.ingested_at)

    def live_rows(self) -> int:
        """Return how many live keys the lake has, without this batch; 0 for a table that keeps no history."""
        return (
            0 if self.contract.bronze is BronzeMode.OVERWRITE else self.bench.scalar(changes.count_live(self.contract))
        )

    def view(self, name: str, files: Sequence[ParquetFile]) -> None:
        """Make or replace the view of staged files."""
        self.bench.staged(name, [file.path for file in files])

    def stage_query(self, query: str, name: str) -> ParquetFile:
        """Write a query's rows, which are Bronze rows, to a new staged file."""
        return self.bench.stage(query, bronze_schema(self.contract), self.path(name))

    def path(self, name: str) -> str:
        """Return the path of a new staged file."""
        return new_path(self.folder, name)


@contextmanager
def open_batch(
    table: BronzeTable,
    state: BronzeState,
    fixed_point: FixedPoint,
    *,
    memory_limit: str,
    ingested_at: datetime | None = None,
) -> Iterator[Batch]:
    """
    Open the next batch of a table; its staged files are swept away at the end, committed or not.

    `ingested_at` (UTC) is when the batch began, where that was an earlier attempt; None means now.
    """
    folder = table.staging_folder(f"{state.next_batch:08d}-{uuid.uuid4().hex[:8]}")
    try:
        with ExitStack() as stack:
            bench = stack.enter_context(open_bench(table, state, memory_limit=memory_limit))
            embedded = bench
            if not isinstance(embedded, Workbench):
                embedded = stack.enter_context(open_workbench(table, state, memory_limit=memory_limit))
            yield Batch(
                table=table,
                state=state,
                fixed_point=fixed_point,
                ingested_at=ingested_at or datetime.now(UTC),
                bench=bench,
                review=EntryReview(embedded, table.contract, folder),
                folder=folder,
            )
    finally:
        filesystem = table.lake.filesystem
        with suppress(OSError):  # maintenance sweeps what stays; a fault of the storage has its own error
            if filesystem.get_file_info(folder).type.name == "Directory":
                filesystem.delete_dir(folder)
