"""Keeps the lake's tables fast to read: few files, and none that nobody needs. Removes the history that a contract's
retention no longer keeps and kept prompts that have expired (`ingestion.admin.retention`), and no other row.

Bronze, quarantine, the ledger and the closed versions of Silver grow by a file per commit and are compacted. Gold is
not compacted, because its builds rewrite the files whose rows change.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ingestion.admin.retention import TEXTS, Expired, expired, expired_texts
from ingestion.bronze.checkpoint import stale_checkpoints
from ingestion.bronze.rows import POSITION
from ingestion.contracts.model import Contract
from ingestion.contracts.odcs import find_contract
from ingestion.contracts.silver_models import silver_models, with_model
from ingestion.errors import ConcurrentWriteError, ConfigurationError
from ingestion.lake.layout import LakeTable
from ingestion.lake.storage.filesystem import listed
from ingestion.lake.storage.provider import is_remote
from ingestion.privacy.logs import log_fields
from ingestion.runs.context import Context
from ingestion.runs.each import Failed, each, raise_failed
from ingestion.settings import DAYS_KEPT

KEEP = timedelta(days=DAYS_KEPT)
_HALF_WRITTEN = re.compile(r"#\d+$")
_ORDER: dict[str, tuple[str, ...]] = {"bronze": POSITION, "quarantine": POSITION, "ops": ()}


@dataclass(frozen=True, slots=True)
class Maintained:
    """
    What was done to one table. `busy`: another writer committed meanwhile, so it was not compacted.

    `expired`: rows that its contract's retention does not keep.
    """

    table: str
    compacted: int = 0
    deleted: int = 0
    busy: bool = False
    expired: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def maintain(context: Context, names: tuple[str, ...] = (), *, keep: timedelta = KEEP) -> list[Maintained]:
    """
    Remove what contracts no longer keep, compact tables (all, or those named `schema.table`), and delete files that
    nobody needs. What a contract no longer keeps leaves all of its tables if one of them is chosen.

    Files of table versions of the last `keep` stay, and so do the chunks of a load that was interrupted within it. May
    run during loads and builds. If a table or contract fails, the others are maintained; its error is raised last.
    Raises ConfigurationError for a `keep` under an hour or an unknown table.
    """
    if keep < timedelta(hours=1):
        raise ConfigurationError(
            "maintain: with less than an hour, files that running loads and queries read would be deleted. "
            "Nothing was done. Keep 1 hour or more; 7 days are usual."
        )
    known = {f"{table.schema}.{table.name}": table for table in context.lake.tables()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigurationError(
            f"maintain: the lake has no table {', '.join(unknown)}. Nothing was done. It has: {', '.join(known)}"
        )
    with context.recorded("maintain", "lake") as row:
        contracts, unread = _contracts(context)
        orders = {f"silver.{c.silver_model}": ("valid_to", *c.key_names) for c in contracts}
        orders |= {name: _ORDER[table.schema] for name, table in known.items() if table.schema in _ORDER}
        chosen = names or tuple(known)
        gone, unexpired = _expired(context, contracts, chosen, now=datetime.now(UTC), removes=True)
        done, failed = each(chosen, lambda name: _maintain(context, known[name], name, orders.get(name), keep))
        raise_failed([*unread, *unexpired, *failed], of=len(chosen))
        done = [replace(one, expired=sum(t.rows for t in gone if t.table == one.table)) for one in done]
        busy = [each.table for each in done if each.busy]
        row["status"] = "warning" if busy else "ok"
        row["message"] = f"busy: {', '.join(busy)}" if busy else None
        return done


def plan_expiry(context: Context, names: tuple[str, ...] = ()) -> tuple[list[Expired], list[Failed]]:
    """Return what `maintain` would remove because contracts no longer keep it, and what failed. Writes nothing."""
    contracts, unread = _contracts(context)
    found, failed = _expired(context, contracts, names, now=datetime.now(UTC), removes=False)
    return found, [*unread, *failed]


def _contracts(context: Context) -> tuple[list[Contract], list[Failed]]:
    """Return the contracts with their Silver models, and those that cannot be read."""
    models = silver_models(context.settings.dbt_project)
    folder = context.settings.contracts
    return each(context.contract_ids(), lambda name: with_model(find_contract(folder, name), models))


def _expired(
    context: Context, contracts: Sequence[Contract], names: tuple[str, ...], *, now: datetime, removes: bool
) -> tuple[list[Expired], list[Failed]]:
    """Do as `expired` for each contract with a retention of which a table is named, and kept prompts; no name: all."""
    chosen = {
        contract.id: contract
        for contract in contracts
        if contract.retention is not None and (not names or not {*names}.isdisjoint(_tables_of(contract)))
    }
    found, failed = each(chosen, lambda name: expired(context, chosen[name], now=now, removes=removes))
    if not names or TEXTS in names:
        texts, of_texts = each([TEXTS], lambda _: expired_texts(context, now=now, removes=removes))
        found, failed = [*found, *texts], [*failed, *of_texts]
    return [table for tables in found for table in tables], failed


def _tables_of(contract: Contract) -> tuple[str, ...]:
    view = contract.bronze_view
    return f"bronze.{view}", f"quarantine.{view}", f"silver.{contract.silver_model}"


def _maintain(
    context: Context, table: LakeTable, name: str, order_by: tuple[str, ...] | None, keep: timedelta
) -> Maintained:
    compacted, busy = 0, False
    if order_by is not None:
        try:
            compacted = context.engine.compact(table.uri, order_by=order_by)
        except ConcurrentWriteError:
            busy = True  # another writer committed first; the next maintenance compacts the table
    deleted = context.engine.vacuum(table.uri, keep=keep)
    folder, before = context.lake.path_of(table.uri), datetime.now(UTC) - keep
    deleted += _delete_half_written(context, folder, before)
    if table.schema == "bronze":
        deleted += _sweep(context, folder, before)
    log_fields(step="maintain", subject=name, compacted=compacted, deleted=deleted, busy=busy)
    return Maintained(name, compacted, deleted, busy)


def _delete_half_written(context: Context, folder: str, before: datetime) -> int:
    """
    Delete files of a local table that a killed process left incomplete and that are older than `before`; count them.

    delta-rs writes a file as `<name>#<number>` and renames it. Its vacuum does not delete such files.
    """
    if is_remote(context.lake.root):
        return 0
    inside = listed(context.lake.filesystem, folder, recursive=True)
    litter = [at for at in inside if _HALF_WRITTEN.search(at.path)]
    old = [at.path for at in litter if at.mtime is not None and at.mtime < before]
    for path in old:
        context.lake.filesystem.delete_file(path)
    return len(old)


def _sweep(context: Context, folder: str, before: datetime) -> int:
    """Delete attempts in `_staging` not changed since `before`, and outdated checkpoints; return how many files."""
    filesystem, deleted = context.lake.filesystem, 0
    for attempt in listed(filesystem, f"{folder}/_staging"):
        inside = listed(filesystem, attempt.path, recursive=True)
        if all(info.mtime < before for info in (attempt, *inside) if info.mtime is not None):
            filesystem.delete_dir(attempt.path)
            deleted += sum(info.is_file for info in inside)
    for path in stale_checkpoints(filesystem, f"{folder}/_live", before):
        filesystem.delete_file(path)
        deleted += 1
    return deleted
