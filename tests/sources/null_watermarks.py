"""A table whose change time is null until the first update, changed in every way between two loads: on any server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ingestion.gaps.record import record_sync_gap
from ingestion.lake import duck
from ingestion.load.load_table import load_table
from ingestion.runs.context import Context, initialise, open_context
from ingestion.settings import Connection, Settings

LAKE = {"mode": "incremental", "watermark": "changed_at", "nullWatermark": "include", "overlap": "PT2H",
        "deletes": "keys", "maxDeletePercent": "50"}  # fmt: skip


def insert(table: str, moment: Callable[[str], str]) -> list[str]:
    """Return the statements that fill a table (ID, NAME, CHANGED_AT): 1, 2, 3 and 5 were never changed, 4 was."""
    rows = [(1, "NULL"), (2, "NULL"), (3, "NULL"), (4, moment("2026-03-01 11:00:00")), (5, "NULL")]
    return [f"INSERT INTO {table} VALUES ({key}, 'n', {at})" for key, at in rows]


def change(table: str, moment: Callable[[str], str]) -> list[str]:
    return [
        f"UPDATE {table} SET NAME = 'changed' WHERE ID = 1",
        f"UPDATE {table} SET CHANGED_AT = {moment('2026-03-02 09:00:00')} WHERE ID = 2",
        f"UPDATE {table} SET CHANGED_AT = {moment('2001-01-01 00:00:00')} WHERE ID = 3",
        f"UPDATE {table} SET CHANGED_AT = NULL WHERE ID = 4",
        f"DELETE FROM {table} WHERE ID = 5",
        f"INSERT INTO {table} VALUES (6, 'new', NULL)",
    ]


def assert_exact(connection: Connection, project: Path, contract_id: str, alter: Callable[[], None]) -> None:
    """Load, load again, `alter` the table as `change` says, and load: each change arrives once and at its time."""
    system, _, entity = contract_id.partition(".")

    def context(clock: str) -> Context:
        known = replace(connection, extra={**connection.extra, "clock": f"{clock}T15:00:00+00:00"})
        settings = Settings(project, str(project / "lake"), "200MB", {system: known})
        initialise(settings)
        return open_context(settings, "run-1")

    first, again = (load_table(context("2026-03-01"), contract_id) for _ in range(2))
    alter()
    second = load_table(context("2026-03-02"), contract_id)

    assert (first.read, first.appended, first.watermark) == (5, 5, "2026-03-01 11:00:00.000001")
    assert (again.batch, again.read, again.known) == (None, 5, 5)
    assert (second.appended, second.fetched, second.deleted) == (5, 1, 1)
    with duck.connect(context("2026-03-02").lake) as lake:
        rows = lake.execute(
            "select id, name, changed_at::varchar, _op, _eff::varchar "
            f"from bronze.{system}__{entity} where _batch = 2 order by id"
        ).fetchall()
    found_at = "2026-03-02 15:00:00+00"
    assert rows == [
        (1, "changed", None, "U", found_at),
        (2, "n", "2026-03-02 09:00:00", "U", "2026-03-02 12:00:00+00"),
        (3, "n", "2001-01-01 00:00:00", "R", found_at),
        (4, "n", None, "U", found_at),
        (5, None, None, "D", found_at),
        (6, "new", None, "U", found_at),
    ]
    report = record_sync_gap(context("2026-03-02"), contract_id)
    assert (report.outcome, report.source_count, report.lake_count) == ("equal", 5, 5)
    assert load_table(context("2026-03-02"), contract_id).batch is None
