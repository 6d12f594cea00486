"""Loads one table by hand: from where it stands, or from the start.

**Parameters**

- `table`: the table's contract id, e.g. `erp.customers`.
- `full`: read the whole table and append what differs from the lake. Off: the next window, as every day.
- `allow_deletes`: lift, for this load, the brake on how many keys may vanish at once.

Safe beside the daily run: of two writers to one table the second is refused and tries again.
Silver and Gold follow with the next daily run.
"""

from __future__ import annotations

from airflow.sdk import Param, dag
from lakehouse_dags import steps, wiring

SYSTEMS = wiring.contracts_by_system()
TABLES = [contract_id for ids in SYSTEMS.values() for contract_id in ids]


@dag(
    schedule=None,
    start_date=wiring.START,
    catchup=False,
    max_active_runs=1,
    default_args=wiring.DEFAULT_ARGS,
    params={
        "table": Param(type="string", enum=TABLES, description="Contract id of the table."),
        "full": Param(False, type="boolean", description="Read the table from the start."),
        "allow_deletes": Param(False, type="boolean", description="Lift the brake on deletions for this load."),
    },
    tags=["bronze", "manual"],
    doc_md=__doc__,
)
def backfill() -> None:
    # One task per system, because a task's pool is fixed when the file is parsed.
    for system in SYSTEMS:
        steps.load_chosen(system, task_id=f"source_{system}", pool=wiring.pool_of(system))


backfill()
