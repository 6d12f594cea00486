"""What a repair has to write, and whether it may do so without approval."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.bronze.table import BronzeState, BronzeTable
from ingestion.contracts.model import Contract
from ingestion.errors import ApprovalNeededError
from ingestion.gaps.compare import compare_in, whole_key_differences
from ingestion.gaps.differences import Judged, settle_differences
from ingestion.gaps.lake_sql import EXPLAINED
from ingestion.load.deletes import allowed_rows
from ingestion.reconcile.leaves import Finding
from ingestion.runs.context import Context
from ingestion.sources.base import Snapshot

LACKING = (Finding.MISSING_IN_LAKE, Finding.CHANGED, Finding.DUPLICATED)


@dataclass(frozen=True, slots=True)
class RepairWork:
    """
    The keys to read again (`lacking`: missing, different or repeated) and those to delete (`vanished`).

    `rows` is the size of the table: the larger of both sides.
    """

    state: BronzeState
    lacking: pa.Table
    vanished: pa.Table
    rows: int

    @property
    def keys(self) -> int:
        return int(self.lacking.num_rows + self.vanished.num_rows)


def find_work(context: Context, table: BronzeTable, snapshot: Snapshot) -> RepairWork:
    """
    Compare a table with its source, record the differences, and return those that are neither explained nor waived.

    If the budget ended the comparison before all missing keys were found, all keys of both sides are compared. This is
    not done if a difference is waived, because waived keys could not be distinguished from the others.
    """
    state = table.state()
    compared = compare_in(context, table, state, snapshot)
    judged = settle_differences(context, compared)
    lacking, vanished = _open_keys(judged, *LACKING), _open_keys(judged, Finding.MISSING_IN_SOURCE)
    if not compared.is_complete and not judged.waived:
        found = whole_key_differences(context, table, state, snapshot)
        changed = _open_keys(judged, Finding.CHANGED)
        lacking = pa.concat_tables([changed, *_unexplained(table.contract, found, LACKING)])
        vanished = pa.concat_tables(_unexplained(table.contract, found, (Finding.MISSING_IN_SOURCE,)))
    comparison = compared.comparison
    return RepairWork(state, lacking, vanished, max(comparison.source.rows, comparison.lake.rows))


def check_limit(contract: Contract, work: RepairWork) -> None:
    """Raise ApprovalNeededError if a repair would write more than the contract allows without approval."""
    limit = contract.reconcile.max_repair_percent
    if work.keys <= allowed_rows(limit, work.rows):
        return
    error = ApprovalNeededError(
        f"{contract.id}: a repair of more than {limit:g} % of the rows needs approval; this one has {work.keys} of "
        f"{work.rows} to write ({100.0 * work.keys / max(1, work.rows):.1f} %): {work.lacking.num_rows} to read again, "
        f"{work.vanished.num_rows} to delete. Nothing was committed. See `lakehouse gaps advise {contract.id}`; to "
        f"approve it: lakehouse repair --yes {contract.id}"
    )
    error.rereads, error.deletes, error.rows = work.lacking.num_rows, work.vanished.num_rows, work.rows
    raise error


def _open_keys(judged: Judged, *kinds: Finding) -> pa.Table:
    """Return the keys of these kinds that are neither explained nor waived."""
    contract, parts = judged.compared.contract, []
    for kind, found in judged.compared.found.items():
        if kind in kinds:
            is_open = [judged.is_open(key) for key in judged.keys if key.kind is kind]
            parts.append(_key_columns(contract, found, pa.array(is_open, pa.bool_())))
    return pa.concat_tables([_no_keys(contract), *parts])


def _unexplained(contract: Contract, found: Mapping[Finding, pa.Table], kinds: Collection[Finding]) -> list[pa.Table]:
    chosen = [keys for kind, keys in found.items() if kind in kinds]
    parts = [_key_columns(contract, keys, pc.invert(keys.column(EXPLAINED))) for keys in chosen]
    return [_no_keys(contract), *parts]


def _key_columns(contract: Contract, found: pa.Table, chosen: pa.Array) -> pa.Table:
    return found.select(list(contract.key_names)).filter(chosen).cast(_no_keys(contract).schema)


def _no_keys(contract: Contract) -> pa.Table:
    return contract.key_schema.empty_table()
