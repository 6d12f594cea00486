"""Builds the select list of a read, and converts the driver's arrays to a batch for the lake. Pure.

A batch has the shape of `ingestion.contracts.projection`. In the select list, all short misfit texts of a row share one
column, which is null if all values fit. Separate columns would cost up to a sixth of a read's CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts.declared import split_declaration
from ingestion.contracts.drift import FoundColumn, match_columns
from ingestion.contracts.model import Column, Contract
from ingestion.contracts.projection import RAW_PREFIX
from ingestion.errors import Break, BrokenContractError, IntegrityError

NEVER = "1 = 0"

_SEPARATOR = "|"
_TEXTS_PER_COLUMN = 40  # each has at most 100 bytes, and a text in SQL may have at most 4000


@dataclass(frozen=True, slots=True)
class Expression:
    """
    What to select for one column.

    `typed` is the value's expression; None if the types do not convert exactly, so that every value is a misfit.
    `fetched` is the Arrow type to request from the driver. `guard` is a condition that is true for a value that fits
    and null for a null; None if every value fits. `text` is the expression of the exact text of any value; None if SQL
    has none. `is_short`: the text is short and contains no `|`.
    """

    typed: str | None
    fetched: pa.DataType
    guard: str | None
    text: str | None
    is_short: bool = False

    @property
    def guarded(self) -> str | None:
        if self.typed is None or self.guard is None:
            return self.typed
        return f"CASE WHEN {self.guard} THEN {self.typed} END"


@dataclass(frozen=True, slots=True)
class Dialect:
    """
    The expressions with which a database converts a column to a promised type.

    `exact_text` returns the expression of the exact text of any value; None if SQL has none. `as_text`, `as_number` and
    `as_moment` return None for columns of other kinds. `short` has the types whose texts are short and contain no `|`.
    `joined` concatenates texts.
    """

    quote: Callable[[str], str]
    exact_text: Callable[[str, str, tuple[str, ...]], str | None]
    as_text: Callable[[str, str, pa.DataType, str | None], Expression | None]
    as_number: Callable[[str, str, tuple[str, ...], pa.DataType, str | None], Expression | None]
    as_moment: Callable[[FoundColumn, pa.DataType, str | None, bool], Expression | None]
    short: frozenset[str]
    joined: Callable[[Sequence[str]], str]

    def expression(self, found: FoundColumn, promised: pa.DataType, truncate: bool = False) -> Expression:
        """Return how to fetch a found column as the promised type, with moments cut to microseconds if `truncate`."""
        base, arguments = split_declaration(found.physical_type)
        reference = self.quote(found.name)
        text = self.exact_text(reference, base, arguments)
        return (
            self.as_text(reference, base, promised, text)
            or self.as_number(reference, base, arguments, promised, text)
            or self.as_moment(found, promised, text, truncate)
            or Expression(None, promised, NEVER, text, is_short=base in self.short)
        )


@dataclass(frozen=True, slots=True)
class _Origin:
    """The origin of a column of the batch: a selected column, a part of one, or None (all nulls)."""

    index: int | None = None
    part: int | None = None


@dataclass(slots=True)
class Projection:
    """What is selected, the types requested from the driver, and the schema of the resulting batches."""

    contract_id: str
    dialect: Dialect
    select: list[str] = field(default_factory=list)
    _fetched: list[pa.DataType] = field(default_factory=list)
    _fields: list[pa.Field] = field(default_factory=list)
    _origins: list[_Origin] = field(default_factory=list)

    @property
    def requested(self) -> pa.Schema:
        return pa.schema([(f"c{at}", type_) for at, type_ in enumerate(self._fetched)])

    @property
    def schema(self) -> pa.Schema:
        return pa.schema(self._fields)

    def batch(self, arrays: Sequence[pa.Array]) -> pa.RecordBatch:
        """Return the driver's arrays as a batch. Raises IntegrityError if their number or lengths are wrong."""
        lengths = {len(array) for array in arrays}
        if len(arrays) != len(self.select) or len(lengths) != 1:
            raise IntegrityError(
                f"{self.contract_id}: the driver delivered columns of different lengths. "
                "Nothing was committed. Check the driver's version with `lakehouse doctor`: is it the pinned one?"
            )
        rows = lengths.pop()
        parts: dict[int, pa.Array | None] = {}
        columns = [self._column(at, arrays, rows, parts) for at in range(len(self._fields))]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _column(self, at: int, arrays: Sequence[pa.Array], rows: int, parts: dict[int, pa.Array | None]) -> pa.Array:
        origin, type_ = self._origins[at], self._fields[at].type
        if origin.index is None:
            return pa.nulls(rows, type_)
        array = arrays[origin.index]
        if origin.part is None:
            return array if array.type == type_ else array.cast(type_)
        if origin.index not in parts:
            parts[origin.index] = None if array.null_count == rows else pc.split_pattern(array, _SEPARATOR)
        texts = parts[origin.index]
        if texts is None:
            return pa.nulls(rows, type_)
        text = pc.list_element(texts, origin.part)
        return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)

    def add(self, name: str, type_: pa.DataType, sql: str | None, fetched: pa.DataType | None = None) -> None:
        """Add a column of the batch that has its own selected column, or (None) is all nulls."""
        self._fields.append(pa.field(name, type_))
        self._origins.append(_Origin(None if sql is None else self._add_selected(sql, fetched or type_)))

    def add_shared(self, names_and_expressions: list[tuple[str, Expression]]) -> None:
        """Add columns of misfit texts that share one selected column."""
        misfits = " OR ".join(f"NOT ({e.guard})" for _, e in names_and_expressions)
        parts = [part for _, e in names_and_expressions for part in (f"'{_SEPARATOR}'", raw_text(e))]
        texts = self.dialect.joined(parts[1:])
        index = self._add_selected(f"CASE WHEN {misfits} THEN {texts} END", pa.string())
        for part, (name, _) in enumerate(names_and_expressions):
            self._fields.append(pa.field(name, pa.string()))
            self._origins.append(_Origin(index, part))

    def _add_selected(self, sql: str, fetched: pa.DataType) -> int:
        self.select.append(sql)
        self._fetched.append(fetched)
        return len(self.select) - 1


def project(
    contract: Contract, found: tuple[FoundColumn, ...], dialect: Dialect, columns: Sequence[Column] | None = None
) -> Projection:
    """
    Return how to read the contract's columns from the found ones.

    With `columns` only these are read, without misfit texts. A column that the source lacks is all nulls; the drift
    policy decides before whether that is allowed. Raises BrokenContractError for a column that SQL cannot convert.
    """
    matches = match_columns(contract, found)
    projection = Projection(contract.id, dialect)
    guarded: list[tuple[str, Expression]] = []
    for column in contract.columns if columns is None else columns:
        source = matches.get(column.name)
        if source is None:
            projection.add(column.name, column.arrow_type, None)
            continue
        how = dialect.expression(source, column.arrow_type, column.truncate)
        if how.guard is not None and how.text is None:
            break_ = Break(column.name, column.physical_type, f"{source.physical_type}, which cannot be read")
            raise BrokenContractError(contract.id, [break_])
        projection.add(column.name, column.arrow_type, how.guarded, how.fetched)
        if how.guard is not None:
            guarded.append((column.name, how))
    if columns is None:
        _add_raw(projection, guarded)
    return projection


def raw_text(how: Expression) -> str:
    """Return an expression that is a value's text if it does not fit, and null if it does."""
    return f"CASE WHEN NOT ({how.guard}) THEN {how.text} END"


def _add_raw(projection: Projection, guarded: list[tuple[str, Expression]]) -> None:
    short = [(RAW_PREFIX + name, how) for name, how in guarded if how.is_short]
    for start in range(0, len(short), _TEXTS_PER_COLUMN):
        projection.add_shared(short[start : start + _TEXTS_PER_COLUMN])
    for name, how in guarded:
        if not how.is_short:
            projection.add(RAW_PREFIX + name, pa.string(), raw_text(how))
