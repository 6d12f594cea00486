"""What the lake and its surroundings look like now: `status` per table, `doctor` for everything around."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ingestion.admin.airflow_pools import DoctorFinding, pool_findings
from ingestion.admin.mending import damages
from ingestion.bronze.table import BronzeTable
from ingestion.contracts.model import Contract
from ingestion.contracts.odcs import find_contract, read_contracts
from ingestion.errors import LakehouseError
from ingestion.lake.layout import open_lake
from ingestion.lake.mask_salt import CONSEQUENCE, read_fingerprint, salt_fault
from ingestion.lake.mending import examine_table
from ingestion.lake.storage.errors import reaching
from ingestion.lake.storage.login import is_remote
from ingestion.runs.context import Context
from ingestion.runs.each import as_ours
from ingestion.settings import Settings
from ingestion.sources import open_source


@dataclass(frozen=True, slots=True)
class TableStatus:
    """
    One table as the lake and the ledger know it.

    `age_hours` counts from the end of the last good load to now; `sync_gap` and `severity` are of
    the last check. None means never. `fault` says why a table cannot be read; what the lake tells is then not known.
    """

    contract_id: str
    batch: int
    watermark: str | None
    last_status: str | None
    age_hours: float | None
    open_quarantine: int
    sync_gap: int | None
    severity: str | None
    fault: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


_LITTLE_SPACE = 256 * 2**20
_PACKAGES = {  # package -> the extra that brings it
    "oracledb": "oracle",
    "arrow-odbc": "sqlserver",
    "apache-airflow": "airflow",
    "pyspark": "spark",
}


def table_statuses(context: Context) -> list[TableStatus]:
    """Return the status of every contracted table, ordered by contract id. Asks no source."""
    now = datetime.now(UTC)
    loads = _latest(
        context, "select subject as id, status, finished_at from ops.runs where step = 'load' order by finished_at"
    )
    good = _latest(
        context,
        "select subject as id, finished_at from ops.runs where step = 'load' and status <> 'failed' "
        "order by finished_at",
    )
    gaps = _latest(
        context,
        'select contract_id as id, sync_gap, severity from ops.gaps where "partition" is null order by checked_at',
    )
    statuses = []
    for contract_id in context.contract_ids():
        state, quarantined, fault = None, 0, None
        try:
            table = context.table(find_contract(context.settings.contracts, contract_id))
            fault = _fault(context, table)
            if fault is None and context.engine.exists(table.uri):
                state = table.state()
                quarantined = table.count_in_quarantine(state)
        except Exception as exc:  # of any kind: the other tables are to be seen
            state, fault = None, str(as_ours(contract_id, exc))
        done = good.get(contract_id)
        statuses.append(
            TableStatus(
                contract_id=contract_id,
                batch=state.batch if state else 0,
                watermark=state.watermark if state else None,
                last_status=loads.get(contract_id, {}).get("status"),
                age_hours=None if done is None else (now - done["finished_at"]).total_seconds() / 3600,
                open_quarantine=quarantined,
                sync_gap=gaps.get(contract_id, {}).get("sync_gap"),
                severity=gaps.get(contract_id, {}).get("severity"),
                fault=fault,
            )
        )
    return statuses


def _fault(context: Context, table: BronzeTable) -> str | None:
    """Return what is wrong with the files of a table or its quarantine, and what to do; None where nothing is."""
    for uri in (table.uri, table.quarantine_uri):
        with reaching(context.lake.root):
            for damage in examine_table(context.engine, uri):
                return f"{damage.finding}. {damage.advice}"
    return None


def _latest(context: Context, query: str) -> dict[str, dict[str, Any]]:
    """Return the last row per `id` of a query that is ordered by time."""
    with reaching(context.lake.root):
        return {row["id"]: row for row in context.journal.select(query)}


def examine(settings: Settings) -> list[DoctorFinding]:
    """Look at the interpreter, packages, contracts, lake, connections and clock. Changes nothing."""
    findings = [*_packages(), *_lake(settings)]
    try:
        contracts = read_contracts(settings.contracts)
    except LakehouseError as exc:
        return [*findings, DoctorFinding("contracts", "missing", str(exc).splitlines()[0], "lakehouse contract lint")]
    findings.append(
        DoctorFinding("contracts", "ok", f"{len(contracts)} tables of {len({c.system for c in contracts})} systems")
    )
    if any(column.is_personal for contract in contracts for column in contract.columns):
        findings += _salt(settings)
    findings += pool_findings(sorted({contract.system for contract in contracts}), os.environ)
    findings += _zones({contract.timezone for contract in contracts})
    for system in sorted({contract.system for contract in contracts}):
        findings += _system(settings, system, [c for c in contracts if c.system == system])
    return findings


def _packages() -> Iterator[DoctorFinding]:
    yield DoctorFinding("python", "ok", sys.version.split()[0])
    for name, extra in _PACKAGES.items():
        try:
            yield DoctorFinding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield DoctorFinding(name, "warning", "not installed", f"pip install lakehouse[{extra}], if you need it")


def _lake(settings: Settings) -> Iterator[DoctorFinding]:
    try:
        lake = open_lake(settings.lake_root)
        found = list(damages(lake))
        yield DoctorFinding("lake", "ok", f"{lake.root}, {len(lake.tables())} tables")
    except LakehouseError as exc:
        yield DoctorFinding("lake", "missing", str(exc), "lakehouse init")
        return
    yield from _room(lake.root)
    for name, damage in found:
        yield DoctorFinding(name, "damaged", damage.finding, damage.advice)


def _room(root: str) -> Iterator[DoctorFinding]:
    """Look at the disk of a lake in a folder: its rights and its space."""
    if is_remote(root):
        return
    disk = os.statvfs(root)
    if disk.f_flag & os.ST_RDONLY or not os.access(root, os.W_OK | os.X_OK):
        yield DoctorFinding(
            "lake's disk", "damaged", "nothing can be written there", "mend the mount, or the folder's rights"
        )
    free = disk.f_bavail * disk.f_frsize
    if free < _LITTLE_SPACE:
        yield DoctorFinding("lake's disk", "warning", f"{free // 2**20:,} MB free", "make room; lakehouse maintain")


def _salt(settings: Settings) -> Iterator[DoctorFinding]:
    """Look at the salt of masked values: whether it is set, and the one that Gold is written under."""
    try:
        lake = open_lake(settings.lake_root)
        fault, known = salt_fault(lake, settings.mask_salt), read_fingerprint(lake)
    except LakehouseError as exc:
        fault, known = str(exc), None
    if fault:
        finding, _, advice = fault.partition(CONSEQUENCE)
        yield DoctorFinding("salt of Gold", "missing", finding, advice.strip())
    else:
        yield DoctorFinding(
            "salt of Gold", "ok", f"in use since {known.since}" if known else "set; Gold is not built yet"
        )


def _zones(names: set[str]) -> Iterator[DoctorFinding]:
    for name in sorted(names):
        try:
            ZoneInfo(name)
        except ZoneInfoNotFoundError:
            yield DoctorFinding(
                f"time zone {name}", "missing", "this machine has no such zone", "install the system package tzdata"
            )


def _system(settings: Settings, system: str, contracts: list[Contract]) -> Iterator[DoctorFinding]:
    try:
        source = open_source(system, settings.connection(system))
        yield DoctorFinding(f"source {system}", "ok", source.probe())
        with source.snapshot() as snapshot:
            moment = snapshot.fixed_point.moment
        for grant in source.grants(contracts):
            outcome = "ok" if grant.present else "warning"
            yield DoctorFinding(f"right of {system}", outcome, grant.what, grant.consequence)
    except LakehouseError as exc:
        yield DoctorFinding(
            f"source {system}", "missing", str(exc).splitlines()[0], f"set AIRFLOW_CONN_{system.upper()}"
        )
        return
    skew = abs((datetime.now(UTC) - moment).total_seconds())
    if skew > 60:
        yield DoctorFinding(
            f"clock of {system}",
            "warning",
            f"{skew:.0f} s away from this machine's ({moment.isoformat()})",
            "rows stamped ahead of the source's own clock are quarantined; correct the clocks",
        )
    else:
        yield DoctorFinding(f"clock of {system}", "ok", f"{skew:.1f} s away from this machine's")
