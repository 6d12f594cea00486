"""Steps as one-time runs of Databricks (`jobs/runs/submit`), with the connection `databricks_default`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from airflow.providers.databricks.operators.databricks import DatabricksSubmitRunOperator

from ingestion.errors import ConfigurationError
from ingestion.shipped import DISTRIBUTION
from lakehouse_dags.runner import OPTIONS, OnCluster

ENTRY_POINT = "lakehouse-spark"


class RunOnDatabricks(OnCluster, DatabricksSubmitRunOperator):
    """
    A step as a one-time run. The request in the options has cluster, libraries and environment, but no command.

    The request refers to secrets of the workspace as {{secrets/scope/key}}, so it must not be an Airflow template.
    """

    template_fields = OnCluster.template_fields

    def __init__(self, **kwargs: Any) -> None:
        # a deferred task leaves its pool, and the pool limits the parallel loads of a source
        super().__init__(**{**kwargs, "deferrable": False})

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        request = options.get("json")
        tasks = request.get("tasks") if isinstance(request, Mapping) else None
        if not isinstance(tasks, list) or len(tasks) != 1 or not isinstance(tasks[0], Mapping):
            raise ConfigurationError(
                f"{OPTIONS}: json must be a request for jobs/runs/submit with exactly one task. "
                "No DAG was made. Name cluster and libraries there; the command is filled in. See docs/spark.md"
            )

    def set_job_arguments(self, arguments: list[str]) -> None:
        # Airflow would pass a DAG's parameters as named ones, which Databricks does not accept together with ours
        self.params = {}
        [task] = self.json["tasks"]
        command = {"package_name": DISTRIBUTION, "entry_point": ENTRY_POINT, "parameters": arguments}
        filled = {"task_key": "lakehouse", **task, "python_wheel_task": command}
        self.json = {
            **self.json,
            "run_name": f"lakehouse {self.step} {self.subject}",
            "tasks": [filled],
            "idempotency_token": uuid4().hex,
        }


OPERATOR: Any = RunOnDatabricks
