"""A side that is a table in a SQL database: builds one SELECT per question. The caller's `Run` executes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.reconcile.dialects import Dialect, Origin
from ingestion.reconcile.hashes import HashType, Kind, RowPlan
from ingestion.reconcile.scopes import group_condition, group_expression, partition_condition
from ingestion.reconcile.sides import (
    EVERYTHING,
    KEY_HASH,
    PARTITION,
    ROW_HASH,
    Checksum,
    Cut,
    Scope,
    Split,
    Summary,
)

Run = Callable[[str, pa.Schema], pa.Table]
"""Runs one query with the bind values that its relation needs; returns exactly that schema (columns by position)."""

_ROWS = pa.int64()


class TypedColumn(NamedTuple):
    """A column that need not be part of the row hash."""

    type: HashType
    origin: Origin


@dataclass(frozen=True, slots=True)
class SqlTable:
    """
    A table as one side's SQL refers to it.

    `relation` may be a subquery in brackets; it gets the alias t. `origins` are its quoted columns by the contract's
    names. `where` is a condition on them, e.g. the bound. `partition` is the reconcile partition. `fits` holds
    the conditions of `fitting.key_conditions`.
    """

    dialect: Dialect
    relation: str
    origins: Mapping[str, Origin]
    key_schema: pa.Schema
    where: str = ""
    partition: TypedColumn | None = None
    grain: str = "month"
    fits: Mapping[str, str] = field(default_factory=dict)


class SqlSide:
    """Implements `ingestion.reconcile.sides.Side`."""

    def __init__(self, table: SqlTable, plan: RowPlan, run: Run) -> None:
        self._table = table
        self._plan = plan
        self._run = run
        self._dialect = table.dialect
        self._types = {column.name: column.type for column in plan.columns}
        self._first_key = table.origins[plan.keys[0]].sql

    @property
    def partitioned(self) -> bool:
        return self._table.partition is not None

    @property
    def whole_keys(self) -> bool:
        type_ = self._types.get(self._plan.keys[0])
        return type_ is not None and type_.kind is Kind.INTEGER

    @property
    def guarded_keys(self) -> tuple[str, ...]:
        """The keys whose values may not fit their promised type."""
        return tuple(self._table.fits)

    def summary(self) -> Summary:
        table, count = self._table, self._dialect.count
        nulls = " OR ".join(f"{table.origins[name].sql} IS NULL" for name in self._plan.keys)
        fits = " AND ".join(table.fits.values())
        misfits = f"{count}(CASE WHEN NOT ({nulls}) AND NOT ({fits}) THEN 1 END)" if fits else "0"
        low, high = self._ends(f"CASE WHEN {fits} THEN {self._first_key} END" if fits else self._first_key)
        select = f"{count}(*), {count}(CASE WHEN {nulls} THEN 1 END), {misfits}, {low}, {high}"
        where = f" WHERE {table.where}" if table.where else ""
        counts = zip(("rows", "nulls", "misfits"), (_ROWS, _ROWS, _ROWS), strict=True)
        texts = zip(("low", "high"), (pa.string(), pa.string()), strict=True)
        (row,) = self._run(f"SELECT {select} FROM {table.relation} t{where}", pa.schema([*counts, *texts])).to_pylist()
        unkeyed = row["nulls"] + row["misfits"]
        ends = (_int(row["low"]), _int(row["high"]))
        return Summary(row["rows"] - unkeyed, unkeyed, *ends, misfits=row["misfits"])

    def partitions(self) -> Mapping[str | None, int]:
        inner = self._select(f"{self._label()} AS g", EVERYTHING)
        schema = pa.schema([("g", pa.string()), ("rows", _ROWS)])
        found = self._run(f"SELECT g, {self._dialect.count}(*) FROM ({inner}) labelled GROUP BY g", schema)
        return {row["g"]: row["rows"] for row in found.to_pylist()}

    def checksums(self, split: Split, scope: Scope = EVERYTHING) -> Mapping[str | None, Checksum]:
        dialect = self._dialect
        hash_ = dialect.hash_value(dialect.row_text(self._plan, self._table.origins))
        passed, ends = ["g"], [dialect.no_text, dialect.no_text]
        select = f"{self._group(split)} AS g, {hash_} AS h"
        if split.cut is Cut.PARTITION and self.whole_keys:
            passed, ends, select = ["g", "k"], list(self._ends("k")), f"{select}, {self._first_key} AS k"
        laned = dialect.with_lanes(self._select(select, scope, hint=dialect.inner_hint), passed)
        name = dialect.exact_text("g") if split.cut is Cut.RANGE else "g"
        sums = [dialect.exact_text(f"SUM({lane})") for lane in ("lane_1", "lane_2")]
        query = f"SELECT {', '.join([name, f'{dialect.count}(*)', *sums, *ends])} FROM ({laned}) laned GROUP BY g"
        texts = [(column, pa.string()) for column in ("one", "two", "low", "high")]
        found = self._run(query, pa.schema([("g", pa.string()), ("rows", _ROWS), *texts])).to_pylist()
        is_hex = split.cut is Cut.DIGITS
        return {
            (row["g"].upper() if is_hex else row["g"]): Checksum(
                row["rows"], int(row["one"]), int(row["two"]), _int(row["low"]), _int(row["high"])
            )
            for row in found
        }

    def leaves(self, scope: Scope) -> pa.Table:
        dialect, origins = self._dialect, self._table.origins
        keys = [f"t.{origins[name].sql}" for name in self._plan.keys]
        hashes = [dialect.hash_hex(self._key_text), dialect.hash_hex(dialect.row_text(self._plan, origins))]
        added = (KEY_HASH, ROW_HASH, PARTITION)
        names = [dialect.quote(name) for name in (*self._plan.keys, *added)]
        wanted = zip([*keys, *hashes, self._label()], names, strict=True)
        schema = pa.schema([*self._table.key_schema, *((name, pa.string()) for name in added)])
        found = self._run(self._select(", ".join(f"{sql} AS {name}" for sql, name in wanted), scope), schema)
        for name in (KEY_HASH, ROW_HASH):
            at = found.schema.get_field_index(name)
            found = found.set_column(at, name, pc.utf8_upper(found.column(at)))
        return found

    @property
    def _key_text(self) -> str:
        return self._dialect.key_text(self._plan, self._table.origins)

    def _select(self, select: str, scope: Scope, hint: str = "") -> str:
        where = [f"{self._table.origins[name].sql} IS NOT NULL" for name in self._plan.keys]
        partition = self._table.partition
        if scope.partitions is not None and partition is not None:
            where.append(partition_condition(self._dialect, *partition, self._table.grain, scope.partitions))
        group = group_condition(self._dialect, scope, self._first_key, self._key_text)
        conditions = [*where, *self._table.fits.values(), *(part for part in (group, self._table.where) if part)]
        return f"SELECT {hint}{select} FROM {self._table.relation} t WHERE {' AND '.join(conditions)}"

    def _group(self, split: Split) -> str:
        if split.cut is Cut.PARTITION:
            return self._label()
        return group_expression(self._dialect, split, self._first_key, self._key_text)

    def _label(self) -> str:
        partition = self._table.partition
        return self._dialect.partition_text(*partition, self._table.grain) if partition else self._dialect.no_text

    def _ends(self, key: str) -> tuple[str, str]:
        if not self.whole_keys:
            return self._dialect.no_text, self._dialect.no_text
        low, high = (self._dialect.exact_text(self._dialect.whole(f"{end}({key})", 0, 1)) for end in ("MIN", "MAX"))
        return low, high


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)
