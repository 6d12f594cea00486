"""Runs each stream of messages until it has read all that its topics hold, for sites without an endless process.

A task per stream; one that fails stops no other. Where streams run for ever (systemd, Kubernetes) leave this DAG
paused, as it is at first: a second runner on a stream loses and doubles nothing, but the two hinder each other.

Runs every 15 minutes (`LAKEHOUSE_STREAMS_SCHEDULE`).
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, get_current_context, task
from lakehouse_dags import wiring


@dag(
    schedule=wiring.schedule("LAKEHOUSE_STREAMS_SCHEDULE"),
    start_date=wiring.START,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    default_args=wiring.DEFAULT_ARGS,
    description="Runs each stream of messages until it has read all of its topics.",
    tags=["streams"],
    doc_md=__doc__,
)
def streams_catch_up() -> None:
    @task
    def streams() -> list[str]:
        from ingestion.stream_jobs.run import streams_of_topics

        return streams_of_topics(wiring.open_run(get_current_context()))

    @task(map_index_template="{{ task.op_kwargs['name'] }}")
    def catch_up(name: str) -> dict[str, Any]:
        from ingestion.stream_jobs.run import run_stream

        return run_stream(wiring.open_run(get_current_context()), name, until_caught_up=True)

    catch_up.expand(name=streams())


streams_catch_up()
