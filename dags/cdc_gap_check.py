"""Compares, each hour, the calls of the source with the conversations that were sent and the results that came.

A call counts as missing if it is found twice, some polls apart. With `repair` what is missing is entered into the
outbox anew, and `lakehouse cdc run` sends it; without it, calls that are missing fail the task. The DAG
is paused at first: it needs the connections of conversations.

Runs every hour (`LAKEHOUSE_CALLS_SCHEDULE`).
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from lakehouse_dags import wiring


@dag(
    schedule=wiring.schedule("LAKEHOUSE_CALLS_SCHEDULE"),
    start_date=wiring.START,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    default_args=wiring.DEFAULT_ARGS,
    description="Finds calls that were not sent or not answered, and enters them anew.",
    params={
        "days": Param(1, type="integer", minimum=1, description="How far back."),
        "repair": Param(True, type="boolean", description="Enter what is missing anew; else it fails the run."),
    },
    tags=["streams", "sync-gap"],
    doc_md=__doc__,
)
def cdc_gap_check() -> None:
    @task
    def compare(params: dict[str, Any]) -> dict[str, Any]:
        from datetime import timedelta

        from ingestion.cdc.gaps import compare_calls

        context = wiring.open_run(get_current_context())
        return wiring.plain(compare_calls(context, timedelta(days=params["days"]), repair=params["repair"]).as_dict())

    compare()


cdc_gap_check()
