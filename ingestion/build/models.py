"""How each model of a build ended, as dbt's results have it, and its row in the ledger."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingestion.build import publication
from ingestion.lake.library_errors import OUT_OF_MEMORY
from ingestion.privacy.foreign import foreign_text
from ingestion.runs.context import Context

_SPEAK_OF_NAMES = (
    "Binder Error",
    "Catalog Error",
    "Parser Error",
    "Compilation Error",
    "This model has an enforced",
    "[UNRESOLVED_",
    "[TABLE_OR_VIEW_NOT_FOUND",
    "[PARSE_SYNTAX_ERROR",
)
_OF_OURS = re.compile(
    r"\. (Nothing (more |of this attempt )?was |No table of Gold was |The table is unchanged|Its rows may be wrong)"
)
"""The consequence in our own errors, by which they are known in what dbt prints; they hold no row value."""
_STATES = {"success": "ok", "pass": "ok", "warn": "warning", "skipped": "skipped"}
BAD = ("error", "fail", "skipped", "runtime error")


def note_models(context: Context, layer: str, target: Path) -> None:
    """Append a row to `ops.models` for each model in dbt's results, and to `ops.tests` for each data test.

    None if dbt wrote no results.
    """
    file = target / "run_results.json"
    if file.exists():
        common = {"run_id": context.run_id, "step": layer, "finished_at": datetime.now(UTC)}
        results = json.loads(file.read_text())["results"]
        reads = _reads(target, results)
        context.journal.append("models", [common | row for row in model_rows(results, reads)])
        context.journal.append("tests", [common | row for row in test_rows(results, reads)])


def model_rows(results: Sequence[Mapping[str, Any]], reads: Mapping[str, Iterable[str]]) -> Iterable[dict[str, Any]]:
    """
    Return a row per model, in dbt's order. `reads` has what each model and test reads; a failed test fails its models.

    All arguments are by dbt's unique ids.
    """
    rows = {
        of["unique_id"]: {
            "model": short(of["unique_id"]),
            "status": "ok" if of["status"] == "success" else "skipped" if of["status"] == "skipped" else "failed",
            "seconds": of.get("execution_time"),
            "tests": 0,
            "reads": ", ".join(sorted(map(short, reads.get(of["unique_id"], ())))),
            "message": None if of["status"] in ("success", "skipped") else f"{of['status']}{reason_of(of)}",
        }
        for of in results
        if of["unique_id"].startswith("model.")
    }
    for test in results:
        for model in reads.get(test["unique_id"], ()) if test["unique_id"].startswith("test.") else ():
            if model in rows and test["status"] != "skipped":
                _add_test(rows[model], test)
    unpublished = publication.unpublished(publication.told({of["unique_id"]: of for of in results}))
    for row in rows.values():
        if row["status"] in ("ok", "warning") and row["model"] in unpublished:
            row |= {"status": "failed", "message": "not published: a test of it, or a table that it reads, failed"}
    return rows.values()


def test_rows(results: Sequence[Mapping[str, Any]], reads: Mapping[str, Iterable[str]]) -> list[dict[str, Any]]:
    """Return a row per data test, in dbt's order."""
    return [
        {
            "test": short(of["unique_id"]),
            "models": ", ".join(sorted(short(model) for model in reads.get(of["unique_id"], ()))),
            "status": _STATES.get(of["status"], "failed"),
            "failures": of.get("failures"),
            "seconds": of.get("execution_time"),
        }
        for of in results
        if of["unique_id"].startswith("test.")
    ]


def _add_test(row: dict[str, Any], test: Mapping[str, Any]) -> None:
    row["tests"] += 1
    if test["status"] in BAD or test["status"] == "warn":
        told = f"{short(test['unique_id'])}: {test['status']}{reason_of(test)}"
        row["message"] = f"{row['message']}; {told}" if row["message"] else told
        if test["status"] in BAD:
            row["status"] = "failed"
        elif row["status"] == "ok":
            row["status"] = "warning"


def _reads(target: Path, results: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return what models and tests read: from the results that `on_duckdb.py` writes, else from dbt's manifest."""
    told = {of["unique_id"]: of["depends_on"] for of in results if of.get("depends_on")}
    manifest = target / "manifest.json"
    if told or not manifest.exists():
        return told
    nodes = json.loads(manifest.read_text())["nodes"]
    return {of: node["depends_on"]["nodes"] for of, node in nodes.items() if of.startswith(("model.", "test."))}


def short(unique_id: str) -> str:
    """Return a node's own name; of a source, which is a table of Bronze, its contract's id."""
    parts = unique_id.split(".")
    if parts[0] == "source":
        return ".".join(parts[2:])
    return parts[2] if len(parts) > 2 else unique_id


def reason_of(entry: Mapping[str, Any]) -> str:
    """Return dbt's message about a node; only the class of an error that may quote a row's value."""
    if entry.get("failures"):
        return f" ({entry['failures']} rows break it)"
    if OUT_OF_MEMORY.search(entry.get("message") or ""):
        return " (out of memory: set LAKEHOUSE_MEMORY to more)"
    lines = [line.strip() for line in (entry.get("message") or "").splitlines() if line.strip()]
    shown = [_without_values(line) for line in lines[1:2] or lines[:1]]
    return f" ({shown[0][:900]})" if shown else ""


def _without_values(line: str) -> str:
    if line.startswith(_SPEAK_OF_NAMES):
        return foreign_text(line)[:300]
    if _OF_OURS.search(line):
        return line
    of_spark = re.match(r"\[[A-Z0-9_.]+\]", line)
    return of_spark[0] if of_spark else line.split(":", maxsplit=1)[0]
