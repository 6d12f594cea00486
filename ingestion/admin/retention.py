"""
Ends the history that a contract no longer keeps, on Bronze and Silver by one cut, so that a rebuild gives what is kept.

With the period P and the moment now, the cut is T = now - P (UTC). What was in force at T or later stays:

- a version of Silver stays if its `valid_to` is open or after T. A deletion at or before T goes, for what it ended has
  gone. A key that was deleted before T is then no longer in Silver.
- an event of Bronze goes if it happened before the first version that stays of its key. Of a key without such a version
  only the newest event stays. The newest event of a key never goes.
- a settled or replayed quarantine entry goes if it was found at or before T. Open entries stay and are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ingestion.bronze.quarantine import OPEN
from ingestion.bronze.rows import POSITION
from ingestion.contracts.model import BronzeMode, Contract
from ingestion.lake import duck
from ingestion.lake.base import Commit
from ingestion.lake.duck import Connection
from ingestion.runs.context import Context
from ingestion.sql.quoting import quote_standard as quote

TEXTS = "ops.advisor_texts"


@dataclass(frozen=True, slots=True)
class Expired:
    """
    What of a table has outlived its contract's retention: `rows` in `files`, and the `oldest` moment of what stays.

    `note` says why rows stay although they are old.
    """

    table: str
    rows: int
    files: int
    oldest: datetime | None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Part:
    """A table at one version: the query of the keys of the rows that leave, and the column that shows a row's age."""

    name: str
    uri: str
    version: int
    key: tuple[str, ...]
    leaving: str
    moment: str
    note: str = ""

    @property
    def rows(self) -> str:
        return duck.scan(self.uri, self.version)


def kept_versions(cut: str) -> str:
    """Return the condition that a version of Silver stays; `cut` is the SQL of the moment T."""
    return f"((valid_to is null or valid_to > {cut}) and not (is_deleted and valid_from <= {cut}))"


def leaving_events(key_names: Sequence[str], bronze: str, silver: str, cut: str) -> str:
    """Return the query of `_batch` and `_row` of the events that go. `bronze` and `silver` are relations."""
    key = ", ".join(quote(name) for name in key_names)
    of_event = ", ".join(f"e.{quote(name)}" for name in key_names)
    same = " and ".join(f"e.{quote(name)} = s.{quote(name)}" for name in key_names)
    order = "_eff desc, _seq desc, (_op = 'D') desc, _batch desc, _row desc"
    first = f"select {key}, min(valid_from) filter ({kept_versions(cut)}) as _first from {silver} v group by {key}"
    return (
        f"with first as ({first}) "
        f"select e._batch, e._row from {bronze} e join first s on {same} where e._eff < s._first union all "
        f"select _batch, _row from (select e._batch, e._row, e._eff, row_number() over "
        f"(partition by {of_event} order by {order}) as _age "
        f"from {bronze} e join first s on {same} where s._first is null) o where _age > 1 and _eff <= {cut}"
    )


def expired(context: Context, contract: Contract, *, now: datetime, removes: bool = False) -> list[Expired]:
    """
    Return what has outlived a contract's retention; with `removes` it is taken out, Bronze before Silver.

    Each table is one commit, or none. A call that was interrupted is completed by the next. Raises
    ConcurrentWriteError if another writer commits to a table meanwhile.
    """
    if contract.retention is None:
        return []
    cut = f"timestamptz '{contract.retention.before(now.astimezone(UTC)).isoformat(sep=' ')}'"
    with duck.session(context.lake.root, memory_limit=context.settings.memory_limit) as connection:
        parts = [*_history(context, contract, cut), *_quarantine(context, contract, connection, cut)]
        return [_ended(context, connection, part, removes=removes) for part in parts]


def expired_texts(context: Context, *, now: datetime, removes: bool = False) -> list[Expired]:
    """Do the same for the prompts and answers of models in `ops`, which say themselves when they expire."""
    uri = context.lake.uri("ops", "advisor_texts")
    if not context.engine.exists(uri):
        return []
    at = context.engine.version(uri)
    moment = f"timestamptz '{now.astimezone(UTC).isoformat(sep=' ')}'"
    leaving = f"select call_id from {duck.scan(uri, at)} t where expires_at <= {moment}"
    with duck.session(context.lake.root, memory_limit=context.settings.memory_limit) as connection:
        part = _Part(TEXTS, uri, at, ("call_id",), leaving, "called_at")
        return [_ended(context, connection, part, removes=removes)]


def _ended(context: Context, connection: Connection, part: _Part, *, removes: bool) -> Expired:
    """Return what leaves a table; with `removes` it is taken out in one commit."""
    found = _expired(connection, part)
    if removes and found.rows:
        rows = connection.execute("from leaving").to_arrow_table()
        commit = Commit("retention", None)
        context.engine.remove(part.uri, rows, key=part.key, commit=commit, expected_version=part.version)
    return found


def _history(context: Context, contract: Contract, cut: str) -> list[_Part]:
    """Return Bronze and Silver. Nothing leaves a table without a log, or one of which Silver was never built."""
    engine, lake = context.engine, context.lake
    bronze = lake.uri("bronze", contract.system, contract.entity)
    silver = lake.uri("silver", contract.silver_model)
    if contract.bronze is not BronzeMode.APPEND or not engine.exists(bronze) or not engine.exists(silver):
        return []
    at, of_silver = engine.version(bronze), engine.version(silver)
    versions = duck.scan(silver, of_silver)
    events = leaving_events(contract.key_names, duck.scan(bronze, at), versions, cut)
    ended = f"select sk from {versions} v where not {kept_versions(cut)}"
    return [
        _Part(f"bronze.{contract.bronze_view}", bronze, at, POSITION, events, "_eff"),
        _Part(f"silver.{contract.silver_model}", silver, of_silver, ("sk",), ended, "valid_from"),
    ]


def _quarantine(context: Context, contract: Contract, connection: Connection, cut: str) -> list[_Part]:
    uri = context.lake.uri("quarantine", contract.system, contract.entity)
    if not context.engine.exists(uri):
        return []
    at = context.engine.version(uri)
    old = f"from {duck.scan(uri, at)} q where _ingested_at <= {cut} and"
    row = connection.execute(f"select count(*) {old} ({OPEN})").fetchone()
    note = f"{row[0]} older open ones stay" if row and row[0] else ""
    leaving = f"select _batch, _row {old} not ({OPEN})"
    return [_Part(f"quarantine.{contract.bronze_view}", uri, at, POSITION, leaving, "_ingested_at", note)]


def _expired(connection: Connection, part: _Part) -> Expired:
    """Keep the keys of the rows that leave in the table `leaving`, and count them and their files."""
    connection.execute(f"create or replace temporary table leaving as select distinct * from ({part.leaving})")
    same = f"using ({', '.join(part.key)})"
    files = connection.execute(
        f"select count(distinct filename) from {part.rows} r semi join leaving l {same}"
    ).fetchone()
    rows = connection.execute("select count(*) from leaving").fetchone()
    oldest = connection.execute(f"select min({part.moment}) from {part.rows} r anti join leaving l {same}").fetchone()
    counted, in_files = (int(found[0]) if found else 0 for found in (rows, files))
    return Expired(part.name, counted, in_files, oldest[0] if oldest else None, part.note)
