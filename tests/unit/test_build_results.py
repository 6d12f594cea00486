"""What a build says of tables after dbt ended badly."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ingestion.build.dbt import read_results
from ingestion.errors import BuildError, ConcurrentWriteError
from ingestion.lake.base import lost_race

MODEL, OTHER, TEST = "model.lakehouse.dim_a", "model.lakehouse.dim_b", "test.lakehouse.unique_dim_a.1"
AS_THEY_WERE, WRITTEN = "their tables are as they were", "hold the new rows, faults included, and readers see them"


def told(folder: Path, kind: type[Exception] = BuildError, reason: str = "", **statuses: str) -> str:
    names = {"model": MODEL, "other": OTHER, "test": TEST}
    results = [
        {"unique_id": names[name], "status": status, "failures": None, "message": reason if status == "error" else None}
        for name, status in statuses.items()
    ]
    (folder / "run_results.json").write_text(json.dumps({"results": results, "elapsed_time": 1}))
    context: Any = SimpleNamespace(run_id="r")
    with pytest.raises(kind) as error:
        read_results(context, "gold", folder, 1, "")
    return str(error.value)


def test_a_failed_test_says_that_its_table_is_written_already(tmp_path: Path) -> None:
    text = told(tmp_path, model="success", test="fail")

    assert WRITTEN in text
    assert AS_THEY_WERE not in text
    assert "unique_dim_a: fail" in text


def test_a_failed_model_says_that_its_table_is_as_it_was(tmp_path: Path) -> None:
    text = told(tmp_path, model="error", other="skipped", test="skipped")

    assert AS_THEY_WERE in text
    assert WRITTEN not in text


def test_both_are_told_apart(tmp_path: Path) -> None:
    text = told(tmp_path, other="error", model="success", test="fail")

    assert WRITTEN in text
    assert AS_THEY_WERE in text


def test_a_build_that_lost_a_race_alone_may_be_tried_again(tmp_path: Path) -> None:
    lost = f"Runtime Error in model dim_a\n  {lost_race('/lake/gold/dim_a')}"

    text = told(tmp_path, ConcurrentWriteError, lost, model="error", other="skipped", test="skipped")

    assert "another one committed first to dim_a." in text
    assert "Run it again: lakehouse build gold" in text
    assert AS_THEY_WERE in told(tmp_path, BuildError, lost, model="error", test="fail")
    assert AS_THEY_WERE in told(tmp_path, BuildError, "Binder Error: no column", model="error", other="skipped")
