"""What a cluster runs: the command `lakehouse` with Spark as its engine, in the session of the cluster.

    spark-submit [settings] spark_submit.py load erp.customers

The arguments are those of `lakehouse`; the process ends with its exit codes. As a job's entry point in an installed
wheel it is called `lakehouse-spark`.
"""

from __future__ import annotations

import os


def main() -> None:
    """
    Run the command. What names an engine already keeps it.

    Returns where the command ended well: Databricks takes every SystemExit for a failure, that of success too.
    """
    os.environ.setdefault("LAKEHOUSE_ENGINE", "spark")
    from ingestion.cli import main as lakehouse  # noqa: PLC0415 - reads the environment

    try:
        lakehouse()
    except SystemExit as ended:
        if ended.code:
            raise


if __name__ == "__main__":
    main()
