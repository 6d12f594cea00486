"""A queue in a file, for the demo and for tests: the semantics of SQS without a server. Several processes may use it.

A connection is queue:///folder/name.db; the folder must exist. Its extras:
    fifo                true: keeps the order within a group and drops what came within five minutes
    max_bytes           the limit of a message with its attributes; default 1048576
    visibility_seconds  how long a delivery is invisible to others; default 30
    claim_check         a folder or URI for bodies that are too large for a message
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from ingestion.errors import ConfigurationError, LakehouseError, SourceUnavailableError
from ingestion.queues.base import Outgoing, QueueFacts, Received, Sent
from ingestion.queues.claims import Claims
from ingestion.queues.messages import packed_all, unpacked
from ingestion.queues.packing import MOST_BYTES, plain_id
from ingestion.settings import Connection
from ingestion.sources.driver_errors import wrong_extra

_BUSY_SECONDS, _LOOK_SECONDS, _DEDUPED_SECONDS = 30.0, 0.05, 300.0
_TABLES = """
create table if not exists messages (
  position integer primary key autoincrement, id text, body text, attributes text, grouped text, visible_at real,
  receipt text, times integer not null default 0);
create index if not exists messages_of_group on messages (grouped, position);
create index if not exists messages_of_receipt on messages (receipt);
create table if not exists seen (dedupe text primary key, id text, at real);
"""
_ADD = "insert into messages (id, body, attributes, grouped, visible_at) values (?, ?, ?, ?, ?)"
_VISIBLE = """
select position, id, body, attributes, times + 1 from messages m where visible_at <= :now {}
order by position limit :most
"""
_FIRST_OF_GROUP = """
and not exists (select 1 from messages e where e.grouped = m.grouped and e.visible_at > :now)
"""


class LocalQueue:
    """A queue in a SQLite file. Each call is one transaction of its own."""

    def __init__(self, name: str, connection: Connection) -> None:
        self._name = name
        self._path = Path(f"{connection.host}/{connection.schema}")
        if (fifo := connection.extra.get("fifo") or "false") not in ("true", "false"):
            raise wrong_extra(name, "fifo", "true or false")
        self._is_fifo = fifo == "true"
        self._max_bytes = min(_whole(name, connection, "max_bytes", MOST_BYTES), MOST_BYTES)
        self._visibility = _whole(name, connection, "visibility_seconds", 30)
        self._claims = Claims.of(name, connection)
        self._is_made = False

    def describe(self) -> QueueFacts:
        with self._open() as db:
            [[waiting, in_flight]] = db.execute(
                "select count(*) filter (where visible_at <= :now), count(*) filter (where visible_at > :now) "
                "from messages",
                {"now": time.time()},
            )
        if self._claims is not None:
            self._claims.check()
        return QueueFacts(str(self._path), self._is_fifo, self._max_bytes, waiting, in_flight, self._visibility)

    def send(self, messages: Sequence[Outgoing]) -> Sent:
        packed, refused = packed_all(messages, self._max_bytes, self._claims, is_fifo=self._is_fifo)
        accepted = {}
        with self._open() as db:
            now = time.time()
            db.execute("delete from seen where at < ?", [now - _DEDUPED_SECONDS])
            for message, ready in packed:
                dedupe, group = plain_id(message.dedupe), plain_id(message.group)
                seen = db.execute("select id from seen where dedupe = ?", [dedupe]).fetchone()
                accepted[message.id] = id_ = seen[0] if seen else str(uuid.uuid4())
                if not seen:
                    db.execute(_ADD, (id_, ready.body, json.dumps(dict(ready.attributes)), group, now))
                if self._is_fifo and not seen:
                    db.execute("insert into seen values (?, ?, ?)", (dedupe, id_, now))
        return Sent(accepted, refused)

    def receive(
        self, *, most: int = 10, wait_seconds: float = 20, visibility_seconds: int | None = None
    ) -> list[Received]:
        seconds = self._visibility if visibility_seconds is None else visibility_seconds
        end = time.monotonic() + wait_seconds
        while not (found := self._taken(min(most, 10), seconds)) and (left := end - time.monotonic()) > 0:
            time.sleep(min(_LOOK_SECONDS, left))
        return [unpacked(*each, claims=self._claims) for each in found]

    def _taken(self, most: int, seconds: float) -> list[tuple[str, str, str, dict[str, str], int]]:
        with self._open() as db:
            now = time.time()
            rows = db.execute(
                _VISIBLE.format(_FIRST_OF_GROUP if self._is_fifo else ""), {"now": now, "most": most}
            ).fetchall()
            taken = []
            for position, id_, body, attributes, times in rows:
                receipt = f"{position}:{uuid.uuid4().hex}"
                db.execute(
                    "update messages set visible_at = ?, receipt = ?, times = ? where position = ?",
                    (now + seconds, receipt, times, position),
                )
                taken.append((id_, receipt, body, json.loads(attributes), times))
        return taken

    def extend(self, receipts: Sequence[str], seconds: int) -> None:
        until = time.time() + seconds
        with self._open() as db:
            db.executemany("update messages set visible_at = ? where receipt = ?", [(until, each) for each in receipts])

    def delete(self, receipts: Sequence[str]) -> int:
        with self._open() as db:
            return sum(db.execute("delete from messages where receipt = ?", [each]).rowcount for each in receipts)

    def close(self) -> None:
        """Nothing is kept open."""

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Yield a transaction that may write. The file is made once: one that vanishes later is not made anew."""
        try:
            mode = "rw" if self._is_made else "rwc"
            uri = f"{self._path.absolute().as_uri()}?mode={mode}"
            with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)) as db:
                db.execute("begin immediate")
                if not self._is_made:
                    for statement in filter(str.strip, _TABLES.split(";")):
                        db.execute(statement)
                yield db
                db.execute("commit")
                self._is_made = True
        except sqlite3.Error as exc:
            raise self._error(exc) from None

    def _error(self, error: sqlite3.Error) -> LakehouseError:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return SourceUnavailableError(
                f"{self._name}: other processes keep the queue {self._path} locked ({name}). Nothing was sent or "
                "received. Run it again."
            )
        return ConfigurationError(
            f"{self._name}: the queue {self._path} cannot be read or written ({name}). Nothing was sent or received. "
            f"Make its folder, give this user the rights, or correct AIRFLOW_CONN_{self._name.upper()}."
        )


def _whole(name: str, connection: Connection, extra: str, default: int) -> int:
    text = connection.extra.get(extra) or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise wrong_extra(name, extra, "a whole number above 0")
    return int(text)
