"""Which columns of a table can be compared: spelled alike on its source and in the lake, and proved to be so there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack

import pyarrow as pa

from ingestion.contracts.drift import FoundColumn, match_columns
from ingestion.contracts.model import BronzeMode, Contract, Mode
from ingestion.contracts.window import Window
from ingestion.reconcile.dialects import DIALECTS
from ingestion.reconcile.hashes import RowPlan, plan_row
from ingestion.reconcile.vectors import TypeThere, verify_vectors
from ingestion.runs.context import Context
from ingestion.sources.base import Slice

UNVERIFIED = "this server does not hash its values as defined"
_NOT_STORED = "the lake does not store it yet"
_UNTRACKED = ""
_ANSWER = pa.schema([("n", pa.int64()), *((name, pa.string()) for name in ("hash", "lane_1", "lane_2"))])
_verdicts: dict[tuple[str, ...], dict[TypeThere, bool]] = {}
"""What each server was found to do, by type; asked once per process."""


def trusted_plan(
    context: Context, contract: Contract, found: Sequence[FoundColumn], stored: Collection[str]
) -> RowPlan:
    """
    Return what of a table's rows is compared: columns whose equality is promised and whose hashes can be trusted.

    A full load appends only keys whose tracked state changed, so the other columns may lag behind and are left out.
    """
    plan = _promised(contract, plan_row(contract, found), stored)
    types = _types_there(contract, found, plan)
    wrong = _unverified(context, contract, found[0].dialect, frozenset(types.values()))
    return plan.without({name for name, there in types.items() if there in wrong}, UNVERIFIED)


def fetched_plan(contract: Contract, found: Sequence[FoundColumn], stored: Collection[str]) -> RowPlan:
    """Return what is compared of rows that were fetched and are hashed by DuckDB: whatever is promised and stored."""
    return _promised(contract, plan_row(contract, found, "duckdb"), stored)


def _promised(contract: Contract, plan: RowPlan, stored: Collection[str]) -> RowPlan:
    plan = plan.without({c.name for c in plan.columns if c.name not in stored}, _NOT_STORED)
    if contract.mode is Mode.FULL and contract.bronze is not BronzeMode.OVERWRITE:
        promised = {*contract.key_names, *contract.tracked_names}
        plan = plan.without({c.name for c in plan.columns if c.name not in promised}, _UNTRACKED)
    return plan


def not_compared(plan: RowPlan) -> str:
    """Return what is left out although it is promised, and why, e.g. `note: CLOB cannot be hashed by the database`."""
    return "; ".join(f"{name}: {why}" for name, why in plan.excluded.items() if why != _UNTRACKED)


def _types_there(contract: Contract, found: Sequence[FoundColumn], plan: RowPlan) -> dict[str, TypeThere]:
    sources = match_columns(contract, tuple(found))
    return {column.name: TypeThere(column.type, sources[column.name].physical_type) for column in plan.columns}


def _unverified(
    context: Context, contract: Contract, dialect: str, types: frozenset[TypeThere]
) -> frozenset[TypeThere]:
    """Return the types that fail the golden vectors on this server."""
    known = _verdicts.setdefault(_server(context, contract), {})
    if new := types - known.keys():
        with _Sessions(context, contract) as sessions:
            failing = verify_vectors(sessions.rows, DIALECTS[dialect], new)
        known.update({type_: type_ not in failing for type_ in new})
    return frozenset(type_ for type_ in types if not known[type_])


class _Sessions(ExitStack):
    """Asks in sessions of their own: a statement that fails may end its transaction, and that is a fixed point."""

    def __init__(self, context: Context, contract: Contract) -> None:
        super().__init__()
        self._context, self._contract = context, contract
        self._open: Slice | None = None

    def rows(self, query: str) -> list[tuple[object, ...]]:
        if self._open is None:
            snapshot = self.enter_context(self._context.source(self._contract).snapshot())
            self._open = snapshot.slice(self._contract, Window())
        try:
            return [tuple(row.values()) for row in self._open.select(query, _ANSWER).to_pylist()]
        except Exception:
            self._open = None
            self.close()
            raise


def _server(context: Context, contract: Contract) -> tuple[str, ...]:
    """Name what hashes: a server, or for files the library in this process."""
    connection = context.settings.connection(contract.system)
    if connection.type == "duckdb":
        return ("duckdb",)
    places = (connection.extra.get(name, "") for name in ("dsn", "service_name", "sid"))
    return (connection.type, connection.host, str(connection.port), connection.schema, *places)
