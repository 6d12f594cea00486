"""Erases persons: rows leave the newest version of each table, then all older versions and files go."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ingestion.build.dbt import build_layer
from ingestion.erasure.keys import UNTOUCHED, Keys
from ingestion.erasure.places import (
    Place,
    count_unkeyed,
    files_beside,
    gold_places,
    held_by,
    places_of,
)
from ingestion.erasure.plan import ErasurePlan, PlaceErased, erased, notes
from ingestion.errors import ConcurrentWriteError, ConfigurationError
from ingestion.lake import duck
from ingestion.lake.base import Commit
from ingestion.lake.log import committed_at
from ingestion.lake.mask_salt import CONSEQUENCE, salt_fault
from ingestion.lake.storage.errors import reaching
from ingestion.runs.context import Context

ATTEMPTS = 5


def erase(context: Context, keys: Keys, *, by: str, reason: str) -> ErasurePlan:
    """
    Remove the persons' rows from the lake and return what was removed. May be run again after any interruption.

    Silver, Bronze and quarantine lose the rows, Gold is built anew, and of all these tables only the newest version
    stays. The erasure takes the next batch number of Bronze and quarantine, so that loads under way, which may have
    read the persons, are refused and repeated. `ops.erasures` keeps who erased when and why, with keyed digests.

    Raises:
        ConfigurationError: no salt, or not the lake's.
        LakeError: the rows of a table cannot be told by the key.
        ConcurrentWriteError: other writers kept committing, or brought rows back. Run it again.
        BuildError: Gold could not be built anew.
    """
    if fault := salt_fault(context.lake, context.settings.mask_salt):
        raise ConfigurationError(fault.replace(CONSEQUENCE, f" {UNTOUCHED}"))
    contract = keys.contract
    with context.recorded("erase", contract.id) as row:
        row["contract_version"] = contract.version
        places = places_of(context, keys)
        receipt = _Receipt(context, keys, by, reason)
        receipt.note("begun", [], 0)
        beside = _delete_beside(context, keys)  # first, or a load that begins after the commit could go on with them
        done = [_clear(context, place, keys, row) for place in places]
        beside += _delete_beside(context, keys, before=_last_commit_to_bronze(context, keys))
        if gold := gold_places(context):
            build_layer(context, "gold")
            done += [_clear(context, place, keys, row) for place in gold]
        _verify(context, places, keys)
        receipt.note("finished", done, beside)
        row["rows_deleted"] = sum(place.rows or 0 for place in done)
        unkeyed = count_unkeyed(context, keys)
        return ErasurePlan(contract.id, keys.count, tuple(done), beside, unkeyed, notes(context, keys, unkeyed))


def _clear(context: Context, place: Place, keys: Keys, row: dict[str, Any]) -> PlaceErased:
    """Remove the rows and forget the older versions of one table, again where another writer commits meanwhile."""
    engine, uri = context.engine, place.table.uri
    for attempt in range(ATTEMPTS):
        try:
            held = held_by(context, place, keys)
            if held.versions:
                commit = _commit_of(context, place, keys, row)
                engine.remove(uri, held.rows, key=place.identity, commit=commit, expected_version=held.version)
                engine.forget(uri)
            return erased(place, held)
        except ConcurrentWriteError:
            if attempt + 1 == ATTEMPTS:
                raise
    raise AssertionError


def _commit_of(context: Context, place: Place, keys: Keys, row: dict[str, Any]) -> Commit:
    """Return the commit of an erasure: it repeats what the newest commit notes, which is forgotten."""
    if place.is_loaded:
        return _commit_of_load(context, place, keys, row)
    noted = context.engine.last_metadata(place.table.uri, place.app_id) or {}
    batch = noted.get("batch")
    if batch is not None and "newest" in noted and not _has_others(context, keys, batch):
        del noted["newest"]  # else the next build would take Bronze for one that was restored
    return _commit(place, batch, noted)


def _commit_of_load(context: Context, place: Place, keys: Keys, row: dict[str, Any]) -> Commit:
    """Return one with the next number of Bronze's batches: a load that took this number before is refused."""
    table = context.table(keys.contract)
    state = table.state()
    if state.is_empty or place.is_text:
        return _commit(place, (state.next_batch - 1) or None, {"of": "quarantine"})
    noted = context.engine.last_metadata(table.uri, place.app_id) or {}
    if noted.get("batch") != state.batch:
        noted = {}
    row["watermark"] = context.journal.watermark(keys.contract.id, state.batch, since=state.ingested_at)
    row["last_batch"] = state.next_batch
    return _commit(place, state.next_batch, noted)


def _commit(place: Place, batch: int | None, noted: Mapping[str, Any]) -> Commit:
    own = ("app", "batch", "files", "into")  # which every commit writes of itself
    return Commit(place.app_id, batch, {name: value for name, value in noted.items() if name not in own})


def _has_others(context: Context, keys: Keys, batch: int) -> bool:
    """Return whether a batch of Bronze has rows of others than the persons."""
    uri = context.table(keys.contract).uri
    with duck.session(uri, memory_limit=context.settings.memory_limit) as connection:
        keys.register(connection)
        others = f"select 1 from {duck.scan(uri)} r where _batch = {int(batch)} and not {keys.match('r')} limit 1"
        return connection.execute(others).fetchone() is not None


def _last_commit_to_bronze(context: Context, keys: Keys) -> datetime | None:
    uri = context.table(keys.contract).uri
    return committed_at(uri, context.engine.version(uri))


def _delete_beside(context: Context, keys: Keys, *, before: datetime | None = None) -> int:
    """Delete the files beside the tables, only those older than a moment if one is given; return how many."""
    files = [i for i in files_beside(context, keys) if before is None or i.mtime is None or i.mtime < before]
    with reaching(context.lake.root):
        for info in files:
            context.lake.filesystem.delete_file(info.path)
    return len(files)


def _verify(context: Context, places: Sequence[Place], keys: Keys) -> None:
    came_back = [place.name for place in places if held_by(context, place, keys).rows.num_rows]
    if came_back:
        raise ConcurrentWriteError(
            f"{keys.contract.id}: while it was erased, another process wrote rows of the same persons to "
            f"{', '.join(came_back)}. They are still there. Erase in the source first; then run it again while no "
            "load or build of this table runs."
        )


@dataclass(frozen=True, slots=True)
class _Receipt:
    """Notes in the ledger that an erasure began and finished; a row per person, without a value of a row."""

    context: Context
    keys: Keys
    by: str
    reason: str
    erasure_id: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def note(self, state: str, done: Sequence[PlaceErased], beside: int) -> None:
        common = {
            "erasure_id": self.erasure_id,
            "run_id": self.context.run_id,
            "contract_id": self.keys.contract.id,
            "state": state,
            "state_at": datetime.now(UTC),
            "by": self.by,
            "reason": self.reason,
            "rows": json.dumps({place.place: place.rows for place in done}) if done else None,
            "files": sum(place.files for place in done) + beside if done else None,
        }
        digests = self.keys.digests(self.context.settings.mask_salt)
        self.context.journal.append("erasures", [{**common, "key_digest": digest} for digest in digests])
