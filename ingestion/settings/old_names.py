"""Variables of earlier programs that are accepted without an effect, each with today's setting."""

from __future__ import annotations

from collections.abc import Mapping

_CONNECTION = "AIRFLOW_CONN_<SYSTEM>"
OLD_NAMES = {
    "USE_REAL_ORACLE": _CONNECTION,
    "ORACLE_USER": _CONNECTION,
    "ORACLE_PASSWORD": _CONNECTION,
    "ORACLE_DSN": _CONNECTION,
    "ORACLE_TABLE": "a contract (lakehouse add)",
    "ORACLE_MOCK_COUNT": "lakehouse demo --scale",
    "SLA_WARNING_GAP_PCT": "reconcile.warningGapPercent of a contract",
    "SLA_CRITICAL_GAP_PCT": "reconcile.criticalGapPercent of a contract",
    "USE_CLAUDE_API": "LAKEHOUSE_MODEL",
    "CLAUDE_API_KEY": "LAKEHOUSE_MODEL_KEY",
    "PORT": "AIRFLOW_PORT",
}
_TOO_COMMON = {"PORT"}
"""Set on many machines for other programs: told only beside another old name."""
_OF_CONVERSATIONS = {"ORACLE_USER", "ORACLE_PASSWORD"}
"""In use beside ORACLE_HOST (`ingestion.cdc.settings`)."""


def old_names_line(environ: Mapping[str, str]) -> str:
    """Return one line that names the old variables that are set, with today's settings; empty if there is none."""
    in_use = _OF_CONVERSATIONS if environ.get("ORACLE_HOST") else set[str]()
    found = [name for name in OLD_NAMES if environ.get(name) and name not in in_use]
    if not {*found} - _TOO_COMMON:
        found = []
    by_setting: dict[str, list[str]] = {}
    for name in found:
        by_setting.setdefault(OLD_NAMES[name], []).append(name)
    told = "; ".join(f"{', '.join(names)} (today: {setting})" for setting, names in by_setting.items())
    return f"These variables have no effect: {told}" if told else ""
