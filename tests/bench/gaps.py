"""What a sync-gap check costs: 5 M rows on both sides, 10 planted differences, 1,000 rows in flight.

    python -m tests.bench.gaps [--rows N] [--repeat N] [--others PYTHON]

Source and lake are two DuckDB files (and the lake once more as a Delta table), so that reladiff can compare them too;
PYTHON is an interpreter that has reladiff. The floor is one DuckDB that joins both files, which no real pair of
databases allows. Every role runs in a process of its own; the best of the repeats counts. Moments are whole seconds,
as an ERP's DATE. Keys in flight are handed to all: what finds them costs us one query more, counted here.

This file also runs as the script of each child; nothing that reladiff's interpreter lacks is imported at its top.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "gaps.json"
COLUMNS = {
    "order_id": "BIGINT",
    "customer_id": "BIGINT",
    "order_date": "DATE",
    "status": "VARCHAR",
    "amount": "DECIMAL(12,2)",
    "updated_at": "TIMESTAMP",
}
BOUND = "2026-06-01 00:00:00"
IN_FLIGHT = 1_000
NOT_IN_FLIGHT = "order_id not in (select order_id from in_flight)"


def planted(rows: int) -> dict[str, list[int]]:
    """Return the keys of the planted differences, all over the table."""
    keys = [rows // 11 * n + n for n in range(1, 11)]
    return {"missing_in_lake": keys[:4], "missing_in_source": keys[4:7], "changed": keys[7:]}


def make(folder: Path, rows: int) -> None:
    """Write source.duckdb, lake.duckdb and the Delta table `delta`."""
    import duckdb
    from deltalake import write_deltalake

    orders = (
        f"select i as order_id, (i * 7919) % 100000 as customer_id, date '2024-06-01' + (i * 700 // {rows})::int "
        "as order_date, (['NEW', 'PAID', 'SHIPPED', 'DELIVERED'])[1 + i % 4] as status, "
        "((i * 31) % 1000000 / 100)::decimal(12,2) as amount, "
        f"timestamp '2024-06-01' + to_seconds(i * 60000000 // {rows}) as updated_at from range(1, {rows + 1}) r(i)"
    )
    keys = {kind: ", ".join(map(str, some)) for kind, some in planted(rows).items()}
    flown = f"order_id % ({rows} // {IN_FLIGHT}) = 5"
    for side in ("source", "lake"):
        with duckdb.connect(str(folder / f"{side}.duckdb")) as connection:
            connection.execute(f"create table orders as {orders}")
            connection.execute(f"create table in_flight as select order_id from orders where {flown}")
            if side == "source":
                connection.execute(f"update orders set amount = 0, updated_at = timestamp '{BOUND}' where {flown}")
                connection.execute(f"delete from orders where order_id in ({keys['missing_in_source']})")
            else:
                connection.execute(f"delete from orders where order_id in ({keys['missing_in_lake']})")
                connection.execute(f"update orders set amount = amount + 1 where order_id in ({keys['changed']})")
                write_deltalake(str(folder / "delta"), connection.execute("from orders").to_arrow_reader(100_000))


def ours(folder: Path, lake: str) -> dict[str, Any]:
    """Compare through the ladder; the lake is a DuckDB file, or Delta read by DuckDB."""
    import pyarrow as pa

    from ingestion.contracts.drift import FoundColumn
    from ingestion.contracts.model import Column, Contract, Mode, Reconcile
    from ingestion.contracts.types import arrow_type
    from ingestion.lake import duck
    from ingestion.reconcile.hashes import plan_row
    from ingestion.reconcile.ladder import compare_sides
    from ingestion.reconcile.ports import duckdb_lake, source_side

    columns = tuple(
        Column(name, name, "", type_, arrow_type("duckdb", type_), key_position=1 if name == "order_id" else None)
        for name, type_ in COLUMNS.items()
    )
    reconcile = Reconcile(partition="order_date", grain="day")
    contract = Contract(
        *("shop.orders", "1.0.0", "shop", "orders", "duckdb", ("orders",), columns, "UTC", Mode.INCREMENTAL, "orders"),
        watermark="updated_at",
        reconcile=reconcile,
    )
    found = tuple(FoundColumn(c.name, c.physical_type, c.arrow_type, True, "duckdb") for c in columns)
    plan = plan_row(contract, found)
    there, here = duck.connect(), duck.connect()
    there.execute(f"attach '{folder / 'source.duckdb'}' as s (read_only)")
    here.execute(f"attach '{folder / 'lake.duckdb'}' as l (read_only)")
    rows = "l.orders" if lake == "file" else duck.scan(str(folder / "delta"))

    def run(query: str, schema: pa.Schema) -> pa.Table:
        return there.execute(query).to_arrow_table().rename_columns(schema.names).cast(schema)

    start = time.perf_counter()
    bound = f"updated_at < timestamp '{BOUND}'"
    flying = there.execute(f"select order_id from s.orders where not ({bound})").to_arrow_table()
    here.register("flying", flying)
    here.execute("create temp table in_flight as from flying")  # of a registered table DuckDB does not know the size
    compared = compare_sides(
        source_side(contract, found, plan, run, relation="s.orders", where=bound),
        duckdb_lake(contract, plan, here, rows=rows, in_flight="in_flight"),
    )
    seconds = time.perf_counter() - start
    keys = {str(kind): sorted(table.column("order_id").to_pylist()) for kind, table in compared.found.items()}
    rows_read = compared.cost.rows + flying.num_rows
    return {"seconds": seconds, "queries": compared.cost.queries + 1, "rows_read": rows_read, "keys": keys}


def floor(folder: Path) -> dict[str, Any]:
    """Join both files in one DuckDB."""
    import duckdb

    with duckdb.connect() as connection:
        for side in ("source", "lake"):
            connection.execute(f"attach '{folder / side}.duckdb' as {side}_db (read_only)")
        differs = " or ".join(f"s.{name} is distinct from l.{name}" for name in COLUMNS)
        start = time.perf_counter()
        found = connection.execute(
            "select case when l.order_id is null then 'missing_in_lake' when s.order_id is null then "
            "'missing_in_source' else 'changed' end, coalesce(s.order_id, l.order_id) as order_id "
            "from source_db.orders s full join lake_db.orders l on s.order_id = l.order_id "
            f"where ({differs}) and coalesce(s.order_id, l.order_id) not in (select order_id from source_db.in_flight)"
        ).fetchall()
        seconds = time.perf_counter() - start
    keys: dict[str, list[int]] = {}
    for kind, key in sorted(found):
        keys.setdefault(kind, []).append(key)
    return {"seconds": seconds, "keys": keys}


def reladiff(folder: Path) -> dict[str, Any]:
    """Compare by reladiff with its defaults."""
    import logging

    from reladiff import connect_to_table, diff_tables

    logging.disable(logging.WARNING)
    sides = [
        connect_to_table(
            {"driver": "duckdb", "filepath": str(folder / f"{side}.duckdb")},
            "orders",
            "order_id",
            extra_columns=tuple(name for name in COLUMNS if name != "order_id"),
            where=NOT_IN_FLIGHT,
        )
        for side in ("source", "lake")
    ]
    start = time.perf_counter()
    signs: dict[int, str] = {}
    for sign, values in diff_tables(*sides):
        signs[int(values[0])] = signs.get(int(values[0]), "") + sign
    seconds = time.perf_counter() - start
    kinds = {"-": "missing_in_lake", "+": "missing_in_source"}
    keys: dict[str, list[int]] = {}
    for key in sorted(signs):
        keys.setdefault(kinds.get(signs[key], "changed"), []).append(key)
    return {"seconds": seconds, "keys": keys}


ROLES = {
    "ours": lambda folder: ours(folder, "file"),
    "ours_on_delta": lambda folder: ours(folder, "delta"),
    "floor": floor,
    "reladiff": reladiff,
}


def best_of(folder: Path, repeat: int, others: str | None) -> dict[str, dict[str, Any]]:
    """Run every role in turn, `repeat` times; return each one's quickest run."""
    from tests.bench.measure import measure

    best: dict[str, dict[str, Any]] = {}
    for _ in range(repeat):
        for role in ROLES:
            command = [sys.executable, "-m", "tests.bench.gaps"]
            if role == "reladiff":
                if others is None:
                    continue
                command = [others, __file__]
            cost = measure([*command, "--role", role, "--folder", str(folder)])
            told = json.loads(cost.output.strip().splitlines()[-1])
            told |= {"cpu": round(cost.cpu, 2), "peak_mb": round(cost.peak / 1e6)}
            if role not in best or told["seconds"] < best[role]["seconds"]:
                best[role] = told
    return best


def judged(run: dict[str, Any], rows: int) -> dict[str, Any]:
    """Replace a run's keys by how many of the planted differences it found, and how many others it named."""
    expected = {(kind, key) for kind, keys in planted(rows).items() for key in keys}
    named = {(kind, key) for kind, keys in run.pop("keys").items() for key in keys}
    return run | {"seconds": round(run["seconds"], 3), "found": len(named & expected), "false": len(named - expected)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--others", default=shutil.which("python", path=".venv-bench/bin"))
    parser.add_argument("--role", choices=ROLES)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.role:
        print(json.dumps(ROLES[given.role](given.folder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), given.rows)
        runs = {
            role: judged(run, given.rows) for role, run in best_of(Path(folder), given.repeat, given.others).items()
        }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"rows": given.rows, "in_flight": IN_FLIGHT, "runs": runs}, indent=2) + "\n")
    for role, run in runs.items():
        print(role, json.dumps(run))
    mine = runs["ours"]
    ratios = {"queries": mine["queries"], "found": mine["found"], "false": mine["false"]}
    if "reladiff" in runs:
        ratios["times_faster_than_reladiff"] = round(runs["reladiff"]["seconds"] / mine["seconds"], 1)
    ratios["times_the_floor"] = round(mine["seconds"] / runs["floor"]["seconds"], 1)
    print(" ".join(f"{name}={value}" for name, value in ratios.items()))


if __name__ == "__main__":
    main()
