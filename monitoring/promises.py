"""What a project promises: its contracts, and the exposures of its dbt project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ingestion.contracts.model import Contract
from ingestion.contracts.odcs import examine_folder
from monitoring.findings import Finding, Kind, Level
from monitoring.lineage import read_exposures


@dataclass(frozen=True, slots=True)
class Promises:
    """
    The valid contracts of a project, and a finding for each fault that makes one invalid. `exposures` has the models
    that each one reads.
    """

    contracts: tuple[Contract, ...]
    invalid: tuple[Finding, ...]
    exposures: Mapping[str, Sequence[str]]


def read_promises(contracts: Path, dbt_project: Path) -> Promises:
    """Read a project's folders of contracts and dbt; nothing is raised for a wrong file."""
    found, faults = examine_folder(contracts)
    now = datetime.now(UTC)
    invalid = [
        Finding(
            Kind.CONTRACT_INVALID,
            Path(fault.path).stem.removesuffix(".odcs"),
            Level.CRITICAL,
            now,
            f"The contract cannot be read: line {fault.line}: {fault.message}",
            "lakehouse contract lint",
        )
        for fault in faults
        if fault.severity == "error"
    ]
    return Promises(found, tuple(invalid), read_exposures(dbt_project))
