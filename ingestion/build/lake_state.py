"""The lake as a build sees it: each table at the version that it had when dbt started, and its build's metadata."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ingestion.lake.base import Tip
from ingestion.lake.embedded.engine import DeltaRs
from ingestion.lake.layout import Lake, LakeTable, open_lake

WRITING = ("build", "run", "retry")  # the dbt commands that write models
AS_OF = "LAKEHOUSE_AS_OF"  # JSON: `lake`, the root that Bronze is read from, and `batches`, the newest known per view


def bronze_as_of(lake: Lake, environ: Mapping[str, str]) -> tuple[Lake, Mapping[str, int]]:
    """Return the lake whose Bronze is read, and by view the newest batch to show (no entry: all). Raises LakeError."""
    as_of = json.loads(environ.get(AS_OF) or "null")
    return (lake, {}) if as_of is None else (open_lake(as_of["lake"]), as_of["batches"])


def table_state(engine: DeltaRs, table: LakeTable, known_batch: int | None = None) -> tuple[Tip, Mapping[str, Any]]:
    """
    Return the newest version of a table, and the metadata of the build that wrote it (empty for Bronze).

    `batch` is the newest one that Bronze shows (up to `known_batch`, if given) or that a model was computed up to.
    Raises LakeError if the log is damaged.
    """
    app_id = f"{table.schema}/{table.name.replace('__', '/') if table.schema == 'bronze' else table.name}"
    tip = engine.tip(table.uri, app_id)
    if table.schema == "bronze":
        return (tip if known_batch is None else replace(tip, batch=min(tip.batch, known_batch))), {}
    noted = engine.last_metadata(table.uri, app_id) or {}
    # models have no batch as a transaction, because Spark would skip a rebuild up to the same one
    return replace(tip, batch=noted.get("batch") or 0), noted


def inputs_of(
    lake: Lake, noted: Mapping[str, Any], scan: Callable[[str, int], str], can_read: Callable[[str, int], bool]
) -> str | None:
    """Return as JSON the inputs of a table, at the versions it was computed from; None if one cannot be read."""
    if not (known := noted.get("computed_from")):
        return None
    inputs = {name: (lake.uri(*name.split(".")), version) for name, version in known["inputs"].items()}
    if not all(can_read(uri, version) for uri, version in inputs.values()):
        return None
    return json.dumps({"sql": known["sql"], "scans": {name: scan(uri, at) for name, (uri, at) in inputs.items()}})
