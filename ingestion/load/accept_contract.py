"""Accepts drift into a contract: the differences that a person names, and new columns if `onDrift` says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ingestion.contracts.drift import Drift, DriftKind, bronze_drift, find_drift
from ingestion.contracts.model import Contract, DriftAction
from ingestion.contracts.odcs import SUFFIX, read_contracts
from ingestion.contracts.reading.compile import examine
from ingestion.contracts.writing.dbt_sources import write_dbt_files
from ingestion.contracts.writing.files import write_whole
from ingestion.contracts.writing.next_version import next_version
from ingestion.errors import ConfigurationError, InvalidContractError
from ingestion.runs.context import Context

_WRITES = 5  # attempts to write dbt's sources, which loads of other tables may write at the same time


@dataclass(frozen=True, slots=True)
class Accepted:
    """The contract before and after, the differences that were accepted (`taken`) and those that were not (`left`)."""

    before: Contract
    contract: Contract
    taken: tuple[Drift, ...]
    left: tuple[Drift, ...]


def accept_drift(context: Context, contract_id: str, columns: Sequence[str] = ()) -> Accepted:
    """
    Write the next version of a contract from the current catalog of its source.

    `columns` (our names or the source's) select the differences to accept. Without them, those that stop a load are
    accepted, or the only one there is. Others, such as a new column or a narrower promise, may be intended.

    Raises:
        ConfigurationError: nothing to accept, or no such difference. The file is unchanged.
        InvalidContractError: the next version would be invalid, e.g. a key would be a decimal.
    """
    contract = context.contract(contract_id)
    with context.source(contract).snapshot() as snapshot:
        drifts = find_drift(contract, snapshot.catalog(contract))
    taken = _chosen(contract, drifts, columns)
    text, accepted = _next(context, contract, taken)
    if accepted == contract:
        raise ConfigurationError(
            f"{contract_id}: the source leaves open what {', '.join(d.column for d in taken)} may hold, so there is no "
            "type to write. The contract is unchanged. Write one by hand, e.g. `physicalType: NUMBER(20,4)`; each "
            "value is guarded."
        )
    _check_that_lake_follows(context, contract, accepted)
    write_whole(_path(context, contract), text)
    return Accepted(contract, accepted, taken, tuple(drift for drift in drifts if drift not in taken))


def add_new_columns(context: Context, contract: Contract, drifts: Sequence[Drift]) -> tuple[Contract, str] | None:
    """
    Add the source's new columns to the contract's file and dbt's sources, if it says `onDrift.newColumn: add`.

    Returns the next version and a sentence on what was written; None if there is nothing to add.
    Raises ConfigurationError if the file cannot be written: the lake would have columns that no contract promises.
    """
    new = [drift for drift in drifts if drift.kind is DriftKind.NEW_COLUMN and drift.action is DriftAction.ADD]
    if not new:
        return None
    text, grown = _next(context, contract, new)
    if grown == contract:
        return None
    try:
        write_whole(_path(context, contract), text)
    except OSError as exc:
        options = " ".join(f"--column {drift.column}" for drift in new)
        raise ConfigurationError(
            f"{contract.id}: new columns must be added to the contract (onDrift.newColumn: add), but its "
            f"file cannot be written ({type(exc).__name__}). No rows were read. Where the contracts are kept, run "
            f"`lakehouse contract accept {contract.id} {options}`, or make the file writable."
        ) from exc
    names = ", ".join(column.name for column in grown.columns if column.name not in contract.arrow_schema.names)
    told = f"contract version {contract.version} -> {grown.version} by onDrift.newColumn: add: {names}"
    return grown, f"{told}; keep the changed files{_write_sources(context)}"


def _chosen(contract: Contract, drifts: Sequence[Drift], columns: Sequence[str]) -> tuple[Drift, ...]:
    """Return the differences to accept. Raises ConfigurationError if there are none, or it is not clear which ones."""
    if not drifts:
        raise ConfigurationError(
            f"{contract.id}: nothing to accept: the source is as the contract says. The contract is unchanged."
        )
    by_name = {name.casefold(): drift for drift in drifts for name in _names(contract, drift)}
    unknown = [name for name in columns if name.casefold() not in by_name]
    if columns and not unknown:
        return tuple(dict.fromkeys(by_name[name.casefold()] for name in columns))
    stopping = tuple(drift for drift in drifts if drift.action is DriftAction.FAIL)
    if not columns and (stopping or len(drifts) == 1):
        return stopping or tuple(drifts)
    finding = (
        f"the source does not differ in {', '.join(unknown)}"
        if unknown
        else "there are several differences, and none stops a load"
    )
    listed = "\n".join(f"  {d.column}: expected {d.promised}, found {d.found} (--column {d.column})" for d in drifts)
    raise ConfigurationError(
        f"{contract.id}: {finding}. The contract is unchanged. Say which of these to take:\n{listed}"
    )


def _names(contract: Contract, drift: Drift) -> set[str]:
    if drift.kind is DriftKind.NEW_COLUMN:
        return {drift.column}
    return {drift.column, contract.column(drift.column).source_name}


def _next(context: Context, contract: Contract, drifts: Sequence[Drift]) -> tuple[str, Contract]:
    """Return the next version as text and as a contract; the given contract if nothing changes."""
    text = _path(context, contract).read_bytes().decode("utf-8-sig")  # keeps its line ends
    result = next_version(text, contract, drifts)
    if result == text:
        return text, contract
    accepted, faults = examine(result, contract.path or contract.id, path=contract.path, expected_id=contract.id)
    if accepted is None:
        raise InvalidContractError(faults)
    return result, accepted


def _check_that_lake_follows(context: Context, contract: Contract, accepted: Contract) -> None:
    """Raise ConfigurationError if Bronze has rows that cannot be converted to the types of the next version."""
    table = context.table(contract)
    if not context.engine.exists(table.uri) or table.state().is_empty:
        return
    drifts = bronze_drift(accepted, context.engine.schema(table.uri))
    failing = [drift for drift in drifts if drift.action is DriftAction.FAIL]
    if failing:
        listed = "\n".join(f"  {d.column}: {d.found}, the source's would be {d.promised}" for d in failing)
        raise ConfigurationError(
            f"{contract.id}: rows in Bronze cannot take the new type without a loss "
            f"of meaning:\n{listed}\nThe contract is unchanged. Let the column be a new one: in the contract write "
            f"another `name` and the source's types, keep its physicalName. Bronze keeps the old column."
        )


def _write_sources(context: Context) -> str:
    """Write dbt's sources from all contracts; return as text what is left to do, empty if nothing is."""
    here = context.settings
    if not here.dbt_project.is_dir():
        return ""
    try:
        for _ in range(_WRITES):
            if not write_dbt_files(read_contracts(here.contracts), here.dbt_project):
                break
    except (InvalidContractError, OSError) as exc:
        return f", and run `lakehouse contract sources` ({type(exc).__name__})"
    return ""


def _path(context: Context, contract: Contract) -> Path:
    return context.settings.contracts / contract.system / f"{contract.entity}{SUFFIX}"
