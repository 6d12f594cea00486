"""The project that the benchmarks of histories build: it is the shipped one, and changes with it."""

from __future__ import annotations

from pathlib import Path

from tests.bench.ours import Lakehouse
from tests.examples import LONG_FORM


@LONG_FORM
def test_the_shipped_project_builds_the_history_of_the_benchmarks(tmp_path: Path) -> None:
    lakehouse = Lakehouse(tmp_path, keys=1_000)
    lakehouse.first_batch()
    first = lakehouse.run()
    lakehouse.step(1)

    assert "OVERWRITE" in first.output
    assert "MERGE" in lakehouse.run().output
