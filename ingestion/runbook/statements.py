"""
SQL that a person can run on the source and on the lake, to see what a check or an advice refers to. Pure.

The only module that builds such SQL. Each question has a query for both sides up to the check's watermark.
No statement holds a value of a row; its constants are the bounds of a window or a partition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ingestion.contracts.model import Column, Contract, Mode
from ingestion.contracts.types import duckdb_type
from ingestion.runbook.moments import partition_bounds, partition_start
from ingestion.runbook.spelling import SPELLINGS, Spelling, Spot, is_summed

MOST_COLUMNS = 30
"""The maximum columns of a wide table that are summed: more are hard to read, and databases have limits."""

_DEFAULT_SCHEMAS = {"duckdb": "main", "sqlserver": "dbo"}
_FOLDED = re.compile(r"[a-z][a-z0-9_$#]*")


@dataclass(frozen=True, slots=True)
class Runbook:
    """
    The same question as SQL for both sides. One of them is empty if only the other side can answer.

    `lake_table` is schema and name of the table in the lake's query; `note` says why the lake cannot answer.
    """

    source: str = ""
    lake: str = ""
    lake_table: tuple[str, str] = ("", "")
    note: str = ""

    def __str__(self) -> str:
        parts = []
        if self.source:
            parts.append(f"-- on the source\n{self.source};")
        if self.note or self.lake:
            parts.append(f"-- {self.note}" if self.note else f"-- on the lake: lakehouse sql\n{self.lake};")
        return "\n".join(parts)


def count_rows(contract: Contract, bound: str | None, future: str | None = None) -> Runbook:
    """
    Ask both sides how many rows they have that are not in flight; None: all.

    In flight are rows whose watermark is at `bound` or later and before `future` (None: no upper end).
    """
    return _ask(contract, bound, lambda side: [side.spelling.rows], future=future)


def count_partition(contract: Contract, bound: str | None, partition: str | None, future: str | None = None) -> Runbook:
    """Ask both sides how many such rows they have in a partition `YYYY[-MM[-DD]]` (None: rows without one)."""
    name = contract.reconcile.partition
    if name is None:
        return count_rows(contract, bound, future)
    return _ask(
        contract, bound, lambda side: [side.spelling.rows], lambda side: side.within(name, partition), future=future
    )


def newest_change(contract: Contract) -> Runbook:
    """Ask both sides for their newest change; for their row count if the contract names no watermark."""
    name = contract.watermark
    if name is None:
        return count_rows(contract, None)
    return _ask(contract, None, lambda side: [side.spelling.newest(side.spot(name))])


def sums(contract: Contract, bound: str | None) -> Runbook:
    """
    Ask both sides for values that differ if contents do: rows, sums of numbers, counts of values; none personal.

    For a table in mode full only tracked columns, because the lake does not update the others at once.
    """
    names = contract.tracked_names if contract.mode is Mode.FULL else contract.arrow_schema.names
    columns = [contract.column(name) for name in names if name not in contract.key_names]
    told = [column for column in columns if not column.is_personal]
    told.sort(key=lambda column: not is_summed(column.arrow_type))  # a sum shows more differences than a count
    there = _Side.source(contract)
    asked = {c.name: there.spelling.total(there.spot(c.name)) is not None for c in told[:MOST_COLUMNS]}

    def question(side: _Side) -> list[str]:
        spelling = side.spelling
        known = {name: side.spot(name) for name in asked if there.spelling.filled(there.spot(name))}
        # columns that the source cannot sum are counted on both sides
        told = [spelling.total(spot) if asked[name] else spelling.filled(spot) for name, spot in known.items()]
        return [spelling.rows, *filter(None, told)]

    return _ask(contract, bound, question)


def repeated_keys(contract: Contract) -> Runbook:
    """Ask how many keys have several rows in the source, and how many rows of such keys the lake refused."""
    side = _Side.source(contract)
    keys = ", ".join(side.spot(name).sql for name in contract.key_names)
    rows = side.spelling.rows
    repeated = f"select {keys} from {side.table} group by {keys} having {rows} > 1"
    lake = f"{_refused(contract)} and contains(_breaks, ':duplicate_key')"
    return Runbook(f"select {rows}\nfrom ({repeated}) repeated", f"select count(*)\n{lake}", _quarantine(contract))


def broken_rows(contract: Contract) -> Runbook:
    """Ask the lake which promises the refused rows break."""
    grouped = f"{_refused(contract)}\ngroup by _breaks order by 2 desc"
    return Runbook(lake=f"select _breaks, count(*)\n{grouped}", lake_table=_quarantine(contract))


def in_files(contract: Contract) -> Contract:
    """Return the contract adapted to a DuckDB file as its source, for any dialect of the contract."""
    declared = [replace(column, physical_type=duckdb_type(column.arrow_type)) for column in contract.columns]
    return replace(contract, dialect="duckdb", columns=tuple(declared))


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a table: its relation, and the names and declarations of its columns."""

    spelling: Spelling
    table: str
    conditions: tuple[str, ...]
    columns: dict[str, Spot]

    @classmethod
    def source(cls, contract: Contract) -> _Side:
        spelling = SPELLINGS[contract.dialect]
        fold = str.upper if _is_folded(contract) else str

        def spot(column: Column) -> Spot:
            return Spot(spelling.quote(fold(column.source_name)), column.physical_type, column.arrow_type)

        parts = contract.source_table[-2:]
        if len(parts) < 2 and contract.dialect in _DEFAULT_SCHEMAS:
            parts = (_DEFAULT_SCHEMAS[contract.dialect], *parts)
        table = ".".join(spelling.quote(fold(part)) for part in parts)
        return cls(spelling, table, (), {column.name: spot(column) for column in contract.columns})

    @classmethod
    def lake(cls, contract: Contract) -> _Side:
        spelling = SPELLINGS["duckdb"]

        def spot(column: Column) -> Spot:
            return Spot(spelling.quote(column.name), duckdb_type(column.arrow_type), column.arrow_type)

        table = f"silver.{spelling.quote(contract.silver_model)}"
        return cls(spelling, table, ("is_current",), {column.name: spot(column) for column in contract.columns})

    def spot(self, name: str) -> Spot:
        return self.columns[name]

    def not_in_flight(self, name: str, bound: str, future: str | None) -> Iterator[str]:
        """Yield the condition of rows outside of `bound` (inclusive) to `future` (exclusive), or without a value."""
        below = list(self._compared(name, "<", bound))
        ahead = [] if future is None else list(self._compared(name, ">=", future))
        if below:
            yield f"({' or '.join([*below, *ahead, f'{self.spot(name).sql} is null'])})"

    def within(self, name: str, partition: str | None) -> Iterator[str]:
        """Yield the conditions of a partition: no upper one at the calendar's end, none for an invalid label."""
        if partition is None:
            yield f"{self.spot(name).sql} is null"
        elif (first := partition_start(partition)) is not None:
            yield from self._compared(name, ">=", first.isoformat())
            if (bounds := partition_bounds(partition)) is not None:
                yield from self._compared(name, "<", bounds[1].isoformat())

    def _compared(self, name: str, operator: str, bound: str) -> Iterator[str]:
        """Yield a comparison; none if the bound is beyond all values of the column's type."""
        spot = self.spot(name)
        constant = self.spelling.constant(spot, bound)
        if constant is not None:
            yield f"{spot.sql} {operator} {constant}"


def _ask(
    contract: Contract,
    bound: str | None,
    question: Callable[[_Side], Sequence[str]],
    further: Callable[[_Side], Iterator[str]] = lambda _side: iter(()),
    *,
    future: str | None = None,
) -> Runbook:
    """Return a query for both sides about the rows that are not in flight."""

    def asked(side: _Side) -> str:
        conditions = [*side.conditions]
        # in mode changes the bound is a version of the change log, which no column has
        if bound is not None and contract.watermark is not None and contract.mode is Mode.INCREMENTAL:
            conditions += side.not_in_flight(contract.watermark, bound, future)
        conditions += further(side)
        where = "\nwhere " + "\n    and ".join(conditions) if conditions else ""
        return "select " + ",\n    ".join(question(side)) + f"\nfrom {side.table}{where}"

    return Runbook(asked(_Side.source(contract)), asked(_Side.lake(contract)), ("silver", contract.silver_model))


def _is_folded(contract: Contract) -> bool:
    """Return whether a contract writes Oracle names in lower case that the dictionary has in upper case.

    A load finds them too. Names that are really in lower case are in a contract beside an owner in upper case.
    """
    names = [*contract.source_table, *(column.source_name for column in contract.columns)]
    return contract.dialect == "oracle" and all(_FOLDED.fullmatch(name) for name in names)


def _quarantine(contract: Contract) -> tuple[str, str]:
    return "quarantine", contract.bronze_view


def _refused(contract: Contract) -> str:
    schema, name = _quarantine(contract)
    return f"from {schema}.{SPELLINGS['duckdb'].quote(name)}\nwhere _replayed_in is null and _settled_in is null"
