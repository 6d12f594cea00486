"""The entry point on a cluster: the command `lakehouse` with Spark as its engine, in the cluster's session.

    spark-submit [settings] spark_submit.py load erp.customers

The arguments are those of `lakehouse`; the process ends with its exit codes. In an installed
wheel the entry point is called `lakehouse-spark`.
"""

from __future__ import annotations

import os


def main() -> None:
    """
    Run the command. An engine that is set already is kept.

    Returns normally after success, because Databricks treats every SystemExit as a failure.
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
