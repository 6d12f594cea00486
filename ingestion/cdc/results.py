"""Receives results: each is written by its contract, its conversation marked done, and then deleted from the queue.

Everything about a batch is one transaction of the database, so a batch that comes again changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.cdc.logs import log
from ingestion.cdc.sending import KIND, add_errors, mark_done
from ingestion.cdc.tables import RECEIVED_TOTAL, WRITTEN_TOTAL, CdcTables, add_total
from ingestion.contracts.conversations import Conversation
from ingestion.contracts.streams import Part
from ingestion.errors import ConfigurationError, LakehouseError, TransientError
from ingestion.queues.base import Queue, Received, keeping_visible
from ingestion.sinks.base import TableSink
from ingestion.sinks.database import Database, RowsRefusedError
from ingestion.sources.records import RECORDS, Read
from ingestion.streams.change import Functions, make_change
from ingestion.streams.loop import Counts
from ingestion.streams.ports import DEAD, Change, PartRows

VISIBLE_AFTER = 60
"""Seconds after which a delivery that nobody deleted comes again; extended while a batch is open."""
MOST_DELIVERIES = 5
AT_ONCE = 500
FAULT, REFUSED = "(message):failed", "(row):refused"


class ResultSink(TableSink):
    """A result is written once per revision: the first one stays."""

    def newer(self, part: Part) -> str:
        seq = self.db.quote("lake_seq" + part.suffix)
        return f"(t.{seq} IS NULL OR s.{seq} > t.{seq})"


@dataclass(slots=True)
class Receiver:
    """`counts` is what the ledger has not been told yet."""

    rules: Conversation
    db: Database
    tables: CdcTables
    sink: TableSink
    queue: Queue
    counts: Counts = field(default_factory=Counts)

    def step(self, wait_seconds: float) -> int:
        """Receive one batch, write it, delete it; return how many messages came. Waits for the first one."""
        messages = self.queue.receive(wait_seconds=wait_seconds, visibility_seconds=VISIBLE_AFTER)
        own = [message.receipt for message in messages if message.attributes.get("kind") == KIND]
        messages = [message for message in messages if message.receipt not in own]
        if own:
            self.queue.extend(own, 0)
            if not self.rules.is_single_queue:
                raise ConfigurationError(
                    f"{self.rules.results}: the queue of results holds conversations that were sent from here. Nothing "
                    "was deleted. Give conversations and results a queue each, or write `single_queue: true`."
                )
        if not messages:
            return 0
        receipts = [message.receipt for message in messages]
        with keeping_visible(self.queue, receipts, VISIBLE_AFTER):
            self.take(messages)
        self.queue.delete(receipts)
        return len(messages)

    def take(self, messages: Sequence[Received]) -> None:
        """Write results. If a batch fails they are written one by one, to find the one at fault."""
        try:
            self._write(messages)
        except TransientError:
            raise
        except Exception:
            for message in messages:
                self._write_alone(message)

    def _write_alone(self, message: Received) -> None:
        """Write a result; bury one that the database refuses, or for which this program failed too often."""
        try:
            self._write([message])
        except RowsRefusedError:
            self._write([replace(message, fault=REFUSED)])
        except LakehouseError:  # says what is to be mended: no result is at fault
            raise
        except Exception:
            if message.times < MOST_DELIVERIES:
                raise
            self._write([replace(message, fault=FAULT)])

    def _write(self, messages: Sequence[Received]) -> None:
        with self.db.transaction():
            known = self._letters([_offset(message.id) for message in messages])  # committed, and not deleted
            messages = [
                message for at, message in {_offset(each.id): each for each in messages}.items() if at not in known
            ]
            records = _records(self.sink.stream.topics[0], messages, self.db.clock())
            applied = self._apply(records, [message.fault for message in messages])
            add_total(self.db, self.tables, RECEIVED_TOTAL, len(messages))
        self.counts.add(applied)
        log("sqs", received=len(messages), written=applied.merged, dead=applied.dead)

    def _apply(self, records: pa.RecordBatch, faults: Sequence[str], *, is_replay: bool = False) -> Counts:
        """Write records, those with a fault as dead letters; return what became of them. Within a transaction."""
        stream = self.sink.stream
        is_bad = pa.array([bool(fault) for fault in faults], pa.bool_())
        read = Read(records.filter(pc.invert(is_bad)), {})
        change = make_change(stream, Functions(), read, start={}, known=frozenset(), ends={})
        change, orphans = self._without_orphans(change)
        bad = pa.Table.from_batches([records.filter(is_bad)])
        reasons = pa.array([fault for fault in faults if fault], pa.string())
        dead = pa.concat_tables([change.dead, pa.Table.from_arrays([*bad.columns, reasons], schema=DEAD)])
        applied = self.sink.apply(replace(change, records=records, dead=dead, is_replay=is_replay))
        refused = self._letters(records["offset"].to_pylist()) if applied.dead else {}
        errors = [(None, "RESULT", breaks) for breaks in dead["breaks"].to_pylist()]
        for part in change.parts:
            is_refused = pc.is_in(part.rows["lake_offset"], value_set=pa.array(refused, pa.int64()))
            keys = part.rows.select(self._key_schema.names).cast(self._key_schema)
            mark_done(self.db, self.tables, keys.filter(pc.invert(is_refused)))
            places = part.rows["lake_offset"].filter(is_refused).to_pylist()
            calls = keys["call_id"].filter(is_refused).to_pylist()
            errors += [(call, "RESULT", refused[at]) for call, at in zip(calls, places, strict=True)]
        if not is_replay:
            add_errors(self.db, self.tables, errors)
        add_total(self.db, self.tables, WRITTEN_TOTAL, applied.merged)
        return Counts(records.num_rows, applied.merged, applied.superseded, orphans, dead.num_rows + applied.dead, 1)

    def replay(self) -> Counts:
        """Write the dead letters and orphans that can be written now; the others stay. Returns what became of them."""
        total = Counts()
        letters = self.sink.dead_letters(None, None, AT_ONCE)
        while letters.num_rows:
            records = letters.select(RECORDS.names).cast(RECORDS).combine_chunks().to_batches()[0]
            total.add(self._replay(records))
            last = letters.slice(letters.num_rows - 1).to_pylist()[0]
            letters = self.sink.dead_letters(None, (last["topic"], last["partition"], last["offset"]), AT_ONCE)
        total.add(self._replay_orphans())
        return total

    def _replay(self, records: pa.RecordBatch) -> Counts:
        try:
            with self.db.transaction():
                return self._apply(records, [""] * records.num_rows, is_replay=True)
        except RowsRefusedError:
            if records.num_rows == 1:  # it stays
                return Counts(read=1, dead=1)
        total = Counts()
        for at in range(records.num_rows):
            total.add(self._replay(records.slice(at, 1)))
        return total

    def _replay_orphans(self) -> Counts:
        """Orphans of conversations that are known now become rows."""
        db, orphans, calls = self.db, self.tables.orphans, self.tables.calls
        call, revision = db.quote("call_id"), db.quote("revision")
        same = f"c.{call} = o.{call} AND o.{revision} <= c.{revision}"
        with db.transaction():
            query = (
                f"SELECT {db.listed(orphans.columns.names, 'o.')} FROM {db.table_name(orphans)} o "
                f"JOIN {db.table_name(calls)} c ON {same}"
            )
            rows = db.select(query, orphans.columns).to_pylist()
            if not rows:
                return Counts()
            messages = [Received(row["message_id"], "", row["body"], {}, 1) for row in rows]
            applied = self._apply(_records(self.sink.stream.topics[0], messages, db.clock()), [""] * len(rows))
            for row in rows:
                db.run(f"DELETE FROM {db.table_name(orphans)} WHERE {db.equal(('message_id',))}", row["message_id"])
            return applied

    @property
    def _key_schema(self) -> pa.Schema:
        return pa.schema([self.tables.outbox.columns.field(name) for name in self.tables.outbox.key])

    def _letters(self, offsets: Sequence[int]) -> dict[int, str]:
        """Return what the dead letters among these messages break."""
        if not offsets:
            return {}
        names, db = ["message_offset", "breaks"], self.db
        these = f"{db.equal(('stream',))} AND {db.among(db.quote('message_offset'), len(offsets), 2)}"
        found = db.rows(self.sink.tables.dead, names, these, self.sink.stream.name, *offsets)
        return dict(zip(*(found[name].to_pylist() for name in names), strict=True))

    def _without_orphans(self, change: Change) -> tuple[Change, int]:
        """Take out results of conversations that were never sent from here, and keep them in a table of their own."""
        parts, count = [], 0
        for part in change.parts:
            rows = part.rows
            if rows.num_rows:
                revisions = self._known(rows)
                is_known = pa.array(
                    [
                        1 <= row["revision"] <= revisions.get(row["call_id"], 0)
                        for row in rows.select(self._key_schema.names).to_pylist()
                    ]
                )
                count += self._keep(rows.filter(pc.invert(is_known)), change.records)
                rows = rows.filter(is_known)
            parts.append(PartRows(part.part, rows))
        return replace(change, parts=tuple(parts), filtered=change.filtered + count), count

    def _known(self, rows: pa.Table) -> dict[Any, int]:
        """Return the newest revision of the calls that are known."""
        calls = pc.unique(rows["call_id"].cast(self._key_schema.field("call_id").type)).to_pylist()
        chosen = self.db.among(self.db.quote("call_id"), len(calls))
        found = self.db.rows(self.tables.calls, self._key_schema.names, chosen, *calls).to_pylist()
        return {row["call_id"]: row["revision"] for row in found}

    def _keep(self, rows: pa.Table, records: pa.RecordBatch) -> int:
        if not rows.num_rows:
            return 0
        orphans = self.tables.orphans
        bodies = dict(zip(records["offset"].to_pylist(), records["value"].to_pylist(), strict=True))
        kept = pa.table(
            {
                "message_id": [str(at) for at in rows["lake_offset"].to_pylist()],
                "call_id": rows["call_id"].cast(orphans.columns.field("call_id").type),
                "revision": rows["revision"].cast(pa.int64()),
                "body": pa.array([bodies[at] for at in rows["lake_offset"].to_pylist()], pa.binary()),
                "seen_at": rows["lake_at"],
            },
            schema=orphans.columns,
        )
        self.db.stage(orphans, kept)
        merge = self.db.merge_into(orphans, orphans.columns.names, "1 = 1")
        self.db.run(merge.format(self.db.name_of(orphans.stage)))
        return int(rows.num_rows)


def _records(queue: str, messages: Sequence[Received], now: datetime) -> pa.RecordBatch:
    """Return messages as records of a topic. A queue has no offsets: a digest of the message's id stands for it."""
    count = len(messages)
    return pa.RecordBatch.from_arrays(
        [
            pa.repeat(pa.scalar(queue), count),
            pa.repeat(pa.scalar(0, pa.int32()), count),
            pa.array([_offset(message.id) for message in messages], pa.int64()),
            pa.repeat(pa.scalar(now, RECORDS.field("timestamp").type), count),
            pa.nulls(count, pa.binary()),
            pa.array([message.body for message in messages], pa.binary()),
            pa.array([json.dumps(dict(message.attributes)) for message in messages], pa.string()),
        ],
        schema=RECORDS,
    )


def _offset(message_id: str) -> int:
    return int.from_bytes(hashlib.sha256(message_id.encode()).digest()[:8]) >> 1
