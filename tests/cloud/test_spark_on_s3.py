from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cloud.servers import NEEDS_MOTO, ROOT, s3
from tests.spark.session import NEEDS_SPARK, SETTINGS

WANTED = pytest.mark.skipif(
    os.environ.get("LAKEHOUSE_TEST_SPARK_S3") != "true",
    reason="needs Hadoop's files for S3, 700 MB once: LAKEHOUSE_TEST_SPARK_S3=true",
)
pytestmark = [*NEEDS_SPARK, NEEDS_MOTO, WANTED]


def test_spark_and_the_embedded_engine_write_one_table_on_s3_in_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3(monkeypatch, tmp_path / "log") as store:
        store.filesystem().create_dir("company-lake")
        done = subprocess.run(
            [sys.executable, "-m", "tests.cloud.spark_on_s3", "s3://company-lake/spark"],
            cwd=ROOT,
            env={**os.environ, **SETTINGS},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    assert done.returncode == 0, done.stderr[-2000:]
    assert os.environ.get("AWS_SECRET_ACCESS_KEY", "owner-of-all") not in done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["spark"] == found["duckdb"] == [[1, "spark"], [2, "embedded"], [3, "spark"]]
