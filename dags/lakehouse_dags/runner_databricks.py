"""Steps as one-time runs of Databricks (`jobs/runs/submit`), by the connection `databricks_default`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from airflow.providers.databricks.operators.databricks import DatabricksSubmitRunOperator

from ingestion.errors import ConfigurationError
from lakehouse_dags.runner import OPTIONS, OnCluster

PACKAGE, ENTRY_POINT = "lakehouse", "lakehouse-spark"


class RunOnDatabricks(OnCluster, DatabricksSubmitRunOperator):
    """
    A step as a one-time run. Cluster, libraries and environment come from the options' request; its command is ours.

    The request names secrets of the workspace as {{secrets/scope/key}}: it is no template of Airflow's.
    """

    template_fields = OnCluster.template_fields

    def __init__(self, **kwargs: Any) -> None:
        # a task that is deferred leaves its pool, and the pool is what keeps a source from too many loads at once
        super().__init__(**{**kwargs, "deferrable": False})

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        request = options.get("json")
        tasks = request.get("tasks") if isinstance(request, Mapping) else None
        if not isinstance(tasks, list) or len(tasks) != 1 or not isinstance(tasks[0], Mapping):
            raise ConfigurationError(
                f"{OPTIONS}: promised under json a request for jobs/runs/submit with one task, found none or more. "
                "No DAG was made. Name cluster and libraries there; the command is filled in. See docs/spark.md"
            )

    def set_job_arguments(self, arguments: list[str]) -> None:
        # Airflow would hand a DAG's parameters on as named ones, beside which Databricks refuses ours
        self.params = {}
        [task] = self.json["tasks"]
        command = {"package_name": PACKAGE, "entry_point": ENTRY_POINT, "parameters": arguments}
        filled = {"task_key": "lakehouse", **task, "python_wheel_task": command}
        self.json = {
            **self.json,
            "run_name": f"lakehouse {self.step} {self.subject}",
            "tasks": [filled],
            "idempotency_token": uuid4().hex,
        }


OPERATOR: Any = RunOnDatabricks
