"""What a build says of tables after dbt ended badly."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ingestion.build import publication
from ingestion.build.dbt import keep_results, progress_only, read_results
from ingestion.build.models import model_rows
from ingestion.build.models import test_rows as rows_of_tests
from ingestion.errors import BuildError, ConcurrentWriteError
from ingestion.lake.base import lost_race

MODEL, OTHER, TEST = "model.lakehouse.dim_a", "model.lakehouse.dim_b", "test.lakehouse.unique_dim_a.1"
AS_THEY_WERE, UNPUBLISHED = "their tables are as they were", "Not published, readers see them as they were: gold.dim_a."
HOOK = publication.HOOK


def told(
    folder: Path, kind: type[Exception] = BuildError, reason: str = "", published: str = "", **statuses: str
) -> str:
    names = {"model": MODEL, "other": OTHER, "test": TEST}
    results: list[dict[str, Any]] = [
        {"unique_id": names[name], "status": status, "failures": None, "message": reason if status == "error" else None}
        for name, status in statuses.items()
    ]
    if published:
        message = f"lakehouse.on-run-end.0 failed, error:\n Runtime Error\n  Tables after this build. {published}"
        results.append({"unique_id": HOOK, "status": "error", "failures": 1, "message": message})
    (folder / "run_results.json").write_text(json.dumps({"results": results, "elapsed_time": 1}))
    context: Any = SimpleNamespace(run_id="r")
    with pytest.raises(kind) as error:
        read_results(context, "gold", folder, 1, "")
    return str(error.value)


def test_what_is_kept_of_dbts_results_quotes_no_row(tmp_path: Path) -> None:
    told(tmp_path, model="error", reason="could not cast 'Maria' to INT32", test="skipped")

    keep_results(tmp_path / "run_results.json", tmp_path / "kept" / "gold")
    keep_results(tmp_path / "absent.json", tmp_path / "kept" / "silver")

    kept = json.loads((tmp_path / "kept" / "gold" / "run_results.json").read_text())
    assert [result["status"] for result in kept["results"]] == ["error", "skipped"]
    assert "Maria" not in json.dumps(kept)
    assert not (tmp_path / "kept" / "silver").exists()


def test_a_failed_test_says_what_readers_see(tmp_path: Path) -> None:
    text = told(tmp_path, model="success", test="fail", published=UNPUBLISHED)

    assert "1 of 2 dbt nodes" in text
    assert UNPUBLISHED in text
    assert AS_THEY_WERE not in text
    assert "unique_dim_a: fail" in text
    assert "on-run-end" not in text


def test_a_failed_model_says_that_its_table_is_as_it_was(tmp_path: Path) -> None:
    text = told(tmp_path, model="error", other="skipped", test="skipped")

    assert AS_THEY_WERE in text
    assert "Tables after" not in text


def test_a_table_that_another_writer_changed_before_it_was_published_may_be_built_again(tmp_path: Path) -> None:
    lost = f"Not published: gold.dim_a ({lost_race('/lake/gold/dim_a')})."

    assert "committed first to gold.dim_a." in told(
        tmp_path, ConcurrentWriteError, published=lost, model="success", test="pass"
    )
    assert lost in told(tmp_path, BuildError, published=lost, model="success", test="fail")


def test_a_build_that_lost_a_race_alone_may_be_tried_again(tmp_path: Path) -> None:
    lost = f"Runtime Error in model dim_a\n  {lost_race('/lake/gold/dim_a')}"

    text = told(tmp_path, ConcurrentWriteError, lost, model="error", other="skipped", test="skipped")

    assert "another writer committed first to dim_a." in text
    assert "Run it again: lakehouse build gold" in text
    assert AS_THEY_WERE in told(tmp_path, BuildError, lost, model="error", test="fail")
    assert AS_THEY_WERE in told(tmp_path, BuildError, "Binder Error: no column", model="error", other="skipped")


def test_each_model_has_a_row_with_its_seconds_and_its_tests() -> None:
    results: list[dict[str, Any]] = [
        {"unique_id": MODEL, "status": "success", "execution_time": 1.5},
        {"unique_id": OTHER, "status": "skipped", "execution_time": 0.0},
        {"unique_id": TEST, "status": "pass"},
        {"unique_id": "test.lakehouse.of_both.2", "status": "skipped"},
    ]

    rows = [*model_rows(results, {TEST: [MODEL], "test.lakehouse.of_both.2": [MODEL, OTHER]})]

    assert [(row["model"], row["status"], row["seconds"], row["tests"], row["message"]) for row in rows] == [
        ("dim_a", "ok", 1.5, 1, None),
        ("dim_b", "skipped", 0.0, 0, None),
    ]


@pytest.mark.parametrize(
    ("model", "test", "status", "message"),
    [
        ("success", {"status": "fail", "failures": 3}, "failed", "unique_dim_a: fail (3 rows break it)"),
        ("success", {"status": "warn", "failures": 1}, "warning", "unique_dim_a: warn (1 rows break it)"),
        ("error", {"status": "skipped"}, "failed", "error (Conversion Error)"),
    ],
)
def test_a_test_that_fails_fails_its_model_and_no_value_of_a_row_is_told(
    model: str, test: dict[str, Any], status: str, message: str
) -> None:
    told = "Runtime Error in model dim_a\n  Conversion Error: Could not convert string 'ada@example.org' to INT32"
    results: list[dict[str, Any]] = [
        {"unique_id": MODEL, "status": model, "message": told},
        {"unique_id": TEST, **test},
    ]

    [row] = model_rows(results, {TEST: [MODEL]})

    assert (row["status"], row["message"]) == (status, message)


def test_lines_that_are_handed_on_tell_of_progress_and_quote_no_row() -> None:
    told: list[str] = []
    progress = [
        "09:32:16  Found 11 models, 75 data tests",
        "09:32:24  1 of 26 START sql delta model gold.dim_customer ....... [RUN]",
        "09:32:29  2 of 26 ERROR creating sql delta model gold.dim_date . [ERROR in 5.21s]",
        "09:32:30  Completed with 1 error, 0 partial successes, and 0 warnings:",
    ]
    quoting = ["09:32:30    Database Error in model dim_date", "  Conversion Error: Could not convert string 'ada'", ""]

    for line in [*progress[:3], *quoting, progress[3]]:
        progress_only(told.append)(line)

    assert told == progress


def test_a_model_that_was_built_and_not_published_failed() -> None:
    published = f"lakehouse.on-run-end.0 failed, error:\n Runtime Error\n  Tables after this build. {UNPUBLISHED}"
    published += f" Not published: gold.dim_c ({lost_race('/lake/gold/dim_c')})."
    results: list[dict[str, Any]] = [
        *({"unique_id": f"model.lakehouse.dim_{name}", "status": "success", "message": None} for name in "abc"),
        {"unique_id": HOOK, "status": "error", "message": published},
    ]

    assert [(row["model"], row["status"]) for row in model_rows(results, {})] == [
        ("dim_a", "failed"),
        ("dim_b", "ok"),
        ("dim_c", "failed"),
    ]


def test_each_data_test_has_its_outcome_its_models_and_the_rows_that_break_it() -> None:
    results: list[dict[str, Any]] = [
        {"unique_id": MODEL, "status": "success", "failures": None},
        {"unique_id": TEST, "status": "fail", "failures": 3, "execution_time": 0.1},
        {"unique_id": "test.lakehouse.related.2", "status": "pass", "failures": 0, "execution_time": 0.2},
        {"unique_id": "test.lakehouse.late.3", "status": "skipped", "failures": None},
    ]
    tested = {TEST: [MODEL], "test.lakehouse.related.2": [OTHER, MODEL]}

    assert [(row["test"], row["models"], row["status"], row["failures"]) for row in rows_of_tests(results, tested)] == [
        ("unique_dim_a", "dim_a", "failed", 3),
        ("related", "dim_a, dim_b", "ok", 0),
        ("late", "", "skipped", None),
    ]
