"""What a lake and its surroundings look like now, for `lakehouse doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ingestion.admin.airflow_pools import DoctorFinding, pool_findings
from ingestion.admin.mending import damages
from ingestion.contracts.lacks import find_lacks
from ingestion.contracts.model import Contract
from ingestion.contracts.odcs import read_contracts
from ingestion.errors import LakehouseError
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import Lake, open_lake
from ingestion.lake.mask_salt import CONSEQUENCE, read_fingerprint, salt_fault
from ingestion.lake.storage.provider import is_remote
from ingestion.ledger.journal import Journal
from ingestion.ledger.queries import unfinished_erasures
from ingestion.settings import Settings
from ingestion.shipped import pip_install
from ingestion.sources import open_source

_LITTLE_SPACE = 256 * 2**20
PACKAGES = {  # package -> the extra that brings it
    "oracledb": "oracle",
    "arrow-odbc": "sqlserver",
    "apache-airflow": "airflow",
    "pyspark": "spark",
}


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
    lacks = find_lacks({contract.id: contract.bronze for contract in contracts}, settings.dbt_project)
    findings += [DoctorFinding(lack.subject, "warning", lack.finding, lack.command) for lack in lacks]
    if any(column.is_personal for contract in contracts for column in contract.columns):
        findings += _salt(settings)
    findings += pool_findings(sorted({contract.system for contract in contracts}), os.environ)
    findings += _zones({contract.timezone for contract in contracts})
    for system in sorted({contract.system for contract in contracts}):
        findings += _system(settings, system, [c for c in contracts if c.system == system])
    return findings


def _packages() -> Iterator[DoctorFinding]:
    yield DoctorFinding("python", "ok", sys.version.split()[0])
    for name, extra in PACKAGES.items():
        try:
            yield DoctorFinding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield DoctorFinding(name, "warning", "not installed", f"{pip_install(extra)}, if you need it")


def _lake(settings: Settings) -> Iterator[DoctorFinding]:
    try:
        lake = open_lake(settings.lake_root)
        found = list(damages(lake))
        yield DoctorFinding("lake", "ok", f"{lake.root}, {len(lake.tables())} tables")
    except LakehouseError as exc:
        yield DoctorFinding("lake", "missing", str(exc), "lakehouse init")
        return
    yield from _room(lake.root)
    yield from _erasures(lake)
    for name, damage in found:
        yield DoctorFinding(name, "damaged", damage.finding, damage.advice)


def _erasures(lake: Lake) -> Iterator[DoctorFinding]:
    """Look for erasures that were interrupted: only who began them knows the keys."""
    journal = Journal(lake, DeltaRs(lake.storage_options))
    for row in journal.select(f"from {unfinished_erasures()}"):
        finding = f"{row['persons']} persons are not wholly erased since {row['begun']:%Y-%m-%d %H:%M} UTC"
        advice = f"run `lakehouse erase {row['contract_id']}` again with the same keys"
        yield DoctorFinding(row["contract_id"], "warning", finding, advice)


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
        fault, known = salt_fault(lake, settings.salt()), read_fingerprint(lake)
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
        source = open_source(system, settings.connection(system, contracts[0].dialect))
        yield DoctorFinding(f"source {system}", "ok", source.probe())
        with source.snapshot() as snapshot:
            moment = snapshot.fixed_point.moment
        for grant in source.grants(contracts):
            outcome = "ok" if grant.present else "warning"
            yield DoctorFinding(f"right of {system}", outcome, grant.what, grant.consequence)
    except LakehouseError as exc:
        finding, _, advice = str(exc).removeprefix(f"{system}: ").partition(" Nothing was read. ")
        yield DoctorFinding(f"source {system}", "missing", finding.rstrip("."), advice)
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
