"""What a secret is called in a store: Airflow's own backends find connections under the same names."""

from __future__ import annotations

CONNECTION_PREFIX = "AIRFLOW_CONN_"


def path_of(name: str, *, prefix: str = "", separator: str = "-") -> str:
    """
    Return the name in a store of a variable: AIRFLOW_CONN_ERP is `airflow-connections-erp`, LAKEHOUSE_MASK_SALT is
    `lakehouse-mask-salt`. A prefix stands before all of it.
    """
    parts = [prefix] if prefix else []
    if name.startswith(CONNECTION_PREFIX):
        parts += ["airflow", "connections", name.removeprefix(CONNECTION_PREFIX).lower()]
    else:
        parts.append(name.lower().replace("_", "-"))
    return separator.join(parts)
