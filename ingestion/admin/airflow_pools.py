"""Checks whether Airflow has the pools that its tasks need. Runs Airflow's command and never imports it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

SECONDS = 60
_CONFIGURED = ("AIRFLOW_HOME", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN")
_LIST = ("-m", "airflow", "pools", "list", "--output", "json")


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """The result of one check of the doctor. `outcome` is ok, warning, missing or damaged; `advice` is what to do."""

    subject: str
    outcome: str
    finding: str
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def pool_findings(systems: Sequence[str], environ: Mapping[str, str]) -> Iterator[DoctorFinding]:
    """
    Check that each system has a pool with slots: without one its tasks wait forever, without a message.

    Yields nothing if Airflow is not installed, or if the environment does not configure it, because Airflow's command
    would then create a new installation.
    """
    if find_spec("airflow") is None or not any(environ.get(name) for name in _CONFIGURED):
        return
    slots = _slots(environ)
    if slots is None:
        yield DoctorFinding("Airflow's pools", "warning", "Airflow did not tell them", "airflow db check")
        return
    for system in systems:
        name = f"source_{system}"
        if slots.get(name) == 0 or name not in slots:
            found = "has no slots" if name in slots else "is not there"
            finding = f"{found}: tasks that read {system} wait for ever"
            yield DoctorFinding(
                f"pool {name}", "missing", finding, f'airflow pools set {name} 4 "tasks that read {system}"'
            )
        else:
            yield DoctorFinding(f"pool {name}", "ok", f"{slots[name]} slots")


def _slots(environ: Mapping[str, str]) -> dict[str, int] | None:
    try:
        done = subprocess.run(
            [sys.executable, *_LIST], env=dict(environ), capture_output=True, text=True, check=True, timeout=SECONDS
        )
        text = done.stdout
        return {str(pool["pool"]): int(pool["slots"]) for pool in json.loads(text[text.index("[{") :])}
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None
