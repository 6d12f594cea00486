"""Reads by key: lists of bound values, compared with unconverted columns so that the key's index is used. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ingestion.contracts.declared import split_declaration
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.model import Column, Contract
from ingestion.sources.conditions import found_column
from ingestion.sources.oracle.expressions import CHARACTERS, NUMBERS, exact_text
from ingestion.sources.oracle.predicates import SECOND, Condition, moment_text, to_timestamp
from ingestion.sql.quoting import quote_oracle as quote

KEYS_PER_STATEMENT = 512


class NationalText(str):
    """A text to be bound in the national character set, so that no character of an NVARCHAR2 is lost."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class _Comparison:
    """How one key column is compared: the source's expression, the bind's expression, and the bound value."""

    left: str
    right: Callable[[str], str]
    value: Callable[[Any], Any]


def with_keys(contract: Contract, found: tuple[FoundColumn, ...], keys: pa.Table) -> Iterator[Condition]:
    """
    Yield conditions that together match the rows of the keys, each row once if the keys are distinct.

    Lists have few different lengths (the last key is repeated to fill one), so that the database parses few statements.
    Keys with a null match nothing and are left out.
    """
    comparisons = [_comparison(column, found_column(contract, column, found)) for column in contract.keys]
    left = _row([comparison.left for comparison in comparisons])
    chosen = keys.select(list(contract.key_names)).drop_null()
    for start in range(0, chosen.num_rows, KEYS_PER_STATEMENT):
        rows = [tuple(row.values()) for row in chosen.slice(start, KEYS_PER_STATEMENT).to_pylist()]
        rows += rows[-1:] * (_statement_length(len(rows)) - len(rows))
        items, binds = [], {}
        for row_at, row in enumerate(rows):
            names = [f"k{row_at}_{column_at}" for column_at in range(len(row))]
            items.append(_row([c.right(name) for c, name in zip(comparisons, names, strict=True)]))
            binds.update({name: c.value(v) for c, name, v in zip(comparisons, names, row, strict=True)})
        yield Condition(f"{left} IN ({', '.join(items)})", binds)


def _comparison(column: Column, source: FoundColumn) -> _Comparison:
    base, arguments = split_declaration(source.physical_type)
    reference = quote(source.name)
    if pa.types.is_string(column.arrow_type):
        return _text_comparison(reference, base, arguments)
    if pa.types.is_temporal(column.arrow_type):
        if base == "DATE":
            return _Comparison(reference, lambda n: f"TO_DATE(:{n},'{SECOND}')", lambda v: moment_text(v).split(".")[0])
        return _Comparison(reference, lambda n: to_timestamp(base, n), moment_text)
    if pa.types.is_boolean(column.arrow_type):
        return _Comparison(reference, _bind, int)
    return _Comparison(reference, _bind, lambda v: v)


def _text_comparison(reference: str, base: str, arguments: tuple[str, ...]) -> _Comparison:
    if base in CHARACTERS:
        # a CHAR is stored with its trailing blanks, but a bound text is compared without padding
        return _Comparison(reference, _bind, NationalText if base.startswith("N") else str)
    for bases, function in ((NUMBERS, "TO_NUMBER"), ({"RAW"}, "HEXTORAW"), ({"ROWID"}, "CHARTOROWID")):
        if base in bases:
            return _Comparison(reference, lambda n, f=function: f"{f}(:{n})", str)  # type: ignore[misc]
    return _Comparison(exact_text(reference, base, arguments) or reference, _bind, str)


def _bind(name: str) -> str:
    return f":{name}"


def _row(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _statement_length(rows: int) -> int:
    """Return the least power of two that is at least `rows`."""
    return 1 << (rows - 1).bit_length()
