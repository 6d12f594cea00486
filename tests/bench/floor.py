"""What nobody who rewrites files can beat: DuckDB copies the current rows of a history to one Parquet file.

    python -m tests.bench.floor TABLE TARGET [OPTIONS OF COPY]

Prints the seconds of the copy alone, by the clock and of CPU. With no options DuckDB's own settings hold.
"""

from __future__ import annotations

import sys
import time

from ingestion.lake import duck
from ingestion.sql.quoting import text_literal


def main(table: str, target: str, options: str = "") -> None:
    with duck.connect(memory_limit="1GB", spill=f"{target}.spill") as connection:
        connection.execute("set threads = 2")
        where = (
            "where is_current" if "is_current" in duck.select(connection, f"from {duck.scan(table)} limit 0")[0] else ""
        )
        start, used = time.perf_counter(), time.process_time()
        connection.execute(
            f"copy (select * from {duck.scan(table)} {where}) to {text_literal(target)} (format parquet {options})"
        )
        sys.stdout.write(f"{time.perf_counter() - start:.3f} {time.process_time() - used:.3f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
