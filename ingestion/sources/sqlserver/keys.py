"""Reads by key: lists of bound texts, each converted to its column's own type so that the key's index is used. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from ingestion.contracts.declared import split_declaration
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Contract
from ingestion.sources.conditions import found_column
from ingestion.sources.sqlserver.expressions import BYTES, DECIMALS, INTEGERS, MOMENTS, MONEY, ROWVERSION
from ingestion.sources.sqlserver.predicates import Condition, moment_bind, text_bind
from ingestion.sql.quoting import quote_sqlserver as quote

KEYS_PER_STATEMENT = 512
MAX_BINDS = 2000  # a statement takes 2100, including those of the call itself

_BINDS = {
    **dict.fromkeys(INTEGERS, "CAST(? AS bigint)"),
    **{name: f"CAST(? AS {name.lower()})" for name in (*MONEY, "BIT", "UNIQUEIDENTIFIER")},
    **dict.fromkeys(BYTES, "CONVERT(varbinary(8000), ?, 2)"),
    ROWVERSION: "CAST(CAST(? AS bigint) AS binary(8))",
}


def with_keys(contract: Contract, found: tuple[FoundColumn, ...], keys: pa.Table, *, table: str) -> Iterator[Condition]:
    """
    Yield conditions that together match the rows of the keys, each row once. Keys with a null match nothing.

    `table` is the table name in the statement; it qualifies the columns inside the subquery.
    """
    columns = [found_column(contract, column, found) for column in contract.keys]
    types = [split_declaration(column.physical_type) for column in columns]
    names = [quote(column.name) for column in columns]
    chosen = keys.select(list(contract.key_names)).drop_null()
    at_once = min(KEYS_PER_STATEMENT, MAX_BINDS // len(columns))
    for start in range(0, chosen.num_rows, at_once):
        rows = [tuple(row.values()) for row in chosen.slice(start, at_once).to_pylist()]
        texts = [[_key_text(value) for value in row] for row in rows]
        marks = [", ".join(_key_bind(*type_, text) for type_, text in zip(types, row, strict=True)) for row in texts]
        binds = tuple(text for row in texts for text in row)
        if len(columns) == 1:
            yield Condition(f"{names[0]} IN ({', '.join(marks)})", binds)
            continue
        values = ", ".join(f"({mark})" for mark in marks)
        listed = ", ".join(f"k{at}" for at in range(len(columns)))
        same = " AND ".join(f"k.k{at} = {table}.{name}" for at, name in enumerate(names))
        yield Condition(f"EXISTS (SELECT 1 FROM (VALUES {values}) AS k({listed}) WHERE {same})", binds)


def _key_bind(base: str, arguments: tuple[str, ...], text: str) -> str:
    if base in ("DATETIME", "SMALLDATETIME"):  # these cannot convert a text with six digits
        return f"CAST(CONVERT(datetime2(7), ?, 121) AS {base.lower()})"
    if base in MOMENTS or base == "DATETIMEOFFSET":
        return moment_bind(base, arguments)
    if base in DECIMALS:
        return f"CAST(? AS decimal({','.join(arguments) or '18'}))"
    return _BINDS.get(base) or text_bind(base, text)


def _key_text(value: Any) -> str:
    if isinstance(value, datetime):
        naive = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        return naive.isoformat(sep=" ", timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool):
        return str(int(value))
    return str(value)
