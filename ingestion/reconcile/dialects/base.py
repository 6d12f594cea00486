"""The base class of SQL dialects: the expressions each must define, and those that all share. Builds SQL text only.

A dialect never runs a query. `Origin` says where a column's value comes from on that side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from ingestion.contracts.declared import base_of
from ingestion.reconcile.canonical import END
from ingestion.reconcile.hashes import WITH_LENGTH, HashColumn, HashType, Kind, RowPlan, in_groups
from ingestion.sql.quoting import quote_standard, text_literal


@dataclass(frozen=True, slots=True)
class Origin:
    """A column on one side: the SQL that refers to it, and its declared type (None: the lake's type for its kind)."""

    sql: str
    physical: str | None = None


class Dialect(ABC):
    """The SQL of one engine. `upper_hex`: whether it writes hashes in upper case."""

    name: str
    types: Mapping[Kind, str]
    """The engine's type of each kind but decimals; `decimal` is their name."""
    decimal = "DECIMAL"
    upper_hex = True
    count = "COUNT"
    inner_hint = ""
    """A hint that makes the engine compute an inner query's hash once, not once per lane."""
    no_text = "CAST(NULL AS VARCHAR(1))"

    def quote(self, name: str) -> str:
        return quote_standard(name)

    def declared(self, type_: HashType) -> str:
        """Return the engine's type that holds every value of a type."""
        if type_.kind is Kind.DECIMAL:
            return f"{self.decimal}({type_.precision},{type_.scale})"
        return self.types[type_.kind]

    def literal(self, type_: HashType, physical: str | None, value: Any) -> str:
        """Return a value as a constant of a declared type; for golden vectors and partition bounds, never for rows."""
        declared = physical or self.declared(type_)
        return f"CAST({'NULL' if value is None else self.constant(type_, declared, value)} AS {declared})"

    @abstractmethod
    def constant(self, type_: HashType, declared: str, value: Any) -> str:
        """Return a value that is not null in a form that can be cast to a declared type."""

    @abstractmethod
    def spelled(self, type_: HashType, origin: Origin) -> str:
        """Return the canonical text of a value; null for a null."""

    @abstractmethod
    def byte_length(self, type_: HashType, origin: Origin, /) -> str:
        """Return the length of a value's canonical text in bytes of UTF-8; null for a null."""

    @abstractmethod
    def joined(self, parts: Sequence[str]) -> str:
        """Concatenate texts and skip nulls."""

    @abstractmethod
    def hash_hex(self, text: str) -> str:
        """Return the MD5 of a text as hexadecimal digits, in the engine's own case (see `upper_hex`)."""

    @abstractmethod
    def digest(self, type_: HashType, origin: Origin) -> str:
        """Return the MD5 of a whole value as hexadecimal digits in upper case; null for a null."""

    @abstractmethod
    def lane(self, hash_: str, first: int) -> str:
        """Return the number of the lane: 16 digits of a hash (as `hash_value` returns it) from position `first`."""

    @abstractmethod
    def exact_text(self, number: str) -> str:
        """Return a whole number of up to 38 digits as text, because a driver could round the number."""

    @abstractmethod
    def whole(self, column: str, low: int, width: int) -> str:
        """Return (column - low) / width, rounded down."""

    @abstractmethod
    def partition_text(self, type_: HashType, origin: Origin, /, grain: str) -> str:
        """Return the partition of a date or moment: `YYYY[-MM[-DD]]`."""

    @abstractmethod
    def day(self, day: date) -> str:
        """Return a day as a constant."""

    def leading_digits(self, text: str, digits: int) -> str:
        """Return the first hexadecimal digits of a text's hash, in the dialect's own case."""
        return f"SUBSTR({self.hash_hex(text)}, 1, {digits})"

    def hash_value(self, text: str) -> str:
        """Return the hash of a text in the form that `with_lanes` expects."""
        return self.hash_hex(text)

    def upper_hash(self, text: str) -> str:
        return self.hash_hex(text)

    def parts(self, column: HashColumn, origin: Origin) -> list[str]:
        """Return the texts that a column adds to the row's text; a null value may give nulls."""
        if column.type.digested:
            return [self.digest(column.type, origin)]
        text = self.spelled(column.type, origin)
        return [self.byte_length(column.type, origin), "':'", text] if column.type.kind in WITH_LENGTH else [text]

    def row_text(self, plan: RowPlan, origins: Mapping[str, Origin]) -> str:
        return self._grouped_text(plan.groups, origins)

    def key_text(self, plan: RowPlan, origins: Mapping[str, Origin]) -> str:
        return self._grouped_text(plan.key_groups, origins)

    def _grouped_text(self, groups: Sequence[Sequence[HashColumn]], origins: Mapping[str, Origin]) -> str:
        texts = [self.fields(group, origins) for group in groups]
        while len(texts) > 1:
            texts = [self.joined([self.upper_hash(text) for text in some]) for some in in_groups(texts)]
        return texts[0]

    def fields(self, columns: Sequence[HashColumn], origins: Mapping[str, Origin]) -> str:
        """Return the text of some columns of a row, never null."""
        return self.joined(self.field_parts(columns, origins))

    def field_parts(self, columns: Sequence[HashColumn], origins: Mapping[str, Origin]) -> list[str]:
        parts = [[*self.parts(column, origins[column.name]), f"'{END}'"] for column in columns]
        return [part for column in parts for part in column]

    def with_lanes(self, inner: str, passed: Sequence[str]) -> str:
        """Return a query of `passed`, `lane_1` and `lane_2` over an inner query that yields `passed` and a hash `h`."""
        lanes = [f"{self.lane('h', 1)} AS lane_1", f"{self.lane('h', 17)} AS lane_2"]
        return f"SELECT {', '.join([*passed, *lanes])} FROM ({inner}) hashed"


class LakeDialect(Dialect):
    """What DuckDB and Spark spell alike. `text` is the name of their text type."""

    upper_hex = False
    text: str
    quoted_text = staticmethod(text_literal)

    def literal(self, type_: HashType, physical: str | None, value: Any) -> str:
        declared = physical or self.declared(type_)
        return f"cast({'null' if value is None else self.constant(type_, declared, value)} as {declared})"

    def constant(self, type_: HashType, declared: str, value: Any) -> str:
        if isinstance(value, bytes):
            return f"unhex('{value.hex()}')"
        if isinstance(value, bool) and base_of(declared) != "BOOLEAN":
            value = int(value)
        text = repr(value) if isinstance(value, float) else format(value, "f") if type_.kind is Kind.DECIMAL else value
        return self.quoted_text(str(text))

    def hash_hex(self, text: str) -> str:
        return f"md5({text})"

    def upper_hash(self, text: str) -> str:
        return f"upper(md5({text}))"

    def digest(self, type_: HashType, origin: Origin) -> str:
        return self.upper_hash(origin.sql if type_.kind is Kind.BINARY else self.spelled(type_, origin))

    def exact_text(self, number: str) -> str:
        return f"cast({number} as {self.text})"

    def day(self, day: date) -> str:
        return f"date '{day.isoformat()}'"
