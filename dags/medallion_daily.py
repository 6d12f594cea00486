"""Loads every contract into Bronze, builds Silver and Gold, and compares each table with its source. Once a day
(`LAKEHOUSE_DAILY_SCHEDULE`).

**What you see**

| group | a task is | red if |
| --- | --- | --- |
| `source_<system>` | a table | it was not loaded |
| `silver`, `gold`, `audit` | one start of dbt, with its lines in the log | something in it failed |
| `silver_models`, … | a model, with its duration and tests | it or one of its tests failed |
| `late` | what came late, and a second build of it | a source did not answer in the end |
| `sync_gaps` | a table compared with its source | a critical gap is confirmed |
| `verdict` | the run in one sentence | anything above is red |

**If something fails.** A failed table stops no other: Silver and Gold are built without the models that depend on it
(pink in the groups of models). A source that does not answer is waited for three minutes
(`LAKEHOUSE_WAIT_MINUTES`); after Gold of the others, `late` tries it for another quarter to half an hour and builds
what came. What is still missing comes with the next run: each table continues from its last committed watermark, and
no batch is committed twice. So the run can be repeated, and any task cleared, at any time.

**Other DAGs** can be scheduled on `bronze.<system>.<table>`, `silver.<model>` and `gold.<model>`. An event is sent
if rows were committed to Bronze, or if dbt built the model in this run.

**Before the first run:** create the lake (`lakehouse init`), a connection per system whose id is the system's
name (`AIRFLOW_CONN_ERP`), and a pool per system. Without the pool its tasks are never started:

    airflow pools set source_erp 4 "tasks that read erp at once"
    airflow pools set source_shop 4 "tasks that read shop at once"
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import TaskGroup, TriggerRule, dag, task
from lakehouse_dags import assets, steps, wiring, work


@dag(
    schedule=wiring.schedule("LAKEHOUSE_DAILY_SCHEDULE"),
    start_date=wiring.START,
    catchup=False,
    max_active_runs=1,
    default_args=wiring.DEFAULT_ARGS,
    description="Loads all tables, builds Silver and Gold, and compares each table with its source.",
    tags=["bronze", "silver", "gold", "sync-gap"],
    doc_md=__doc__,
)
def medallion_daily() -> None:
    systems = wiring.contracts_by_system()
    planned = [contract_id for ids in systems.values() for contract_id in ids]

    # Little waits for it: without a shared fixed point each load has its own.
    @task(multiple_outputs=False, retries=1, retry_delay=timedelta(seconds=10), retry_exponential_backoff=0)
    def fixed_point(system: str) -> dict[str, str]:
        return work.fixed_point(system)

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def docs() -> str:
        return work.write_docs()

    # The only leaf, so its state is the run's state; it checks every task before it.
    @task(trigger_rule=TriggerRule.ALL_DONE)
    def verdict() -> str:
        return work.judge(planned)

    with TaskGroup("fixed_points"):
        points = {
            system: fixed_point.override(task_id=system, pool=wiring.pool_of(system))(system) for system in systems
        }
    loads: list[Any] = []
    for system, ids in systems.items():
        with TaskGroup(f"source_{system}"):
            loads += steps.load_each(system, ids, points[system], len(planned))
    inlets = [assets.bronze(contract_id) for contract_id in planned]
    silver = steps.build("silver", planned, trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS, inlets=inlets)
    gold = steps.build("gold", planned)
    loads >> silver >> gold
    late, late_gold = _late(systems, points, loads, gold)
    audit = steps.build("audit", planned, trigger_rule=TriggerRule.ALL_DONE)
    late_gold >> audit
    with TaskGroup("sync_gaps"):
        for system, ids in systems.items():
            # Short pauses: a source that is still away was waited for by the late loads.
            gaps = steps.check_each(system, ids, len(planned), trigger_rule=TriggerRule.ALL_DONE, **wiring.LOAD_ARGS)
            [gold, late[system]] >> gaps >> audit
    shown = [steps.show_models(layer, build) for layer, build in (("silver", silver), ("gold", gold), ("audit", audit))]
    audit >> docs() >> (end := verdict())
    shown >> end


def _late(
    systems: dict[str, list[str]], points: dict[str, Any], loads: list[Any], gold: Any
) -> tuple[dict[str, Any], Any]:
    """
    Return what loads the late tables of each system, and the build of Gold with them. All are skipped by the scheduler,
    without a process, in a run in which no load failed.
    """
    planned = [contract_id for ids in systems.values() for contract_id in ids]
    with TaskGroup("late"):
        needed = EmptyOperator(task_id="needed", trigger_rule=TriggerRule.ONE_FAILED)
        loads >> needed
        late = {system: steps.load_late(system, ids, points[system]) for system, ids in systems.items()}
        silver = steps.build_late("silver", planned, trigger_rule=TriggerRule.NONE_SKIPPED)
        late_gold = steps.build_late("gold", planned)
        [needed, gold] >> silver
        for each in late.values():
            [needed, gold] >> each >> silver
        silver >> late_gold
    return late, late_gold


medallion_daily()
