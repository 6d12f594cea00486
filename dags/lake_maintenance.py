"""Compacts small files and deletes what no version of the last days needs; once a day, at noon.

Changes no row, and is safe beside loads and builds: of two writers to a table one is refused, and maintenance
then leaves the table to the next day.

**Parameter** `keep_days`: older versions of tables can no longer be read afterwards (Bronze's batches can).
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task
from lakehouse_dags import wiring


@dag(
    schedule="30 12 * * *",  # UTC; far from the daily run, whose tables it would find busy
    start_date=wiring.START,
    catchup=False,
    max_active_runs=1,
    default_args=wiring.DEFAULT_ARGS,
    params={"keep_days": Param(7, type="number", minimum=1, description="Days whose versions stay readable.")},
    tags=["maintenance"],
    doc_md=__doc__,
)
def lake_maintenance() -> None:
    @task
    def maintain(params: dict[str, Any], run_id: str) -> list[dict[str, Any]]:
        from datetime import timedelta

        from ingestion.admin.maintenance import maintain

        done = maintain(wiring.open_run(run_id), keep=timedelta(days=params["keep_days"]))
        return [table.as_dict() for table in done]

    maintain()


lake_maintenance()
