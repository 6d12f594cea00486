"""Checks the files of every table of a lake, and repairs what can be repaired without loss. Needs no ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ingestion.bronze.checkpoint import later_checkpoints
from ingestion.errors import LakeError, LakehouseError
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import Lake, LakeTable, lake_at, mend_marker
from ingestion.lake.mending import Damage, Mended, examine_table, mend_table
from ingestion.lake.names import DERIVED_LAYERS
from ingestion.lake.storage.errors import reaching
from ingestion.lake.storage.filesystem import make_folder, move
from ingestion.ledger.journal import Journal
from ingestion.privacy.logs import log_fields, logger
from ingestion.runs.context import new_run_id
from ingestion.settings import Settings


@dataclass(frozen=True, slots=True)
class TableMended:
    """
    What was done to a damaged table.

    `rows` counts the rows of its complete commits; it has all of them. `rows_aside` counts the rows of the torn
    commits, as far as these can be read. `fault` is why the table was not changed; empty if it was mended.
    """

    table: str
    rows: int | None
    rows_aside: int | None
    files_aside: tuple[str, ...]
    folder: str
    next_step: str
    fault: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def damages(lake: Lake) -> Iterator[tuple[str, Damage]]:
    """Yield the damages of a lake's tables with the table's name. Lists files and reads logs, but no row."""
    engine = DeltaRs(lake.storage_options)
    for table in lake.table_folders():
        try:
            with reaching(table.uri):
                for damage in examine_table(engine, table.uri):
                    yield _name(table), damage
        except LakehouseError as exc:
            yield _name(table), Damage("its files cannot be looked at", str(exc))


def mend_lake(settings: Settings) -> list[TableMended]:
    """
    Write a lost marker again, and mend the torn logs of all tables; return what was done to the damaged ones.

    Idempotent. Nothing is deleted: see `ingestion.lake.mending`. What was done is recorded in `ops.runs`, if the ledger
    can be written. Raises LakeError if there is no lake.
    """
    lake = lake_at(settings.lake_root)
    with reaching(lake.root):
        mend_marker(lake)
    engine = DeltaRs(lake.storage_options, settings.memory_limit)
    started, run_id = datetime.now(UTC), new_run_id()
    done = [mended for table in lake.tables() if (mended := _mend(lake, engine, table)) is not None]
    rows = [_row(run_id, started, mended) for mended in done]
    try:
        with reaching(lake.root):
            Journal(lake, engine).append("runs", rows)
    except LakehouseError as exc:
        logger.warning("%s", exc)
    return done


def _mend(lake: Lake, engine: DeltaRs, table: LakeTable) -> TableMended | None:
    name = _name(table)
    try:
        with reaching(table.uri):
            mended = mend_table(engine, table.uri, table.schema)
            if mended is None:
                return None
            aside = (*mended.files, *(_cached(lake, engine, table, mended.folder) if table.schema == "bronze" else ()))
    except LakehouseError as exc:
        return TableMended(name, None, None, (), "", "", str(exc))
    folder = mended.folder.removeprefix(lake.path()).lstrip("/")
    log_fields(step="mend", subject=name, rows=mended.rows, aside=len(aside))
    return TableMended(name, mended.rows, mended.rows_aside, aside, folder, _next_step(table, mended))


def _cached(lake: Lake, engine: DeltaRs, table: LakeTable, folder: str) -> list[str]:
    """Set aside the checkpoints of batches that Bronze no longer has, because their numbers will be used again."""
    if not engine.exists(table.uri):
        return []
    batch = engine.tip(table.uri, f"bronze/{table.name.replace('__', '/', 1)}").batch
    taken = []
    for path in later_checkpoints(lake.filesystem, f"{lake.path_of(table.uri)}/_live", after=batch):
        make_folder(lake.filesystem, folder)
        taken.append(path.rsplit("/", 1)[-1])
        move(lake.filesystem, path, f"{folder}/{taken[-1]}")
    return taken


def _next_step(table: LakeTable, mended: Mended) -> str:
    contract = table.name.replace("__", ".", 1)
    if table.schema in DERIVED_LAYERS:
        return "lakehouse build"
    if mended.rows is None:
        return "lakehouse init"
    if table.schema == "ops":
        return "nothing: what was torn was the note of a step"
    if table.schema == "quarantine":
        return f"lakehouse gaps {contract}: it names rows that are in neither table"
    return f"lakehouse load {contract}"


def _row(run_id: str, started: datetime, mended: TableMended) -> dict[str, Any]:
    aside = "" if mended.rows_aside is None else f" with {mended.rows_aside} rows"
    return {
        "run_id": run_id,
        "step": "mend",
        "subject": mended.table,
        "status": "failed" if mended.fault else "ok",
        "started_at": started,
        "finished_at": datetime.now(UTC),
        "error": LakeError.__name__ if mended.fault else None,
        "message": mended.fault
        or f"{mended.rows} rows kept, {len(mended.files_aside)} files{aside} set aside in {mended.folder}",
    }


def _name(table: LakeTable) -> str:
    return f"{table.schema}.{table.name}"
