"""Publishes a batch: drops bad rows that are in quarantine already, moves the files into their tables, and commits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from ingestion.bronze import changes
from ingestion.bronze.checkpoint import is_worth_it
from ingestion.bronze.rows import bronze_schema
from ingestion.contracts.model import BronzeMode
from ingestion.contracts.window import Window
from ingestion.errors import ConcurrentWriteError, IntegrityError
from ingestion.lake.base import Commit, StagedFile
from ingestion.lake.staging import ParquetFile
from ingestion.lake.storage.filesystem import make_folder, move
from ingestion.load.batch import Batch
from ingestion.runs.context import Context
from ingestion.runs.watermark import watermark_name


@dataclass(frozen=True, slots=True)
class ReviewedRows:
    """
    What a batch publishes. Only `review_rows` returns it, after everything was staged.

    `kept` are the files for Bronze, `new_bad` those for the quarantine, without rows that are there already. `settled`
    has the positions (`_batch`, `_row`) of the entries that end. `next_row` is the first `_row` that is not used yet.
    """

    kept: tuple[ParquetFile, ...]
    new_bad: tuple[ParquetFile, ...]
    settled: pa.Table | None
    next_row: int


def review_rows(batch: Batch, *, settles: bool = True, whole: bool = False) -> ReviewedRows:
    """
    Drop bad rows that are in quarantine already, and find the entries whose rows the source no longer has.

    With `settles=False` no entries are settled. `whole` says that the batch read all rows of the table. Sets the
    batch's counts of quarantined and settled rows.
    """
    counts, review = batch.counts, batch.review
    settled = review.settled(batch.bad, whole=whole) if settles else None
    counts.settled = 0 if settled is None else settled.num_rows
    bad = sum(file.rows for file in batch.bad)
    new_bad = review.newly_bad(batch.bad)
    counts.quarantined = sum(file.rows for file in new_bad)
    counts.known_bad = bad - counts.quarantined
    counts.in_quarantine = review.count_open() - counts.settled + counts.quarantined
    return ReviewedRows(tuple(batch.kept), tuple(new_bad), settled, batch.next_row)


def new_breaks(batch: Batch, reviewed: ReviewedRows) -> dict[str, int]:
    """Return the number of new bad rows per rule that they break (`column:rule`)."""
    if not batch.counts.quarantined:
        return {}
    batch.view("new_bad", reviewed.new_bad)
    rows = batch.bench.select(
        "select mark, count(*) as n from (select unnest(string_split(_breaks, '; ')) as mark from new_bad) "
        "group by mark order by mark"
    )
    return {row["mark"]: row["n"] for row in rows.to_pylist()}


def publish(
    context: Context, batch: Batch, reviewed: ReviewedRows, *, watermark: str | None, window: Window | None = None
) -> int | None:
    """
    Publish: quarantine first, then Bronze, each in one commit with this batch's number.

    Entries are settled before both: after a crash in between, a gap check still finds every difference.
    Returns the batch number, None if there was nothing to publish to Bronze.
    """
    if reviewed.next_row != batch.next_row:
        raise IntegrityError(
            f"{batch.contract.id}: the rows up to {reviewed.next_row - 1} were reviewed, those up to "
            f"{batch.next_row - 1} are staged. Nothing was committed. This is a fault of the program; report it."
        )
    metadata = _metadata(context, batch, watermark=watermark, window=window)
    number = batch.state.next_batch
    table = batch.table
    if reviewed.settled is not None and reviewed.settled.num_rows:
        newest = number if reviewed.kept or batch.counts.quarantined else number - 1
        table.end_entries(reviewed.settled, "_settled_in", newest, expected_version=batch.state.quarantine_version)
    if batch.counts.quarantined:
        uri = table.quarantine_uri
        files = [table.adopt(f.path, f.footer, f.bytes, batch=number, uri=uri) for f in reviewed.new_bad]
        table.publish(uri, files, batch=number, metadata={**metadata, "of": "quarantine"})
    if not reviewed.kept:
        return None
    if batch.contract.bronze is BronzeMode.MERGE:
        _merge(batch, reviewed, metadata)
    else:
        files = _bronze_files(batch, reviewed)
        table.publish(table.uri, files, batch=number, metadata=metadata, after=batch.state.batch)
    return number


def refresh_checkpoint(batch: Batch) -> None:
    """Write a checkpoint of the committed events beside the table, if reading them all has become too expensive."""
    bench, table = batch.bench, batch.table
    events = bench.scalar("select count(*) from events")
    if not (is_worth_it(events, 0) and is_worth_it(events, batch.live_rows())):
        return
    number = batch.state.batch
    rows = bench.scalar(f"select count(*) from bronze where _batch <= {number}")
    bench.step("newest_events", changes.newest_events(batch.contract))  # DuckDB cannot stream this query
    file = batch.stage_query("select * from newest_events", "live")
    make_folder(batch.filesystem, table.checkpoint_folder)
    move(batch.filesystem, file.path, f"{table.checkpoint_folder}/{number:08d}-{rows}.parquet")


def _metadata(context: Context, batch: Batch, *, watermark: str | None, window: Window | None) -> dict[str, Any]:
    """Return the metadata of the batch's commit. It has no row values and no secrets."""
    contract = batch.contract
    return {
        "run_id": context.run_id,
        "contract_version": contract.version,
        "watermark_column": watermark_name(contract),
        "watermark": watermark,
        "window": None if window is None else {"low": window.low, "high": window.high},
        "ingested_at": batch.ingested_at.isoformat(),
        "fixed_point": batch.fixed_point.as_dict(),
        "counts": {"read": batch.tally.read, "good": batch.tally.good, "bad": batch.tally.bad, **asdict(batch.counts)},
    }


def _bronze_files(batch: Batch, reviewed: ReviewedRows) -> list[StagedFile]:
    table = batch.table
    files = None
    if batch.contract.partition is not None:
        batch.view("pieces", reviewed.kept)
        files = batch.bench.partitioned(table, "select * from pieces")
    if files is None:
        number = batch.state.next_batch
        return [table.adopt(f.path, f.footer, f.bytes, batch=number, uri=table.uri) for f in reviewed.kept]
    staged, written = sum(file.rows for file in reviewed.kept), sum(file.rows for file in files)
    if staged != written:
        raise IntegrityError(
            f"{batch.contract.id}: {staged} rows were staged, {written} are in the files of their partitions. "
            "Nothing was committed. This is a fault of the program; report it."
        )
    return files


def _merge(batch: Batch, reviewed: ReviewedRows, metadata: dict[str, Any]) -> None:
    contract = batch.contract
    batch.view("pieces", reviewed.kept)
    query = "select *, case when _op = 'D' then 'D' else 'U' end as _change from pieces"
    schema = bronze_schema(contract).append(pa.field("_change", pa.string()))
    number = batch.state.next_batch
    engine, uri = batch.table.engine, batch.table.uri
    if engine.tip(uri, contract.app_id).batch >= number:
        raise ConcurrentWriteError(
            f"{contract.id}: batch {number} was committed by another load meanwhile. "
            "Nothing of this attempt was kept. Run it again."
        )
    engine.merge(
        uri,
        batch.bench.reader(query, schema),
        key=contract.key_names,
        commit=Commit(contract.app_id, number, metadata),
        expected_version=batch.state.version,
        op="_change",
    )
