"""Sends conversations from the outbox, and notices those that got no result in time.

A conversation is claimed, sent, and marked, each in a transaction of its own. A process that dies between sending and
marking sends it once more when its claim has ended; the receiver tells repetitions by call and revision.
"""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pyarrow as pa

from ingestion.cdc.logs import log
from ingestion.cdc.tables import (
    DONE,
    EXPIRED,
    FAILED,
    PENDING,
    REFUSED_TOTAL,
    SENT,
    SENT_TOTAL,
    CdcTables,
    add_total,
)
from ingestion.contracts.conversations import Conversation
from ingestion.errors import LakehouseError
from ingestion.privacy.logs import logger
from ingestion.queues.base import UNAVAILABLE, Outgoing, Queue, Refusal
from ingestion.sinks.database import Database

LEASE = timedelta(minutes=5)
"""How long a claim counts; sending a batch must not take longer."""
MOST_ATTEMPTS = 8
LONGEST_PAUSE = timedelta(minutes=5)
KIND = "conversation"
"""The attribute `kind` of what is sent: a program that reads one queue for both directions needs it."""


@dataclass(slots=True)
class Sender:
    """`lost` counts what is not tried again."""

    rules: Conversation
    db: Database
    tables: CdcTables
    queue: Queue
    lost: int = 0
    claim: str = field(default_factory=lambda: uuid.uuid4().hex)

    def step(self) -> int:
        """
        Send what may be sent now; return how many conversations were tried.

        Raises what the queue raises, e.g. SourceUnavailableError while it is away; what was claimed is then free again.
        """
        rows = self._claimed()
        if not rows:
            return 0
        messages = [_message(row, f"{at}") for at, row in enumerate(rows)]
        try:
            answer = self.queue.send(messages)
        except LakehouseError:
            away = Refusal(UNAVAILABLE, is_permanent=False)
            self._note({}, {message.id: away for message in messages}, rows, is_free=True)
            raise
        self._note(answer.accepted, answer.refused, rows)
        return len(rows)

    def is_idle(self) -> bool:
        """Return whether nothing is to be sent, and no result is waited for."""
        return not self._count(PENDING) and not self._count(SENT)

    def _count(self, state: str) -> int:
        with self.db.transaction():
            return self.db.counted(self.tables.outbox, self.db.equal(("state",)), state)

    def _claimed(self) -> list[dict[str, Any]]:
        """Claim as many as may be in flight; only one process gets each."""
        db, outbox = self.db, self.tables.outbox
        table, q = db.table_name(outbox), db.quote
        with db.transaction():
            room = self.rules.most_in_flight - db.counted(outbox, db.equal(("state",)), SENT)
            size = min(room, self.rules.batch)
            if size <= 0:
                return []
            now = db.clock()
            is_free = f"{q('state')} = '{PENDING}' AND ({q('not_before')} IS NULL OR {q('not_before')} <= :1)"
            key = db.listed(outbox.key)
            first = (
                f"SELECT {key} FROM {table} WHERE {is_free} ORDER BY {q('enqueued_at')}, {key} "
                f"FETCH FIRST {size} ROWS ONLY"
            )
            claim = f"UPDATE {table} SET {q('claim')} = :2, {q('not_before')} = :3 WHERE {is_free}"
            if not db.run(f"{claim} AND ({key}) IN ({first})", now, self.claim, now + LEASE):
                return []
            names = ["call_id", "revision", "payload", "attempts", "content_hash"]
            ours = f"{q('state')} = '{PENDING}' AND {db.equal(('claim',))}"
            return db.rows(outbox, names, ours, self.claim).to_pylist()  # type: ignore[no-any-return]

    def _note(
        self,
        accepted: Mapping[str, str],
        refused: Mapping[str, Refusal],
        rows: list[dict[str, Any]],
        *,
        is_free: bool = False,
    ) -> None:
        """
        Write what became of claimed conversations. One whose result is there already stays done.

        Refused ones wait before they are tried again, unless `is_free`. That the queue was away is no attempt.
        """
        with self.db.transaction():
            now = self.db.clock()
            errors, noted = [], []
            for at, row in enumerate(rows):
                reason = refused.get(str(at))
                is_away = reason is not None and reason.code == UNAVAILABLE
                attempts = row["attempts"] + (reason is not None and not is_away)
                is_lost = reason is not None and _is_lost(reason, attempts)
                if reason is not None and is_lost:
                    told = f"revision {row['revision']}: {reason.code}, attempt {attempts}"
                    errors.append((row["call_id"], "SEND", told))
                noted.append(
                    {
                        "call_id": row["call_id"],
                        "revision": row["revision"],
                        "state": SENT if reason is None else FAILED if is_lost else PENDING,
                        "sqs_message_id": accepted.get(str(at)),
                        "sent_at": now if reason is None else None,
                        "not_before": None if reason is None or is_free else now + _pause(attempts),
                        "attempts": attempts,
                    }
                )
            self._merge(noted)
            add_errors(self.db, self.tables, errors)
            add_total(self.db, self.tables, SENT_TOTAL, len(accepted))
            add_total(self.db, self.tables, REFUSED_TOTAL, len(refused))
        log("sqs", sent=len(accepted), refused=len(refused), given_up=len(errors))
        self.lost += len(errors)

    def _merge(self, noted: list[dict[str, Any]]) -> None:
        db, outbox = self.db, self.tables.outbox
        names = [*noted[0]]
        db.stage(outbox, pa.Table.from_pylist(noted, schema=pa.schema([outbox.columns.field(n) for n in names])))
        t = {name: f"t.{db.quote(name)}" for name in outbox.columns.names}
        s = {name: f"s.{db.quote(name)}" for name in outbox.columns.names}
        sets = {
            "state": f"CASE WHEN {t['state']} = '{PENDING}' THEN {s['state']} ELSE {t['state']} END",
            "sqs_message_id": f"COALESCE({s['sqs_message_id']}, {t['sqs_message_id']})",
            "sent_at": f"COALESCE({s['sent_at']}, {t['sent_at']})",
            "claim": "NULL",
            "processed_at": f"CASE WHEN {s['sent_at']} IS NULL THEN {t['processed_at']} ELSE {db.wall_clock} END",
        }
        db.run(db.merge_into(outbox, names, "1 = 1", sets).format(db.name_of(outbox.stage)))

    def expire(self) -> int:
        """Send once more what got no result in time, and give up what got none twice; return how many those are."""
        db, outbox, q = self.db, self.tables.outbox, self.db.quote
        table = db.table_name(outbox)
        late = f"{q('state')} = '{SENT}' AND {q('sent_at')} < :1 AND {q('resends')}"
        with db.transaction():
            before = db.clock() - self.rules.result_timeout
            gone = db.rows(outbox, outbox.key, f"{late} > 0", before).to_pylist()
            add_errors(
                db,
                self.tables,
                [(row["call_id"], "EXPIRED", f"revision {row['revision']}: no result, twice") for row in gone],
            )
            if db.run(f"UPDATE {table} SET {q('state')} = '{EXPIRED}' WHERE {late} > 0", before) != len(gone):
                raise db.lost_race()
            db.run(
                f"UPDATE {table} SET {q('state')} = '{PENDING}', {q('resends')} = 1, {q('not_before')} = NULL "
                f"WHERE {late} = 0",
                before,
            )
        self.lost += len(gone)
        return len(gone)

    def send_again(self, states: tuple[str, ...] = (FAILED, EXPIRED)) -> int:
        """Put conversations of these states into the outbox again; return how many."""
        q = self.db.quote
        listed = ", ".join(f"'{state}'" for state in states)
        with self.db.transaction():
            return self.db.run(
                f"UPDATE {self.db.table_name(self.tables.outbox)} SET {q('state')} = '{PENDING}', {q('attempts')} = 0, "
                f"{q('resends')} = 0, {q('not_before')} = NULL, {q('claim')} = NULL "
                f"WHERE {q('state')} IN ({listed}) AND {q('payload')} IS NOT NULL"
            )


def add_errors(db: Database, tables: CdcTables, errors: list[tuple[Any, str, str]]) -> None:
    """Write errors: call, type, message. No text of a call is among them."""
    if not errors:
        return
    columns = db.listed(["error_id", "call_id", "error_type", "error_message", "error_timestamp"])
    for call, kind, message in errors:
        db.run(
            f"INSERT INTO {db.table_name(tables.errors)} ({columns}) VALUES (:1, :2, :3, :4, {db.wall_clock})",
            *(uuid.uuid4().hex, call, kind, message),
        )
        logger.warning("ERROR_LOG: %s: %s", kind, message)


def mark_done(db: Database, tables: CdcTables, calls: pa.Table) -> int:
    """Mark conversations (call_id, revision) as done, whatever they were; return how many there are."""
    outbox = tables.outbox
    if not calls.num_rows:
        return 0
    rows = calls.append_column("state", pa.repeat(pa.scalar(DONE), calls.num_rows))
    db.stage(outbox, rows)
    same = " AND ".join(f"s.{db.quote(name)} = t.{db.quote(name)}" for name in outbox.key)
    return db.run(
        f"UPDATE {db.table_name(outbox)} t SET {db.quote('state')} = '{DONE}', {db.quote('payload')} = NULL "
        f"WHERE EXISTS (SELECT 1 FROM {db.name_of(outbox.stage)} s WHERE {same})"
    )


def _message(row: Mapping[str, Any], id_: str) -> Outgoing:
    call, revision = str(row["call_id"]), row["revision"]
    return Outgoing(
        id=id_,
        body=gzip.decompress(row["payload"]),
        group=call,
        dedupe=f"{row['content_hash'][:40]}-{revision}",
        attributes={"kind": KIND, "call_id": call, "revision": str(revision)},
    )


def _is_lost(reason: Refusal, attempts: int) -> bool:
    return reason.code != UNAVAILABLE and (reason.is_permanent or attempts >= MOST_ATTEMPTS)


def _pause(attempts: int) -> timedelta:
    return min(LONGEST_PAUSE, timedelta(seconds=2.0 ** max(1, min(attempts, 10))))
