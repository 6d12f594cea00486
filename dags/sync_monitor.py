"""Compares every table with its source, each hour, between the daily loads.

Each result is recorded in the ledger (`lakehouse gaps --last`). A confirmed critical gap fails the task of its table,
and the run. A suspected difference may be in flight and fails nothing; the next check after a load decides. A source
that cannot be read fails its tasks after the retries. This DAG repairs nothing: use the DAG `repair` or
`lakehouse repair`.
`lakehouse gaps advise` shows the likely causes. The task `incidents` then records what is wrong and sends messages
about it, if channels are set (docs/alerts.md).

**Parameter** `table`: check this table only.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from lakehouse_dags import steps, wiring, work

SYSTEMS = wiring.contracts_by_system()
TABLES = [contract_id for ids in SYSTEMS.values() for contract_id in ids]


@dag(
    schedule="@hourly",
    start_date=wiring.START,
    catchup=False,
    max_active_runs=1,
    default_args=wiring.DEFAULT_ARGS,
    description="Compares every table with its source and records what differs. Writes no data.",
    params={"table": Param(None, type=["null", "string"], enum=[None, *TABLES], description="Only this table.")},
    tags=["sync-gap"],
    doc_md=__doc__,
)
def sync_monitor() -> None:
    # Runs without contracts too and then fails; otherwise such a run would be empty and succeed.
    @task.branch
    def chosen(params: dict[str, Any]) -> list[str]:
        wiring.open_run(get_current_context())
        return [name for name, tables in tasks.items() if params["table"] in (None, *tables)]

    # A teardown does not count for the state of the run, which stays red if a check is.
    @task
    def incidents() -> None:
        work.tell()

    among, told = chosen(), incidents().as_teardown()
    tasks = {}
    for system, ids in SYSTEMS.items():
        tasks |= {f"{system}.{name}": tables for name, tables in wiring.tasks_of(ids, len(TABLES)).items()}
        among >> steps.check_each(system, ids, len(TABLES)) >> told


sync_monitor()
