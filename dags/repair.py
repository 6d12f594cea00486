"""Closes the sync gap of one table: re-extracts what the lake lacks, then builds Silver and Gold, then checks again.

A repair within the contract's limits is done at once. Above them nothing is written without approval: the run waits at
`approve`, under *Required Actions* in the UI, which shows all that would be done. After approval it is done, and
nothing else is asked. If it is rejected, or not answered within two days, nothing is written and the gap stays
recorded. The limits are the share of rows to write (`maxRepairPercent`) and the share of keys to delete
(`maxDeletePercent`). The approval covers only the listed number of deletions.

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
from lakehouse_dags import assets, steps, wiring, work

SYSTEMS = wiring.contracts_by_system()
TABLES = [contract_id for ids in SYSTEMS.values() for contract_id in ids]
# Markdown; Airflow shows it to the person who is asked
BODY = """
{% set asked = ti.xcom_pull(task_ids='weigh', key='asks') -%}
{% set writes = asked.rereads + asked.deletes -%}
**{{ params.table }}** differs from its source by {{ '{:,}'.format(writes) }} of {{ '{:,}'.format(asked.rows) }} rows
({{ '%.1f' % (100 * writes / [asked.rows, 1] | max) }} %). That is more than its contract lets a repair write without
approval.

**Approve**, and this is done:

1. {{ '{:,}'.format(asked.rereads) }} rows are read again from the source and written to the lake.
2. {{ '{:,}'.format(asked.deletes) }} rows that the source no longer has are marked as deleted. The limit on deletions
   is lifted for these, and for no more.
3. Silver and Gold are built, and the table is compared again.

**Reject**, and nothing is written; the gap stays recorded. No answer within two days counts as a rejection.

Nothing is ever changed in the source, and no history is lost: deleted rows stay in it as closed versions. Before you
approve, ask whether the source is whole: if it lost rows by accident, reject, and mend the source first. The keys that
differ are listed by `lakehouse gaps {{ params.table }} --keys`, likely causes by `lakehouse gaps advise
{{ params.table }}`.
"""


@dag(
    schedule=None,
    start_date=wiring.START,
    catchup=False,
    max_active_runs=1,
    default_args=wiring.DEFAULT_ARGS,
    description="Closes the sync gap of one table; above the contract's limits only after approval.",
    params={
        "table": Param(type="string", enum=TABLES, description="Contract id of the table."),
        "allow_deletes": Param(False, type="boolean", description="Lift the brake on deletions for this repair."),
    },
    tags=["sync-gap", "manual"],
    doc_md=__doc__,
)
def repair() -> None:
    # One task per system and step, because a task's pool is fixed when the file is parsed.
    @task(multiple_outputs=False)
    def within_limits(system: str, params: dict[str, Any]) -> dict[str, Any]:
        return work.repair(_of(system, params), allow_deletes=params["allow_deletes"])

    @task.branch(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    def weigh(ti: Any) -> str:
        tried = ti.xcom_pull(task_ids=[f"source_{system}" for system in SYSTEMS])
        asks = [result["asks"] for result in tried if result and result.get("asks")]
        if asks:
            ti.xcom_push("asks", asks[0])
        return "approve" if asks else "silver"

    approve = ApprovalOperator(
        task_id="approve",
        subject="Repair {{ params.table }}?",
        body=BODY,
        response_timeout=timedelta(days=2),
        execution_timeout=None,  # it waits for a person to approve
        ignore_downstream_trigger_rules=True,  # rejected: nothing was written, so nothing has to be built or checked
        retries=0,  # a retry would ask for approval again
    )

    @task(multiple_outputs=False)
    def approved(system: str, params: dict[str, Any], ti: Any) -> dict[str, Any]:
        table, asked = _of(system, params), ti.xcom_pull(task_ids="weigh", key="asks")
        options = {"allow_deletes": params["allow_deletes"], "yes": True, "approved_deletes": asked["deletes"]}
        return work.repair(table, **options)

    @task(multiple_outputs=False)
    def check(system: str, params: dict[str, Any]) -> dict[str, dict[str, Any]]:
        return work.check_gaps([_of(system, params)])

    def per_system(step: Any, name: str, *, writes: bool) -> list[Any]:
        return [
            step.override(
                task_id=f"{name}{system}",
                pool=wiring.pool_of(system),
                outlets=[assets.bronze(each) for each in ids] if writes else [],
            )(system)
            for system, ids in SYSTEMS.items()
        ]

    weighed = weigh()
    silver = steps.build("silver", [], announces=True, trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    gold = steps.build("gold", [], announces=True)
    tried = per_system(within_limits, "source_", writes=True)
    chain(tried, weighed, approve, per_system(approved, "approved_", writes=True), silver, gold)
    chain(weighed, silver)
    chain(gold, per_system(check, "check_", writes=False))


def _of(system: str, params: dict[str, Any]) -> str:
    """Return the requested table. Skips the task if another system has it."""
    if params["table"] not in SYSTEMS[system]:
        raise AirflowSkipException("a table of another system was asked for")
    return str(params["table"])


repair()
