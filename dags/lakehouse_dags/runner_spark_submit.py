"""Steps by `spark-submit`, with the connection `spark_default`: local, standalone, YARN or Kubernetes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator

import ingestion
from ingestion.errors import ConfigurationError
from lakehouse_dags import wiring
from lakehouse_dags.runner import OnCluster


class SubmitToSpark(OnCluster, SparkSubmitOperator):
    """
    A step by `spark-submit`. In client mode the driver is this task's child and inherits its environment.

    The environment includes the source's connection from Airflow. The command line and Spark's settings, which logs and
    web pages show, never hold it. In cluster mode the driver gets the connection from the cluster's own secrets.
    """

    template_fields = OnCluster.template_fields

    def set_job_arguments(self, arguments: list[str]) -> None:
        self.application = self.application or str(Path(ingestion.__file__).with_name("spark_submit.py"))
        self.application_args = arguments
        self.name = f"lakehouse {self.step} {self.subject}"

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        from ingestion.settings import environment

        given = wiring.connection_variables(self.subject) if self.step == "load" else {}
        given["LAKEHOUSE_PROJECT"] = str(wiring.project())
        try:
            with environment(**given):
                yield
        except FileNotFoundError as exc:
            raise ConfigurationError(
                f"{exc.filename} is not on this worker's PATH. Nothing was started. Install Spark's "
                "client there (it comes with the package pyspark), or name another by the connection's spark-binary."
            ) from exc


OPERATOR: Any = SubmitToSpark
