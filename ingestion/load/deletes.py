"""Finds live keys that the source no longer has, and stages a D row for each, if the contract allows that many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from ingestion.bronze import changes
from ingestion.errors import DeleteBrakeError, IntegrityError
from ingestion.lake.staging import ParquetStage
from ingestion.load.batch import Batch
from ingestion.load.rows import StagedRows, define_refused_keys
from ingestion.sql.quoting import quote_standard

FEW_KEYS = 10


@dataclass(frozen=True, slots=True)
class SourceKeys:
    """The keys that the source has, in the view `relation`, and the rows read for the same batch."""

    relation: str
    staged: StagedRows


@dataclass(frozen=True, slots=True)
class GoneKeys:
    """Live keys of the lake that the source no longer has, or reports as deleted, in the table `relation`."""

    relation: str


@dataclass(frozen=True, slots=True)
class AllowedDeletes:
    """Gone keys that passed the brake, and how many there are. Only `check_brake` returns it."""

    gone: GoneKeys
    keys: int


def source_keys(batch: Batch, staged: StagedRows, batches: Iterable[pa.RecordBatch] | None) -> SourceKeys:
    """Return the keys that the source has: those in `batches`, or if that is None, those that the read returned."""
    if batches is None:
        _require_current(batch, staged)
        keys = ", ".join(quote_standard(name) for name in batch.contract.key_names)
        define_refused_keys(batch)
        query = f"select {keys} from {staged.relation} union all select {keys} from refused_keys"
        batch.bench.define("source_keys", query)
    else:
        _stage_keys(batch, "source_keys", batches)
    return SourceKeys("source_keys", staged)


def vanished_keys(batch: Batch, keys: SourceKeys) -> GoneKeys:
    """Find the live keys of the lake that the source does not have."""
    return _gone_keys(batch, changes.vanished_keys(batch.contract, keys.relation))


def reported_keys(batch: Batch, batches: Iterable[pa.RecordBatch]) -> GoneKeys:
    """Find the live keys of the lake among those that the source reports as deleted."""
    _stage_keys(batch, "deleted_keys", batches)
    return _gone_keys(batch, changes.reported_keys(batch.contract, "deleted_keys"))


def allowed_rows(percent: float, of: int) -> float:
    """
    Return how many rows a limit of `percent` allows in a table of `of` rows; 0 percent allows none.

    In a small table a few rows are a big share, so any other limit allows at least FEW_KEYS or half of the table,
    whichever is less.
    """
    return max(percent / 100.0 * of, min(FEW_KEYS, of / 2)) if percent else 0.0


def check_brake(
    batch: Batch, keys: GoneKeys, *, allow_deletes: bool, approved: int = 0, command: str = "load"
) -> AllowedDeletes:
    """
    Raise DeleteBrakeError if more of the lake's keys are gone than the contract allows one load to delete.

    Up to `approved` deletes are allowed in any case. `command` is the one that the error advises with --allow-deletes.
    """
    contract = batch.contract
    gone = batch.bench.scalar(f"select count(*) from {keys.relation}")
    alive = batch.live_rows() if gone else 0
    if allow_deletes or gone <= approved or gone <= allowed_rows(contract.max_delete_percent, alive):
        return AllowedDeletes(keys, gone)
    error = DeleteBrakeError(
        f"{contract.id}: at most {contract.max_delete_percent:g} % of the keys may be deleted at once, found "
        f"{gone} of {alive} keys gone from the source ({100.0 * gone / alive:.1f} %). Nothing was committed. "
        f"If the rows are meant to be gone: lakehouse {command} --allow-deletes {contract.id}"
    )
    error.deletes = gone
    raise error


def lacking_keys(batch: Batch, keys: SourceKeys) -> pa.Table:
    """Return the keys that the source has and the lake will lack, or have as deleted, after the staged rows."""
    _require_current(batch, keys.staged)
    define_refused_keys(batch)
    return batch.bench.select(changes.lacking_keys(batch.contract, keys.relation, staged=keys.staged.relation))


def stage_deletes(batch: Batch, allowed: AllowedDeletes) -> None:
    """Stage a D row per key that is gone."""
    if not allowed.keys:
        return
    statement = changes.delete_rows(
        batch.contract,
        allowed.gone.relation,
        moment=batch.fixed_point.moment,
        sequence=batch.fixed_point.sequence,
        batch=batch.state.next_batch,
        first_row=batch.next_row,
        ingested_at=batch.ingested_at,
    )
    file = batch.stage_query(statement, "deleted")
    batch.next_row += file.rows
    batch.counts.deleted += file.rows
    batch.kept.append(file)


def _gone_keys(batch: Batch, statement: str) -> GoneKeys:
    batch.bench.table("gone_keys", statement)
    return GoneKeys("gone_keys")


def _stage_keys(batch: Batch, name: str, batches: Iterable[pa.RecordBatch]) -> None:
    with ParquetStage(batch.filesystem, batch.path("keys"), batch.contract.key_schema) as stage:
        stage.write_all(batches)
        batch.view(name, [stage.close()])


def _require_current(batch: Batch, staged: StagedRows) -> None:
    """Raise IntegrityError if a later read has replaced the view of these rows."""
    if staged.read != batch.reads:
        raise IntegrityError(
            f"{batch.contract.id}: keys were to be compared with the rows of read {staged.read}, after read "
            f"{batch.reads}. Nothing was committed. This is a fault of the program; report it."
        )
