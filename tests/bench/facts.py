"""A fact table of order lines, sorted by day, and one day's changes. Run as a child.

python -m tests.bench.facts TABLE create LINES
python -m tests.bench.facts TABLE change LINES CHANGES   prints the seconds from the difference to the commit
python -m tests.bench.facts TABLE whole LINES CHANGES    likewise, where all lines are computed and compared
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable

from ingestion.lake import duck
from ingestion.lake.base import Commit
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.embedded.rebuild import rebuild
from ingestion.lake.embedded.rewrite import apply_difference
from tests.dbt.macros import load_macros

ENGINE = DeltaRs()
ORDER = ["order_date_key", "order_id"]
PLACED = "(select *, filename as _file, file_row_number as _pos from {})"


def sales(lines: int) -> str:
    """Return three lines per order; orders ascend with time."""
    return f"""
        select
            md5((i // 3) || '|' || (i % 3 + 1)) as sales_sk,
            md5('c' || (hash(i // 3) % 1000000)) as customer_sk,
            md5('p' || (hash(i) % 10000)) as product_sk,
            strftime(date '2024-01-01' + (i * 700 // {lines})::int, '%Y%m%d')::int as order_date_key,
            i // 3 as order_id,
            (i % 3 + 1)::int as line_number,
            ['NEW', 'PAID', 'SHIPPED'][(1 + hash(i // 3) % 3)::int] as order_status,
            ['WEB', 'APP', 'STORE'][(1 + hash(i // 3 + 1) % 3)::int] as channel,
            'BRL' as currency,
            false as is_cancelled,
            timestamptz '2024-01-01' + to_seconds(i * 3) as ordered_at,
            (1 + hash(i) % 5)::int as quantity,
            (hash(i * 3) % 10000 / 100.0)::decimal(12, 2) as unit_price,
            0::decimal(12, 2) as discount,
            (hash(i * 5) % 10000 / 100.0)::decimal(18, 2) as net_revenue,
            (hash(i * 7) % 10000 / 100.0)::decimal(18, 2) as gross_profit
        from range({lines}) as r(i)
    """


def create(connection: duck.Connection, uri: str, lines: int) -> None:
    rebuild(ENGINE, connection, uri, sales(lines), commit=Commit("gold/fact_sales", None), order_by=ORDER)


def change(connection: duck.Connection, uri: str, lines: int, changes: int) -> None:
    """The newest lines change their status, as a day's orders do; which ones is known."""
    version = ENGINE.version(uri)
    newest = PLACED.format(duck.scan(uri, version)) + f" where order_id >= {lines // 3 - changes // 3}"
    state = f"order_status || '{version}' as order_status"
    apply_difference(
        ENGINE,
        connection,
        ENGINE.snapshot(uri, expected_version=version),
        f"select 'U' as _change, * replace ({state}) from {newest}",
        commit=Commit("gold/fact_sales", None),
        order_by=ORDER,
    )


def whole(connection: duck.Connection, uri: str, lines: int, changes: int) -> None:
    """As the materialization `delta` does it: all lines computed, their keys checked, all compared."""
    version = ENGINE.version(uri)
    state = f"case when order_id >= {lines // 3 - changes // 3} then order_status || '{version}' else order_status end"
    connection.execute(
        f"create table fresh as select * replace ({state} as order_status) from {duck.scan(uri, version)}"
    )
    connection.execute("select count(*) from (select sales_sk from fresh group by sales_sk having count(*) > 1)")
    columns = [name for name in ENGINE.schema(uri).names if name != "sales_sk"]
    apply_difference(
        ENGINE,
        connection,
        ENGINE.snapshot(uri, expected_version=version),
        load_macros()["row_difference"]("fresh", PLACED.format(duck.scan(uri, version)), ["sales_sk"], columns),
        commit=Commit("gold/fact_sales", None),
        order_by=ORDER,
    )


def main(uri: str, what: str, *numbers: str) -> None:
    with tempfile.TemporaryDirectory() as spill, duck.connect(memory_limit="1GB", spill=spill) as connection:
        connection.execute("set threads = 2")
        start, used = time.perf_counter(), time.process_time()
        steps: dict[str, Callable[..., None]] = {"create": create, "change": change, "whole": whole}
        steps[what](connection, uri, *map(int, numbers))
        sys.stdout.write(f"{time.perf_counter() - start:.3f} {time.process_time() - used:.3f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
