"""Compares every table with its source, each hour, between the daily loads.

Each result is recorded in the ledger (`lakehouse gaps --last`). A confirmed critical gap fails its task and the run. A
suspected difference may be in flight and fails nothing; the next check after a load decides. A source that cannot be
read fails its task after the retries. This DAG repairs nothing: use the DAG `repair` or `lakehouse repair`.
`lakehouse gaps advise` shows the likely causes.

**Parameter** `table`: check this table only.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException
from lakehouse_dags import wiring

SYSTEMS = wiring.contracts_by_system()
TABLES = [contract_id for ids in SYSTEMS.values() for contract_id in ids]


@dag(
    schedule="@hourly",
    start_date=wiring.START,
    catchup=False,
    max_active_runs=1,
    default_args=wiring.DEFAULT_ARGS,
    params={"table": Param(None, type=["null", "string"], enum=[None, *TABLES], description="Only this table.")},
    tags=["sync-gap"],
    doc_md=__doc__,
)
def sync_monitor() -> None:
    # Runs without contracts too and then fails; otherwise such a run would be empty and succeed.
    @task
    def chosen(params: dict[str, Any], run_id: str) -> list[str]:
        wiring.open_run(run_id)
        return TABLES if params["table"] is None else [params["table"]]

    @task(map_index_template=wiring.MAPPED_NAME)
    def check(contract_id: str, among: list[str], run_id: str) -> dict[str, Any]:
        if contract_id not in among:
            raise AirflowSkipException("another table was asked for")
        return wiring.check_gap(contract_id, run_id, is_red=True)

    among = chosen()
    for system, ids in SYSTEMS.items():
        named = check.override(task_id=system, pool=wiring.pool_of(system))
        named.partial(among=among).expand(contract_id=ids)


sync_monitor()
