"""Rebuilds Silver and Gold as they were known at an earlier point, into a separate lake.

Bronze records the batch of each row, so the earlier state is its rows up to one batch per table. Contracts and models
are those of today.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ingestion.build.dbt import BuildResult, run_build
from ingestion.build.lake_state import AS_OF
from ingestion.contracts.model import BronzeMode, Contract
from ingestion.errors import ConfigurationError, LakeError
from ingestion.lake import duck
from ingestion.lake.layout import Lake, create_lake, lake_at
from ingestion.runs.context import Context
from ingestion.sql.quoting import quote_standard

NOTE = "_as_of.json"  # beside the marker: the original lake and the batches of a rebuilt lake
_LOADS = "step in ('load', 'repair', 'replay') and status <> 'failed'"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was built, where, and the newest known batch of each contract (0: none)."""

    root: str
    batches: Mapping[str, int]
    build: BuildResult


def build_as_of(
    context: Context, as_of: Sequence[str], into: str, *, layer: str = "all", unit_tests: bool = False
) -> Rebuilt:
    """
    Rebuild `layer` (`silver` or `all`) as it was known at `as_of`; see `known_batches`.

    The lake and its ledger are only read. The result is written to `into`, which is created, or overwritten
    if an earlier call created it.

    Raises:
        ConfigurationError: `as_of` is not a point in the lake's past, or the lake no longer has it.
        LakeError: `into` holds something else.
        BuildError: a model or a test failed.
    """
    if layer not in ("silver", "all"):
        raise ConfigurationError(
            f"build --as-of: the layer is {layer}; it must be silver or all, for Gold is made "
            "of the Silver of the same moment. Nothing was built."
        )
    batches = known_batches(context, as_of)
    _check_apart(context.lake, lake_at(into))
    target = create_lake(into)
    views = {context.contract(contract_id).bronze_view: batch for contract_id, batch in batches.items()}
    known = {"lake": context.lake.root, "batches": views}
    with target.filesystem.open_output_stream(target.path(NOTE)) as stream:
        stream.write(json.dumps({**known, "as_of": list(as_of)}).encode())
    environment = {"LAKEHOUSE_ROOT": target.root, AS_OF: json.dumps(known)}
    layers = "silver+gold" if layer == "all" else layer  # not audit: it shows the ledger, which is not rebuilt
    build = run_build(context, layers, environment, full_refresh=True, unit_tests=unit_tests)
    return Rebuilt(target.root, batches, build)


def known_batches(context: Context, as_of: Sequence[str]) -> dict[str, int]:
    """
    Return by contract the newest batch that was in the lake at a point of its past.

    `as_of` holds a moment (ISO 8601, UTC unless it has another offset; inclusive), or the id of a
    run (the end of its last load), or tables and batches (`erp.customers=3`), which override a
    moment. Without a moment the other tables have their newest batch.
    """
    named = [text.rpartition("=")[::2] for text in as_of if "=" in text]
    moments = [_moment(context, text) for text in as_of if "=" not in text]
    if not as_of or len(moments) > 1:
        raise ConfigurationError(
            "build --as-of: give one moment or run at most, and tables as NAME=BATCH. Nothing was built."
        )
    contracts = {contract_id: context.contract(contract_id) for contract_id in context.contract_ids()}
    with duck.connect(context.lake, memory_limit=context.settings.memory_limit) as connection:
        batches = {
            contract_id: _newest_and_known(connection, contract, moments[0] if moments else None)
            for contract_id, contract in contracts.items()
        }
    newest = {contract_id: pair[0] for contract_id, pair in batches.items()}
    found = {contract_id: pair[1] for contract_id, pair in batches.items()}
    for contract_id, text in named:
        found[context.contract(contract_id).id] = _number(contract_id, text, newest.get(contract_id, 0))
    for contract_id, batch in found.items():
        if batch < newest[contract_id] and contracts[contract_id].bronze is not BronzeMode.APPEND:
            raise ConfigurationError(
                f"{contract_id}: batch {batch} cannot be rebuilt, because this table keeps no history "
                "(bronze: merge or overwrite). Nothing was built. Ask for its newest batch, "
                f"{contract_id}={newest[contract_id]}."
            )
    return found


def _number(contract_id: str, text: str, newest: int) -> int:
    if not text.isdecimal() or int(text) > newest:
        raise ConfigurationError(f"{contract_id}: the batch must be a number from 0 to {newest}. Nothing was built.")
    return int(text)


def _moment(context: Context, text: str) -> datetime:
    """Return the moment in a text, or the end of the last load of the run with that id."""
    query = f"select max(finished_at) as ended from ops.runs where run_id = ? and {_LOADS}"
    [row] = context.journal.select(query, [text])
    if isinstance(row["ended"], datetime):
        return row["ended"]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{text} is no moment (2026-03-02T06:00), no run with a load and no TABLE=BATCH. "
            'Nothing was built. `lakehouse sql "select distinct run_id from ops.runs"` lists the runs.'
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _newest_and_known(connection: duck.Connection, contract: Contract, moment: datetime | None) -> tuple[int, int]:
    """
    Return the newest batch of a table, and the newest one up to a moment if one is given.

    A batch is known from the end of its load in the ledger, or from when it was read if the ledger lacks it.
    A step that ended before the batch was read belongs to a lost batch of the same number.
    """
    view = quote_standard(contract.bronze_view)
    query = (
        "select coalesce(max(_batch), 0), coalesce(max(_batch) filter ("
        "where $moment::timestamptz is null or coalesce(ended, read) <= $moment::timestamptz), 0) "
        f"from (select _batch, any_value(read) as read, min(finished_at) as ended "
        f"from (select _batch, min(_ingested_at) as read from bronze.{view} group by 1) "
        f"left join ops.runs on batch = _batch and subject = $contract and {_LOADS} "
        "and finished_at >= coalesce(read, finished_at) group by 1)"
    )
    found = connection.execute(query, {"contract": contract.id, "moment": moment}).fetchone()
    return (int(found[0]), int(found[1])) if found else (0, 0)


def _check_apart(lake: Lake, target: Lake) -> None:
    """Raise LakeError if writing to `target` could change a lake that is used for loads."""
    one, other = lake.root + "/", target.root + "/"
    if one.startswith(other) or other.startswith(one):
        raise LakeError(
            f"{target.root}: this folder is inside the lake or around it. Nothing was built. "
            "Choose another folder (--into)."
        )
    if any(table.schema not in ("silver", "gold") for table in target.tables()):
        raise LakeError(
            f"{target.root}: this is a lake that is loaded into; it would be overwritten. "
            "Nothing was built. Choose another folder (--into)."
        )
