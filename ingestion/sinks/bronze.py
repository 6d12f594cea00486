"""Bronze as the target of a stream: every good message becomes a row of the log, as in a load.

The positions stand in the metadata of the Delta commit that appends the rows; its batch number, an application
transaction, fences rivals. Dead letters are a Delta table of their own in the quarantine, committed first and with
their own positions: what a crash between the two commits left there is not written again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.bronze.rows import Stamp, bronze_rows
from ingestion.bronze.table import BronzeTable
from ingestion.contracts.streams import Stream
from ingestion.contracts.types import INSTANT
from ingestion.errors import ConcurrentWriteError, LakeError
from ingestion.lake import duck
from ingestion.lake.base import Commit
from ingestion.lake.staging import ParquetStage
from ingestion.sources.records import Partition, Position, Positions
from ingestion.sql.quoting import quote_standard
from ingestion.streams.ports import DEAD, Applied, Change, Judge, Place

LETTERS = pa.schema([*DEAD, ("_batch", pa.int64()), ("_ingested_at", INSTANT), ("_replayed_in", pa.int64())])


class BronzeSink:
    """Implements `ingestion.streams.ports.Sink`."""

    def __init__(self, stream: Stream, table: BronzeTable) -> None:
        self._stream, self._table = stream, table
        self._app = table.contract.app_id
        self._open = ExitStack()
        self._open.enter_context(table.engine.kept_open())  # else each batch would read the whole log

    def plan(self) -> list[str]:
        return []

    def init(self) -> None:
        self._table.create_rows()
        self._table.engine.create(self._table.quarantine_uri, LETTERS, unindexed=LETTERS.names)

    def positions(self) -> Positions:
        return self._committed(self._table.uri)[1]

    def _committed(self, uri: str) -> tuple[int, Positions]:
        """Return the newest batch of one of the two tables, and the positions in its commit."""
        batch = self._table.engine.tip(uri, self._app).batch
        metadata = (self._table.engine.last_metadata(uri, self._app) or {}) if batch else {}
        if batch and metadata.get("batch", 0) < batch:
            raise LakeError(
                f"{self._stream.contract.id}: the log of {uri} no longer has the commit with the positions of batch "
                f"{batch}. Nothing was read or written. Restore the log (`lakehouse doctor`), or report this."
            )
        listed = metadata.get("positions", ())
        return batch, {Partition(topic, part): Position(at, id_) for topic, part, at, id_ in listed}

    def overwriting(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def restart(self, positions: Positions) -> None:
        """Set the positions of these partitions anew, whatever they were."""
        batch, committed = self._committed(self._table.uri)
        self._publish([], batch + 1, {**committed, **positions}, {})

    def apply(self, change: Change, judge: Judge | None = None) -> Applied:  # noqa: ARG002 - Bronze refuses no row
        """
        Commit the batch after the one whose positions the change starts from; a rival takes the same number.

        Dead letters are numbered on their own: a number that both tables shared would let a rival that looks between
        the two commits take the next one.
        """
        batch, committed = self._committed(self._table.uri)
        if change.is_replay:
            return self._replay(change, batch + 1, committed)
        if any(committed.get(p) != (at if p in change.known else None) for p, at in change.start.items()):
            raise self._lost_race()
        now = datetime.now(UTC)
        self._bury(change, batch + 1, now)
        merged = sum(part.rows.num_rows for part in change.parts)
        rows = [self._rows(change, batch + 1, now)] if merged else []
        counts = {"read": change.read, "good": merged, "filtered": change.filtered, "bad": change.dead.num_rows}
        positions = {**committed, **change.reached}
        self._publish(rows, batch + 1, positions, {"counts": counts, "ingested_at": now.isoformat()})
        return Applied(merged, 0)

    def _bury(self, change: Change, batch: int, now: datetime) -> None:
        """Append the dead letters, but those that an attempt which died before its second commit left there."""
        uri = self._table.quarantine_uri
        number, recorded = self._committed(uri)
        dead = change.dead.filter(pc.invert(_is_below(change.dead, recorded))) if recorded else change.dead
        if not dead.num_rows:
            return
        shared = (pa.scalar(batch, pa.int64()), pa.scalar(now, INSTANT), pa.scalar(None, pa.int64()))
        rows = pa.Table.from_arrays(
            [*dead.columns, *(pa.repeat(value, dead.num_rows) for value in shared)], schema=LETTERS
        )
        noted = {**recorded, **change.reached}
        self._table.engine.append(uri, rows, commit=Commit(self._app, number + 1, {"positions": _listed(noted)}))
        if self._committed(uri)[1] != noted:  # a rival took the number, and nothing was appended
            raise self._lost_race()

    def _rows(self, change: Change, number: int, now: datetime) -> pa.RecordBatch:
        rows = change.parts[0].rows.combine_chunks().to_batches()[0]
        contract = self._table.contract
        stamp = Stamp(number, "U", now, 0, now)
        made = bronze_rows(contract, rows.select(contract.arrow_schema.names), stamp, first_row=1)
        op = pc.if_else(rows["lake_deleted"], "D", "U")
        for name, values in (("_op", op), ("_eff", rows["lake_at"]), ("_seq", rows["lake_seq"])):
            at = made.schema.get_field_index(name)
            made = made.set_column(at, made.schema.field(at), values.cast(made.schema.field(at).type))
        return made

    def _publish(
        self, batches: list[pa.RecordBatch], number: int, positions: Positions, more: Mapping[str, Any]
    ) -> None:
        """Commit rows with the positions after them, or only these."""
        table, files = self._table, []
        for batch in batches:
            path = table.staging_folder(f"stream-{uuid.uuid4().hex}.parquet")
            with ParquetStage(table.lake.filesystem, path, batch.schema) as stage:
                stage.write(batch)
                file = stage.close()
            files.append(table.adopt(file.path, file.footer, file.bytes, batch=number, uri=table.uri))
        metadata = {"contract_version": table.contract.version, "positions": _listed(positions), **more}
        table.publish(table.uri, files, batch=number, metadata=metadata)

    def _lost_race(self) -> ConcurrentWriteError:
        return ConcurrentWriteError(
            f"{self._stream.contract.id}: another writer committed a batch of this stream first. Nothing of this batch "
            "was kept. It is read again from the positions that are committed."
        )

    def _replay(self, change: Change, number: int, committed: Positions) -> Applied:
        """
        Append the rows of dead letters that Bronze does not have, then mark the letters.

        A replay that died between the two commits left rows that are found here, and their letters are marked now.
        """
        version = self._table.engine.version(self._table.quarantine_uri)
        rows = self._rows(change, number, datetime.now(UTC)) if change.parts[0].rows.num_rows else None
        fresh = None if rows is None else self._lacking(rows)
        if fresh is not None and fresh.num_rows:
            self._publish([fresh], number, committed, {})
        places = pa.Table.from_batches([change.records.select(DEAD.names[:3])])
        marked = places.join(change.dead.select(DEAD.names[:3]), DEAD.names[:3], join_type="left anti")
        if marked.num_rows:
            marked = marked.append_column("_replayed_in", pa.repeat(pa.scalar(number, pa.int64()), marked.num_rows))
            marked = marked.append_column("_change", pa.repeat(pa.scalar("U"), marked.num_rows))
            self._table.engine.merge(
                self._table.quarantine_uri,
                marked.to_reader(),
                key=DEAD.names[:3],
                commit=Commit(f"{self._app}/replay", None),
                expected_version=version,
                op="_change",
            )
        merged = 0 if fresh is None else fresh.num_rows
        return Applied(merged, (0 if rows is None else rows.num_rows) - merged)

    def _lacking(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows that Bronze does not have: no event with the same values, time and sequence."""
        uri, names = self._table.uri, [*self._table.contract.arrow_schema.names, "_op", "_eff", "_seq"]
        same = " and ".join(f"b.{quote_standard(name)} is not distinct from c.{quote_standard(name)}" for name in names)
        with duck.session(uri) as connection:
            connection.register("candidates", pa.Table.from_batches([rows]))
            bronze = duck.scan(uri, self._table.engine.version(uri))
            query = f"select _row from candidates c where not exists (select 1 from {bronze} b where {same}) order by 1"
            kept = connection.execute(query).to_arrow_table()["_row"]
        return rows.filter(pc.is_in(rows["_row"], value_set=kept.combine_chunks()))

    def dead_letters(self, rule: str | None, after: Place | None, limit: int) -> pa.Table:
        conditions = ["_replayed_in is null", "(? is null or contains(breaks, ?))"]
        binds: list[str | int | None] = [rule, rule]
        if after is not None:
            conditions.append("(topic, partition, offset) > (?, ?, ?)".replace("offset", '"offset"'))
            binds += after
        with self._letters() as (connection, letters):
            query = (
                f"select {', '.join(map(quote_standard, DEAD.names))} from {letters} where {' and '.join(conditions)} "
                f'order by topic, partition, "offset" limit {limit}'
            )
            return connection.execute(query, binds).to_arrow_table().cast(DEAD)

    def count_dead(self) -> int:
        with self._letters() as (connection, letters):
            found = connection.execute(f"select count(*) from {letters} where _replayed_in is null").fetchone()
        return int(found[0]) if found else 0

    @contextmanager
    def _letters(self) -> Iterator[tuple[duck.Connection, str]]:
        uri = self._table.quarantine_uri
        with duck.session(uri) as connection:
            yield connection, duck.scan(uri, self._table.engine.version(uri))

    def lookup(self, table: str, schema: pa.Schema) -> pa.Table:
        raise NotImplementedError

    def close(self) -> None:
        self._open.close()


def _listed(positions: Positions) -> list[tuple[str, int, int, str]]:
    return [(*partition, *position) for partition, position in sorted(positions.items())]


def _is_below(dead: pa.Table, positions: Positions) -> pa.Array:
    """Return which dead letters lie before the positions."""
    below = pa.repeat(pa.scalar(False), dead.num_rows)
    for (topic, part), position in positions.items():
        own = pc.and_(pc.equal(dead["topic"], topic), pc.equal(dead["partition"], part))
        below = pc.or_(below, pc.and_(own, pc.less(dead["offset"], position.offset)))
    return below
