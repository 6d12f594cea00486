"""Loads one table on request: from its last watermark, or from the start.

**Parameters**

- `table`: the table's contract id, e.g. `erp.customers`.
- `full`: read the whole table and append what differs from the lake. Off: load the next window, as every day.
- `allow_deletes`: ignore, for this load, the contract's limit on deleted keys (`maxDeletePercent`).

Safe to run during the daily run: if two writers commit to one table, the second one fails and is retried.
The next daily run updates Silver and Gold.
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
    description="Loads one table on request: its next window, or all of it.",
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
    for system, ids in SYSTEMS.items():
        steps.load_chosen(system, ids)


backfill()
