"""Reads rows into a batch: separates bad rows, refuses repeated keys, and keeps the rows that the lake lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ingestion.bronze import changes
from ingestion.bronze.rows import Stamp, bronze_schema, quarantine_rows, quarantine_schema
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import DUPLICATE_RULE, Mode
from ingestion.contracts.window import FixedPoint, Window
from ingestion.errors import IntegrityError
from ingestion.extract import windows
from ingestion.extract.chunk_ledger import StagedRead
from ingestion.extract.key_order import lie_apart
from ingestion.extract.split import add_to
from ingestion.lake.staging import ParquetFile, ParquetStage
from ingestion.load.batch import Batch
from ingestion.load.stage import stage_rows
from ingestion.sources.base import Snapshot


@dataclass(frozen=True, slots=True)
class StagedRows:
    """
    The good rows of one read whose keys occur once, in the view `relation`. The next read replaces it.

    `read` is the number of the read in its batch, from 1; `kept` is how many of the rows the lake lacks.
    """

    relation: str
    read: int
    kept: int


def take(
    batch: Batch,
    batches: Iterable[pa.RecordBatch],
    *,
    op: str,
    new_rows: changes.NewRows | None,
    future: str | None = None,
    fixed_point: FixedPoint | None = None,
) -> StagedRows:
    """
    Read all rows and keep the new ones.

    `new_rows` is the SQL that finds them among the staged rows; None keeps all.
    """
    stamp = batch.stamp(op, fixed_point)
    read = stage_rows(
        batch.contract,
        batches,
        filesystem=batch.filesystem,
        folder=batch.folder,
        stamp=stamp,
        first_row=batch.next_row,
        future=future,
    )
    return admit(batch, [read], stamp=stamp, new_rows=new_rows, last_row=batch.next_row + read.tally.read)


def admit(
    batch: Batch, reads: Sequence[StagedRead], *, stamp: Stamp, new_rows: changes.NewRows | None, last_row: int
) -> StagedRows:
    """Keep the new ones of rows that are staged already; their `_row` is below `last_row`. Otherwise like `take`."""
    batch.reads += 1
    batch.next_row = last_row
    batch.bad += [read.bad for read in reads if read.bad is not None]
    for read in reads:
        batch.tally.add(read.tally)
    arrived = [read.arrived for read in reads]
    batch.review.shown += arrived
    rows = sum(file.rows for file in arrived)
    batch.view("arrived", arrived)
    repeated = 0 if _are_distinct(batch, reads) else batch.bench.scalar(changes.count_duplicates(batch.contract))
    if repeated:
        _refuse_duplicates(batch, stamp, repeated)
    batch.bench.define("staged", changes.singles(batch.contract) if repeated else "select * from arrived")
    files = _new_files(batch, new_rows) if rows and (repeated or new_rows is not None) else arrived
    kept = sum(file.rows for file in files)
    batch.counts.known += rows - repeated - kept
    batch.counts.appended += kept
    batch.kept += [file for file in files if file.rows]
    return StagedRows("staged", batch.reads, kept)


def _are_distinct(batch: Batch, reads: Sequence[StagedRead]) -> bool:
    """Return whether it is certain that all staged keys are distinct; False means that it is not known."""
    footers = [read.arrived.footer for read in reads]
    return all(read.ascends for read in reads) and lie_apart(footers, batch.contract.key_names[0])


def _new_files(batch: Batch, new_rows: changes.NewRows | None) -> list[ParquetFile]:
    """Stage the new ones of the staged rows; if `new_rows` is None, all of them."""
    new_rows = new_rows or changes.NewRows("select * from staged")
    for name, query in new_rows.steps:
        batch.bench.step(name, query)
    return [batch.stage_query(new_rows.query, "kept")]


def fetch(
    batch: Batch,
    snapshot: Snapshot,
    found: tuple[FoundColumn, ...],
    keys: pa.Table,
    *,
    may_be_gone: bool = False,
) -> int:
    """
    Read rows by key and stage them as R, later than every event of their key in the lake; return how many are kept.

    Raises IntegrityError if the same state of the source returns fewer rows than `keys`, unless they `may_be_gone`.
    """
    contract = batch.contract
    future = windows.future_limit(contract, snapshot.fixed_point) if contract.mode is Mode.INCREMENTAL else None
    before = batch.tally.read
    rows = snapshot.read(contract, Window(), found=found, keys=keys)
    new_rows = changes.changed_state(contract, contract.content_names, op="R", moment=batch.fixed_point.moment)
    kept = take(batch, rows, op="R", new_rows=new_rows, future=future).kept
    batch.counts.fetched += kept
    wanted = keys.drop_null().group_by(list(contract.key_names)).aggregate([]).num_rows
    came = batch.tally.read - before
    if (
        came < wanted and not may_be_gone and snapshot.fixed_point.kind != "statement"
    ):  # of kind "statement": rows may be deleted between two reads
        raise IntegrityError(
            f"{contract.id}: the source showed {wanted} keys that are to be read, and {came} rows when asked for them. "
            "Nothing was committed. A key that its own type cannot spell is the likely cause: compare the contract's "
            "key types with the source's."
        )
    return kept


def entries_to_ask(batch: Batch) -> pa.Table:
    """Return the keys of open quarantine entries that this batch has not read; the caller reads them with `fetch`."""
    if not batch.review.count_open():
        return batch.contract.key_schema.empty_table()
    return batch.review.keys_to_ask(batch.bad)


def define_refused_keys(batch: Batch) -> None:
    """Create the view `refused_keys`: the keys of bad rows in the contract's types, null if a value does not fit."""
    keys = ", ".join(changes.key_of_bad(key) for key in batch.contract.keys)
    if batch.bad:
        batch.view("bad", batch.bad)
    else:
        batch.bench.define("bad", "select * from quarantine limit 0")
    batch.bench.define("refused_keys", f"select {keys} from bad")


def _refuse_duplicates(batch: Batch, stamp: Stamp, expected: int) -> None:
    """Quarantine all rows of a repeated key, because the load cannot know which of them is right."""
    contract = batch.contract
    names = contract.arrow_schema.names
    breaks = f"{contract.key_names[0]}:{DUPLICATE_RULE}"
    with ParquetStage(batch.filesystem, batch.path("bad"), quarantine_schema(contract)) as stage:
        for copies in batch.bench.reader(changes.duplicates(contract), bronze_schema(contract)):
            rows = copies.select(names)
            marks = pa.repeat(pa.scalar(breaks), rows.num_rows)
            stage.write(quarantine_rows(contract, rows, marks, stamp, first_row=batch.next_row))
            batch.next_row += rows.num_rows
        file = stage.close()
    if file.rows != expected:
        raise IntegrityError(
            f"{contract.id}: {expected} rows share a key, {file.rows} of them were quarantined. "
            "Nothing was committed. This is a fault of the program; report it."
        )
    batch.bad.append(file)
    batch.tally.good -= expected
    batch.tally.bad += expected
    add_to(batch.tally.broken, breaks, expected)
