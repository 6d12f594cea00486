"""Runs dbt on DuckDB for `lakehouse build`: the same as the command `dbt`, for less CPU.

A build does not write dbt's artifacts, which takes longer than its models when nothing is new. Of its results only what
`lakehouse build` reads is written, in the form of dbt's run_results.json, and of its messages warnings and errors are
printed. DBT_WRITE_JSON=true and DBT_LOG_LEVEL=info give all of both.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT.parent))  # where the package is not installed, it lies beside the project
gc.set_threshold(100_000, 50, 100)  # dbt creates many objects that live as long as the process: a tenth of its time

from ingestion.build.dbt_process import end_with_parent  # noqa: E402

if __name__ == "__main__":
    end_with_parent()  # before dbt is imported, which takes a second

from dbt.artifacts.schemas.run import RunExecutionResult  # noqa: E402
from dbt.cli.exceptions import DbtUsageException  # noqa: E402
from dbt.cli.main import dbtRunner  # noqa: E402
from dbt_common.events.base_types import EventMsg  # noqa: E402
from dbt_common.events.functions import env_scrubber  # noqa: E402

from ingestion.no_pandas import hide_pandas  # noqa: E402


def main(arguments: list[str]) -> int:
    """Run dbt with the arguments of its command line; return its exit code."""
    hide_pandas()
    if "build" in arguments:
        os.environ.setdefault("DBT_WRITE_JSON", "false")
        os.environ.setdefault("DBT_LOG_LEVEL", "none")
    is_silent = os.environ.get("DBT_LOG_LEVEL") == "none"
    ended = dbtRunner(callbacks=[_print_faults] if is_silent else []).invoke(arguments)
    if isinstance(ended.exception, DbtUsageException):  # the only one of which dbt sends no event
        print(ended.exception, file=sys.stderr)
    if os.environ.get("DBT_WRITE_JSON") == "false" and isinstance(ended.result, RunExecutionResult):
        _write_results(ended.result)
    return 0 if ended.success else 1 if ended.exception is None else 2


def _print_faults(event: EventMsg) -> None:
    if event.info.level in ("warn", "error"):
        print(env_scrubber(event.info.msg))


def _write_results(ended: RunExecutionResult) -> None:
    results = [
        {
            "unique_id": of.node.unique_id,
            "status": of.status,
            "message": of.message,
            "failures": of.failures,
            "execution_time": of.execution_time,
            "depends_on": of.node.depends_on.nodes if of.node.resource_type in ("model", "test") else [],
        }
        for of in ended.results
    ]
    told = json.dumps({"results": results, "elapsed_time": ended.elapsed_time})
    Path(os.environ["DBT_TARGET_PATH"], "run_results.json").write_text(told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
