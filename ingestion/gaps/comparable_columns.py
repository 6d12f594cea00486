"""Which columns can be compared: those that the source's server hashes to the same values as the lake does."""

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
"""By server and type: whether it hashes the golden vectors as defined. Each is tested once per process."""


def trusted_plan(
    context: Context, contract: Contract, found: Sequence[FoundColumn], stored: Collection[str]
) -> RowPlan:
    """
    Return the columns that are compared by the server's hashes.

    Left out are types that the server hashes differently than defined. Of a full load, untracked columns are left out
    too, because such a load appends a row only if a tracked column changed.
    """
    plan = _promised(contract, plan_row(contract, found), stored)
    types = _types_there(contract, found, plan)
    wrong = _unverified(context, contract, found[0].dialect, frozenset(types.values()))
    return plan.without({name for name, there in types.items() if there in wrong}, UNVERIFIED)


def fetched_plan(contract: Contract, found: Sequence[FoundColumn], stored: Collection[str]) -> RowPlan:
    """Return the columns that are compared if rows are fetched and hashed by DuckDB: all that the lake stores."""
    return _promised(contract, plan_row(contract, found, "duckdb"), stored)


def _promised(contract: Contract, plan: RowPlan, stored: Collection[str]) -> RowPlan:
    plan = plan.without({c.name for c in plan.columns if c.name not in stored}, _NOT_STORED)
    if contract.mode is Mode.FULL and contract.bronze is not BronzeMode.OVERWRITE:
        promised = {*contract.key_names, *contract.tracked_names}
        plan = plan.without({c.name for c in plan.columns if c.name not in promised}, _UNTRACKED)
    return plan


def not_compared(plan: RowPlan) -> str:
    """Return the promised columns that are left out, with reasons: `note: CLOB cannot be hashed by the database`."""
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
    """Runs the test queries in separate sessions, because an error could end the transaction of the fixed point."""

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
    """Identify what computes the hashes: a server, or DuckDB in this process for files."""
    connection = context.settings.connection(contract.system)
    if connection.type == "duckdb":
        return ("duckdb",)
    places = (connection.extra.get(name, "") for name in ("dsn", "service_name", "sid"))
    return (connection.type, connection.host, str(connection.port), connection.schema, *places)
