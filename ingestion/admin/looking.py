"""Samples the values of numeric columns without declared precision, so that an import can choose their types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.facts import TableFacts
from ingestion.contracts.model import Contract, Mode
from ingestion.contracts.types import MAX_INT64_DIGITS
from ingestion.contracts.window import Window
from ingestion.contracts.writing.promises import FRACTIONS, SAMPLE_ROWS, Looked
from ingestion.reconcile.dialects import DIALECTS
from ingestion.sources.base import Slice, Source

_LOW, _HIGH = -(2**63), 2**63 - 1
_FIRST = {
    "oracle": "(SELECT {columns} FROM {relation} t WHERE ROWNUM <= {rows}) s",
    "sqlserver": "(SELECT TOP ({rows}) {columns} FROM {relation} t) s",
    "duckdb": "(SELECT {columns} FROM {relation} t LIMIT {rows}) s",
}


def look(source: Source, system: str, facts: TableFacts, columns: Sequence[FoundColumn]) -> Mapping[str, Looked]:
    """
    Return which types hold the values of each column, in the first `SAMPLE_ROWS` rows. Of the first key column, minimum
    and maximum of all rows are checked too.

    Only counts leave the database. Empty if the table cannot be read; its contract can be written nevertheless.
    """
    if not columns:
        return {}
    dialect = DIALECTS[columns[0].dialect]
    try:
        with source.snapshot() as snapshot:
            rows = snapshot.slice(_table(system, facts, columns[0].dialect), Window())
            found = _counts(rows, dialect.name, [dialect.quote(c.name) for c in columns])
            names = [column.name for column in columns]
            looked = dict(zip(names, found, strict=True))
            if facts.key and facts.key[0] in looked and looked[facts.key[0]].rows >= SAMPLE_ROWS:
                key = facts.key[0]
                fits = looked[key].fits_int64 and _ends_fit(rows, dialect.name, dialect.quote(key))
                looked[key] = looked[key]._replace(fits_int64=fits)
            return looked
    except Exception:  # e.g. a missing right or a type that cannot be compared: only the declaration is known then
        return {}


def _counts(rows: Slice, dialect: str, names: Sequence[str]) -> list[Looked]:
    count = DIALECTS[dialect].count
    wanted = []
    for name in names:
        wanted.append(f"{count}(s.{name})")
        for condition in _conditions(dialect, f"s.{name}"):
            wanted.append(f"{count}(CASE WHEN {condition} THEN 1 END)")
    selected = ", ".join(f"t.{name}" for name in names)
    inner = _FIRST[dialect].format(columns=selected, relation=rows.relation, rows=SAMPLE_ROWS)
    schema = pa.schema([(f"n{at}", pa.int64()) for at in range(len(wanted))])
    select = ", ".join(f"{sql} AS n{at}" for at, sql in enumerate(wanted))
    (row,) = rows.select(f"SELECT {select} FROM {inner}", schema).to_pylist()
    numbers = list(row.values())
    width = len(wanted) // len(names)
    return [_looked(*numbers[start : start + width]) for start in range(0, len(numbers), width)]


def _conditions(dialect: str, name: str) -> list[str]:
    """Return the conditions to count: beyond 64 bits, over 18 digits before the point, more than n fraction digits."""
    low, high = _constant(dialect, _LOW), _constant(dialect, _HIGH)
    room = _constant(dialect, 10**MAX_INT64_DIGITS)
    beyond = [f"{name} < {low} OR {name} > {high}", f"{name} <= -{room} OR {name} >= {room}"]
    return beyond + [f"{name} <> ROUND({name}, {digits})" for digits in FRACTIONS]


def _looked(rows: int, beyond_int64: int, beyond_room: int, *finer: int) -> Looked:
    fraction = next((digits for digits, more in zip(FRACTIONS, finer, strict=True) if not more), None)
    return Looked(rows, not beyond_int64, not beyond_room, fraction)


def _ends_fit(rows: Slice, dialect: str, name: str) -> bool:
    """Return whether a first key column's minimum and maximum fit 64 bits; the index answers both."""
    schema = pa.schema([("fits", pa.string())])
    for function, condition in (("MIN", f">= {_constant(dialect, _LOW)}"), ("MAX", f"<= {_constant(dialect, _HIGH)}")):
        select = f"CASE WHEN {function}(t.{name}) {condition} THEN 'y' ELSE 'n' END AS fits"
        if rows.select(f"SELECT {select} FROM {rows.relation} t", schema).to_pylist() != [{"fits": "y"}]:
            return False
    return True


def _constant(dialect: str, number: int) -> str:
    return f"{number}." if dialect == "sqlserver" else str(number)  # beyond a bigint it must be a decimal


def _table(system: str, facts: TableFacts, dialect: str) -> Contract:
    """Return a contract with only what a snapshot needs to read a table."""
    return Contract(
        id=f"{system}.{facts.name}",
        version="0.0.0",
        system=system,
        entity=facts.name,
        dialect=dialect,
        source_table=(facts.schema, facts.name),
        columns=(),
        timezone="UTC",
        mode=Mode.FULL,
        silver_model="",
    )
