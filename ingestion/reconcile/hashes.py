"""The plan of the portable row hash: which columns are hashed, how their values become text, and its length. Pure.

A row becomes one canonical text, its MD5 becomes two lanes of 16 decimal digits, and a group of rows is the sum of
each lane: the same numbers on every engine, in any order of the rows. The texts are defined in Python by
`ingestion.reconcile.canonical`; `ingestion.reconcile.dialects` writes them as SQL. Only hashes leave a database.

A lane is half of the hash's hexadecimal digits; 8 is subtracted from each digit of 8 or more. Every engine can convert
such a text to a number, and the two lanes hold 96 bits.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import pyarrow as pa

from ingestion.contracts.declared import base_of, digits_of
from ingestion.contracts.drift import FoundColumn, match_columns
from ingestion.contracts.model import Column, Contract

GROUP_BYTES = 3_900
"""A text in Oracle's SQL has at most 4,000 bytes: longer rows are hashed in groups, and the hashes are hashed."""
GROUP_HASHES = GROUP_BYTES // 32
"""The number of group hashes that fit one text and are hashed together; a wide row may have more."""
DIGESTED_BYTES = 1_000
"""Oracle values that may be longer are replaced by their own hash in the row's text."""


class Kind(StrEnum):
    """What a value is, whatever the database calls its type."""

    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    INSTANT = "instant"
    FLOAT = "float"
    TEXT = "text"
    CHAR = "char"
    UUID = "uuid"
    BINARY = "binary"


TEXTS = frozenset({Kind.TEXT, Kind.CHAR, Kind.UUID})
WITH_LENGTH = TEXTS | {Kind.BINARY}
"""Kinds with a length prefix: their values may be empty, and may contain the field separator."""


@dataclass(frozen=True, slots=True)
class HashType:
    """
    How a column's values are converted to text.

    `precision` and `scale` belong to decimals. `empty_is_null`: the source cannot tell an empty text from a null.
    `digested`: the row's text has the value's MD5 instead of the value.
    """

    kind: Kind
    precision: int = 0
    scale: int = 0
    empty_is_null: bool = False
    digested: bool = False


@dataclass(frozen=True, slots=True)
class HashColumn:
    """A column of the row hash. `size` is the most bytes of its part of the row's text; 0: not needed."""

    name: str
    type: HashType
    size: int


@dataclass(frozen=True, slots=True)
class RowPlan:
    """
    What both sides hash, in this order.

    With more than one group, the row's text is the groups' hashes, or (`in_groups`) the hashes of their hashes.
    `excluded` says why a column is not compared. If it has a key column, equal checksums prove nothing (`can_prove`).
    """

    keys: tuple[str, ...]
    columns: tuple[HashColumn, ...]
    excluded: dict[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> tuple[tuple[HashColumn, ...], ...]:
        return _grouped(self.columns)

    @property
    def key_groups(self) -> tuple[tuple[HashColumn, ...], ...]:
        return _grouped(self.key_columns)

    @property
    def key_columns(self) -> tuple[HashColumn, ...]:
        by_name = {column.name: column for column in self.columns}
        return tuple(by_name[name] for name in self.keys if name in by_name)

    @property
    def can_prove(self) -> bool:
        return not any(name in self.excluded for name in self.keys)

    def without(self, names: Collection[str], reason: str) -> RowPlan:
        """Return the plan that leaves these columns out for a reason, e.g. `unverified`."""
        kept = tuple(column for column in self.columns if column.name not in names)
        dropped = {column.name: reason for column in self.columns if column.name in names}
        return replace(self, columns=kept, excluded=self.excluded | dropped)


def _grouped(columns: Sequence[HashColumn]) -> tuple[tuple[HashColumn, ...], ...]:
    """Return the columns in groups whose texts fit one text of their database."""
    groups: list[list[HashColumn]] = [[]]
    size = 0
    for column in columns:
        if groups[-1] and size + column.size > GROUP_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(column)
        size += column.size + 1
    return tuple(tuple(group) for group in groups)


def in_groups(texts: Sequence[str]) -> list[Sequence[str]]:
    """Return the texts in groups whose hashes fit one text."""
    return [texts[at : at + GROUP_HASHES] for at in range(0, len(texts), GROUP_HASHES)]


def plan_row(contract: Contract, found: Sequence[FoundColumn] = (), answering: str = "") -> RowPlan:
    """
    Return the plan of the contract's columns that can be hashed identically in its source and in the lake.

    `found` is the source's catalog. A column that is wider there than promised needs more room; a column missing there
    is left out.
    `answering` is the dialect that hashes the source's rows, if that is not the source's own.
    """
    sources = match_columns(contract, tuple(found)) if found else {}
    columns, excluded = [], {}
    for column in contract.columns:
        source = sources.get(column.name)
        if found and source is None:
            excluded[column.name] = "not in the source"
            continue
        physical = column.physical_type
        if source is not None and source.dialect == contract.dialect:
            physical = source.physical_type
        there = answering or (source.dialect if source is not None else contract.dialect)
        planned = _plan_column(contract.dialect, column, physical, there)
        if isinstance(planned, str):
            excluded[column.name] = planned
        else:
            columns.append(planned)
    return RowPlan(contract.key_names, tuple(columns), excluded)


def hash_type(dialect: str, column: Column, physical: str, answering: str = "") -> HashType | None:
    """
    Return how a column's values are converted to text; None if databases do not agree on the text.

    `answering` is the dialect of the queried database, if that is not the contract's.
    """
    base = base_of(physical)
    is_text = pa.types.is_string(column.arrow_type)
    kind = _text_kind(dialect, base, answering or dialect) if is_text else _kind(column.arrow_type)
    if kind is None:
        return None
    if kind is Kind.DECIMAL:
        return HashType(kind, column.arrow_type.precision, column.arrow_type.scale)
    return HashType(kind, empty_is_null=kind in (Kind.TEXT, Kind.CHAR) and dialect == "oracle")


def _plan_column(dialect: str, column: Column, physical: str, answering: str) -> HashColumn | str:
    """Return how a column is hashed, or the reason why it is not."""
    base = base_of(physical)
    if base in _LARGE.get(answering, ()):
        return f"{base} cannot be hashed by the database"
    type_ = hash_type(dialect, column, physical, answering)
    if type_ is None:
        return f"{base} has no spelling that all databases share"
    if answering != "oracle":
        return HashColumn(column.name, type_, 0)
    size = _size(type_, base, physical)
    if size > DIGESTED_BYTES and type_.kind in (Kind.TEXT, Kind.BINARY):
        return HashColumn(column.name, replace(type_, digested=True), 32)
    return HashColumn(column.name, type_, size)


def _size(type_: HashType, base: str, physical: str) -> int:
    if type_.kind is Kind.BINARY:
        return 2 * digits_of(physical, 2_000) + len("4000:")
    if base == "UROWID":
        return 4_000
    if type_.kind in TEXTS and base in _CHARACTERS:
        return min(4 * digits_of(physical, 1), 2_000 if type_.kind is Kind.CHAR else 40_000) + len("4000:")
    return _SIZES.get(type_.kind, 70)  # all digits of a number, even if they are more than promised


def _text_kind(dialect: str, base: str, answering: str) -> Kind | None:
    if base in _UUIDS:
        return Kind.UUID
    if base in _PADDED.get(dialect, ()):
        return Kind.CHAR
    if answering == "duckdb":  # DuckDB can write any type as text
        return Kind.TEXT
    return Kind.TEXT if base in _CHARACTERS or base in _KEPT_AS_TEXT.get(answering, ()) else None


def _kind(type_: pa.DataType) -> Kind | None:
    is_ = pa.types
    if is_.is_timestamp(type_):
        return Kind.TIMESTAMP if type_.tz is None else Kind.INSTANT
    tests = (
        (is_.is_integer, Kind.INTEGER),
        (is_.is_decimal, Kind.DECIMAL),
        (is_.is_boolean, Kind.BOOLEAN),
        (is_.is_date, Kind.DATE),
        (is_.is_floating, Kind.FLOAT),
        (is_.is_binary, Kind.BINARY),
    )
    return next((kind for test, kind in tests if test(type_)), None)


_SIZES = {Kind.DATE: 30, Kind.TIMESTAMP: 35, Kind.INSTANT: 35, Kind.FLOAT: 16}
_CHARACTERS = frozenset({"CHAR", "NCHAR", "VARCHAR", "VARCHAR2", "NVARCHAR2", "NVARCHAR", "STRING", "TEXT"})
_PADDED = {"oracle": {"CHAR", "NCHAR"}, "sqlserver": {"CHAR", "NCHAR"}}
_UUIDS = frozenset({"UNIQUEIDENTIFIER", "UUID"})
_KEPT_AS_TEXT = {
    "oracle": {
        *("NUMBER", "FLOAT", "NUMERIC", "DECIMAL", "INTEGER", "INT", "SMALLINT"),
        *("INTERVAL DAY TO SECOND", "INTERVAL YEAR TO MONTH", "ROWID", "UROWID"),
    },
    "sqlserver": {"NTEXT", "TIME", "XML"},
}
_LARGE = {"oracle": {"CLOB", "NCLOB", "BLOB", "LONG", "LONG RAW", "XMLTYPE", "JSON"}}
