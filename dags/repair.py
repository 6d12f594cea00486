"""Closes the sync gap of one table: re-extracts what the lake lacks, then builds Silver and Gold, then checks again.

A repair within the contract's limits is done at once. Above them nothing is written without approval: the run waits at
`approve`, under *Required Actions* in the UI, which shows how much would be written. After approval it continues. If it
is rejected, or not answered within two days, nothing is written and the gap stays recorded. The limits are the share of
rows to write (`maxRepairPercent`) and the share of keys to delete (`maxDeletePercent`). The approval covers only the
listed number of deletions.

**Parameters**

- `table`: the table's contract id, e.g. `erp.customers`.
- `allow_deletes`: ignore, for this repair, the contract's limit on deleted keys (`maxDeletePercent`).

Safe to run during the daily run: if two writers commit to one table, the second one fails and is retried. A second
repair finds nothing to do. On the command line: `lakehouse repair TABLE`, with `--yes` above the limits.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param, TriggerRule, chain, dag, task
from airflow.sdk.exceptions import AirflowSkipException
from lakehouse_dags import steps, wiring

SYSTEMS = wiring.contracts_by_system()
TABLES = [contract_id for ids in SYSTEMS.values() for contract_id in ids]
ASKS, DELETES = "asks", "deletes"


@dag(
    schedule=None,
    start_date=wiring.START,
    catchup=False,
    max_active_runs=1,
    default_args=wiring.DEFAULT_ARGS,
    params={
        "table": Param(type="string", enum=TABLES, description="Contract id of the table."),
        "allow_deletes": Param(False, type="boolean", description="Lift the brake on deletions for this repair."),
    },
    tags=["sync-gap", "manual"],
    doc_md=__doc__,
)
def repair() -> None:
    # One task per system and step, because a task's pool is fixed when the file is parsed.
    @task(outlets=[wiring.BRONZE])
    def within_limits(system: str, params: dict[str, Any], run_id: str, outlet_events: Any) -> dict[str, Any]:
        table = _of(system, params)
        return wiring.repair(table, run_id, outlet_events, allow_deletes=params["allow_deletes"])

    @task.branch(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    def weigh(ti: Any) -> str:
        tried = ti.xcom_pull(task_ids=[f"source_{system}" for system in SYSTEMS])
        asks = [result for result in tried if result and result.get(ASKS)]
        if asks:
            ti.xcom_push(ASKS, asks[0][ASKS])
            ti.xcom_push(DELETES, asks[0][DELETES])
        return "approve" if asks else "silver"

    approve = ApprovalOperator(
        task_id="approve",
        subject="Repair {{ params.table }} above its limits?",
        body="{{ ti.xcom_pull(task_ids='weigh', key='asks') }}",
        response_timeout=timedelta(days=2),
        execution_timeout=None,  # it waits for a person to approve
        ignore_downstream_trigger_rules=True,  # rejected: nothing was written, so nothing has to be built or checked
        retries=0,  # a retry would ask for approval again
    )

    @task(outlets=[wiring.BRONZE])
    def approved(system: str, params: dict[str, Any], run_id: str, outlet_events: Any, ti: Any) -> dict[str, Any]:
        table = _of(system, params)
        listed = ti.xcom_pull(task_ids="weigh", key=DELETES)
        options = {"allow_deletes": params["allow_deletes"], "yes": True, "approved_deletes": listed or 0}
        return wiring.repair(table, run_id, outlet_events, **options)

    @task
    def check(system: str, params: dict[str, Any], run_id: str) -> dict[str, Any]:
        return wiring.check_gap(_of(system, params), run_id, is_red=True)

    def per_system(step: Any, name: str) -> list[Any]:
        return [step.override(task_id=f"{name}{s}", pool=wiring.pool_of(s))(s) for s in SYSTEMS]

    weighed = weigh()
    silver = steps.build("silver", [], trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    gold = steps.build("gold", [])
    chain(per_system(within_limits, "source_"), weighed, approve, per_system(approved, "approved_"), silver, gold)
    chain(weighed, silver)
    chain(gold, per_system(check, "check_"))


def _of(system: str, params: dict[str, Any]) -> str:
    """Return the requested table. Skips the task if another system has it."""
    if params["table"] not in SYSTEMS[system]:
        raise AirflowSkipException("a table of another system was asked for")
    return str(params["table"])


repair()
