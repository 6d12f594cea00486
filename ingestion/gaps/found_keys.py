"""Keys that one side lacks or has several times, and what is known of each: quarantined, or read by the next load."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.bronze.workbench.embedded import Workbench
from ingestion.contracts.model import Contract, Deletes, Mode
from ingestion.gaps import lake_sql
from ingestion.gaps.bound import Bound
from ingestion.gaps.lake_sql import AWAITED, EXPLAINED
from ingestion.reconcile.leaves import LAKE_PARTITION, LAKE_ROWS, SOURCE_ROWS, Finding
from ingestion.reconcile.sides import PARTITION


def compare_keys(contract: Contract, bench: Workbench) -> dict[Finding, pa.Table]:
    """Return the keys of `source_keys` and `live_rows` that one side lacks or repeats, in the shape of the ladder's."""
    queries = {
        Finding.MISSING_IN_LAKE: lake_sql.missing_keys(contract),
        Finding.MISSING_IN_SOURCE: lake_sql.extra_keys(contract),
        Finding.DUPLICATED: lake_sql.repeated_keys(contract),
    }
    found = {kind: bench.select(lake_sql.as_found(contract, query)) for kind, query in queries.items()}
    return {kind: keys for kind, keys in found.items() if keys.num_rows}


def explain_keys(contract: Contract, known: Mapping[Finding, pa.Table], bound: Bound) -> Mapping[Finding, pa.Table]:
    """Complete the rows of `lake_sql.known_of_found`: set `_explained` and `_awaited` as the kind of finding needs."""
    return {kind: _explained(contract, kind, keys, bound) for kind, keys in _with_repeated(known).items()}


def _explained(contract: Contract, kind: Finding, keys: pa.Table, bound: Bound) -> pa.Table:
    rows = keys.num_rows
    if kind is Finding.MISSING_IN_SOURCE:  # a deleted row can be neither quarantined nor in a window
        keys = _with_column(keys, EXPLAINED, pa.repeat(pa.scalar(False), rows))
    if _is_awaited(contract, kind, bound):
        keys = _with_column(keys, AWAITED, pa.repeat(pa.scalar(True), rows))
    return keys


def _with_repeated(known: Mapping[Finding, pa.Table]) -> Mapping[Finding, pa.Table]:
    """
    Move keys that were found missing but are in the lake to the duplicated ones.

    Their other row is in another partition or beyond the bound, where the sides are equal or were not compared.
    """
    missing = known.get(Finding.MISSING_IN_LAKE)
    if missing is None or not pc.any(missing.column(lake_sql.IS_LIVE)).as_py():
        return known
    is_live = missing.column(lake_sql.IS_LIVE)
    again = missing.filter(is_live)
    again = _with_column(again, LAKE_PARTITION, again.column(PARTITION))
    again = _with_column(again, SOURCE_ROWS, pc.add(again.column(SOURCE_ROWS), 1))
    again = _with_column(again, LAKE_ROWS, pc.add(again.column(LAKE_ROWS), 1))
    repeated = [known[Finding.DUPLICATED]] if Finding.DUPLICATED in known else []
    others = {Finding.DUPLICATED: pa.concat_tables([*repeated, again])}
    left = missing.filter(pc.invert(is_live))
    return {**known, Finding.MISSING_IN_LAKE: left, **others}


def _is_awaited(contract: Contract, kind: Finding, bound: Bound) -> bool:
    """Return whether the next load reads all keys of a kind, no matter when their rows changed."""
    if contract.mode is Mode.FULL or not bound.is_exact:
        return True
    if kind in (Finding.CHANGED, Finding.DUPLICATED):
        return False
    if kind is Finding.MISSING_IN_SOURCE and contract.mode is Mode.INCREMENTAL:
        return True  # the time of a deletion is not known: it may be later than the bound
    return contract.deletes is Deletes.KEYS


def _with_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)
