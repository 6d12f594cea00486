"""Ends history by the contracts' retention, compacts small files and deletes files that no recent version needs.

Runs once a day, at 12:30 UTC (`LAKEHOUSE_MAINTENANCE_SCHEDULE`). Removes no row that a contract keeps. Safe to run
during loads and builds: if another writer commits to a table meanwhile, maintenance skips the table until the next day.

**Parameter** `keep_days`: older versions of tables can no longer be read afterwards (Bronze's batches can).
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from lakehouse_dags import wiring


@dag(
    schedule=wiring.schedule("LAKEHOUSE_MAINTENANCE_SCHEDULE"),  # not during the daily run, which writes the tables
    start_date=wiring.START,
    catchup=False,
    max_active_runs=1,
    default_args=wiring.DEFAULT_ARGS,
    description="Ends history by the contracts' retention, compacts small files, deletes unneeded ones.",
    params={"keep_days": Param(7, type="number", minimum=1, description="Days whose versions stay readable.")},
    tags=["maintenance"],
    doc_md=__doc__,
)
def lake_maintenance() -> None:
    @task
    def maintain(params: dict[str, Any]) -> list[dict[str, Any]]:
        from datetime import timedelta

        from ingestion.admin.maintenance import maintain

        done = maintain(wiring.open_run(get_current_context()), keep=timedelta(days=params["keep_days"]))
        return [table.as_dict() for table in done]

    maintain()


lake_maintenance()
