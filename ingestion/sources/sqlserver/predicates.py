"""Conditions with bound texts for the rows to read: windows, chunks, lanes by the size of large objects. Pure.

The driver binds texts only, so the database converts each bind to its column's own type. So an index is used, and a
bound between two values of that type becomes the next value.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ingestion.contracts.drift import FoundColumn, match_columns
from ingestion.contracts.model import Column, Contract, NullWatermark
from ingestion.contracts.window import Window
from ingestion.errors import Break, BrokenContractError, ConfigurationError
from ingestion.runbook.moments import sqlserver_digits, sqlserver_moment
from ingestion.sources.base import Chunk
from ingestion.sources.sqlserver.catalog import quote, split_declaration
from ingestion.sources.sqlserver.expressions import (
    CHARACTERS,
    DECIMALS,
    INTEGERS,
    MOMENTS,
    MONEY,
    ROWVERSION,
    exact_text,
    utc,
    wall_clock,
)

LARGE_OBJECT_BYTES = 32 * 1024

_PARTITION_CHARACTERS = {"day": 10, "month": 7, "year": 4}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition and the values of its placeholders (`?`), in their order."""

    sql: str = "1 = 1"
    binds: tuple[str, ...] = ()

    def __and__(self, other: Condition) -> Condition:
        if other == Condition():
            return self
        if self == Condition():
            return other
        return Condition(f"{self.sql} AND {other.sql}", self.binds + other.binds)


def in_window(contract: Contract, window: Window, found: tuple[FoundColumn, ...]) -> Condition:
    """
    Return the condition of a window.

    Rows without a watermark are selected only if the catalog (which may be outdated for a view) or the contract says
    that there are some.
    """
    if window.is_whole:
        return Condition()
    source = watermark_column(contract, found)
    low, high = ("<", ">=") if window.inverted else (">=", "<")
    bounds = [(operator, text) for operator, text in ((low, window.low), (high, window.high)) if text is not None]
    parts = [compared(contract, source, operator, text) for operator, text in bounds]
    sql = (" OR " if window.inverted else " AND ").join(part.sql for part in parts)
    if window.holds_nulls and (source.nullable or contract.null_watermark is NullWatermark.INCLUDE):
        sql = f"{sql} OR {quote(source.name)} IS NULL"
    binds = tuple(bind for part in parts for bind in part.binds)
    return Condition(f"({sql})" if " OR " in sql else sql, binds)


def in_chunk(contract: Contract, chunk: Chunk, found: tuple[FoundColumn, ...]) -> Condition:
    """Return the condition of a chunk on the first key column."""
    source = found_column(contract, contract.keys[0], found)
    where = Condition()
    for operator, text in ((">=", chunk.low), ("<", chunk.high)):
        if text is not None:
            where &= compared(contract, source, operator, text)
    if chunk.low is None and source.nullable and where != Condition():
        where = Condition(f"({where.sql} OR {quote(source.name)} IS NULL)", where.binds)
    return where


def compared(contract: Contract, source: FoundColumn, operator: str, text: str) -> Condition:
    """Return a column compared (`>=` or `<`) with a bound. A bound that no value of the column can reach holds none."""
    base, arguments = split_declaration(source.physical_type)
    name = quote(source.name)
    if base in INTEGERS:
        return Condition(f"{name} {operator} CAST(? AS bigint)", (str(int(text)),))
    if base == ROWVERSION:
        return Condition(f"{name} {operator} CAST(CAST(? AS bigint) AS binary(8))", (str(int(text)),))
    if base in DECIMALS or base in MONEY:
        return Condition(f"{name} {operator} CAST(? AS decimal(38,0))", (str(int(text)),))
    if base in CHARACTERS:
        return Condition(f"{name} {operator} {text_bind(base, text)}", (text,))
    if base not in MOMENTS and base != "DATETIMEOFFSET":
        raise BrokenContractError(
            contract.id, [Break(source.name, "a column that can be compared", source.physical_type)]
        )
    ceiling = sqlserver_moment(text, base, arguments)
    if ceiling is None:
        return Condition("1 = 0") if operator == ">=" else Condition(f"{name} IS NOT NULL")
    return Condition(f"{name} {operator} {moment_bind(base, arguments)}", (ceiling,))


def watermark_column(contract: Contract, found: tuple[FoundColumn, ...]) -> FoundColumn:
    """Return the watermark's column in the source. Raises ConfigurationError, BrokenContractError."""
    if contract.watermark is None:
        raise ConfigurationError(
            f"{contract.id}: a window was asked for, but the contract names no watermark. "
            "Nothing was read. Add `watermark` to its lake block."
        )
    return found_column(contract, contract.column(contract.watermark), found)


def found_column(contract: Contract, column: Column, found: tuple[FoundColumn, ...]) -> FoundColumn:
    """Return a contracted column in the source. Raises BrokenContractError."""
    source = match_columns(contract, found).get(column.name)
    if source is None:
        raise BrokenContractError(contract.id, [Break(column.name, column.physical_type, "no such column")])
    return source


def spelled(source: FoundColumn, reference: str) -> str:
    """Return an expression over a column as the text that `compared` reads: all its digits, zoned in UTC."""
    base, arguments = split_declaration(source.physical_type)
    if base == ROWVERSION:
        return f"CONVERT(varchar(20), CAST({reference} AS bigint))"
    if base in DECIMALS or base in MONEY:
        return f"CONVERT(varchar(41), CAST(FLOOR({reference}) AS decimal(38,0)))"
    if base == "DATETIMEOFFSET":
        return f"CONVERT(varchar(27), CAST({utc(reference)} AS datetime2({sqlserver_digits(base, arguments)})), 121)"
    if base in CHARACTERS:
        return reference
    return exact_text(reference, base) or reference


def newest(contract: Contract, source: FoundColumn) -> str:
    """Return the expression of the highest watermark as text; the day if a date is promised."""
    highest = f"MAX({quote(source.name)})"
    base, _ = split_declaration(source.physical_type)
    if base == ROWVERSION:  # this type has no MAX
        return f"CONVERT(varchar(20), MAX(CAST({quote(source.name)} AS bigint)))"
    if pa.types.is_date(contract.column(contract.watermark or "").arrow_type) and base not in CHARACTERS:
        value = utc(highest) if base == "DATETIMEOFFSET" else wall_clock(highest, base)
        return f"CONVERT(varchar(10), CAST({value} AS date), 23)"
    return spelled(source, highest)


def partition_label(contract: Contract, found: tuple[FoundColumn, ...]) -> str:
    """Return the expression of a row's reconcile partition, `YYYY[-MM[-DD]]`; null if the contract names none."""
    if contract.reconcile.partition is None:
        return "CAST(NULL AS varchar(10))"
    source = found_column(contract, contract.column(contract.reconcile.partition), found)
    base, _ = split_declaration(source.physical_type)
    value = utc(quote(source.name)) if base == "DATETIMEOFFSET" else quote(source.name)
    return f"CONVERT(varchar({_PARTITION_CHARACTERS[contract.reconcile.grain]}), CAST({value} AS date), 23)"


def is_large(column: FoundColumn) -> bool:
    """Return whether a column's values are too long for a buffer of fixed size."""
    base, arguments = split_declaration(column.physical_type)
    return base in ("TEXT", "NTEXT", "IMAGE", "XML") or "max" in arguments


def object_length(column: FoundColumn) -> str:
    """Return the expression of a large object's bytes as sent; stored xml is shorter than its text."""
    base, _ = split_declaration(column.physical_type)
    name = quote(column.name)
    return f"DATALENGTH(CAST({name} AS nvarchar(max)))" if base == "XML" else f"DATALENGTH({name})"


def lanes(found: tuple[FoundColumn, ...]) -> list[Condition]:
    """
    Return disjoint conditions that together match every row: rows of small large objects, then the others.

    One condition that matches all rows if there are no large objects.
    """
    lengths = [object_length(column) for column in found if is_large(column)]
    if not lengths:
        return [Condition()]
    small = " AND ".join(f"ISNULL({length}, 0) <= {LARGE_OBJECT_BYTES}" for length in lengths)
    large = " OR ".join(f"{length} > {LARGE_OBJECT_BYTES}" for length in lengths)
    return [Condition(small), Condition(f"({large})")]


def text_bind(base: str, text: str) -> str:
    """
    Return the placeholder of a text. For a varchar column it is varchar, else each row would be converted.

    Texts with non-ASCII characters stay nvarchar, because varchar would convert them to the database's code page,
    which may differ from the column's.
    """
    is_national = base.startswith("N") or not text.isascii()
    return "CAST(? AS nvarchar(4000))" if is_national else "CAST(? AS varchar(8000))"


def moment_bind(base: str, arguments: tuple[str, ...]) -> str:
    if base == "DATETIMEOFFSET":
        digits = sqlserver_digits(base, arguments)
        return f"TODATETIMEOFFSET(CONVERT(datetime2({digits}), ?, 121), '+00:00')"
    kind = f"datetime2({sqlserver_digits(base, arguments)})" if base == "DATETIME2" else base.lower()
    return f"CONVERT({kind}, ?, 121)"
