"""One way of copying the benchmark's table, as a process of its own: `python -m tests.bench.load_cases WAY SYSTEM FOLDER`.

Ways: seed (fill the table), init (an empty lake), ours, again (ours once more, with nothing new, which prints the CPU
seconds of the load without imports), raw (the driver's Arrow into nothing), dlt, script (as people write it: pandas in
chunks). The last two run in the environment of the competitors' packages.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from ingestion.no_pandas import hide_pandas

CHUNK_ROWS = 100_000
# name, Oracle's type, SQL Server's, logical type
COLUMNS = [
    ("ID", "NUMBER(12)", "bigint", "integer"),
    ("CUSTOMER_ID", "NUMBER(12)", "bigint", "integer"),
    ("ORDER_NO", "VARCHAR2(20)", "varchar(20)", "string"),
    ("STATUS", "VARCHAR2(12)", "nvarchar(12)", "string"),
    ("QUANTITY", "NUMBER(9)", "int", "integer"),
    ("UNIT_PRICE", "NUMBER(12,2)", "decimal(12,2)", "number"),
    ("DISCOUNT", "NUMBER", "decimal(18,6)", "number"),
    ("CURRENCY", "CHAR(3)", "char(3)", "string"),
    ("IS_GIFT", "NUMBER(1)", "bit", "boolean"),
    ("ORDERED_ON", "DATE", "date", "timestamp"),
    ("NOTE", "VARCHAR2(60)", "nvarchar(60)", "string"),
    ("UPDATED_AT", "TIMESTAMP(6)", "datetime2(6)", "timestamp"),
]
SELECT = f"SELECT {', '.join(name for name, *_ in COLUMNS)} FROM BENCH"


def connection(system: str) -> Any:
    from ingestion.settings import parse_connection

    name = f"AIRFLOW_CONN_{system.upper()}_TEST"
    return parse_connection(name, os.environ[name])


def seed(system: str, rows: int) -> None:
    columns = ", ".join(f"{name} {types[system == 'sqlserver']}" for name, *types, _ in COLUMNS)
    if system == "oracle":
        from ingestion.sources.oracle.session import connect

        with connect("bench", connection(system)) as opened, opened.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM USER_TABLES WHERE TABLE_NAME = 'BENCH'")
            if cursor.fetchone() != (0,):
                cursor.execute("DROP TABLE BENCH")
            cursor.execute(f"CREATE TABLE BENCH ({columns}, PRIMARY KEY (ID))")
            for start in range(1, rows + 1, CHUNK_ROWS):
                binds = ", ".join(f":{n}" for n in range(1, len(COLUMNS) + 1))
                cursor.executemany(
                    f"INSERT INTO BENCH VALUES ({binds})", _rows(start, min(CHUNK_ROWS, rows + 1 - start))
                )
            opened.commit()
        return
    from ingestion.sources.sqlserver.session import connect as connect_sqlserver

    opened = connect_sqlserver("bench", connection(system))
    opened.execute("IF OBJECT_ID('dbo.BENCH') IS NOT NULL DROP TABLE dbo.BENCH")
    opened.execute(f"CREATE TABLE dbo.BENCH ({columns}, PRIMARY KEY (ID))")
    opened.execute(
        "INSERT INTO dbo.BENCH SELECT value, value % 100000, CONCAT('ORD-', value), "
        "CASE WHEN value % 3 = 0 THEN N'PAID' ELSE N'SHIPPED' END, value % 7, value % 1000, (value % 50) / 10.0, 'BRL', "
        "value % 2, DATEADD(day, value % 300, CAST('2025-01-01' AS date)), CONCAT(N'note about order ', value % 1000), "
        f"DATEADD(second, value, CAST('2020-01-01' AS datetime2(6))) FROM GENERATE_SERIES(1, {rows})"
    )


def _rows(start: int, count: int) -> Any:
    from ingestion.lake import duck

    with duck.connect() as maker:
        return maker.execute(
            "select i as ID, i % 100000 as CUSTOMER_ID, 'ORD-' || i as ORDER_NO, "
            "case when i % 3 = 0 then 'PAID' else 'SHIPPED' end as STATUS, i % 7 as QUANTITY, "
            "(i % 1000)::decimal(12,2) as UNIT_PRICE, ((i % 50) / 10)::decimal(12,2) as DISCOUNT, 'BRL' as CURRENCY, "
            "i % 2 as IS_GIFT, timestamp '2025-01-01' + to_days((i % 300)::int) as ORDERED_ON, "
            "'note about order ' || i % 1000 as NOTE, timestamp '2020-01-01' + to_seconds(i) as UPDATED_AT "
            f"from range({start}, {start + count}) r(i)"
        ).to_arrow_table()


def settings(system: str, folder: Path) -> Any:
    from ingestion.settings import Settings

    return Settings(folder, str(folder / "lake"), connections={"bench": connection(system)})


def init(system: str, folder: Path) -> None:
    from ingestion.runs.context import initialise
    from tests.sources.oracle_fixtures import Promise, contract_text

    owner = connection(system).login.upper() if system == "oracle" else "dbo"
    promises = []
    for at, (name, *types, logical) in enumerate(COLUMNS):
        physical = types[system == "sqlserver"]
        physical, kind = ("NUMBER(12,2)", logical) if physical == "NUMBER" else (physical, logical)
        kind = "date" if physical == "date" else kind
        is_required = name in ("CUSTOMER_ID", "STATUS", "UPDATED_AT")
        promises.append(Promise(name.lower(), physical, kind, key=1 if at == 0 else None, required=is_required))
    path = folder / "data_contracts" / "bench" / "orders.odcs.yaml"
    path.parent.mkdir(parents=True)
    lake = {"mode": "incremental", "watermark": "updated_at"}
    path.write_text(contract_text("orders", f"{owner}.BENCH", promises, system="bench", dialect=system, **lake))
    initialise(settings(system, folder))


def ours(system: str, folder: Path) -> int:
    from ingestion.load.load_table import load_table
    from ingestion.runs.context import open_context

    return load_table(open_context(settings(system, folder)), "bench.orders").good


def again(system: str, folder: Path) -> float:
    from ingestion.load.load_table import load_table
    from ingestion.runs.context import open_context
    from ingestion.sources import open_source

    given = settings(system, folder)
    open_source("bench", given.connection("bench"))  # imports the driver
    used = time.process_time()
    load_table(open_context(given), "bench.orders")
    return time.process_time() - used


def raw(system: str) -> int:
    if system == "oracle":
        from ingestion.sources.oracle.session import connect

        with connect("bench", connection(system)) as opened:
            return sum(f.num_rows() for f in opened.fetch_df_batches(SELECT, size=16_384, fetch_decimals=True))
    from arrow_odbc import TextEncoding

    from ingestion.sources.sqlserver.session import connect as connect_sqlserver

    reader = connect_sqlserver("bench", connection(system)).read_arrow_batches(
        SELECT, batch_size=16_384, payload_text_encoding=TextEncoding.UTF16
    )
    return sum(batch.num_rows for batch in reader)


def _engine(system: str) -> Any:
    from sqlalchemy import create_engine

    given = connection(system)
    if system == "oracle":
        place = f"{given.host}:{given.port}/?service_name={given.schema}"
        return create_engine(f"oracle+oracledb://{given.login}:{given.password}@{place}")
    from ingestion.sources.sqlserver.session import connection_string

    return create_engine("mssql+pyodbc:///?odbc_connect=" + quote_plus(connection_string("bench", given)))


def dlt(system: str, folder: Path) -> int:
    import dlt as library
    import sqlalchemy as sa
    from dlt.sources.sql_database import sql_table

    kinds = {
        "integer": sa.BigInteger(),
        "string": sa.String(),
        "number": sa.Numeric(18, 6),
        "boolean": sa.SmallInteger() if system == "oracle" else sa.Boolean(),
        "timestamp": sa.DateTime(),
    }
    # told, not reflected: what the catalog knows is not what is compared here
    columns = [
        sa.Column(name.lower(), sa.Date() if types[1] == "date" and system == "sqlserver" else kinds[logical],
                  primary_key=name == "ID")
        for name, *types, logical in COLUMNS
    ]  # fmt: skip
    metadata = sa.MetaData()
    sa.Table("bench", metadata, *columns)
    target = library.destinations.filesystem(bucket_url=(folder / "dlt").as_uri())
    pipeline = library.pipeline("bench", destination=target, dataset_name="bronze", pipelines_dir=str(folder / "state"))
    source = sql_table(_engine(system), table="bench", metadata=metadata, backend="pyarrow", chunk_size=CHUNK_ROWS)
    pipeline.run(source, table_format="delta", write_disposition="append")
    return int(pipeline.last_trace.last_normalize_info.row_counts["bench"])


def script(system: str, folder: Path) -> int:
    import pandas
    from deltalake import write_deltalake

    count = 0
    with _engine(system).connect() as opened:
        for frame in pandas.read_sql(SELECT, opened, chunksize=CHUNK_ROWS):
            write_deltalake(str(folder / "script"), frame, mode="append")
            count += len(frame)
    return count


def main(way: str, system: str, argument: str) -> None:
    if way == "seed":
        seed(system, int(argument))
    elif way == "init":
        init(system, Path(argument))
    elif way == "again":
        hide_pandas()
        sys.stdout.write(f"load_cpu={again(system, Path(argument)):.2f}\n")
    elif way == "raw":
        sys.stdout.write(f"rows={raw(system)}\n")
    else:
        if way == "ours":
            hide_pandas()  # as the command line does
        sys.stdout.write(f"rows={ {'ours': ours, 'dlt': dlt, 'script': script}[way](system, Path(argument)) }\n")


if __name__ == "__main__":  # chunks are read in processes that import this module again
    main(*sys.argv[1:])
