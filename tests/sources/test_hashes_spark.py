"""Spark spells and hashes as defined, and reads the lake's side of a comparison."""

from __future__ import annotations

from typing import Any

import pytest

from ingestion.reconcile.comparison import Outcome
from ingestion.reconcile.dialects import DIALECTS
from ingestion.reconcile.ladder import compare_sides
from ingestion.reconcile.leaves import Finding
from ingestion.reconcile.ports import spark_lake
from ingestion.reconcile.vectors import TypeThere, verify_vectors
from tests.examples import LONG_FORM
from tests.golden.vectors import TYPES
from tests.spark.session import NEEDS_SPARK
from tests.unit.reconcile.worlds import World, contract, keys_of, row

pytestmark = NEEDS_SPARK


@LONG_FORM  # a session of a check does so in tests/spark/test_gaps_on_spark.py
def test_spark_hashes_every_type_as_defined(spark: Any) -> None:
    def run(query: str) -> list[Any]:
        return [tuple(answer) for answer in spark.sql(query).collect()]

    assert verify_vectors(run, DIALECTS["spark"], [TypeThere(type_) for type_ in TYPES.values()]) == frozenset()


@pytest.mark.parametrize("keys", [("id",), ("code", "id")])
def test_spark_reads_the_lake_side(spark: Any, tmp_path: Any, keys: tuple[str, ...]) -> None:
    with World(contract(keys, partition="day")) as world:
        there = [row(id=n, code=f"c{n % 3}é") for n in range(1, 200)]
        here = [r | {"note": "x"} if r["id"] == 9 else r for r in there if r["id"] != 4]
        for rows in (there, here):
            rows[:] = [{name: r[name] for name in world.contract.arrow_schema.names} for r in rows]
        world.fill(there, here)
        file = str(tmp_path / "lake.parquet")
        world.lake.execute(f"copy sales to '{file}' (format parquet)")
        spark.read.parquet(file).createOrReplaceTempView("live")
        spark.sql("select 5L as id, 'c2é' as code").createOrReplaceTempView("in_flight")
        source, _ = world.sides(where="id <> 5")

        found = compare_sides(source, spark_lake(world.contract, world.plan, spark, rows="live", in_flight="in_flight"))

        assert found.outcome is Outcome.DIFFERENT
        found_ids = {kind: {key[keys.index("id")] for key in k} for kind, k in keys_of(found).items()}
        assert found_ids == {Finding.MISSING_IN_LAKE: {4}, Finding.CHANGED: {9}}
