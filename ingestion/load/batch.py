"""One batch under way: rows are read, split, staged, compared with the lake, and committed once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from ingestion.bronze import changes
from ingestion.bronze.checkpoint import is_worth_it
from ingestion.bronze.rows import Stamp, bronze_schema, quarantine_rows, quarantine_schema
from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.bronze.workbench.embedded import Bench, Workbench, open_bench, open_workbench
from ingestion.contracts.model import DUPLICATE_RULE, BronzeMode, Contract
from ingestion.contracts.window import FixedPoint
from ingestion.errors import ConcurrentWriteError, IntegrityError
from ingestion.extract.chunk_ledger import StagedRead
from ingestion.extract.split import Tally
from ingestion.lake import duck
from ingestion.lake.base import Commit, StagedFile
from ingestion.lake.staging import ParquetFile, ParquetStage
from ingestion.lake.storage.filesystem import make_folder, move
from ingestion.load.entries import EntryReview
from ingestion.load.stage import new_path, stage_rows


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


class Batch:
    """
    The rows of one batch of one table. Use `open_batch`.

    Each `take` reads, splits and stages rows and decides which are new; nothing is visible in the
    lake until `commit`, which publishes all of it or nothing.
    """

    def __init__(
        self,
        table: BronzeTable,
        state: BronzeState,
        fixed_point: FixedPoint,
        *,
        bench: Bench,
        review: EntryReview,
        folder: str,
    ) -> None:
        self.table = table
        self.state = state
        self.fixed_point = fixed_point
        self.tally = Tally()
        self.counts = Counts()
        self.ingested_at = datetime.now(UTC)
        self._bench = bench
        self._review = review
        self._folder = folder
        self._pieces: list[ParquetFile] = []
        self._bad: list[ParquetFile] = []
        self._settled: pa.Table | None = None
        self._next_row = 1

    @property
    def contract(self) -> Contract:
        return self.table.contract

    def take(
        self,
        batches: Iterable[pa.RecordBatch],
        *,
        op: str,
        new_rows: changes.NewRows | None,
        future: str | None = None,
        fixed_point: FixedPoint | None = None,
    ) -> int:
        """
        Read rows to their end and keep what is new.

        `new_rows` says which of the `staged` rows those are; None keeps everything.
        Returns the number of rows kept. The views `arrived` and `staged` stay until the next `take`.
        """
        stamp = self.stamp(op, fixed_point)
        read = stage_rows(
            self.contract,
            batches,
            filesystem=self._filesystem,
            folder=self._folder,
            stamp=stamp,
            first_row=self._next_row,
            future=future,
        )
        return self.admit([read], stamp=stamp, new_rows=new_rows, last_row=self._next_row + read.tally.read)

    def admit(
        self, reads: Sequence[StagedRead], *, stamp: Stamp, new_rows: changes.NewRows | None, last_row: int
    ) -> int:
        """Keep what is new of rows that are staged already, numbered below `last_row`. Else as `take`."""
        self._next_row = last_row
        self._bad += [read.bad for read in reads if read.bad is not None]
        for read in reads:
            self.tally.add(read.tally)
        arrived = [read.arrived for read in reads]
        self._review.shown += arrived
        rows = sum(file.rows for file in arrived)
        self._view("arrived", arrived)
        repeated = self._bench.scalar(changes.count_duplicates(self.contract)) if rows else 0
        if repeated:
            self._refuse_duplicates(stamp, repeated)
            self._bench.define("staged", changes.singles(self.contract))
        else:
            self._bench.define("staged", "select * from arrived")
        pieces = arrived
        if repeated or new_rows is not None:
            new_rows = new_rows or changes.NewRows("select * from staged")
            for name, query in new_rows.steps:
                self._bench.step(name, query)
            pieces = [self._stage_query(new_rows.query, "kept")]
        kept = sum(file.rows for file in pieces)
        self.counts.known += rows - repeated - kept
        self.counts.appended += kept
        self._pieces += [file for file in pieces if file.rows]
        return kept

    def set_source_keys(self, batches: Iterable[pa.RecordBatch] | None) -> None:
        """Say which keys the source has: a stream of them, or (None) those that `take` has just read."""
        if batches is None:
            keys = ", ".join(duck.identifier(name) for name in self.contract.key_names)
            self._view_refused_keys()
            self._bench.define("source_keys", f"select {keys} from staged union all select {keys} from refused_keys")
        else:
            self._stage_keys("source_keys", batches)
        self._find_gone(changes.vanished_keys(self.contract))

    def set_deleted_keys(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Say which keys the source reports as deleted."""
        self._stage_keys("deleted_keys", batches)
        self._find_gone(changes.reported_keys(self.contract))

    def _stage_keys(self, name: str, batches: Iterable[pa.RecordBatch]) -> None:
        with ParquetStage(self._filesystem, self._path("keys"), self.contract.key_schema) as stage:
            stage.write_all(batches)
            self._view(name, [stage.close()])

    def _find_gone(self, statement: str) -> None:
        self._bench.table("gone_keys", statement)

    def vanished(self) -> tuple[int, int]:
        """Return how many live keys of the lake are gone from the source, and how many live ones the lake has."""
        return self._bench.scalar("select count(*) from gone_keys"), self.live_rows()

    def live_rows(self) -> int:
        """Return how many live keys the lake has, without this batch; 0 for a table that keeps no history."""
        return (
            0 if self.contract.bronze is BronzeMode.OVERWRITE else self._bench.scalar(changes.count_live(self.contract))
        )

    def refresh_checkpoint(self) -> None:
        """Write the fold of the committed history beside the table, if folding it has become dear."""
        if not is_worth_it(self._bench.scalar("select count(*) from events"), self.live_rows()):
            return
        number = self.state.batch
        rows = self._bench.scalar(f"select count(*) from bronze where _batch <= {number}")
        file = self._stage_query(changes.newest_events(self.contract), "live")
        make_folder(self._filesystem, self.table.checkpoint_folder)
        move(self._filesystem, file.path, f"{self.table.checkpoint_folder}/{number:08d}-{rows}.parquet")

    def delete_vanished(self) -> int:
        """Stage a D row per key that is gone."""
        statement = changes.delete_rows(
            self.contract,
            moment=self.fixed_point.moment,
            sequence=self.fixed_point.sequence,
            batch=self.state.next_batch,
            first_row=self._next_row,
            ingested_at=self.ingested_at,
        )
        piece = self._stage_query(statement, "deleted")
        self._next_row += piece.rows
        self.counts.deleted += piece.rows
        if piece.rows:
            self._pieces.append(piece)
        return piece.rows

    def lacking_keys(self) -> pa.Table:
        """Return the keys that the source has and the lake will lack, or hold as deleted, after what was taken."""
        self._view_refused_keys()
        return self._bench.select(changes.lacking_keys(self.contract))

    def entries_to_ask(self) -> pa.Table:
        """Return the keys of open quarantine entries that this batch has not shown; `take` is to read them next."""
        if not self._review.count_open():
            return self.contract.key_schema.empty_table()
        return self._review.keys_to_ask(self._bad)

    def settle_entries(self, *, whole: bool = False) -> None:
        """
        Find the quarantine entries that the source no longer shows. Before `drop_known_bad`, after every `take`.

        `whole` says that the batch read all rows of the table.
        """
        self._settled = self._review.settled(self._bad, whole=whole)
        self.counts.settled = self._settled.num_rows

    def drop_known_bad(self) -> None:
        """Drop the bad rows that stand in the quarantine already. Fills `counts`."""
        bad = sum(file.rows for file in self._bad)
        self._bad = self._review.newly_bad(self._bad)
        self.counts.quarantined = sum(file.rows for file in self._bad)
        self.counts.known_bad = bad - self.counts.quarantined
        self.counts.in_quarantine = self._review.count_open() - self.counts.settled + self.counts.quarantined

    def broken_new(self) -> dict[str, int]:
        """Return how many new bad rows break what (`column:rule`), after `drop_known_bad`."""
        if not self.counts.quarantined:
            return {}
        self._view("new_bad", self._bad)
        rows = self._bench.select(
            "select mark, count(*) as n from (select unnest(string_split(_breaks, '; ')) as mark from new_bad) "
            "group by mark order by mark"
        )
        return {row["mark"]: row["n"] for row in rows.to_pylist()}

    def commit(self, metadata: dict[str, Any]) -> int | None:
        """
        Publish: quarantine first, then Bronze, each in one commit with this batch's number.

        Entries are settled before anything else: a crash in between leaves a difference in sight, never a hidden one.
        Returns the batch number, None if there was nothing to publish to Bronze.
        """
        number = self.state.next_batch
        if self._settled is not None and self._settled.num_rows:
            newest = number if self._pieces or self.counts.quarantined else number - 1
            self.table.end_entries(self._settled, "_settled_in", newest, expected_version=self.state.quarantine_version)
        if self.counts.quarantined:
            table = self.table
            files = [table.adopt(f.path, f.footer, f.bytes, batch=number, uri=table.quarantine_uri) for f in self._bad]
            table.publish(table.quarantine_uri, files, batch=number, metadata={**metadata, "of": "quarantine"})
        if self.contract.bronze is BronzeMode.MERGE:
            return self._merge(metadata)
        if not self._pieces:
            return None
        self.table.publish(self.table.uri, self._bronze_files(number), batch=number, metadata=metadata)
        return number

    def _bronze_files(self, number: int) -> list[StagedFile]:
        table = self.table
        files = None
        if self.contract.partition is not None:
            self._view("pieces", self._pieces)
            files = self._bench.partitioned(table, "select * from pieces")
        if files is None:
            return [table.adopt(f.path, f.footer, f.bytes, batch=number, uri=table.uri) for f in self._pieces]
        staged, written = sum(piece.rows for piece in self._pieces), sum(file.rows for file in files)
        if staged != written:
            raise IntegrityError(
                f"{self.contract.id}: {staged} rows were staged, {written} are in the files of their partitions. "
                "Nothing was committed. This is a fault of the program; report it."
            )
        return files

    def _merge(self, metadata: dict[str, Any]) -> int | None:
        if not self._pieces:
            return None
        self._view("pieces", self._pieces)
        query = "select *, case when _op = 'D' then 'D' else 'U' end as _change from pieces"
        schema = bronze_schema(self.contract).append(pa.field("_change", pa.string()))
        number = self.state.next_batch
        engine, uri = self.table.engine, self.table.uri
        if engine.tip(uri, self.contract.app_id).batch >= number:
            raise ConcurrentWriteError(
                f"{self.contract.id}: batch {number} was committed by another load meanwhile. "
                "Nothing of this attempt was kept. Run it again."
            )
        engine.merge(
            uri,
            self._bench.reader(query, schema),
            key=self.contract.key_names,
            commit=Commit(self.contract.app_id, number, metadata),
            expected_version=self.state.version,
            op="_change",
        )
        return number

    def _refuse_duplicates(self, stamp: Stamp, expected: int) -> None:
        """Quarantine every copy: which of them is right cannot be known here."""
        names = self.contract.arrow_schema.names
        breaks = f"{self.contract.key_names[0]}:{DUPLICATE_RULE}"
        with self._open_bad() as stage:
            for batch in self._bench.reader(changes.duplicates(self.contract), bronze_schema(self.contract)):
                rows = batch.select(names)
                marks = pa.repeat(pa.scalar(breaks), rows.num_rows)
                stage.write(quarantine_rows(self.contract, rows, marks, stamp, first_row=self._next_row))
                self._next_row += rows.num_rows
            file = stage.close()
        if file.rows != expected:
            raise IntegrityError(
                f"{self.contract.id}: {expected} rows share a key, {file.rows} of them were quarantined. "
                "Nothing was committed. This is a fault of the program; report it."
            )
        self._bad.append(file)
        self.tally.good -= expected
        self.tally.bad += expected
        self.tally.broken[breaks] = self.tally.broken.get(breaks, 0) + expected

    def _view_refused_keys(self) -> None:
        """Make the view of the keys that bad rows bear, as the contract types them: null where one does not fit."""
        keys = ", ".join(changes.key_of_bad(key) for key in self.contract.keys)
        self._view("bad", self._bad or [self._empty_bad()])
        self._bench.define("refused_keys", f"select {keys} from bad")

    def _empty_bad(self) -> ParquetFile:
        with self._open_bad() as stage:
            return stage.close()

    def _open_bad(self) -> ParquetStage:
        return ParquetStage(self._filesystem, self._path("bad"), quarantine_schema(self.contract))

    def stamp(self, op: str, fixed_point: FixedPoint | None = None) -> Stamp:
        """Return what rows of this batch bear; `fixed_point` is that of their read, if not the batch's."""
        point = fixed_point or self.fixed_point
        return Stamp(self.state.next_batch, op, point.moment, point.sequence, self.ingested_at)

    def _stage_query(self, query: str, name: str, schema: pa.Schema | None = None) -> ParquetFile:
        return self._bench.stage(query, schema or bronze_schema(self.contract), self._path(name))

    def _view(self, name: str, files: Sequence[ParquetFile]) -> None:
        self._bench.staged(name, [file.path for file in files])

    @property
    def _filesystem(self) -> Any:
        return self.table.lake.filesystem

    def _path(self, name: str) -> str:
        return new_path(self._folder, name)


@contextmanager
def open_batch(
    table: BronzeTable, state: BronzeState, fixed_point: FixedPoint, *, memory_limit: str
) -> Iterator[Batch]:
    """Open the next batch of a table; its staged files are swept away at the end, committed or not."""
    folder = table.staging_folder(f"{state.next_batch:08d}-{uuid.uuid4().hex[:8]}")
    try:
        with ExitStack() as stack:
            bench = stack.enter_context(open_bench(table, state, memory_limit=memory_limit))
            embedded = bench
            if not isinstance(embedded, Workbench):
                embedded = stack.enter_context(open_workbench(table, state, memory_limit=memory_limit))
            review = EntryReview(embedded, table.contract, folder)
            yield Batch(table, state, fixed_point, bench=bench, review=review, folder=folder)
    finally:
        filesystem = table.lake.filesystem
        with suppress(OSError):  # maintenance sweeps what stays; a fault of the storage has its own error
            if filesystem.get_file_info(folder).type.name == "Directory":
                filesystem.delete_dir(folder)
