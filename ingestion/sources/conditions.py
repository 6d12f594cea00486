"""Conditions that select the rows to read: what all SQL databases share. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Self, TypeVar

from ingestion.contracts.drift import FoundColumn, match_columns
from ingestion.contracts.model import Column, Contract, NullWatermark
from ingestion.contracts.window import Window
from ingestion.errors import Break, BrokenContractError, ConfigurationError


@dataclass(frozen=True, slots=True)
class SqlCondition(ABC):
    """A condition; each dialect adds its bind values in the driver's form. By default it selects all rows."""

    sql: str = "1 = 1"

    @abstractmethod
    def with_binds_of(self, other: Self, sql: str) -> Self:
        """Return the condition `sql` with the binds of this one, then the other's."""

    def __and__(self, other: Self) -> Self:
        everything = type(self)()
        if other == everything:
            return self
        return other if self == everything else self.with_binds_of(other, f"{self.sql} AND {other.sql}")


C = TypeVar("C", bound=SqlCondition)


def window_condition(
    kind: type[C],
    quote: Callable[[str], str],
    contract: Contract,
    window: Window,
    found: tuple[FoundColumn, ...],
    *,
    compared: Callable[[FoundColumn, str, str, str], C],
) -> C:
    """
    Return the condition of a window.

    Rows without a watermark are selected only if the catalog (which may be outdated for a view) or the contract allows
    them, because the OR prevents the use of an index. `compared` gets the source's column, the end's name (low or
    high), an operator and the bound.
    """
    if window.is_whole:
        return kind()
    source = watermark_column(contract, found)
    low, high = ("<", ">=") if window.inverted else (">=", "<")
    ends = (("low", low, window.low), ("high", high, window.high))
    parts = [compared(source, name, operator, text) for name, operator, text in ends if text is not None]
    word = "OR" if window.inverted else "AND"
    where = reduce(lambda a, b: a.with_binds_of(b, f"{a.sql} {word} {b.sql}"), parts)
    if window.holds_nulls and (source.nullable or contract.null_watermark is NullWatermark.INCLUDE):
        nulls = kind(f"{quote(source.name)} IS NULL")
        where = where.with_binds_of(nulls, f"{where.sql} OR {nulls.sql}")
    return replace(where, sql=f"({where.sql})") if " OR " in where.sql else where


def lane_conditions(lengths: Sequence[str], most: int, if_null: str) -> list[str]:
    """
    Return two disjoint conditions that together match every row: rows with only small large objects, and the others.

    One condition that matches all rows if there are no large objects. `lengths` are expressions, `most` is the longest
    small object, `if_null` is the function that replaces a null. A fetch needs memory for its number of rows times the
    largest object, so each kind of row has its own fetch size.
    """
    if not lengths:
        return ["1 = 1"]
    small = " AND ".join(f"{if_null}({length}, 0) <= {most}" for length in lengths)
    large = " OR ".join(f"{length} > {most}" for length in lengths)
    return [small, f"({large})"]


def watermark_of(contract: Contract) -> Column:
    """Return the contract's watermark column. Raises ConfigurationError if there is none."""
    if contract.watermark is None:
        raise ConfigurationError(
            f"{contract.id}: a window was asked for, but the contract names no watermark. "
            "Nothing was read. Add `watermark` to its lake block."
        )
    return contract.column(contract.watermark)


def watermark_column(contract: Contract, found: tuple[FoundColumn, ...]) -> FoundColumn:
    """Return the watermark's column in the source. Raises ConfigurationError, BrokenContractError."""
    return found_column(contract, watermark_of(contract), found)


def found_column(contract: Contract, column: Column, found: tuple[FoundColumn, ...]) -> FoundColumn:
    """Return a contracted column in the source. Raises BrokenContractError."""
    source = match_columns(contract, found).get(column.name)
    if source is None:
        raise BrokenContractError(contract.id, [Break(column.name, column.physical_type, "no such column")])
    return source
