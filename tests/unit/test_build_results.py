"""What a build says of tables after dbt ended badly."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ingestion.errors import BuildError
from ingestion.pipelines.build import _read_results

MODEL, OTHER, TEST = "model.lakehouse.dim_a", "model.lakehouse.dim_b", "test.lakehouse.unique_dim_a.1"
AS_THEY_WERE, WRITTEN = "their tables are as they were", "hold the new rows, faults included, and readers see them"


def told(folder: Path, **statuses: str) -> str:
    names = {"model": MODEL, "other": OTHER, "test": TEST}
    results = [{"unique_id": names[name], "status": status, "failures": None} for name, status in statuses.items()]
    (folder / "run_results.json").write_text(json.dumps({"results": results, "elapsed_time": 1}))
    context: Any = SimpleNamespace(run_id="r")
    with pytest.raises(BuildError) as error:
        _read_results(context, "gold", folder, 1, "")
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
