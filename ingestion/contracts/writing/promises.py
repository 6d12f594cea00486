"""Decides the types of columns in a new contract. Pure.

Keys get 64 bits, foreign keys the type of their keys, and moments are truncated to microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

from ingestion.contracts.cutting import is_finer
from ingestion.contracts.drift import FoundColumn
from ingestion.contracts.facts import ColumnId, TableFacts
from ingestion.contracts.types import MAX_INT64_DIGITS, arrow_type, exact_number
from ingestion.contracts.writing.declarations import declaration
from ingestion.contracts.writing.spelling import is_usable, meaning

FRACTIONS = (0, 4, 10)
"""Scales for a number of open precision: the smallest that fits all sampled values is used."""
SAMPLE_ROWS = 100_000

_COMMON = frozenset({"id", "key", "code", "no", "nr", "num", "number", "name", "uuid", "guid", "seq", "value", "line"})


class Looked(NamedTuple):
    """
    A summary of the sampled values of a numeric column.

    `rows` is the number of sampled values that are not null. `fits_int64`: all are in its range, whole or not. `room`:
    all have at most 18 digits before the point. `fraction`: the smallest of `FRACTIONS` that all fit (0 without
    values), None if none does.
    """

    rows: int
    fits_int64: bool
    room: bool
    fraction: int | None


@dataclass(frozen=True, slots=True)
class Promise:
    """A column as the contract declares it; `note` is a hint for a person, empty if there is none."""

    physical_type: str
    logical_type: str
    source_type: str = ""
    truncate: bool = False
    note: str = ""


Look = Callable[[TableFacts, Sequence[FoundColumn]], Mapping[str, Looked]]
"""Samples the values of columns, by the source's names; a column missing from the result could not be read."""


@dataclass(slots=True)
class Promises:
    """
    Decides the columns of tables that are imported together.

    `known` has the types of columns that contracts promise already, `known_keys` those of them that are a table's only
    key column. A table's values are sampled once, and only if its declarations leave a type open.
    """

    tables: Mapping[tuple[str, str], TableFacts]
    known: Mapping[ColumnId, pa.DataType]
    look: Look
    known_keys: frozenset[ColumnId] = frozenset()
    _parents: dict[ColumnId, ColumnId] = field(default_factory=dict)
    _made: dict[ColumnId, Promise] = field(default_factory=dict)
    _looked: dict[tuple[str, str], Mapping[str, Looked]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own_keys = {ColumnId(f.schema, f.name, f.key[0]) for f in self.tables.values() if len(f.key) == 1}
        keys: dict[str, list[ColumnId]] = {}
        for key in own_keys | self.known_keys:
            keys.setdefault(key.column.casefold(), []).append(key)
        for facts in self.tables.values():
            self._parents.update(facts.references)
            for column in facts.columns:
                own = ColumnId(facts.schema, facts.name, column.found.name)
                namesakes = keys.get(own.column.casefold(), [])
                is_telling = own.column.casefold() not in _COMMON and len(namesakes) == 1 and namesakes != [own]
                if is_telling and own not in self._parents and _is_open(column.found):
                    self._parents[own] = namesakes[0]

    def of(self, facts: TableFacts, found: FoundColumn) -> Promise:
        """Return the promise of a column of one of the tables. Raises what reading the samples raises."""
        return self._of(facts, found, frozenset())

    def _of(self, facts: TableFacts, found: FoundColumn, seen: frozenset[ColumnId]) -> Promise:
        own = ColumnId(facts.schema, facts.name, found.name)
        if own not in self._made:
            parent = self._parents.get(own)
            like = None if parent is None or parent in seen else self._type_of(parent, seen | {own})
            self._made[own] = (
                (_like(found, like, parent) if like is not None and parent is not None else None)
                or self._number(facts, found)
                or _other(found, is_key=found.name in facts.key)
            )
        return self._made[own]

    def _type_of(self, of: ColumnId, seen: frozenset[ColumnId]) -> pa.DataType | None:
        if of in self.known:
            return self.known[of]
        facts = self.tables.get((of.schema, of.table))
        found = next((c.found for c in facts.columns if c.found.name == of.column), None) if facts else None
        if facts is None or found is None or not is_usable(found.dialect, found.physical_type):
            return None
        promise = self._of(facts, found, seen)
        return arrow_type(found.dialect, promise.physical_type, promise.logical_type)

    def _number(self, facts: TableFacts, found: FoundColumn) -> Promise | None:
        """Return the promise of a number that is a key with too many digits, or whose precision is open."""
        is_key = found.name in facts.key
        if not _needs_look(found, is_key=is_key):
            return None
        at = (facts.schema, facts.name)
        if at not in self._looked:
            wanted = [c.found for c in facts.columns if _needs_look(c.found, is_key=c.found.name in facts.key)]
            self._looked[at] = self.look(facts, wanted)
        looked = self._looked[at].get(found.name)
        return _key(found, looked) if is_key else _open_number(found, looked)


def _type(found: FoundColumn) -> pa.DataType | None:
    return meaning(found.dialect, found.physical_type, None)[0]


def _is_open(found: FoundColumn) -> bool:
    """Return whether a number may have more digits than 64 bits hold, or declares no digits."""
    type_ = _type(found)
    return type_ is None or (pa.types.is_decimal(type_) and type_.scale == 0)


def _needs_look(found: FoundColumn, *, is_key: bool) -> bool:
    return is_usable(found.dialect, found.physical_type) and (_is_open(found) if is_key else _type(found) is None)


def _like(found: FoundColumn, like: pa.DataType, parent: ColumnId | None) -> Promise | None:
    """Return a foreign key with its key's type; None if it has that type already or is no such number."""
    natural = _type(found)
    exact = natural is None or pa.types.is_integer(natural) or pa.types.is_decimal(natural)
    if not exact or parent is None or like == natural:
        return None
    if pa.types.is_string(like):
        return Promise(found.physical_type, "string", note=f"kept as exact text, like {parent.table}.{parent.column}")
    if pa.types.is_integer(like) and _is_open(found):
        return _as_int64(found, f"like {parent.table}.{parent.column}")
    return None


def _as_int64(found: FoundColumn, why: str) -> Promise:
    promised = declaration(found.dialect, pa.int64()) or ""
    note = f"{found.physical_type} in the source, {promised} in the contract {why}"
    return Promise(promised, "integer", found.physical_type, note=note)


def _key(found: FoundColumn, looked: Looked | None) -> Promise:
    if looked is None:
        return _as_int64(found, "because it is a key (its values could not be looked at)")
    if looked.fits_int64 and looked.fraction == 0:
        return _as_int64(found, f"because it is a key and {_seen(looked, 'whole and fit')}")
    note = (
        f"{found.physical_type} in the source, kept as exact text: it is a key, and not all of its values fit 64 bits"
    )
    return Promise(found.physical_type, "string", note=note)


def _open_number(found: FoundColumn, looked: Looked | None) -> Promise:
    """Return a decimal that fits the sampled values, or exact text if there are none or they have too many digits."""
    opened = f"the source leaves its precision open ({found.physical_type})"
    if looked is None or not looked.rows:
        why = "could not be looked at" if looked is None else "has no values to look at"
        note = f"{opened} and it {why}; kept as exact text. Promise e.g. NUMBER(18,4)"
        return Promise(found.physical_type, "string", note=note)
    if looked.fraction is None or not (looked.room if looked.fraction else looked.fits_int64):
        note = (
            f"{opened}; kept as exact text, for not all of {looked.rows:,} values looked at fit 18 digits and 10 more"
        )
        return Promise(found.physical_type, "string", note=note)
    type_ = exact_number(MAX_INT64_DIGITS + looked.fraction, looked.fraction)
    promised = declaration(found.dialect, type_) or ""
    kind = f"fit {looked.fraction} digits after the point" if looked.fraction else "whole"
    note = f"{opened}; {promised} in the contract, for {_seen(looked, kind)}"
    return Promise(promised, "number" if looked.fraction else "integer", found.physical_type, note=note)


def _seen(looked: Looked, kind: str) -> str:
    if not looked.rows:
        return "the table is empty"
    of = "the first " if looked.rows >= SAMPLE_ROWS else ""
    verb = "" if kind.startswith("fit ") else "are "
    return f"{of}{looked.rows:,} values looked at {verb}{kind}"


def _other(found: FoundColumn, *, is_key: bool) -> Promise:
    type_, logical = meaning(found.dialect, found.physical_type, None)
    plain = Promise(found.physical_type, logical)
    if is_finer(found.dialect, found.physical_type):
        if is_key:
            note = f"{found.physical_type} has more digits than the lake's moments; as it is a key, kept as exact text"
            return Promise(found.physical_type, "string", note=note)
        note = (
            f"{found.physical_type} has more digits than the lake's moments: cut to microseconds (truncate: true), "
            "never rounded"
        )
        return Promise(found.physical_type, logical, truncate=True, note=note)
    if is_key and type_ is not None and (pa.types.is_floating(type_) or pa.types.is_decimal(type_)):
        note = f"{found.physical_type} cannot be a key of the lake as a number; kept as exact text"
        return Promise(found.physical_type, "string", note=note)
    return plain
