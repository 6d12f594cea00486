"""Lakes as the page meets them: their ledgers are written here row by row, as loads, builds and checks write them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import create_lake
from ingestion.ledger.journal import Journal
from ingestion.settings import Settings
from monitoring.web.site import Site

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TABLES = ("crm.people", "crm.notes", "crm.places")
HOSTILE = "<script>alert('x')</script> \u202eright to left & \"quoted\" " + "long " * 12
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: {id}
version: 1.2.0
description: {{purpose: {description}}}
servers: [{{type: duckdb, database: "${{CRM_FILE}}"}}]
schema:
  - name: {entity}
    physicalName: {physical}
    properties:
      - {{name: id, physicalName: id, logicalType: integer, physicalType: BIGINT, primaryKey: true, required: true}}
      - {{name: name, physicalName: name, logicalType: string, physicalType: VARCHAR, classification: pii, description: {description}}}
slaProperties: [{{property: freshness, value: 24, unit: h}}]
team: {{name: {owner}}}
customProperties: [{{property: lake, value: {{timezone: UTC, mode: full}}}}]
"""


class World:
    """A project and an empty lake in `folder`; the methods write what the product would have recorded."""

    def __init__(self, folder: Path, tables: tuple[str, ...] = TABLES, *, text: str = "One person.") -> None:
        self.folder = folder
        for id_ in tables:
            system, _, entity = id_.partition(".")
            file = folder / "data_contracts" / system / f"{entity}.odcs.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            values = {name: repr(value) for name, value in {"description": text, "owner": f"data {text}"}.items()}
            quoted = {name: value if '"' not in value else _quoted(text) for name, value in values.items()}
            file.write_text(CONTRACT.format(id=id_, entity=entity, physical=f"main.{entity}", **quoted))
        (folder / "dbt_project" / "models").mkdir(parents=True, exist_ok=True)
        self.lake = create_lake(folder / "lake")
        self.journal = Journal(self.lake, DeltaRs(keeps_open=True))
        self.tables = tables
        self._gathering = self.journal.gathering()
        self._gathering.__enter__()

    def written(self) -> World:
        """Write all that was recorded."""
        self._gathering.__exit__(None, None, None)
        return self

    def settings(self) -> Settings:
        return Settings.from_environ({"LAKEHOUSE_PROJECT": str(self.folder), "LAKEHOUSE_ROOT": self.lake.root})

    def site(self, now: datetime = NOW) -> Site:
        return Site(self.settings(), now=lambda: now)

    def day(self, ends: datetime, tables: tuple[str, ...] | None = None, **changes: Any) -> None:
        """Record a run in which each table was loaded and checked, an hour before `ends` and later."""
        chosen = self.tables if tables is None else tables
        run = f"run-{ends:%Y%m%dT%H%M%SZ}"
        self.journal.append("runs", [self.load(table, ends - HOUR, run_id=run) for table in chosen])
        self.journal.append("gaps", [self.check(table, ends, run_id=run, **changes) for table in chosen])

    @staticmethod
    def load(table: str, ends: datetime, **changes: Any) -> dict[str, Any]:
        row = {"run_id": f"run-{ends:%Y%m%dT%H%M%SZ}", "step": "load", "subject": table, "status": "ok", "batch": 3}
        counts = {"rows_read": 120, "rows_good": 120, "rows_quarantined": 0, "rows_appended": 7, "rows_deleted": 0}
        return {**row, **counts, "started_at": ends - timedelta(seconds=4), "finished_at": ends, **changes}

    @staticmethod
    def check(table: str, at: datetime, **changes: Any) -> dict[str, Any]:
        row = {
            "run_id": f"run-{at:%Y%m%dT%H%M%SZ}",
            "contract_id": table,
            "checked_at": at,
            "severity": "OK",
            "batch": 3,
        }
        counts = {"source_count": 5000, "lake_count": 5000, "sync_gap": 0, "gap_percentage": 0.0, "missing_keys": 0}
        more = {"quarantined_count": 0, "extra_keys": 0, "differing_keys": 0, "missing_partitions": 0, "sla_met": True}
        rest = {"freshness_lag_hours": 1.0, "data_quality_score": 100.0, "outcome": "equal", "rung": "checksums"}
        return {**row, **counts, **more, **rest, **changes}

    def build(self, ends: datetime, **changes: dict[str, Any]) -> None:
        """Record a build of a chain of models; `changes` are columns by model."""
        reads = {"stg_people": "crm.people", "dim_person": "stg_people", "fact_visits": "dim_person"}
        row = {"run_id": "run-build", "step": "all", "finished_at": ends, "status": "ok", "seconds": 0.4, "tests": 2}
        self.journal.append(
            "models", [{**row, "model": model, "reads": of, **changes.get(model, {})} for model, of in reads.items()]
        )
        test = {
            "run_id": "run-build",
            "step": "all",
            "finished_at": ends,
            "status": "ok",
            "failures": 0,
            "seconds": 0.1,
        }
        self.journal.append("tests", [{**test, "test": "unique_dim_person_id", "models": "dim_person"}])

    def rates(self, table: str, at: datetime, **hits: int) -> None:
        """Record the quality rates of a load; `hits` by measure, of the column name."""
        kinds = {"null": "completeness", "empty": "completeness", "max_length": "validity", "type": "consistency"}
        row = {"run_id": "run-1", "contract_id": table, "checked_at": at, "batch": 3, "column": "name", "rows": 120}
        self.journal.append(
            "quality_rates",
            [{**row, "dimension": of, "measure": name, "hits": hits.get(name, 0)} for name, of in kinds.items()],
        )


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def green(folder: Path) -> World:
    """Everything is right: ten days of runs, builds and checks."""
    return _ten_good_days(folder).written()


def _ten_good_days(folder: Path) -> World:
    world = World(folder)
    for back in range(10, -1, -1):
        world.day(NOW - back * DAY - HOUR)
    world.build(NOW - HOUR)
    for table in world.tables:
        world.rates(table, NOW - HOUR)
    return world


def source_down(folder: Path) -> World:
    """The source has not answered for two nights; what is built from it is late, and one model failed."""
    world = World(folder)
    world.day(NOW - 3 * DAY)
    world.build(NOW - 3 * DAY)
    failed = {"status": "failed", "error": "SourceUnavailableError", "batch": None, "rows_read": None}
    for back in (2, 1):
        ends = NOW - back * DAY + HOUR
        told = {
            **failed,
            "message": "crm: db.example:1521 did not answer in 20 s. Nothing was read. Look at its listener.",
        }
        world.journal.append("runs", [world.load(table, ends, **told) for table in world.tables])
        unknown = {"severity": "UNKNOWN", "source_count": None, "lake_count": None, "sync_gap": None}
        world.journal.append(
            "gaps", [world.check(table, ends, **unknown, freshness_lag_hours=None) for table in world.tables]
        )
    world.build(
        NOW - DAY, stg_people={"status": "failed", "message": "error (Catalog Error)"}, dim_person={"status": "skipped"}
    )
    return world.written()


def drift(folder: Path) -> World:
    """A gap is confirmed, and the source has a column that the contract does not know."""
    world = _ten_good_days(folder)
    world.day(
        NOW - HOUR / 2,
        ("crm.people",),
        severity="CRITICAL",
        state="confirmed",
        sync_gap=114,
        gap_percentage=2.3,
        missing_keys=114,
        lake_count=4886,
        outcome="different",
        rung="leaves",
        sla_met=False,
        missing_partitions=1,
    )
    part = {"partition": "2026-02", "missing_partitions": 1, "source_count": 114, "lake_count": 0, "sync_gap": 114}
    world.journal.append("gaps", [world.check("crm.people", NOW - HOUR / 2) | part])
    seen = {"contract_id": "crm.people", "kind": "partition", "state": "confirmed", "keys": 114, "run_id": "run-1"}
    world.journal.append(
        "differences",
        [
            {
                **seen,
                "difference_id": "d1",
                "state_at": NOW - HOUR / 2,
                "first_seen_at": NOW - 5 * HOUR,
                "partition": "2026-02",
            }
        ],
    )
    found = {"run_id": "run-1", "contract_id": "crm.notes", "contract_version": "1.2.0", "found_at": NOW - HOUR}
    more = {
        "kind": "new_column",
        "column": "TIER",
        "promised": "no such column",
        "found": "VARCHAR",
        "action": "ignore",
    }
    world.journal.append("drift", [{**found, **more}])
    return world.written()


def quarantine(folder: Path) -> World:
    """Rows break their contract, and a test of dbt finds some."""
    world = _ten_good_days(folder)
    world.day(NOW - HOUR / 2, ("crm.notes",), quarantined_count=17, data_quality_score=99.66)
    world.rates("crm.notes", NOW - HOUR / 2, null=12, max_length=17)
    test = {"run_id": "run-2", "step": "all", "finished_at": NOW - HOUR / 2, "status": "failed", "failures": 3}
    world.journal.append("tests", [{**test, "test": "unique_dim_person_id", "models": "dim_person", "seconds": 0.1}])
    world.build(
        NOW - HOUR / 3, dim_person={"status": "failed", "message": "unique_dim_person_id: fail (3 rows break it)"}
    )
    return world.written()


def stale(folder: Path) -> World:
    """Nothing has run for ten days."""
    world = World(folder)
    world.day(NOW - 10 * DAY)
    return world.written()


def empty(folder: Path) -> World:
    """A new lake: contracts, and nothing else."""
    return World(folder).written()


def hostile(folder: Path) -> World:
    """Names and texts that try to break out of the page."""
    world = World(folder, text=HOSTILE)
    world.day(NOW - HOUR, severity="CRITICAL", state="confirmed", why=HOSTILE, runbook_sql=f"select 1 -- {HOSTILE}")
    failed = {"status": "failed", "error": "<b>Error</b>", "message": HOSTILE, "run_id": f"run-{HOSTILE[:40]}"}
    world.journal.append("runs", [world.load("crm.people", NOW - HOUR / 2, **failed)])
    world.build(NOW - HOUR, stg_people={"message": HOSTILE, "status": "failed"})
    found = {"run_id": "run-1", "contract_id": "crm.notes", "contract_version": "1.2.0", "found_at": NOW - HOUR}
    more = {"kind": "new_column", "column": HOSTILE, "promised": HOSTILE, "found": HOSTILE, "action": "ignore"}
    world.journal.append("drift", [{**found, **more}])
    return world.written()


def big(folder: Path, tables: int = 200, days: int = 365) -> World:
    """Many tables, checked every day of a year; some of them hurt."""
    world = World(folder, tuple(f"crm.table_{number:03}" for number in range(tables)))
    for first in range(0, days, 30):
        some = range(first, min(first + 30, days))
        ends = [NOW - HOUR - back * DAY for back in some]
        world.journal.append("runs", [world.load(table, end - HOUR) for end in ends for table in world.tables])
        world.journal.append(
            "gaps",
            [
                world.check(table, end, severity="CRITICAL" if (index + end.day) % 41 == 0 else "OK")
                for end in ends
                for index, table in enumerate(world.tables)
            ],
        )
    world.build(NOW - HOUR)
    return world.written()


WORLDS: dict[str, Callable[[Path], World]] = {
    "green": green,
    "source_down": source_down,
    "drift": drift,
    "quarantine": quarantine,
    "stale": stale,
    "empty": empty,
    "hostile": hostile,
}
