"""Builds the two sides of a comparison from a contract: the source's table, and the lake's live rows in an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from ingestion.contracts.cutting import cut
from ingestion.contracts.drift import FoundColumn, match_columns
from ingestion.contracts.model import Column, Contract
from ingestion.errors import ConfigurationError
from ingestion.lake.duck import Connection
from ingestion.reconcile.dialects import DIALECTS, Dialect, Origin
from ingestion.reconcile.fitting import key_conditions
from ingestion.reconcile.hashes import HashType, Kind, RowPlan, hash_type
from ingestion.reconcile.sql_side import Run, SqlSide, SqlTable, TypedColumn


def source_side(
    contract: Contract, found: Sequence[FoundColumn], plan: RowPlan, run: Run, *, relation: str, where: str = ""
) -> SqlSide:
    """
    Return the source's side.

    `relation` is the table in the source's spelling, at its fixed point; `where` bounds it. `run` adds the bind values.
    The dialect is that of the database that answered, which need not be the contract's.
    """
    matches = match_columns(contract, tuple(found))
    dialect = DIALECTS[found[0].dialect if found else contract.dialect]
    origins = {name: Origin(dialect.quote(at.name), at.physical_type) for name, at in matches.items()}
    # the partition is computed from the column without truncation
    table = _table(contract, dialect, relation, origins, where)
    cut_origins = origins | {
        name: Origin(*cut(at.dialect, at.physical_type, origins[name].sql))
        for name, at in matches.items()
        if contract.column(name).truncate
    }
    fits = key_conditions(contract, matches, origins)
    return SqlSide(replace(table, origins=cut_origins, fits=fits), plan, run)


def duckdb_lake(
    contract: Contract, plan: RowPlan, connection: Connection, *, rows: str, in_flight: str | None = None
) -> SqlSide:
    """Return the lake's side read by DuckDB: `rows` holds the live rows, `in_flight` the keys to leave out."""

    def run(query: str, schema: pa.Schema) -> pa.Table:
        return _shaped(connection.execute(query).to_arrow_table(), schema)

    return lake_side(contract, plan, run, dialect="duckdb", rows=rows, in_flight=in_flight)


def spark_lake(contract: Contract, plan: RowPlan, session: Any, *, rows: str, in_flight: str | None = None) -> SqlSide:
    """Return the lake's side read by a Spark session, whose time zone must be UTC."""

    def run(query: str, schema: pa.Schema) -> pa.Table:
        return _shaped(session.sql(query).toArrow(), schema)

    return lake_side(contract, plan, run, dialect="spark", rows=rows, in_flight=in_flight)


def lake_side(
    contract: Contract, plan: RowPlan, run: Run, *, dialect: str, rows: str, in_flight: str | None = None
) -> SqlSide:
    """Return the lake's side in any engine: `rows` is a table, view or subquery with the contract's column names."""
    spoken = DIALECTS[dialect]
    names = dict.fromkeys([*contract.arrow_schema.names, *(column.name for column in plan.columns)])
    origins = {name: Origin(spoken.quote(name)) for name in names}
    if in_flight is not None:
        # combined with the other conditions, DuckDB would compare every key of the table, at half the speed
        same = " AND ".join(f"f.{origins[name].sql} = t.{origins[name].sql}" for name in contract.key_names)
        rows = f"(SELECT t.* FROM {rows} t ANTI JOIN {in_flight} f ON {same})"
    return SqlSide(_table(contract, spoken, rows, origins, ""), plan, run)


def _table(contract: Contract, dialect: Dialect, relation: str, origins: Mapping[str, Origin], where: str) -> SqlTable:
    """Return the source's table. Raises ConfigurationError if the source lacks a key column to compare by."""
    lacking = [name for name in contract.key_names if name not in origins]
    if lacking:
        raise ConfigurationError(
            f"{contract.id}: its rows are compared by their key, but the source has no {', '.join(lacking)}. "
            "Nothing was compared. Correct the contract's key, or the source."
        )
    return SqlTable(
        dialect=dialect,
        relation=relation,
        origins=origins,
        key_schema=contract.key_schema,
        where=where,
        partition=_typed(contract, contract.reconcile.partition, origins),
        grain=contract.reconcile.grain,
    )


def _typed(contract: Contract, name: str | None, origins: Mapping[str, Origin]) -> TypedColumn | None:
    if name is None or name not in origins:
        return None
    column: Column = contract.column(name)
    type_ = hash_type(contract.dialect, column, column.physical_type)
    return TypedColumn(type_ or HashType(Kind.TEXT), origins[name])


def _shaped(found: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the columns with the names and types of the schema, matched by position."""
    return found.rename_columns(schema.names).cast(schema)
