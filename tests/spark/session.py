"""What every test that needs Spark has in common: all run in one worker, whose one session they share."""

from __future__ import annotations

import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

NEEDS_SPARK = [
    pytest.mark.xdist_group("spark"),
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java"),
    pytest.mark.skipif(find_spec("pyspark") is None, reason="Spark needs the extra spark"),
]
TAKES_MINUTES = pytest.mark.skipif(
    os.environ.get("LAKEHOUSE_TEST_SPARK_BUILDS") != "true", reason="takes minutes: make test-spark runs it"
)
NEEDS_MINUTES = [*NEEDS_SPARK, TAKES_MINUTES]
_SMALL = {  # short tests, little memory: no time for compilers, nor to verify the bytecode of pinned jars
    "spark.master": "local[2]",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions "
    "-XX:-BytecodeVerificationRemote",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.databricks.delta.snapshotPartitions": "1",
}
KAFKA_JARS = Path(__file__).parents[2] / ".venv" / "spark-kafka"
SETTINGS = {"LAKEHOUSE_SPARK_CONF": json.dumps(_SMALL)}
if any(KAFKA_JARS.glob("*.jar")):
    SETTINGS["LAKEHOUSE_SPARK_JARS"] = str(KAFKA_JARS)
