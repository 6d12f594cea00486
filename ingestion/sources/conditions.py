"""Which rows a statement reads: what all databases that are asked in SQL do alike. Pure."""

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
    """A condition; each dialect adds the values of its binds in the form that its driver takes. Default: all rows."""

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

    Rows without a watermark are selected only if the catalog (which may be outdated for a view) or the contract says
    that there are some, because the OR prevents the use of an index. `compared` takes the source's column, the end's
    name, an operator and the bound.
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
    Return disjoint conditions that together match every row: rows of small large objects, then the others.

    One that matches all where there are no large objects. `lengths` are expressions, `if_null` is the function that
    replaces a null. Memory is what a fetch holds: its rows times the largest object.
    """
    if not lengths:
        return ["1 = 1"]
    small = " AND ".join(f"{if_null}({length}, 0) <= {most}" for length in lengths)
    large = " OR ".join(f"{length} > {most}" for length in lengths)
    return [small, f"({large})"]


def watermark_of(contract: Contract) -> Column:
    """Return the column that windows go by. Raises ConfigurationError."""
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
