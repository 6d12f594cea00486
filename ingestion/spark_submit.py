"""What `spark-submit` runs: the command `lakehouse` with Spark as its engine, in the session of the cluster.

    spark-submit [settings] spark_submit.py load erp.customers

The arguments are those of `lakehouse`; the process ends with its exit codes.
"""

from __future__ import annotations

import os


def main() -> None:
    """Run the command. What names an engine already keeps it."""
    os.environ.setdefault("LAKEHOUSE_ENGINE", "spark")
    from ingestion.cli import main as lakehouse  # noqa: PLC0415 - reads the environment

    lakehouse()


if __name__ == "__main__":
    main()
