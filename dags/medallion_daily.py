"""Loads every contract into Bronze, then builds Silver and Gold, records sync gaps, and writes audit tables and
documentation. Runs once a day.

A failed load does not stop the others: Silver and Gold are built without the models that depend on it, its gap is
recorded, and `verdict` fails the run with a list of the failures. The run can be repeated at any time: each table
continues from its last committed watermark, and no batch is committed twice.

**Before the first run:** create the lake (`lakehouse init`), a connection per system whose id is the system's
name (`AIRFLOW_CONN_ERP`), and a pool per system. Without the pool its tasks are never started:

    airflow pools set source_erp 4 "tasks that read erp at once"
    airflow pools set source_shop 4 "tasks that read shop at once"
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import TaskGroup, TriggerRule, chain, dag, task
from lakehouse_dags import steps, wiring


@dag(
    schedule="@daily",
    start_date=wiring.START,
    catchup=False,
    max_active_runs=1,
    default_args=wiring.DEFAULT_ARGS,
    tags=["bronze", "silver", "gold", "sync-gap"],
    doc_md=__doc__,
)
def medallion_daily() -> None:
    systems = wiring.contracts_by_system()
    planned = [contract_id for ids in systems.values() for contract_id in ids]

    @task(retries=1)
    def fixed_point(system: str, run_id: str) -> dict[str, str]:
        return wiring.fixed_point(system, run_id)

    @task(trigger_rule=TriggerRule.ALL_DONE, map_index_template=wiring.MAPPED_NAME)
    def check(contract_id: str, run_id: str) -> dict[str, Any]:
        return wiring.check_gap(contract_id, run_id)

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def docs(run_id: str) -> str:
        return wiring.write_docs(run_id)

    # The only leaf, so its state is the run's state; it checks every task before it.
    @task(trigger_rule=TriggerRule.ALL_DONE)
    def verdict(run_id: str) -> None:
        from ingestion.runs.verdict import good_ends, raise_if_red
        from ingestion.runs.verdict import verdict as read_verdict

        run = wiring.open_run(run_id)
        red = read_verdict(run, run_id, planned)
        red += [f"{step} dbt: not written" for step in ("audit", "docs") if "dbt" not in good_ends(run, step)]
        raise_if_red(run_id, red)

    loads = []
    for system, ids in systems.items():
        with TaskGroup(f"source_{system}"):
            pool = wiring.pool_of(system)
            point = fixed_point.override(pool=pool)(system)
            # All done: if there is no fixed point, each load finds the cause itself and records it.
            loads.append(steps.load_each(ids, point, pool=pool, trigger_rule=TriggerRule.ALL_DONE))
    silver = steps.build(
        "silver",
        planned,
        trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
        inlets=[wiring.bronze_asset(contract_id) for contract_id in planned],
    )
    gold = steps.build("gold", planned)
    with TaskGroup("sync_gaps") as gaps:
        for system, ids in systems.items():
            check.override(task_id=system, pool=wiring.pool_of(system)).expand(contract_id=ids)
    audit = steps.build("audit", planned, trigger_rule=TriggerRule.ALL_DONE)
    chain(loads, silver, gold, gaps, audit, docs(), verdict())


medallion_daily()
