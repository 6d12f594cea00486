"""What a load's comparison with the lake costs: the newest event of every key, in DuckDB at 256 MB and two threads.

    python -m tests.bench.newest KEYS

Two events of each key, and staged rows of every key that differ. Prints CPU seconds of: a window function over all
columns (what people write), `live` (keys with their newest event), `newest_events` (as whole rows) and `changed`
(a load's comparison).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ingestion.bronze import changes
from ingestion.contracts.model import Contract
from ingestion.contracts.odcs import read_contracts
from ingestion.lake import duck
from tests.bench.ours import CONTRACT
from tests.bench.world import customers

WINDOW = (
    "select * from events qualify row_number() over (partition by customer_id "
    "order by _eff desc, _seq desc, _op = 'D' desc, _batch desc, _row desc) = 1"
)


def promised() -> Contract:
    """Return the contract of the bench's customers."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench").mkdir()
        shutil.copy(CONTRACT, Path(folder) / "bench")
        [contract] = read_contracts(Path(folder))
    return contract


def fill(connection: duck.Connection, folder: Path, keys: int) -> None:
    """Make the views of the workbench: two batches of events, and the rows of a read."""
    rows = customers(keys)
    for batch in (1, 2, 3):
        query = f"""
            select * replace (city || {batch} as city, updated_at + to_days({batch}) as updated_at),
                'U' as _op, (updated_at + to_days({batch}))::timestamptz as _eff, 0::bigint as _seq,
                {batch}::bigint as _batch, row_number() over () as _row, 'bench' as _source_system,
                timestamptz '2026-01-01' as _ingested_at, '1.0.0' as _contract_version
            from ({rows})
        """
        connection.execute(f"copy ({query}) to '{folder}/batch-{batch}.parquet' (format parquet)")
    connection.execute(
        f"create view events as from read_parquet(['{folder}/batch-1.parquet', '{folder}/batch-2.parquet'])"
    )
    connection.execute(f"create view staged as from '{folder}/batch-3.parquet'")


def main(keys: str) -> None:
    contract = promised()
    news = changes.changed_state(contract, contract.content_names, op="U", moment=datetime.now(UTC))
    with tempfile.TemporaryDirectory() as spill, duck.connect(memory_limit="256MB", spill=spill) as connection:
        connection.execute("set threads = 2")
        fill(connection, Path(spill), int(keys))

        def kept(query: str) -> Callable[[], object]:
            return lambda: connection.execute(f"copy ({query}) to '{spill}/found.parquet' (format parquet)")

        def compare() -> None:
            for name, query in news.steps:
                connection.execute(f"create or replace table {name} as {query}")
            kept(news.query)()

        ways = {
            "window": kept(WINDOW),
            "live": kept(changes.live(contract)),
            "newest_events": kept(changes.newest_events(contract)),
            "changed": compare,
        }
        for name, way in ways.items():
            used = time.process_time()
            way()
            sys.stdout.write(f"{name}={time.process_time() - used:.2f} ")
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
