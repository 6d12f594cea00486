"""Conditions with bound texts that select the rows to read: by window, chunk and size of large objects. Pure.

The driver binds texts only, so the database converts each bind to the column's own type. Then indexes are used, and a
bound between two values of that type becomes the next value.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ingestion.contracts.declared import base_of, split_declaration
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Contract
from ingestion.contracts.window import Window
from ingestion.errors import Break, BrokenContractError
from ingestion.runbook.moments import sqlserver_digits, sqlserver_moment
from ingestion.sources.base import Chunk
from ingestion.sources.conditions import SqlCondition, found_column, lane_conditions, window_condition
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
from ingestion.sql.quoting import quote_sqlserver as quote

LARGE_OBJECT_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Condition(SqlCondition):
    """A condition and the values of its placeholders (`?`) in their order."""

    binds: tuple[str, ...] = ()

    def with_binds_of(self, other: Condition, sql: str) -> Condition:
        return Condition(sql, self.binds + other.binds)


def in_window(contract: Contract, window: Window, found: tuple[FoundColumn, ...]) -> Condition:
    return window_condition(
        Condition,
        quote,
        contract,
        window,
        found,
        compared=lambda source, _, operator, text: compared(contract, source, operator, text),
    )


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
    """Return the condition that compares a column (`>=` or `<`) with a bound, which may exceed the column's range."""
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


def spelled(source: FoundColumn, reference: str) -> str:
    """Return the text of an expression in the form that `compared` reads: all digits, UTC, numbers rounded down."""
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
    """Return the expression of the highest watermark as text, or of its day if a date is promised."""
    highest = f"MAX({quote(source.name)})"
    base = base_of(source.physical_type)
    if base == ROWVERSION:  # this type has no MAX
        return f"CONVERT(varchar(20), MAX(CAST({quote(source.name)} AS bigint)))"
    if pa.types.is_date(contract.column(contract.watermark or "").arrow_type) and base not in CHARACTERS:
        value = utc(highest) if base == "DATETIMEOFFSET" else wall_clock(highest, base)
        return f"CONVERT(varchar(10), CAST({value} AS date), 23)"
    return spelled(source, highest)


def is_large(column: FoundColumn) -> bool:
    """Return whether a column's values are too long for a buffer of fixed size."""
    base, arguments = split_declaration(column.physical_type)
    return base in ("TEXT", "NTEXT", "IMAGE", "XML") or "max" in arguments


def object_length(column: FoundColumn) -> str:
    """Return the expression of a large object's size in bytes as sent. XML is sent as text, which is longer."""
    base = base_of(column.physical_type)
    name = quote(column.name)
    return f"DATALENGTH(CAST({name} AS nvarchar(max)))" if base == "XML" else f"DATALENGTH({name})"


def lanes(found: tuple[FoundColumn, ...]) -> list[Condition]:
    """Return the conditions of `lane_conditions` for these columns."""
    lengths = [object_length(column) for column in found if is_large(column)]
    return [Condition(sql) for sql in lane_conditions(lengths, LARGE_OBJECT_BYTES, "ISNULL")]


def text_bind(base: str, text: str) -> str:
    """
    Return the placeholder of a text: varchar for a varchar column, because otherwise each row would be converted.

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
