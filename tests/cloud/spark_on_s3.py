"""One table of a lake on S3, written by Spark and by the embedded engine in turns. Run in a process of its own."""

from __future__ import annotations

import json
import sys

import pyarrow as pa

from ingestion.lake import duck
from ingestion.lake.base import Commit, Engine
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import create_lake
from ingestion.lake.spark.engine import SparkDelta

SCHEMA = pa.schema([("id", pa.int64()), ("writer", pa.string())])


def main(root: str) -> None:
    """Print what each engine reads in the end, as JSON."""
    lake = create_lake(root)
    uri = lake.uri("silver", "both")
    spark = SparkDelta(lake.storage_options, root=lake.root)
    embedded = DeltaRs(lake.storage_options)
    spark.create(uri, SCHEMA)
    writers: list[tuple[Engine, str]] = [(spark, "spark"), (embedded, "embedded"), (spark, "spark")]
    for batch, (engine, name) in enumerate(writers, start=1):
        engine.append(uri, pa.table({"id": [batch], "writer": [name]}, SCHEMA), commit=Commit("silver/both", batch))
    for engine, _ in writers[:2]:  # a retry of what the other wrote
        engine.append(uri, pa.table({"id": [9], "writer": ["twice"]}, SCHEMA), commit=Commit("silver/both", 2))
    by_spark = [list(row) for row in spark.session.read.format("delta").load(uri).orderBy("id").collect()]
    with duck.connect(at=uri) as connection:
        by_duckdb = connection.execute(f"select * from {duck.scan(uri)} order by id").fetchall()
    print(json.dumps({"spark": by_spark, "duckdb": by_duckdb}))


if __name__ == "__main__":
    main(sys.argv[1])
