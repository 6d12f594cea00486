"""One batch in progress: its number, the metadata of its rows, its counts, and its staged files."""

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
    Row counts of one batch. `known` rows were in Bronze already, `known_bad` rows were in quarantine already.

    `settled` counts the quarantine entries whose rows the source no longer has. `in_quarantine` counts the entries that
    are open after the batch, new ones included.
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

    `load.rows` stages rows that were read, `load.deletes` stages deletes, and `load.publish` commits them; until then
    nothing is visible in the lake. `kept` are the files for Bronze, `bad` those for the quarantine. `next_row` is the
    `_row` of the next staged row; `reads` counts the reads.
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
        """Return the values that the rows of a read share; `fixed_point` is the read's, if it is not the batch's."""
        point = fixed_point or self.fixed_point
        return Stamp(self.state.next_batch, op, point.moment, point.sequence, self.ingested_at)

    def live_rows(self) -> int:
        """Return how many live keys the lake has, not counting this batch; 0 for a table that keeps no history."""
        return (
            0 if self.contract.bronze is BronzeMode.OVERWRITE else self.bench.scalar(changes.count_live(self.contract))
        )

    def view(self, name: str, files: Sequence[ParquetFile]) -> None:
        """Create or replace a view of staged files."""
        self.bench.staged(name, [file.path for file in files])

    def stage_query(self, query: str, name: str) -> ParquetFile:
        """Write the rows of a query, in Bronze form, to a new staged file."""
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
    Open the next batch of a table. Its staging folder is deleted at the end, whether it was committed or not.

    `ingested_at` (UTC) is when the batch began, if an earlier attempt began it; None means now.
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
        with suppress(OSError):  # maintenance deletes leftovers; a storage fault is reported by its own error
            if filesystem.get_file_info(folder).type.name == "Directory":
                filesystem.delete_dir(folder)
